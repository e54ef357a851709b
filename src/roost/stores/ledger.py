"""What a SQLite transaction does: check, number, write down, fold.  Called by the writer's thread alone."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from apsw import Connection
from msgspec import Struct

from roost.core import events as e
from roost.core.history import BEARS_MESSAGES
from roost.core.ids import Epoch, LogId, Micros, RunId, ServerId
from roost.core.session import Head, apply
from roost.stores import queries, rules

Q = queries.load("write")
_HEADS = 4096  # decoded heads that are kept
_SIZES = (64, 8, 1)  # rows an INSERT takes: few statements, and few moments at which the thread must wait for the GIL
_INSERTS = {
    size: Q["insert_events"].replace("(?, ?, ?, ?, ?, ?)", ", ".join(["(?, ?, ?, ?, ?, ?)"] * size)) for size in _SIZES
}
_decode_head = msgspec.json.Decoder(Head).decode
_encode = msgspec.json.Encoder().encode


class Written(Struct, frozen=True):
    """What a write came to.  A post has no use for the head."""

    epoch: Epoch
    events: tuple[e.Event, ...]
    head: Head | None


class Row:
    """A session's row while a transaction is open: changed here, and written back once at its end."""

    def __init__(self, ledger: "Ledger", log: LogId, fields: tuple[Any, ...]) -> None:
        self.n: int
        self.epoch: Epoch
        self.owner: str | None
        self.last_seq: int
        self.last_at: Micros
        self.head_seq: int
        (self.n, self.epoch, self.owner, self.last_seq, self.last_at, self.head_seq, deleted, exited) = fields
        self.log = log
        self.deleted, self.exited = bool(deleted), bool(exited)
        self.old = (self.epoch, self.owner, self.last_seq, self.head_seq)
        self._ledger = ledger
        self.kept: Head | None = None  # the head, once it was asked for

    def head(self) -> Head:
        """The head; read when it is first asked for."""
        if self.kept is None:
            self.kept = self._ledger.stored_head(self)
        if self.kept.last_seq != self.last_seq:
            self.kept = msgspec.structs.replace(self.kept, last_seq=self.last_seq)
        return self.kept

    def fold(self, events: Iterable[e.Event]) -> None:
        """Take in events; `last_seq` stands before them."""
        head = self.head() if self.last_seq else None
        for event in events:
            before, head = head, apply(head, event)
            self._ledger.project(self, before, event, head)
            if not e.is_delta(event.fact):
                self.head_seq = event.seq
        if head is not None:
            self.kept, self.deleted, self.exited = head, head.deleted, head.exited

    def remembers(self, key: str) -> bool:
        """Whether an idempotency key is among those kept."""
        return self._ledger.has_key(self.n, key)


class Ledger:
    """The tables, seen from inside a transaction: `begin`, then any writes, then `finish` or `forget`."""

    def __init__(self, db: Connection, server: ServerId, alive: Callable[[str], bool]) -> None:
        self.db = db
        self._server = server
        self._alive = alive
        self._heads: OrderedDict[LogId, tuple[int, Head]] = OrderedDict()
        self._rows: dict[LogId, Row] = {}
        self._events: list[tuple[Any, ...]] = []
        self._touch = 0
        self._seen = self.one(Q["newest_touch"])[0]

    # -- a transaction --------------------------------------------------------------------------

    def begin(self) -> list[LogId]:
        """Start; the logs that grew elsewhere since the last look."""
        self._rows.clear()
        self._events.clear()
        grown = self.elsewhere()
        self._touch = self._seen + 1
        return grown

    def elsewhere(self) -> list[LogId]:
        """The logs that other servers have made grow since the last look."""
        rows = queries.rows(self.db, Q["touched_since"], (self._seen,))
        if rows:
            self._seen = rows[-1][1]
        return [LogId(row[0]) for row in rows]

    def finish(self) -> None:
        """Write down what the transaction has gathered."""
        self._insert()
        for row in self._rows.values():
            if row.old != (row.epoch, row.owner, row.last_seq, row.head_seq):
                self.save(row)

    def committed(self) -> None:
        """The transaction is in the file: remember its heads."""
        for row in self._rows.values():
            if row.last_seq != row.old[2]:
                self._seen = self._touch
            if row.kept is not None:
                self._heads[row.log] = (row.head_seq, row.kept)
                self._heads.move_to_end(row.log)
        while len(self._heads) > _HEADS:
            self._heads.popitem(last=False)
        self._rows.clear()

    def forget(self) -> None:
        """The transaction is undone."""
        self._rows.clear()
        self._events.clear()

    # -- what is asked of it --------------------------------------------------------------------

    def check(self, write: rules.Write) -> None:
        """Look whether a write may go on; nothing changes.

        Raises:
            RoostError: it may not.
        """
        rules.check(write, self._row(write.log), server=self._server, alive=self._alive)

    def write(self, write: rules.Write, bodies: Iterable[bytes]) -> Written:
        """Do a write that was checked."""
        row = self._create(write.log) if write.creates else self._row(write.log)
        assert row is not None
        if write.kind == "take":
            row.epoch, row.owner = Epoch(row.epoch + 1), self._server
        events = rules.number(write, last_seq=row.last_seq, last_at=row.last_at)
        for event, body in zip(events, bodies, strict=True):
            fact = event.fact
            bears = isinstance(fact, BEARS_MESSAGES)
            self._events.append((row.n, event.seq, event.at, e.kind(fact), bears, body))
        if not e.all_deltas(write.facts):
            row.fold(events)
        if events:
            row.last_seq, row.last_at = events[-1].seq, events[-1].at
        return Written(row.epoch, events, None if write.kind == "post" else row.head())

    def release(self, log: LogId, epoch: Epoch) -> None:
        """Let go of a log, if it is still held with this epoch."""
        row = self._row(log)
        if row is not None and row.epoch == epoch:
            row.owner = None

    def forget_runs(self, runs: Iterable[RunId]) -> None:
        """Drop runs that have ended from the list."""
        self.db.executemany(Q["forget_run"], [(run,) for run in runs])

    def probe(self) -> None:
        """Write and read a little."""
        self.one(Q["probe"])

    def sweep(self, limit: int, until: int) -> bool:
        """Remove rows of logs that had exited at a time; whether there are more."""
        while found := queries.rows(self.db, Q["next_to_sweep"], (until,)):
            n, log = found[0]
            if limit <= 0:
                return True
            self.uncache(log)
            self.db.execute(Q["sweeping"], (n,))
            before = self.db.total_changes()
            self.db.execute(Q["sweep_events"], {"log": n, "limit": limit})
            gone = self.db.total_changes() - before
            if gone >= limit:
                return True
            limit -= gone
            for query in ("sweep_waits", "sweep_keys", "sweep_definitions", "sweep_runs", "swept"):
                self.db.execute(Q[query], (n,))
        return False

    # -- what rows ask of it --------------------------------------------------------------------

    def stored_head(self, row: Row) -> Head:
        """The head as it was committed."""
        kept = self._heads.get(row.log)
        if kept is not None and kept[0] == row.head_seq:
            return kept[1]
        return _decode_head(self.one(Q["row_head"], (row.n,))[0])

    def has_key(self, n: int, key: str) -> bool:
        """Whether an idempotency key is among those kept."""
        return bool(queries.rows(self.db, Q["has_key"], (n, key)))

    def project(self, row: Row, before: Head | None, event: e.Event, after: Head) -> None:
        """Write down what an event means for the tables that are made from the log."""
        for wait, answer in rules.closed_waits(before, event, after):
            self.db.execute(Q["close_wait"], (None if answer is None else _encode(answer), wait, row.n))
        match event.fact:
            case e.WaitOpened(wait=wait):
                self.db.execute(Q["open_wait"], (wait, row.n, event.seq, event.at))
            case e.MessageQueued(key=key) if key:
                self.db.execute(Q["add_key"], (row.n, key, event.seq))
                self.db.execute(Q["forget_keys"], {"log": row.n, "kept": rules.KEYS_KEPT})
            case e.ToolsShown(definitions=definitions) | e.SessionCreated(definitions=definitions):
                shown = [(row.n, digest, event.seq) for digest in definitions]
                self.db.executemany(Q["add_definition"], shown)
            case e.RunStarted(run=run):
                self.db.execute(Q["start_run"], (run, row.n, event.seq, event.at))
            case e.RunEnded(run=run):
                self.db.execute(Q["end_run"], (event.seq, event.at, run, row.n))
            case _:
                pass

    def save(self, row: Row) -> None:
        """Write a row back."""
        old_epoch, _, old_seq, old_head_seq = row.old
        values: dict[str, Any] = {
            "n": row.n,
            "old_epoch": old_epoch,
            "count": row.last_seq - old_seq,
            "last_at": row.last_at,
            "touched": self._touch if row.last_seq != old_seq else 0,
            "epoch": row.epoch,
            "owner": row.owner,
        }
        query = "advance"
        if row.head_seq != old_head_seq:
            query = "advance_head"
            values |= columns(row.head()) | {"head_seq": row.head_seq}
        (last_seq,) = self.one(Q[query], values)
        assert last_seq == row.last_seq, "the numbers given are not those of the row"

    def uncache(self, log: LogId) -> None:
        """Forget a head that was kept."""
        self._heads.pop(log, None)

    def one(self, query: str, bindings: Any = None) -> tuple[Any, ...]:
        """The one row of a query."""
        (row,) = queries.rows(self.db, query, bindings)
        return row

    # -- the tables -----------------------------------------------------------------------------

    def _row(self, log: LogId) -> Row | None:
        row = self._rows.get(log)
        if row is None:
            found = queries.rows(self.db, Q["row"], (log,))
            if not found:
                return None
            row = self._rows[log] = Row(self, log, found[0])
        return row

    def _create(self, log: LogId) -> Row:
        (n,) = self.one(Q["create"], (log,))
        row = self._rows[log] = Row(self, log, (n, Epoch(0), None, 0, Micros(0), 0, 0, 0))
        return row

    def _insert(self) -> None:
        start = 0
        for size in _SIZES:
            while len(self._events) - start >= size:
                rows = self._events[start : start + size]
                self.db.execute(_INSERTS[size], [value for row in rows for value in row])
                start += size
        self._events.clear()


def columns(head: Head) -> dict[str, Any]:
    """The head and what is taken from it, as columns."""
    return {
        "head": _encode(head),
        "created_at": head.created_at,
        "parent": head.parent,
        "title": head.title,
        "messages": head.messages,
        "input_tokens": head.input_tokens,
        "output_tokens": head.output_tokens,
        "cost": head.cost,
        "working_dir": head.working_dir,
        "starred": head.starred,
        "attributes": _encode(head.attributes).decode() if head.attributes else "",
        "account": head.owner,
        "in_turn": head.turn is not None,
        "deleted": head.deleted,
        "exited": head.exited,
    }
