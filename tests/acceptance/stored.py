"""What the database file holds, read past the server."""

import sqlite3
from contextlib import closing
from pathlib import Path

from roost.core import events as e
from roost.core.ids import LogId, Micros


def facts(db: Path, session: str) -> list[e.Event]:
    """The whole log of a session."""
    query = "SELECT seq, at, body FROM events WHERE log = (SELECT n FROM sessions WHERE id = ?) ORDER BY seq"
    with closing(sqlite3.connect(db, timeout=10)) as base:
        return [
            e.Event(LogId(session), s, Micros(at), e.decode(body)) for s, at, body in base.execute(query, [session])
        ]


def epoch(db: Path, session: str) -> int:
    """How often the session was taken."""
    with closing(sqlite3.connect(db, timeout=10)) as base:
        (found,) = base.execute("SELECT epoch FROM sessions WHERE id = ?", [session]).fetchone()
        return int(found)
