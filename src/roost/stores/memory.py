"""A log in a dict: the same promises as the other stores, until the process ends."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anyio.lowlevel
from msgspec.structs import replace

from roost.core import events as e
from roost.core.errors import RoostError, SessionNotFound, StoreFull
from roost.core.history import BEARS_MESSAGES
from roost.core.ids import Epoch, LogId, Micros, RunId, ServerId, SessionId, WaitId
from roost.core.messages import Definition
from roost.core.remarks import REMARKS
from roost.core.session import Head, apply, fold
from roost.ports import Committed, Condition, Grown, Listing, Owned, RunRecord, WaitRecord
from roost.stores import rules
from roost.stores.accounts import Book, MemoryAccounts
from roost.stores.browsers import MemoryBrowsers
from roost.stores.rules import Write
from roost.stores.tellings import MemoryTellings

_UNTAKEN = Epoch(0)


@dataclass(slots=True)
class _Log:
    """One log and what is made from it."""

    n: int
    epoch: Epoch = _UNTAKEN
    owner: str | None = None
    now: Head | None = None
    events: list[e.Event] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    definitions: dict[str, Definition] = field(default_factory=dict)
    swept: bool = False

    @property
    def deleted(self) -> bool:
        return self.now is not None and self.now.deleted

    @property
    def exited(self) -> bool:
        return self.now is not None and self.now.exited

    def head(self) -> Head:
        assert self.now is not None
        return self.now

    def remembers(self, key: str) -> bool:
        return key in self.keys


@dataclass(slots=True)
class Shelf:
    """What several servers in one process share, as they would share a file."""

    logs: dict[LogId, _Log] = field(default_factory=dict)
    waits: dict[WaitId, tuple[WaitRecord, int]] = field(default_factory=dict)
    runs: dict[RunId, tuple[RunRecord, int]] = field(default_factory=dict)  # with the seq of its start
    living: "dict[ServerId, Memory]" = field(default_factory=dict)
    book: Book = field(default_factory=Book)


class Memory:
    """`ports.EventStore` over a dict.  Stores on one `shelf` are servers on the same logs."""

    def __init__(
        self, now: Callable[[], Micros], server: ServerId, grown: Grown, *, shelf: Shelf | None = None
    ) -> None:
        self._now = now
        self._server = server
        self._grown = grown
        self._shelf = Shelf() if shelf is None else shelf
        self._shelf.living[server] = self
        self.accounts = MemoryAccounts(self._shelf.book)
        self.browsers = MemoryBrowsers(self._shelf.book)
        self.tellings = MemoryTellings(self._shelf.book)

    @property
    def server(self) -> ServerId:
        """Who this server is to the others on the same shelf."""
        return self._server

    def close(self) -> None:
        """This server lives no more."""
        self._shelf.living.pop(self._server, None)

    # -- writing --------------------------------------------------------------------------------

    async def take(
        self, log: LogId, facts: Sequence[e.Fact] = (), *, only_if: Condition | None = None, force: bool = False
    ) -> Owned:
        """See `EventStore.take`."""
        return await self._write(Write("take", log, tuple(facts), self._now(), only_if=only_if, force=force))

    async def release(self, log: LogId, *, epoch: Epoch) -> None:
        """See `EventStore.release`."""
        self._check_open()
        found = self._shelf.logs.get(log)
        if found is not None and found.epoch == epoch:
            found.owner = None
        await anyio.lowlevel.checkpoint()

    async def post(self, log: LogId, facts: Sequence[e.Fact], *, epoch: Epoch) -> None:
        """See `EventStore.post`."""
        assert e.all_deltas(facts), "only deltas can be posted"
        with contextlib.suppress(RoostError):  # the next append will be refused for the same reason
            self._commit(Write("post", log, tuple(facts), self._now(), epoch=epoch))

    async def append(
        self, log: LogId, facts: Sequence[e.Fact], *, epoch: Epoch, only_if: Condition | None = None
    ) -> Committed:
        """See `EventStore.append`."""
        owned = await self._write(Write("append", log, tuple(facts), self._now(), epoch=epoch, only_if=only_if))
        return Committed(owned.events, owned.head)

    async def put(self, log: LogId, facts: Sequence[e.Fact], *, only_if: Condition | None = None) -> Committed:
        """See `EventStore.put`.  For a log that this makes there is no head to look at, and `only_if` is left out."""
        owned = await self._write(Write("put", log, tuple(facts), self._now(), only_if=only_if))
        return Committed(owned.events, owned.head)

    async def sweep(self, *, slice: int = 1000, age: int = 0) -> bool:
        """See `EventStore.sweep`."""
        self._check_open()
        left, until = slice, self._now() - age
        for log, found in self._shelf.logs.items():
            if found.events and found.events[-1].at > until:
                continue
            if found.exited and (found.events or not found.swept):
                if left <= 0:
                    return True
                found.swept = True
                gone = min(left, len(found.events))
                del found.events[:gone]
                left -= gone
                if found.events:
                    return True
                self._forget(log, found)
        await anyio.lowlevel.checkpoint()
        return False

    async def forget_runs(self, runs: Sequence[RunId]) -> None:
        """See `EventStore.forget_runs`."""
        self._check_open()
        for run in runs:
            if run in self._shelf.runs and self._shelf.runs[run][0].ended is not None:
                del self._shelf.runs[run]
        await anyio.lowlevel.checkpoint()

    async def probe(self) -> None:
        """See `EventStore.probe`."""
        self._check_open()
        await anyio.lowlevel.checkpoint()

    async def rebuild(self) -> Sequence[LogId]:
        """Compare heads with their logs; those that are not as they should be are set right."""
        wrong = []
        for log, found in self._kept().items():
            head = fold(found.events)
            if head != found.now:
                found.now = head
                wrong.append(log)
        await anyio.lowlevel.checkpoint()
        return wrong

    # -- reading --------------------------------------------------------------------------------

    async def page(self, log: LogId, *, after: int, limit: int) -> Sequence[e.Event]:
        """See `EventStore.page`."""
        await anyio.lowlevel.checkpoint()
        return tuple(self._find(log).events[max(after, 0) : max(after, 0) + limit])

    async def head(self, log: LogId) -> Head:
        """See `EventStore.head`."""
        await anyio.lowlevel.checkpoint()
        return self._find(log).head()

    async def listing(self) -> Sequence[Listing]:
        """See `EventStore.listing`."""
        await anyio.lowlevel.checkpoint()
        return tuple(_listing(head) for head in self._newest() if not head.parent)

    async def heads(self) -> Sequence[Head]:
        """See `EventStore.heads`."""
        await anyio.lowlevel.checkpoint()
        return self._newest()

    async def runs(self, *, log: LogId | None = None) -> Sequence[RunRecord]:
        """See `EventStore.runs`."""
        await anyio.lowlevel.checkpoint()
        shown = [
            (record.started_at, self._shelf.logs[record.log].n, seq, record)
            for record, seq in self._shelf.runs.values()
            if (record.log == log if log is not None else not self._shelf.logs[record.log].deleted)
        ]
        return tuple(record for *_, record in sorted(shown, key=lambda entry: entry[:3], reverse=True))

    async def run(self, run: RunId) -> RunRecord | None:
        """See `EventStore.run`."""
        await anyio.lowlevel.checkpoint()
        found = self._shelf.runs.get(run)
        return found[0] if found else None

    async def messages(self, log: LogId, *, since: int = 0) -> Sequence[e.Event]:
        """See `EventStore.messages`."""
        await anyio.lowlevel.checkpoint()
        return tuple(
            event for event in self._find(log).events if event.seq > since and isinstance(event.fact, BEARS_MESSAGES)
        )

    async def latest(self, log: LogId, *, before: int, limit: int) -> Sequence[e.Event]:
        """See `EventStore.latest`."""
        older = [event for event in await self.messages(log) if event.seq < before]
        return tuple(older[max(len(older) - limit, 0) :])

    async def remarks(self, log: LogId, *, after: int, before: int, limit: int) -> Sequence[e.Event]:
        """See `EventStore.remarks`."""
        await anyio.lowlevel.checkpoint()
        between = self._find(log).events[after : max(before - 1, 0)]
        found = [event for event in between if isinstance(event.fact, REMARKS)]
        return tuple(found[max(len(found) - limit, 0) :])

    async def said(self, log: LogId, *, before: int) -> int:
        """See `EventStore.said`."""
        facts = [event.fact for event in await self.messages(log) if event.seq < before]
        return sum(isinstance(f, e.MessageWritten | e.MessageTaken) and f.message.role == "user" for f in facts)

    async def newest(self, log: LogId, kind: type[e.Fact], *, before: int) -> e.Event | None:
        """See `EventStore.newest`."""
        await anyio.lowlevel.checkpoint()
        older = self._find(log).events[: max(before - 1, 0)]
        return next((event for event in reversed(older) if isinstance(event.fact, kind)), None)

    async def definition(self, log: LogId, digest: str) -> Definition | None:
        """See `EventStore.definition`."""
        await anyio.lowlevel.checkpoint()
        found = self._kept().get(log)
        return found.definitions.get(digest) if found else None

    async def waits(self) -> Sequence[WaitRecord]:
        """See `EventStore.waits`."""
        await anyio.lowlevel.checkpoint()
        shown = [
            (record.opened_at, self._shelf.logs[record.log].n, seq, record)
            for record, seq in self._shelf.waits.values()
            if record.open and not self._shelf.logs[record.log].deleted
        ]
        return tuple(record for *_, record in sorted(shown, key=lambda entry: entry[:3]))

    async def wait(self, wait: WaitId) -> WaitRecord | None:
        """See `EventStore.wait`."""
        await anyio.lowlevel.checkpoint()
        found = self._shelf.waits.get(wait)
        return found[0] if found else None

    async def adrift(self) -> Sequence[Head]:
        """See `EventStore.adrift`."""
        await anyio.lowlevel.checkpoint()
        return tuple(
            log.head()
            for log in self._kept().values()
            if (log.head().turn is not None or log.deleted) and not log.exited and not self._alive(log.owner)
        )

    async def running(self) -> int:
        """See `EventStore.running`."""
        await anyio.lowlevel.checkpoint()
        return sum(1 for log in self._kept().values() if log.head().turn is not None)

    # -- the dict -------------------------------------------------------------------------------

    async def _write(self, write: Write) -> Owned:
        owned = self._commit(write)
        await anyio.lowlevel.checkpoint()  # a caller that is cancelled here leaves the write as it is
        return owned

    def _commit(self, write: Write) -> Owned:
        self._check_open()
        for fact in write.facts:
            e.encode(fact)  # what could not be stored elsewhere is refused here too
        found = self._shelf.logs.get(write.log)
        rules.check(write, found, server=self._server, alive=self._alive)
        log = found or _Log(len(self._shelf.logs) + 1)
        last_at = log.events[-1].at if log.events else Micros(0)
        events = rules.number(write, last_seq=len(log.events), last_at=last_at)
        heads = [log.now]
        for event in events:
            heads.append(apply(heads[-1], event))
        # from here on nothing can fail
        self._shelf.logs[write.log] = log
        if write.kind == "take":
            log.epoch, log.owner = Epoch(log.epoch + 1), self._server
        log.events.extend(events)
        log.now = heads[-1]
        for event, before, after in zip(events, heads[:-1], heads[1:], strict=True):
            self._project(log, before, event, after)
        self._ring(write.log, events)
        return Owned(log.epoch, events, log.head())

    def _project(self, log: _Log, before: Head | None, event: e.Event, after: Head | None) -> None:
        waits = self._shelf.waits
        assert after is not None
        for wait, answer in rules.closed_waits(before, event, after):
            record, seq = waits[wait]
            waits[wait] = (replace(record, open=False, answer=answer), seq)
        match event.fact:
            case e.WaitOpened() as fact:
                session = fact.sub or SessionId(event.log)
                waits[fact.wait] = (
                    WaitRecord(fact.wait, event.log, session, event.at, fact, open=True, owner=after.owner),
                    event.seq,
                )
            case e.MessageQueued(key=key) if key:
                log.keys = [*log.keys, key][-rules.KEYS_KEPT :]
            case e.ToolsShown(definitions=definitions) | e.SessionCreated(definitions=definitions):
                log.definitions = definitions | log.definitions
            case e.RunStarted() | e.RunEnded() as fact:
                self._project_run(event, fact, after)
            case _:
                pass

    def _project_run(self, event: e.Event, fact: e.RunStarted | e.RunEnded, after: Head) -> None:
        runs = self._shelf.runs
        if isinstance(fact, e.RunStarted):
            session = fact.sub or SessionId(event.log)
            record = RunRecord(fact.run, event.log, session, after.owner, after.parent, event.at, fact)
            runs.setdefault(fact.run, (record, event.seq))
        elif fact.run in runs and runs[fact.run][0].log == event.log:
            record, seq = runs[fact.run]
            runs[fact.run] = (replace(record, ended_at=event.at, ended=fact), seq)

    def _ring(self, log: LogId, events: Sequence[e.Event]) -> None:
        if not events:
            return
        for store in list(self._shelf.living.values()):
            store._tell(log, events if store is self else ())

    def _tell(self, log: LogId, events: Sequence[e.Event]) -> None:
        try:
            self._grown(log, events)
        except Exception as error:
            context = {"message": f"a reader of {log} failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)

    def _alive(self, server: str | None) -> bool:
        return server in self._shelf.living

    def _kept(self) -> dict[LogId, _Log]:
        return {log: found for log, found in self._shelf.logs.items() if not found.swept}

    def _newest(self) -> tuple[Head, ...]:
        """The heads of what is not deleted, newest first."""
        shown = [(log.n, log.head()) for log in self._kept().values() if not log.deleted]
        shown.sort(key=lambda entry: (entry[1].created_at, entry[0]), reverse=True)
        return tuple(head for _, head in shown)

    def _find(self, log: LogId) -> _Log:
        found = self._shelf.logs.get(log)
        if found is None or found.swept:
            raise SessionNotFound(log)
        return found

    def _forget(self, log: LogId, found: _Log) -> None:
        found.keys, found.definitions = [], {}
        for wait in [wait for wait, (record, _) in self._shelf.waits.items() if record.log == log]:
            del self._shelf.waits[wait]
        for run in [run for run, (record, _) in self._shelf.runs.items() if record.log == log]:
            del self._shelf.runs[run]

    def _check_open(self) -> None:
        if self._server not in self._shelf.living:
            raise StoreFull("it is closed")


def _listing(head: Head) -> Listing:
    return Listing(
        id=head.id,
        created_at=head.created_at,
        title=head.title,
        messages=head.messages,
        input_tokens=head.input_tokens,
        output_tokens=head.output_tokens,
        cost=head.cost,
        working_dir=head.working_dir,
        starred=head.starred,
        attributes=head.attributes,
        owner=head.owner,
    )
