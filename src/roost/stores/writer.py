"""The one thread that writes to a SQLite file.

It commits whatever has been handed over since its last commit, and never waits for company: a lone
write commits at once, and while the disk is slow writes gather into larger groups.
"""

import asyncio
import contextlib
import errno
import functools
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import apsw
from apsw import Connection

from roost.core.errors import StoreFull
from roost.core.events import Event
from roost.core.ids import Epoch, LogId
from roost.ports import Grown
from roost.stores.ledger import Ledger, Written
from roost.stores.rules import Write
from roost.stores.turnstile import Turnstile

POLL = 0.05  # seconds between looks at what other servers have written
_AGAIN = 0.01  # seconds until a busy file is tried again
_BUSY = (apsw.BusyError, apsw.LockedError, apsw.ProtocolError)
_FULL = (apsw.FullError, apsw.ReadOnlyError)
_BROKEN = (
    apsw.IOError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.CantOpenError,
    apsw.PermissionsError,
    apsw.NoMemError,
    apsw.InternalError,
)

Fatal = Callable[[BaseException], None]


class Job:
    """Something to do in a transaction (`alone`: in one of its own), and what came of it.

    A post has nobody who waits for it.
    """

    def __init__(
        self,
        run: Callable[[Ledger], Any],
        *,
        write: Write | None = None,
        size: int = 0,
        alone: bool = False,
        done: "asyncio.Future[Any] | None" = None,
    ) -> None:
        self.run = run
        self.write = write
        self.size = size
        self.alone = alone
        self.done = done
        self.outcome: Any = None
        self.error: Exception | None = None

    def settle(self) -> None:
        """Tell whoever waits; in the event loop."""
        if self.done is None or self.done.done():
            return
        if self.error is not None:
            self.done.set_exception(self.error)
        else:
            self.done.set_result(self.outcome)


class Writer:
    """The thread, and what it has been handed.  Made and called in the event loop."""

    def __init__(
        self,
        db: Connection,
        ledger: Ledger,
        turnstile: Turnstile,
        *,
        grown: Grown,
        fatal: Fatal,
        settled: Callable[[Sequence[Job]], None],
    ) -> None:
        self._db = db
        self._ledger = ledger
        self._turnstile = turnstile
        self._grown = grown
        self._settled = settled
        self._fatal = fatal
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._closing = False
        self._dead: StoreFull | None = None
        self._version = -1
        self._untold: dict[LogId, tuple[Epoch | None, Exception]] = {}  # posts that were lost
        self._elsewhere: list[LogId] = []  # logs to ring for
        self._thread = threading.Thread(target=self._live, name="store writer", daemon=True)
        self._thread.start()

    def hand(self, job: Job) -> None:
        """Take a job.  From here on it ends in exactly one way."""
        if self._closing:
            job.error = StoreFull("it is closed")
            self._deliver([job], [])
        else:
            self._queue.put(job)

    async def close(self) -> None:
        """Commit what was handed over, then stop."""
        self._closing = True
        self._queue.put(None)
        await self._loop.run_in_executor(None, self._thread.join)

    # -- in the thread --------------------------------------------------------------------------

    def _live(self) -> None:
        ending = False
        while not ending:
            group, ending = self._gather()
            for part in _parts(group):
                self._commit(part)
            if not group:
                self._look()

    def _gather(self) -> tuple[list[Job], bool]:
        """What waits (nothing, if nothing came for a while), and whether it is time to stop."""
        group: list[Job] = []
        with contextlib.suppress(queue.Empty):
            job = self._queue.get(timeout=POLL)
            while job is not None:
                group.append(job)
                job = self._queue.get_nowait()
            return group, True  # None was handed over
        return group, False

    def _look(self) -> None:
        """Ring for the logs that have grown elsewhere."""
        if self._dead is not None:
            return
        try:
            version = self._db.pragma("data_version")
            if version != self._version:
                self._elsewhere += self._ledger.elsewhere()
                self._version = version
        except _BROKEN as error:
            self._die(error)
        except apsw.Error:
            return  # busy: there is a next time
        if self._elsewhere:
            self._send([])

    def _commit(self, group: Sequence[Job]) -> None:
        told = [job for job in group if self._tell(job)]
        if told:
            self._send(told)
        group = [job for job in group if job.error is None]
        while group and not self._settle(group):
            time.sleep(_AGAIN)

    def _settle(self, group: Sequence[Job]) -> bool:
        """Commit or refuse a group; False if the file is busy."""
        try:
            self._transact(group)
        except _BUSY as error:
            if not self._closing:
                return False
            self._refuse(group, StoreFull(str(error)))
        except apsw.Error as error:
            if _poor(error, self._db):
                self._refuse(group, StoreFull(str(error)))
            elif isinstance(error, _BROKEN):
                self._die(error)
                self._refuse(group, StoreFull(str(error)))
            else:
                self._singly(group, StoreFull(str(error)))
        except Exception as error:
            self._singly(group, error)
        else:
            self._send(group)
        return True

    def _singly(self, group: Sequence[Job], error: Exception) -> None:
        """One job of the group can't be done: find it, and spare the others."""
        if len(group) == 1:
            self._refuse(group, error)
            return
        for job in group:
            self._commit([job])

    def _transact(self, group: Sequence[Job]) -> None:
        with self._turnstile:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._elsewhere += self._ledger.begin()
                for job in group:
                    self._do(job)
                self._ledger.finish()
                self._db.execute("COMMIT")
            except BaseException:
                self._ledger.forget()
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            self._ledger.committed()

    def _do(self, job: Job) -> None:
        job.error = None
        try:
            if job.write is not None:
                self._ledger.check(job.write)
        except apsw.Error:
            raise
        except Exception as error:
            job.error = error
        else:
            job.outcome = job.run(self._ledger)

    def _tell(self, job: Job) -> bool:
        """Refuse a write if one posted before it has been lost, or if the store is dead."""
        if self._dead is not None:
            job.error = self._dead
            return True
        write = job.write
        if write is None or write.kind not in ("post", "append"):
            return False
        epoch, error = self._untold.get(write.log, (None, None))
        if error is None or epoch != write.epoch:
            return False
        job.error = error
        if write.kind == "append":
            del self._untold[write.log]
        return True

    def _refuse(self, group: Sequence[Job], error: Exception) -> None:
        for job in group:
            job.error = error
            if job.write is not None and job.write.kind == "post":
                self._untold[job.write.log] = (job.write.epoch, error)
            elif job.write is not None and job.write.kind == "append":
                self._untold.pop(job.write.log, None)
        self._send(group)

    def _die(self, error: Exception) -> None:
        self._dead = StoreFull(f"it failed, and nobody knows what is on the disk: {error}")
        self._call(functools.partial(self._fatal, error))

    def _send(self, jobs: Sequence[Job]) -> None:
        elsewhere, self._elsewhere = self._elsewhere, []
        self._call(functools.partial(self._deliver, jobs, elsewhere))

    def _call(self, what: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(what)

    # -- in the event loop ----------------------------------------------------------------------

    def _deliver(self, jobs: Sequence[Job], elsewhere: Iterable[LogId]) -> None:
        grown: dict[LogId, list[Event]] = {}
        for log in elsewhere:
            self._ring(log, ())
        for job in jobs:
            if job.error is None and isinstance(job.outcome, Written) and job.outcome.events:
                grown.setdefault(job.outcome.events[0].log, []).extend(job.outcome.events)
        for log, events in grown.items():
            self._ring(log, tuple(events))
        for job in jobs:
            job.settle()
        self._settled(jobs)

    def _ring(self, log: LogId, events: Sequence[Event]) -> None:
        try:
            self._grown(log, events)
        except Exception as error:
            self._loop.call_exception_handler({"message": f"a reader of {log} failed", "exception": error})


def _parts(group: Sequence[Job]) -> Iterator[list[Job]]:
    """The group in its order, cut where a job wants to be alone."""
    part: list[Job] = []
    for job in group:
        if job.alone and part:
            yield part
            part = []
        part.append(job)
        if job.alone:
            yield part
            part = []
    if part:
        yield part


def _poor(error: apsw.Error, db: Connection) -> bool:
    """Whether there is no room, or the file can't be written: nothing is broken."""
    no_room = isinstance(error, apsw.IOError) and db.system_errno in (errno.ENOSPC, errno.EDQUOT)
    return no_room or isinstance(error, _FULL)
