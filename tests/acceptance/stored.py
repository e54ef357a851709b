"""What the database file holds, read past the server."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
from msgspec.structs import replace

from roost.core import events as e
from roost.core.history import BEARS_MESSAGES
from roost.core.ids import LogId, Micros, SessionId, WaitId
from roost.core.messages import Definition
from roost.core.session import Head
from roost.ports import WaitRecord
from roost.service.archive import Archive
from roost.service.desk import Desk


def facts(db: Path, session: str) -> list[e.Event]:
    """The whole log of a session."""
    query = "SELECT seq, at, body FROM events WHERE log = (SELECT n FROM sessions WHERE id = ?) ORDER BY seq"
    with closing(sqlite3.connect(db, timeout=10)) as base:
        return [
            e.Event(LogId(session), s, Micros(at), e.decode(body)) for s, at, body in base.execute(query, [session])
        ]


def head(db: Path, session: str) -> Head:
    """The head of a session, as its row has it."""
    with closing(sqlite3.connect(db, timeout=10)) as base:
        body, last = base.execute("SELECT head, last_seq FROM sessions WHERE id = ?", [session]).fetchone()
        return replace(msgspec.json.decode(body, type=Head), last_seq=last)


def epoch(db: Path, session: str) -> int:
    """How often the session was taken."""
    with closing(sqlite3.connect(db, timeout=10)) as base:
        (found,) = base.execute("SELECT epoch FROM sessions WHERE id = ?", [session]).fetchone()
        return int(found)


def sessions(db: Path) -> list[str]:
    """The sessions whose logs are there."""
    with closing(sqlite3.connect(db, timeout=10)) as base:
        return [
            str(session) for (session,) in base.execute("SELECT id FROM sessions WHERE n IN (SELECT log FROM events)")
        ]


def archive(log: Sequence[e.Event]) -> Archive:
    """What renderers look facts up in, over the facts of one log alone."""
    return Archive(cast(Desk, SimpleNamespace(store=_Facts(log))))


class _Facts:
    def __init__(self, log: Sequence[e.Event]) -> None:
        self._log = log

    async def page(self, log: LogId, *, after: int, limit: int) -> Sequence[e.Event]:
        return [event for event in self._log if event.seq > after][:limit]

    async def messages(self, log: LogId, *, since: int = 0) -> Sequence[e.Event]:
        return [event for event in self._log if event.seq > since and isinstance(event.fact, BEARS_MESSAGES)]

    async def definition(self, log: LogId, digest: str) -> Definition | None:
        shown = (event.fact.definitions for event in self._log if isinstance(event.fact, e.ToolsShown))
        return next((known[digest] for known in shown if digest in known), None)

    async def newest(self, log: LogId, kind: type[e.Fact], *, before: int) -> e.Event | None:
        return next((ev for ev in reversed(self._log) if ev.seq < before and isinstance(ev.fact, kind)), None)

    async def wait(self, wait: WaitId) -> WaitRecord | None:
        for event in self._log:
            if isinstance(event.fact, e.WaitOpened) and event.fact.wait == wait:
                return WaitRecord(wait, event.log, SessionId(event.log), event.at, event.fact, open=False)
        return None
