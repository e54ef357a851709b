"""Reading a SQLite file: a few threads, each with a connection of its own.

A page is fetched whole: no cursor stays open while others run.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

import apsw
import msgspec
from apsw import Connection

from roost.core import events as e
from roost.core.errors import SessionNotFound, StoreRefused
from roost.core.ids import LogId, Micros, RunId, SessionId, WaitId
from roost.core.messages import Definition
from roost.core.session import Head
from roost.ports import Listing, RunRecord, WaitRecord
from roost.stores import queries

Q = queries.load("read")
T = TypeVar("T")

_RARE = frozenset({"SessionCreated", "TurnOpened", "TeamShown", "MessageWritten", "MessageEdited"})
"""The kinds that have an index."""

_decode_head = msgspec.json.Decoder(Head).decode
_decode_answer = msgspec.json.Decoder(e.Answer).decode


class Readers:
    """The threads.  Leave with `close`."""

    def __init__(self, connect: Callable[[], Connection], threads: int = 2) -> None:
        self._connect = connect
        self._mine = threading.local()
        self._all: list[Connection] = []
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="store reader")

    async def run(self, read: Callable[[Connection], T]) -> T:
        """What `read` finds.

        Raises:
            StoreRefused: the file can't be read.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, read)

    def close(self) -> None:
        """Wait for what is being read, and stop."""
        self._threads.shutdown(wait=True)
        for db in self._all:
            db.close()

    def _read(self, read: Callable[[Connection], T]) -> T:
        try:
            db: Connection | None = getattr(self._mine, "db", None)
            if db is None:
                db = self._mine.db = self._connect()
                self._all.append(db)
            return read(db)
        except apsw.Error as error:
            raise StoreRefused(f"the session store can't be read: {error}") from error


class Roll(Generic[T]):
    """Something of every session, kept from one call to the next: only what has changed meanwhile is read."""

    def __init__(self, query: str, make: Callable[[Sequence[Any]], T]) -> None:
        self._query, self._make = Q[query], make
        self._lock = threading.Lock()
        self._seen = -1
        self._known: dict[int, tuple[int, T]] = {}
        self._order: list[int] = []
        self._sorted: tuple[T, ...] = ()

    def read(self, db: Connection) -> tuple[T, ...]:
        """Those that are there now, newest first."""
        with self._lock:
            rows = queries.rows(db, self._query, (self._seen,))
            if rows:
                self._update(rows)
            return self._sorted

    def _update(self, rows: Iterable[tuple[Any, ...]]) -> None:
        known = self._known
        before = len(known), next(reversed(known), None)
        for n, touched, hidden, created_at, *columns in rows:
            self._seen = max(self._seen, touched)
            if hidden:
                known.pop(n, None)
            else:
                known[n] = (created_at, self._make(columns))
        if (len(known), next(reversed(known), None)) != before:  # those that are new stand last
            self._order = sorted(known, key=lambda n: (known[n][0], n), reverse=True)
        self._sorted = tuple([known[n][1] for n in self._order])


def listing(columns: Sequence[Any]) -> Listing:
    """A line of the list of sessions, from the columns of its query."""
    *plain, starred, attributes, owner = columns  # in the order of Listing's fields
    values = (*plain, bool(starred), json.loads(attributes) if attributes else {}, owner)
    return Listing(*values)


def listed_head(columns: Sequence[Any]) -> Head:
    """A head, from the columns of its query."""
    return _head(*columns)


def page(db: Connection, log: LogId, after: int, limit: int) -> tuple[e.Event, ...]:
    """The events past `after`, at most `limit`."""
    return _found(db, log, queries.rows(db, Q["page"], (log, after, limit)))


def messages(db: Connection, log: LogId, since: int) -> tuple[e.Event, ...]:
    """The events past `since` that bear messages."""
    return _found(db, log, queries.rows(db, Q["messages"], (log, since)))


def latest(db: Connection, log: LogId, before: int, limit: int) -> tuple[e.Event, ...]:
    """The newest events before `before` that bear messages, in order."""
    return _found(db, log, queries.rows(db, Q["latest"], (log, before, limit)))[::-1]


def remarks(db: Connection, log: LogId, after: int, before: int, limit: int) -> tuple[e.Event, ...]:
    """The newest remarks between two seqs, in order."""
    return _found(db, log, queries.rows(db, Q["remarks"], (log, after, before, limit)))[::-1]


def said(db: Connection, log: LogId, before: int) -> int:
    """How many messages of people stand before a seq."""
    ((count,),) = queries.rows(db, Q["said"], (log, before))
    return int(count)


def newest(db: Connection, log: LogId, kind: str, before: int) -> e.Event | None:
    """The newest event of a kind before a seq."""
    query = Q["newest_rare" if kind in _RARE else "newest"]
    for event in _found(db, log, queries.rows(db, query, (log, before, kind))):
        return event
    return None


def head(db: Connection, log: LogId) -> Head:
    """A session's head."""
    rows = queries.rows(db, Q["head"], (log,))
    if not rows:
        raise SessionNotFound(log)
    return _head(*rows[0])


def definition(db: Connection, log: LogId, digest: str) -> Definition | None:
    """A tool definition by its digest."""
    for (body,) in queries.rows(db, Q["definition"], (log, digest)):
        shown = e.decode(body)
        return shown.definitions.get(digest) if isinstance(shown, e.ToolsShown | e.SessionCreated) else None
    return None


def waits(db: Connection) -> tuple[WaitRecord, ...]:
    """All open waits."""
    return tuple(_wait(row) for row in queries.rows(db, Q["open_waits"]))


def wait(db: Connection, id: WaitId) -> WaitRecord | None:
    """One wait, open or not."""
    rows = queries.rows(db, Q["wait"], (id,))
    return _wait(rows[0]) if rows else None


def unsettled(db: Connection) -> list[tuple[Head, str | None]]:
    """The heads in a turn, and those deleted whose end is not written, each with its owner."""
    return [(_head(raw, last_seq), owner) for raw, last_seq, owner in queries.rows(db, Q["unsettled"])]


def running(db: Connection) -> int:
    """How many sessions are in a turn."""
    ((count,),) = queries.rows(db, Q["running"])
    return int(count)


def runs(db: Connection, log: LogId | None) -> tuple[RunRecord, ...]:
    """The runs of one log, or of all."""
    found = queries.rows(db, Q["all_runs"]) if log is None else queries.rows(db, Q["runs"], (log,))
    return tuple(_run(row) for row in found)


def run(db: Connection, id: RunId) -> RunRecord | None:
    """One run."""
    found = queries.rows(db, Q["run"], (id,))
    return _run(found[0]) if found else None


def _found(db: Connection, log: LogId, rows: Sequence[tuple[Any, ...]]) -> tuple[e.Event, ...]:
    if not rows and not queries.rows(db, Q["exists"], (log,)):
        raise SessionNotFound(log)
    return tuple(e.Event(log, seq, Micros(at), e.decode(body)) for seq, at, body in rows)


def _head(raw: bytes, last_seq: int) -> Head:
    found = _decode_head(raw)
    return found if found.last_seq == last_seq else msgspec.structs.replace(found, last_seq=last_seq)


def _wait(row: tuple[Any, ...]) -> WaitRecord:
    name, log, opened_at, is_open, answer, body, owner = row
    fact = e.decode(body)
    assert isinstance(fact, e.WaitOpened)
    return WaitRecord(
        id=WaitId(name),
        log=LogId(log),
        session=fact.sub or SessionId(log),
        opened_at=Micros(opened_at),
        fact=fact,
        open=bool(is_open),
        answer=None if answer is None else _decode_answer(answer),
        owner=owner,
    )


def _run(row: tuple[Any, ...]) -> RunRecord:
    name, log, parent, owner, started_at, ended_at, started, ended = row
    fact, last = e.decode(started), None if ended is None else e.decode(ended)
    assert isinstance(fact, e.RunStarted)
    assert last is None or isinstance(last, e.RunEnded)
    return RunRecord(
        id=RunId(name),
        log=LogId(log),
        session=fact.sub or SessionId(log),
        owner=owner,
        parent=SessionId(parent),
        started_at=Micros(started_at),
        fact=fact,
        ended_at=None if ended_at is None else Micros(ended_at),
        ended=last,
    )
