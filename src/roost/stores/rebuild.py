"""Heads, waits, keys, definitions and runs, made anew from the log: for `roost doctor --rebuild`."""

from collections.abc import Iterator
from typing import Any

import msgspec
from apsw import Connection

from roost.core import events as e
from roost.core.history import BEARS_MESSAGES
from roost.core.ids import LogId, Micros
from roost.stores import queries
from roost.stores.ledger import Ledger, Row

Q = queries.load("write")
_SLICE = 1000


def logs(ledger: Ledger) -> list[LogId]:
    """The logs that can be rebuilt."""
    return [LogId(log) for (log,) in queries.rows(ledger.db, Q["rebuildable"])]


def rebuild(ledger: Ledger, log: LogId) -> bool:
    """Make one log's row and projections anew, inside a transaction; whether they differ from what was there."""
    row = Row(ledger, log, ledger.one(Q["row"], (log,)))
    before = _state(ledger.db, row.n)
    for query in ("sweep_waits", "sweep_keys", "sweep_definitions", "unlist_runs"):
        ledger.db.execute(Q[query], (row.n,))
    row.old = (*row.old[:3], -1)  # so that the head is written whatever it comes to
    row.last_seq = row.head_seq = 0
    for events in _slices(ledger.db, row):
        row.fold(events)
        row.last_seq = events[-1].seq
    ledger.save(row)
    ledger.uncache(log)
    return _state(ledger.db, row.n) != before


def _slices(db: Connection, row: Row) -> Iterator[list[e.Event]]:
    while found := queries.rows(db, Q["log_slice"], (row.n, row.last_seq, _SLICE)):
        events = [e.Event(row.log, seq, Micros(at), e.decode(body)) for seq, at, _, body in found]
        for event, (_, _, bears, _) in zip(events, found, strict=True):
            if not bears and isinstance(event.fact, BEARS_MESSAGES):
                db.execute(Q["mark_bearing"], (row.n, event.seq))
        yield events


def _state(db: Connection, n: int) -> list[Any]:
    ((last_seq, head_seq, raw, *flags),) = queries.rows(db, Q["state_of"], (n,))
    head = msgspec.json.decode(raw) if raw else {}
    head.pop("last_seq", None)  # the row's is the one that counts
    tables = [queries.rows(db, Q[query], (n,)) for query in ("waits_of", "keys_of", "definitions_of", "runs_of")]
    return [last_seq, head_seq, head, flags, *tables]
