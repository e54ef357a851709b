"""The toolsets `plan` and `session_plan`: one plan for a session, in Markdown."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from anyio import to_thread

from roost.core.agents import ToolsetSpec
from roost.core.events import PlanSet
from roost.core.messages import Annotations, Result
from roost.ports import Place, Use
from roost.tools.house import Board, House
from roost.tools.tool import Kit, Native, Refused, reads, schema, string

MOST = 128 * 1024  # characters of a plan

_INSTRUCTIONS = """\
Plan before you act: look around first, write the plan down with `write_plan`, whole each time, and then ask to go on
with `exit_plan_mode`. Change nothing but the plan until that has been agreed to.
"""


@asynccontextmanager
async def open_plan(spec: ToolsetSpec, place: Place, house: House) -> AsyncIterator[Kit]:
    """One plan for all agents of a session; that of `plan` is a file, too, which people can read and change."""
    name = quote(place.root or place.session, safe="").replace(".", "%2E")[:200]
    path = Path(house.home, "plans", f"{name}.md") if spec.type == "plan" else None
    with house.board(spec.type, place, shared=True) as board:
        yield Kit(_tools(_Plan(board, place, path), spec.type), _INSTRUCTIONS)


def _tools(plan: "_Plan", category: str) -> tuple[Native, ...]:
    content = {**string("The whole plan, in Markdown"), "minLength": 1, "maxLength": MOST}
    return (
        Native(
            "write_plan",
            category,
            "Write the plan of this session, in place of the one there was.",
            schema(("content",), content=content),
            plan.write,
            annotations=Annotations(title="Write Plan", idempotent=True),
        ),
        Native(
            "read_plan",
            category,
            "Read the plan of this session.",
            schema(),
            plan.read,
            annotations=reads("Read Plan"),
        ),
        Native(
            "exit_plan_mode",
            category,
            "Say that the plan is complete and ask to carry it out.",
            schema(),
            plan.leave,
            annotations=Annotations(title="Exit Plan Mode", idempotent=True),
        ),
    )


class _Plan:
    def __init__(self, board: Board, place: Place, path: Path | None) -> None:
        self._board = board
        self._place = place
        self._path = path

    async def write(self, arguments: dict[str, Any], use: Use) -> Result:
        content: str = arguments["content"]
        if self._path is not None:
            await to_thread.run_sync(_write, self._path, content)
        meta = self._board.put("", content)
        if self._place.tell is not None:
            await self._place.tell(PlanSet(content, path=str(self._path or ""), agent=self._place.agent))
        where = f": {self._path}" if self._path is not None else ""
        return Result(f"Plan written ({len(content)} characters){where}", meta=meta)

    async def read(self, arguments: dict[str, Any], use: Use) -> Result:
        return Result(await self._content() or "There is no plan yet.")

    async def leave(self, arguments: dict[str, Any], use: Use) -> Result:
        content = await self._content()
        if not content:
            raise Refused("there is no plan yet: write one first")
        return Result(f"Planning is over. Carry the plan out now:\n\n{content}")

    async def _content(self) -> str:
        """The file goes before what is remembered: somebody may have changed it."""
        found = await to_thread.run_sync(_read, self._path) if self._path is not None else ""
        return found or str(self._board.of("") or "")


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(content, encoding="utf-8", errors="replace")
    fresh.replace(path)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(4 * MOST).decode(errors="replace")
    except FileNotFoundError:
        return ""
