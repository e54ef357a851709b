"""A log in one file: SQLite, one writer, readers beside it."""

import asyncio
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
import apsw
from apsw import Connection
from msgspec import Struct

from roost.core import events as e
from roost.core.errors import StoreRefused
from roost.core.ids import Epoch, LogId, Micros, RunId, ServerId, WaitId
from roost.core.messages import Definition
from roost.core.session import Head
from roost.ports import Committed, Condition, Grown, Listing, Owned, RunRecord, WaitRecord
from roost.stores import migrations, readers, rebuild
from roost.stores.accounts import SqliteAccounts
from roost.stores.browsers import SqliteBrowsers
from roost.stores.ledger import Ledger, Written
from roost.stores.readers import Readers, Roll
from roost.stores.rules import Write
from roost.stores.servers import Servers
from roost.stores.tellings import SqliteTellings
from roost.stores.turnstile import Turnstile
from roost.stores.writer import Fatal, Job, Writer

LOG_BOUND = 1 << 20  # bytes of one log that are handed over and not committed: at the bound, `post` waits
BOUND = 64 << 20  # the same for all logs together
_PATIENCE = 5000  # milliseconds that SQLite itself waits for a lock
_WAL_KEPT = 64 << 20  # bytes that a write-ahead log may keep once it has grown
_OVERHEAD = 64  # bytes a fact costs beside its own
_FSYNCS = 5

T = TypeVar("T")
ours = migrations.ours


class _Posted(Struct):
    """Deltas that wait for the end of a round."""

    epoch: Epoch
    at: Micros
    facts: list[e.Fact]
    bodies: list[bytes]


class Sqlite:
    """`ports.EventStore` over a SQLite file.  `fsync` is what one costs on its disk, in seconds."""

    def __init__(
        self,
        server: ServerId,
        now: Callable[[], Micros],
        *,
        writer: Callable[[Callable[[Sequence[Job]], None]], Writer],
        reads: Readers,
        servers: Servers,
        fsync: float,
    ) -> None:
        self.fsync = fsync
        self._server = server
        self._now = now
        self._reads = reads
        self._servers = servers
        self._listings, self._heads = Roll("listing", readers.listing), Roll("heads", readers.listed_head)
        self._held: Counter[LogId] = Counter()  # bytes handed over and not committed
        self._all_held = 0
        self._settled = asyncio.Event()
        self._posted: dict[LogId, _Posted] = {}  # in this round of the event loop
        self._writer = writer(self._let_go)
        self.accounts = SqliteAccounts(reads.run, self._change)
        self.browsers = SqliteBrowsers(reads.run, self._change)
        self.tellings = SqliteTellings(self._change)

    @property
    def server(self) -> ServerId:
        """Who this server is to the others on the same file."""
        return self._server

    # -- writing --------------------------------------------------------------------------------

    async def take(
        self, log: LogId, facts: Sequence[e.Fact] = (), *, only_if: Condition | None = None, force: bool = False
    ) -> Owned:
        """See `EventStore.take`."""
        written = await self._write(Write("take", log, tuple(facts), self._now(), only_if=only_if, force=force))
        assert written.head is not None
        return Owned(written.epoch, written.events, written.head)

    async def release(self, log: LogId, *, epoch: Epoch) -> None:
        """See `EventStore.release`."""
        await self._do(lambda ledger: ledger.release(log, epoch))

    async def post(self, log: LogId, facts: Sequence[e.Fact], *, epoch: Epoch) -> None:
        """See `EventStore.post`.  What is posted in one round of the event loop is one job for the writer."""
        assert e.all_deltas(facts), "only deltas can be posted"
        bodies = [e.encode(fact) for fact in facts]
        size = _size(bodies)
        while self._crowded(log, size):
            settled = self._settled
            await settled.wait()
        self._hold(log, size)
        posted = self._posted.get(log)
        if posted is not None and posted.epoch != epoch:
            self._hand_over(log)
            posted = None
        if posted is None:
            if not self._posted:
                asyncio.get_running_loop().call_soon(self._hand_all_over)
            posted = self._posted[log] = _Posted(epoch, self._now(), [], [])
        posted.facts += facts
        posted.bodies += bodies

    async def append(
        self, log: LogId, facts: Sequence[e.Fact], *, epoch: Epoch, only_if: Condition | None = None
    ) -> Committed:
        """See `EventStore.append`."""
        return await self._commit(Write("append", log, tuple(facts), self._now(), epoch=epoch, only_if=only_if))

    async def put(self, log: LogId, facts: Sequence[e.Fact], *, only_if: Condition | None = None) -> Committed:
        """See `EventStore.put`.  For a log that this makes there is no head to look at, and `only_if` is left out."""
        return await self._commit(Write("put", log, tuple(facts), self._now(), only_if=only_if))

    async def sweep(self, *, slice: int = 1000, age: int = 0) -> bool:
        """See `EventStore.sweep`."""
        until = self._now() - age
        return bool(await self._do(lambda ledger: ledger.sweep(slice, until)))

    async def probe(self) -> None:
        """See `EventStore.probe`."""
        await self._do(Ledger.probe)

    async def forget_runs(self, runs: Sequence[RunId]) -> None:
        """See `EventStore.forget_runs`."""
        await self._do(lambda ledger: ledger.forget_runs(runs))

    async def rebuild(self) -> Sequence[LogId]:
        """Make heads, waits, keys, definitions and runs anew from the logs; those that were not as they should be."""
        return [log for log in await self._do(rebuild.logs) if await self._do(partial(_rebuild, log=log), alone=True)]

    # -- reading --------------------------------------------------------------------------------

    async def page(self, log: LogId, *, after: int, limit: int) -> Sequence[e.Event]:
        """See `EventStore.page`."""
        return await self._reads.run(lambda db: readers.page(db, log, after, limit))

    async def head(self, log: LogId) -> Head:
        """See `EventStore.head`."""
        return await self._reads.run(lambda db: readers.head(db, log))

    async def listing(self) -> Sequence[Listing]:
        """See `EventStore.listing`."""
        return await self._reads.run(self._listings.read)

    async def heads(self) -> Sequence[Head]:
        """See `EventStore.heads`."""
        return await self._reads.run(self._heads.read)

    async def runs(self, *, log: LogId | None = None) -> Sequence[RunRecord]:
        """See `EventStore.runs`."""
        return await self._reads.run(lambda db: readers.runs(db, log))

    async def run(self, run: RunId) -> RunRecord | None:
        """See `EventStore.run`."""
        return await self._reads.run(lambda db: readers.run(db, run))

    async def messages(self, log: LogId, *, since: int = 0) -> Sequence[e.Event]:
        """See `EventStore.messages`."""
        return await self._reads.run(lambda db: readers.messages(db, log, since))

    async def latest(self, log: LogId, *, before: int, limit: int) -> Sequence[e.Event]:
        """See `EventStore.latest`."""
        return await self._reads.run(lambda db: readers.latest(db, log, before, limit))

    async def remarks(self, log: LogId, *, after: int, before: int, limit: int) -> Sequence[e.Event]:
        """See `EventStore.remarks`."""
        return await self._reads.run(lambda db: readers.remarks(db, log, after, before, limit))

    async def said(self, log: LogId, *, before: int) -> int:
        """See `EventStore.said`."""
        return await self._reads.run(lambda db: readers.said(db, log, before))

    async def newest(self, log: LogId, kind: type[e.Fact], *, before: int) -> e.Event | None:
        """See `EventStore.newest`."""
        return await self._reads.run(lambda db: readers.newest(db, log, kind.__name__, before))

    async def definition(self, log: LogId, digest: str) -> Definition | None:
        """See `EventStore.definition`."""
        return await self._reads.run(lambda db: readers.definition(db, log, digest))

    async def waits(self) -> Sequence[WaitRecord]:
        """See `EventStore.waits`."""
        return await self._reads.run(readers.waits)

    async def wait(self, wait: WaitId) -> WaitRecord | None:
        """See `EventStore.wait`."""
        return await self._reads.run(lambda db: readers.wait(db, wait))

    async def adrift(self) -> Sequence[Head]:
        """See `EventStore.adrift`."""
        return await self._reads.run(self._adrift)

    async def running(self) -> int:
        """See `EventStore.running`."""
        return await self._reads.run(readers.running)

    def _adrift(self, db: Connection) -> Sequence[Head]:
        found = readers.unsettled(db)
        living = {owner for owner in {owner for _, owner in found} if owner is not None and self._servers.alive(owner)}
        return [head for head, owner in found if owner not in living]

    # -- handing over ---------------------------------------------------------------------------

    async def close(self) -> None:
        """Commit what was handed over, and stop."""
        self._hand_all_over()
        await self._writer.close()

    async def _commit(self, write: Write) -> Committed:
        written = await self._write(write)
        assert written.head is not None
        return Committed(written.events, written.head)

    async def _write(self, write: Write) -> Written:
        done: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        bodies = [e.encode(fact) for fact in write.facts]
        size = _size(bodies)
        self._hold(write.log, size)
        self._hand_over(write.log)
        self._hand(write, bodies, size, done)
        return await done  # a caller that is cancelled here leaves the write to itself

    async def _do(self, run: Callable[[Ledger], T], *, alone: bool = False) -> T:
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._hand_all_over()
        self._writer.hand(Job(run, alone=alone, done=done))
        return await done

    async def _change(self, do: Callable[[Connection], T]) -> T:
        return await self._do(lambda ledger: do(ledger.db))

    def _hand_all_over(self) -> None:
        for log in tuple(self._posted):
            self._hand_over(log)

    def _hand_over(self, log: LogId) -> None:
        """Give the writer what has been posted to a log."""
        if (posted := self._posted.pop(log, None)) is not None:
            write = Write("post", log, tuple(posted.facts), posted.at, epoch=posted.epoch)
            self._hand(write, posted.bodies, _size(posted.bodies), None)

    def _hand(self, write: Write, bodies: list[bytes], size: int, done: "asyncio.Future[Any] | None") -> None:
        self._writer.hand(Job(lambda ledger: ledger.write(write, bodies), write=write, size=size, done=done))

    def _hold(self, log: LogId, size: int) -> None:
        self._held[log] += size
        self._all_held += size

    def _crowded(self, log: LogId, size: int) -> bool:
        held = self._held[log]
        return bool(held and held + size > LOG_BOUND) or bool(self._all_held and self._all_held + size > BOUND)

    def _let_go(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if job.write is not None:
                self._all_held -= job.size
                self._held[job.write.log] -= job.size
                if not self._held[job.write.log]:
                    del self._held[job.write.log]
        self._settled.set()
        self._settled = asyncio.Event()


@asynccontextmanager
async def open_sqlite(
    path: Path,
    *,
    server: ServerId,
    now: Callable[[], Micros],
    grown: Grown,
    fatal: Fatal | None = None,
) -> AsyncIterator[Sqlite]:
    """The store in the file at `path`, which is made if it is not there.

    `server` is a name that no process has had before: what an earlier one owned is adrift.
    `fatal` is called in the event loop when the file fails in a way after which nobody knows what is
    on the disk: the process should end then, and start anew.  Leaving the block commits what was
    handed over.

    Raises:
        StoreRefused: the file is another program's or a newer version's, or can't be opened.
    """
    with ExitStack() as stack:
        turnstile, servers, db, fsync = await anyio.to_thread.run_sync(_open, stack, path, server, now)
        ledger = Ledger(db, server, servers.alive)
        reads = Readers(lambda: connect(path))
        stack.callback(reads.close)

        def start(settled: Callable[[Sequence[Job]], None]) -> Writer:
            return Writer(db, ledger, turnstile, grown=grown, fatal=fatal or _say, settled=settled)

        store = Sqlite(server, now, writer=start, reads=reads, servers=servers, fsync=fsync)
        try:
            yield store
        finally:
            with anyio.CancelScope(shield=True):
                await store.close()


def connect(path: Path) -> Connection:
    """A connection with our settings."""
    db = Connection(str(path))
    db.set_busy_timeout(_PATIENCE)
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA temp_store = MEMORY")
    db.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT}")
    return db


def _open(
    stack: ExitStack, path: Path, server: ServerId, now: Callable[[], Micros]
) -> tuple[Turnstile, Servers, Connection, float]:
    """All that blocks while a store is opened; `stack` takes it down again."""
    try:
        if not migrations.ours(path):
            raise StoreRefused(f"{path} is not a Roost database; it is left untouched")
        _make_folder(path.parent)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        turnstile = Turnstile(path)
        stack.callback(turnstile.close)
        db = connect(path)
        stack.callback(db.close)
        with turnstile:
            _prepare(db, now())
        servers = Servers(path, server)
        servers.enter()
        stack.callback(servers.leave)
        servers.tidy()
        return turnstile, servers, db, _measure(path.parent)
    except (OSError, apsw.Error) as error:
        raise StoreRefused(f"{path} can't be opened: {error}") from error


def _prepare(db: Connection, now: Micros) -> None:
    if db.pragma("application_id") != migrations.APPLICATION_ID:
        # before WAL, so that the file's own header says whose it is from the first moment
        db.pragma("application_id", migrations.APPLICATION_ID)
    db.pragma("journal_mode", "wal")
    migrations.migrate(db, now)


def _make_folder(folder: Path) -> None:
    for missing in reversed([place for place in (folder, *folder.parents) if not place.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def _measure(folder: Path) -> float:
    """What an fsync costs here, in seconds."""
    costs = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(_FSYNCS):
            file.write(bytes(4096))
            file.flush()
            started = time.perf_counter()
            os.fsync(file.fileno())
            costs.append(time.perf_counter() - started)
    return statistics.median(costs)


def _rebuild(ledger: Ledger, *, log: LogId) -> bool:
    return rebuild.rebuild(ledger, log)


def _size(bodies: Sequence[bytes]) -> int:
    return sum(map(len, bodies)) + _OVERHEAD * len(bodies)


def _say(error: BaseException) -> None:
    asyncio.get_running_loop().call_exception_handler({"message": "the session store has failed", "exception": error})
