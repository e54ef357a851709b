"""The toolset `tasks`: what is to be done, in a file that outlasts the session."""

import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import anyio
from msgspec import Struct

from roost.core.agents import ToolsetSpec
from roost.core.errors import ToolsetFailed
from roost.core.messages import Annotations, Effect, Result
from roost.ports import Place, Use
from roost.tools.house import House
from roost.tools.paths import Paths, Spot
from roost.tools.tool import Kit, Native, Refused, Work, in_thread, reads, schema, string

CATEGORY = "tasks"
LARGEST = 4 * 1024 * 1024  # bytes of the file
LONGEST = 256 * 1024  # bytes of a description's file
PRIORITIES = ("critical", "high", "medium", "low")
STATUSES = ("pending", "in_progress", "done", "blocked")

Task = dict[str, Any]
Tasks = dict[str, Task]

_INSTRUCTIONS = """\
Tasks are kept in a file and outlast this conversation. A task may depend on others and is blocked until they are done:
ask for the next task instead of choosing one yourself, mark it in_progress when you begin and done when it is.
"""


@asynccontextmanager
async def open_tasks(spec: ToolsetSpec, place: Place, house: House) -> AsyncIterator[Kit]:
    """One file for all sessions of a directory; each change is one step."""
    wanted = house.expand(spec.options.get("path") or "./tasks.json", "path")
    paths = Paths(place.working_dir, house.env, allow=(place.working_dir,), confined=place.confined)
    try:
        spot = paths.find(wanted)
    except Refused:
        raise ToolsetFailed(f"tasks: the path {wanted} leads out of the working directory") from None
    yield Kit(_tools(_Book(paths, spot, house)), _INSTRUCTIONS)


def _tools(book: "_Book") -> tuple[Native, ...]:
    title, text = string("The title"), string("What is to be done")
    path = string("A Markdown file in the working directory whose text is the description")
    priority = {"type": "string", "enum": list(PRIORITIES), "description": "The priority"}
    status = {"type": "string", "enum": list(STATUSES), "description": "How far it is"}
    ids = {"type": "array", "items": {"type": "string"}, "description": "Ids of the tasks that must be done before"}
    fields = {"title": title, "description": text, "path": path, "priority": priority}
    one, both = schema(("id",), id=string("The id")), ("taskId", "dependsOnId")
    edge = schema(both, taskId=string("The task"), dependsOnId=string("The one that must be done before it"))
    change = schema(("id",), id=string("The id"), **fields, status=status, dependencies=ids)
    listed = schema((), status=status, priority=priority)
    looks, once = reads, Annotations(title="Create Task")
    removal = Annotations(title="Delete Task", destructive=True, idempotent=True)
    return (
        _native(
            "create_task", "Add a task.", schema(("title",), **fields, dependencies=ids), book.create, once, "once"
        ),
        _native("get_task", "Show a task.", one, book.get, looks("Get Task")),
        _native(
            "update_task", "Change a task.", change, book.update, Annotations(title="Update Task", idempotent=True)
        ),
        _native("delete_task", "Remove a task, also from those that depend on it.", one, book.delete, removal),
        _native("list_tasks", "List the tasks, the most urgent first.", listed, book.listing, looks("List Tasks")),
        _native("next_task", "Find the task to work on next.", schema(), book.next, looks("Next Task")),
        _native("add_dependency", "Let a task wait for another.", edge, book.link, Annotations(title="Add Dependency")),
        _native(
            "remove_dependency",
            "Let a task no longer wait for another.",
            edge,
            book.unlink,
            Annotations(title="Remove Dependency", idempotent=True),
        ),
    )


def _native(
    name: str, description: str, parameters: dict[str, Any], work: Work, notes: Annotations, effect: Effect = "safe"
) -> Native:
    return Native(name, CATEGORY, description, parameters, work, annotations=notes, effect=effect)


class _Book(Struct, frozen=True):
    """The file, and the work of the tools: sessions of one server take turns."""

    paths: Paths
    spot: Spot
    house: House

    async def create(self, arguments: dict[str, Any], use: Use) -> Result:
        def create(tasks: Tasks) -> Task:
            now = _now()
            task: Task = {
                "id": secrets.token_hex(4),
                "title": arguments["title"],
                "description": self._description(arguments) or "",
                "priority": arguments.get("priority", "medium"),
                "status": "pending",
                "dependencies": _known(tasks, arguments.get("dependencies", [])),
                "createdAt": now,
                "updatedAt": now,
            }
            tasks[task["id"]] = task
            return task

        return await self._change(create)

    async def get(self, arguments: dict[str, Any], use: Use) -> Result:
        tasks = await in_thread(lambda _: self._read())
        return _told(_found(tasks, arguments["id"]), tasks)

    async def update(self, arguments: dict[str, Any], use: Use) -> Result:
        def update(tasks: Tasks) -> Task:
            task = _found(tasks, arguments["id"])
            given: Task = {name: arguments[name] for name in ("title", "priority", "status") if name in arguments}
            if (description := self._description(arguments)) is not None:
                given["description"] = description
            if "dependencies" in arguments:
                given["dependencies"] = _known(tasks, arguments["dependencies"])
            task.update(given, updatedAt=_now())
            _acyclic(tasks, task["id"])
            return task

        return await self._change(update)

    async def delete(self, arguments: dict[str, Any], use: Use) -> Result:
        def delete(tasks: Tasks) -> None:
            gone = _found(tasks, arguments["id"])["id"]
            del tasks[gone]
            for other in tasks.values():
                other["dependencies"] = [each for each in other["dependencies"] if each != gone]

        await self._change(delete)
        return Result(json.dumps({"deleted": arguments["id"]}))

    async def listing(self, arguments: dict[str, Any], use: Use) -> Result:
        tasks = await in_thread(lambda _: self._read())
        shown = [_shown(task, tasks) for task in _sorted(tasks)]
        for name, key in (("status", "effectiveStatus"), ("priority", "priority")):
            if name in arguments:
                shown = [task for task in shown if task[key] == arguments[name]]
        return Result(json.dumps(shown, ensure_ascii=False))

    async def next(self, arguments: dict[str, Any], use: Use) -> Result:
        tasks = await in_thread(lambda _: self._read())
        for status in ("in_progress", "pending"):
            for task in _sorted(tasks):
                if _effective(task, tasks) == status:
                    return _told(task, tasks)
        return Result("Nothing can be worked on: no task is left, or all that are wait for something else.")

    async def link(self, arguments: dict[str, Any], use: Use) -> Result:
        def link(tasks: Tasks) -> Task:
            task, other = _found(tasks, arguments["taskId"]), _found(tasks, arguments["dependsOnId"])
            if other["id"] not in task["dependencies"]:
                task["dependencies"].append(other["id"])
            _acyclic(tasks, task["id"])
            return task

        return await self._change(link)

    async def unlink(self, arguments: dict[str, Any], use: Use) -> Result:
        def unlink(tasks: Tasks) -> Task:
            task = _found(tasks, arguments["taskId"])
            task["dependencies"] = [each for each in task["dependencies"] if each != arguments["dependsOnId"]]
            return task

        return await self._change(unlink)

    # -- the file -------------------------------------------------------------------------------

    async def _change(self, change: Callable[[Tasks], Task | None]) -> Result:
        """Read, change and write in one step; what the change refuses leaves the file alone."""

        def work() -> Result:
            tasks = self._read()
            task = change(tasks)
            data = json.dumps({"tasks": list(tasks.values())}, ensure_ascii=False, indent=2).encode(errors="replace")
            if len(data) > LARGEST:
                raise Refused(f"there are too many tasks: their file would be longer than {LARGEST} bytes")
            self.paths.write(self.spot, data)
            return _told(task, tasks) if task is not None else Result("")

        lock = self.house.locks.get(self.spot.real)
        if lock is None:
            lock = self.house.locks[self.spot.real] = anyio.Lock()
        async with lock:
            return await in_thread(lambda _: work())

    def _read(self) -> Tasks:
        try:
            with self.paths.open(self.spot) as file:
                data = file.read(LARGEST + 1)
        except Refused as refused:
            if str(refused).startswith("not found"):
                return {}
            raise
        try:
            entries = json.loads(data)
            entries = entries["tasks"] if isinstance(entries, dict) else entries
            return {str(entry["id"]): _whole(entry) for entry in entries}
        except (ValueError, TypeError, KeyError, RecursionError):
            raise Refused(f"{self.spot.shown} is no file of tasks: move it away, or mend it") from None

    def _description(self, arguments: dict[str, Any]) -> str | None:
        """What a call says of it: in words, or by naming a file."""
        if "path" not in arguments:
            return arguments.get("description")
        with self.paths.open(self.paths.find(arguments["path"])) as file:
            data = file.read(LONGEST + 1)
        if len(data) > LONGEST:
            raise Refused(f"{arguments['path']} is longer than {LONGEST} bytes")
        return data.decode(errors="replace")


def _whole(entry: dict[str, Any]) -> Task:
    """A task of the file, with what others may have left out."""
    plain: Task = {"title": "", "description": "", "priority": "medium", "status": "pending", **entry}
    plain["id"] = str(entry["id"])
    plain["dependencies"] = [str(each) for each in entry.get("dependencies") or ()]
    plain["priority"] = plain["priority"] if plain["priority"] in PRIORITIES else "medium"
    return plain


def _told(task: Task, tasks: Tasks) -> Result:
    return Result(json.dumps(_shown(task, tasks), ensure_ascii=False))


def _shown(task: Task, tasks: Tasks) -> Task:
    return {**task, "effectiveStatus": _effective(task, tasks)}


def _effective(task: Task, tasks: Tasks) -> str:
    """`blocked` while something that it depends on is not done."""
    if task["status"] == "done":
        return "done"
    waits = any(tasks[other]["status"] != "done" for other in task["dependencies"] if other in tasks)
    return "blocked" if waits else str(task["status"])


def _sorted(tasks: Tasks) -> list[Task]:
    """By priority; among equals the oldest first."""
    return sorted(tasks.values(), key=lambda task: PRIORITIES.index(task["priority"]))


def _found(tasks: Tasks, id: str) -> Task:
    if id not in tasks:
        raise Refused(f"there is no task with the ID {id}")
    return tasks[id]


def _known(tasks: Tasks, ids: list[str]) -> list[str]:
    return [_found(tasks, each)["id"] for each in dict.fromkeys(ids)]


def _acyclic(tasks: Tasks, start: str) -> None:
    """See that a task does not wait for itself, over however many others."""
    todo, seen = list(tasks[start]["dependencies"]), set[str]()
    while todo:
        here = todo.pop()
        if here == start:
            raise Refused(f"the task {start} would wait for itself")
        if here not in seen and here in tasks:
            seen.add(here)
            todo += tasks[here]["dependencies"]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
