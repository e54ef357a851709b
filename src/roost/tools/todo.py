"""The toolset `todo`: a list of what is to be done."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from roost.core.agents import ToolsetSpec
from roost.core.messages import Result
from roost.ports import Place, Use
from roost.tools.house import Board, House
from roost.tools.tool import Kit, Native, reads, schema, string

CATEGORY = "todo"
STATUSES = ("pending", "in-progress", "completed")

Item = dict[str, str]

_INSTRUCTIONS = """\
Keep a list of what is to be done when a task has several steps: write it down first, mark an item in-progress when you
begin with it and completed as soon as it is done, and look at the list before you say that you are finished.
"""


@asynccontextmanager
async def open_todo(spec: ToolsetSpec, place: Place, house: House) -> AsyncIterator[Kit]:
    """One list for each agent, or with `shared` one for all agents of a session and of its sub-sessions."""
    shared = bool(spec.options.get("shared"))
    with house.board(CATEGORY, place, shared=shared) as board:
        yield Kit(_tools(_List(board, "" if shared else place.agent)), _INSTRUCTIONS)


def _tools(todo: "_List") -> tuple[Native, ...]:
    """All are safe to run again: a call whose result was lost has left nothing behind."""
    update = schema(("id", "status"), id=string("The item's id"), status={"type": "string", "enum": list(STATUSES)})
    updates = {"type": "array", "minItems": 1, "items": update, "description": "The items and what they are now"}
    descriptions = {"type": "array", "minItems": 1, "items": {"type": "string"}, "description": "What is to be done"}
    return (
        Native(
            "create_todo",
            CATEGORY,
            "Add an item to the list.",
            schema(("description",), description=string("What is to be done")),
            todo.create,
            annotations=reads("Create TODO"),
        ),
        Native(
            "create_todos",
            CATEGORY,
            "Add several items to the list.",
            schema(("descriptions",), descriptions=descriptions),
            todo.create_many,
            annotations=reads("Create TODOs"),
        ),
        Native(
            "update_todos",
            CATEGORY,
            "Say how far items of the list are.",
            schema(("updates",), updates=updates),
            todo.update,
            annotations=reads("Update TODOs"),
        ),
        Native("list_todos", CATEGORY, "Show the list.", schema(), todo.show, annotations=reads("List TODOs")),
    )


class _List:
    def __init__(self, board: Board, agent: str) -> None:
        self._board = board
        self._agent = agent

    @property
    def _items(self) -> list[Item]:
        return list(self._board.of(self._agent) or [])

    async def create(self, arguments: dict[str, Any], use: Use) -> Result:
        items, created = self._added([arguments["description"]])
        return self._result(items, created=created[0], all_todos=items)

    async def create_many(self, arguments: dict[str, Any], use: Use) -> Result:
        items, created = self._added(arguments["descriptions"])
        return self._result(items, created=created, all_todos=items)

    def _added(self, descriptions: list[str]) -> tuple[list[Item], list[Item]]:
        items = self._items
        first = len(items) + 1
        created = [
            {"id": f"todo_{number}", "description": description, "status": "pending"}
            for number, description in enumerate(descriptions, first)
        ]
        return items + created, created

    async def update(self, arguments: dict[str, Any], use: Use) -> Result:
        wanted = {update["id"]: update["status"] for update in arguments["updates"]}
        items = [{**item, "status": wanted.get(item["id"], item["status"])} for item in self._items]
        known = {item["id"] for item in items}
        updated = [{"id": name, "status": status} for name, status in wanted.items() if name in known]
        missing = [name for name in wanted if name not in known]
        answer: dict[str, Any] = {}
        if updated:
            answer["updated"] = updated
        if missing:
            answer["not_found"] = missing
        return self._result(items, **answer, all_todos=items, is_error=not updated)

    async def show(self, arguments: dict[str, Any], use: Use) -> Result:
        items = self._items
        return self._result(items, todos=items)

    def _result(self, items: list[Item], *, is_error: bool = False, **answer: Any) -> Result:
        """The answer as JSON; `meta` has the list for whoever shows it, and the board for the next start."""
        if remaining := [item for item in items if item["status"] != "completed"]:
            named = ", ".join(f"{item['id']} ({item['status']}): {item['description']}" for item in remaining)
            answer["reminder"] = f"Still open: {named}"
        meta = {"todos": items, **self._board.put(self._agent, items)}
        return Result(json.dumps(answer, ensure_ascii=False), is_error=is_error, meta=meta)
