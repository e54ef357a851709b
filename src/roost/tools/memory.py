"""The toolset `memory`: what an agent remembers from one session to the next."""

import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import anyio
import apsw
from anyio import to_thread

from roost.core.agents import ToolsetSpec
from roost.core.errors import ToolsetFailed
from roost.core.messages import Annotations, Result
from roost.ports import Place, Use
from roost.tools.house import House
from roost.tools.paths import Paths
from roost.tools.tool import Kit, Native, Refused, reads, schema, shown, string

CATEGORY = "memory"
MOST = 32_000  # characters of one memory
SHOWN = 256 * 1024  # characters of an answer
PATIENCE = 10_000  # milliseconds that another session may keep the file locked
T = TypeVar("T")

_TABLE = """\
CREATE TABLE IF NOT EXISTS memories (
    id TEXT PRIMARY KEY,
    created_at TEXT NOT NULL,
    memory TEXT NOT NULL,
    category TEXT DEFAULT ''
)"""
_INSTRUCTIONS = """\
You have a memory that outlasts this conversation. Look into it before you answer what it may know about, and remember
what will be of use later: what the user prefers, what was decided, what took long to find out. Nothing is remembered
by itself. Correct a memory that is wrong; do not keep two that contradict each other.
"""


@asynccontextmanager
async def open_memory(spec: ToolsetSpec, place: Place, house: House) -> AsyncIterator[Kit]:
    """One file for all sessions; it is made when something is remembered, or looked for."""
    memories = _Memories(_path(spec.options.get("path", ""), place, house), house)
    try:
        yield Kit(_tools(memories), _INSTRUCTIONS)
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(memories.close)


def _path(wanted: str, place: Place, house: House) -> Path:
    """Where the file lies: as the entry says, else in the server's folder, for the agent file and the account."""
    if not wanted:
        source = quote(place.team.source if place.team is not None else "default", safe="")
        owner = (quote(place.owner, safe=""),) if place.owner else ()
        return Path(house.home, "memory", *(part.replace(".", "%2E")[:200] for part in (source, *owner)), "memory.db")
    expanded = house.expand(wanted, "path")
    try:
        found = Paths(place.working_dir, house.env, confined=place.confined).find(expanded).real
    except Refused as refused:
        raise ToolsetFailed(f"memory: {refused}") from None
    relative = not expanded.startswith(("/", "~"))
    if relative and not Path(found).is_relative_to(Path(place.working_dir).resolve()):
        raise ToolsetFailed(f"memory: the path {wanted} leads out of the working directory")
    return Path(found)


def _tools(memories: "_Memories") -> tuple[Native, ...]:
    text, category = string("What to remember"), string("A category for it")
    name = string("The id of the memory")
    return (
        Native(
            "add_memory",
            CATEGORY,
            "Remember something.",
            schema(("memory",), memory={**text, "minLength": 1, "maxLength": MOST}, category=category),
            memories.add,
            annotations=Annotations(title="Add Memory"),
            effect="once",
        ),
        Native(
            "get_memories",
            CATEGORY,
            "Get all that is remembered, the oldest first.",
            schema(),
            memories.all,
            annotations=reads("Get Memories"),
        ),
        Native(
            "search_memories",
            CATEGORY,
            "Find memories that hold all of some words, in any case, or are of one category.",
            schema((), query=string("The words"), category=string("The category")),
            memories.search,
            annotations=reads("Search Memories"),
        ),
        Native(
            "update_memory",
            CATEGORY,
            "Put other words in place of a memory.",
            schema(("id", "memory"), id=name, memory={**text, "minLength": 1, "maxLength": MOST}, category=category),
            memories.update,
            annotations=Annotations(title="Update Memory", idempotent=True),
        ),
        Native(
            "delete_memory",
            CATEGORY,
            "Forget something.",
            schema(("id",), id=name),
            memories.delete,
            annotations=Annotations(title="Delete Memory", destructive=True, idempotent=True),
        ),
    )


class _Memories:
    """The work of these tools, each call one transaction.  Sessions of one server take turns."""

    def __init__(self, path: Path, house: House) -> None:
        self._path = path
        self._house = house
        self._db: apsw.Connection | None = None
        self._file = 0

    async def add(self, arguments: dict[str, Any], use: Use) -> Result:
        name, now = secrets.token_hex(8), datetime.now(UTC).isoformat(timespec="seconds")
        row = (name, now, arguments["memory"], arguments.get("category", ""))
        await self._do(lambda db: db.execute("INSERT INTO memories VALUES (?, ?, ?, ?)", row))
        return Result(f"Memory added successfully with ID: {name}")

    async def all(self, arguments: dict[str, Any], use: Use) -> Result:
        return _listed(await self._rows("1", ()))

    async def search(self, arguments: dict[str, Any], use: Use) -> Result:
        words = arguments.get("query", "").lower().split()
        category = arguments.get("category", "")
        rows = await self._rows("?1 = '' OR lower(category) = lower(?1)", (category,))
        return _listed([row for row in rows if all(word in row["memory"].lower() for word in words)])

    async def update(self, arguments: dict[str, Any], use: Use) -> Result:
        values = (arguments["memory"], arguments.get("category"), arguments["id"])
        query = "UPDATE memories SET memory = ?1, category = coalesce(?2, category) WHERE id = ?3"
        await self._change(query, values, arguments["id"])
        return Result(f"Memory {arguments['id']} updated successfully")

    async def delete(self, arguments: dict[str, Any], use: Use) -> Result:
        await self._change("DELETE FROM memories WHERE id = ?", (arguments["id"],), arguments["id"])
        return Result(f"Memory {arguments['id']} deleted successfully")

    async def _change(self, query: str, values: tuple[Any, ...], id: str) -> None:
        def change(db: apsw.Connection) -> int:
            db.execute(query, values)
            return int(db.changes())

        if not await self._do(change):
            raise Refused(f"there is no memory with the ID {id}")

    async def _rows(self, where: str, values: tuple[Any, ...]) -> list[dict[str, str]]:
        query = f"SELECT id, created_at, memory, category FROM memories WHERE {where} ORDER BY created_at, rowid"  # noqa: S608
        names = ("id", "created_at", "memory", "category")
        rows = await self._do(lambda db: list(db.execute(query, values)))
        return [{name: str(value) for name, value in zip(names, row, strict=True) if value is not None} for row in rows]

    async def _do(self, work: Callable[[apsw.Connection], T]) -> T:
        """One step in a thread, whole even where the call is cancelled.

        Raises:
            Refused: the file can't be used.
        """
        lock = self._house.locks.get(str(self._path))
        if lock is None:
            lock = self._house.locks[str(self._path)] = anyio.Lock()
        async with lock:
            return await to_thread.run_sync(self._done, work)

    def _done(self, work: Callable[[apsw.Connection], T]) -> T:
        try:
            return work(self._open())
        except (apsw.Error, OSError) as error:
            self.close()
            raise Refused(f"the memory can't be used: {error}") from None

    def _open(self) -> apsw.Connection:
        """The connection; a new one where another file lies there meanwhile."""
        if self._db is None or not self._path.exists() or self._path.stat().st_ino != self._file:
            self.close()
            self._db = _opened(self._path)
            self._file = self._path.stat().st_ino
        return self._db

    def close(self) -> None:
        """Let go of the file."""
        if self._db is not None:
            self._db.close()
            self._db = None


def _opened(path: Path) -> apsw.Connection:
    """A connection.  No link is followed, and nothing in the file is run: others may have written it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_NOFOLLOW
    db = apsw.Connection(str(path), flags=flags)
    try:
        db.set_busy_timeout(PATIENCE)
        db.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        db.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        db.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
        db.config(apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0)
        _wal(db)
        db.execute(_TABLE)
    except BaseException:
        db.close()
        raise
    return db


def _wal(db: apsw.Connection) -> None:
    """Let readers not wait for writers.  Here SQLite does not wait by itself for others who do the same."""
    deadline = time.monotonic() + PATIENCE / 1000
    while True:
        try:
            db.pragma("journal_mode", "wal")
        except apsw.BusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _listed(rows: list[dict[str, str]]) -> Result:
    """Rows as JSON, the newest where not all have room."""
    entries = [{name: value for name, value in row.items() if value or name != "category"} for row in rows]
    room, kept = SHOWN, list[dict[str, str]]()
    for entry in reversed(entries):
        room -= len(entry["memory"]) + 100
        if room < 0:
            break
        kept.insert(0, entry)
    output = json.dumps(kept, ensure_ascii=False)
    left = len(entries) - len(kept)
    return Result(shown(output, 2 * SHOWN) + (f"\n[{left} older memories left out: search for them]" if left else ""))
