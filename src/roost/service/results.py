"""What sessions have come to: output, collect, wait, summary."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
from msgspec import Struct

from roost.core import events as e
from roost.core import toolkinds
from roost.core.durations import seconds
from roost.core.errors import SessionNotFound, ShuttingDown, Unfinished
from roost.core.ids import LogId, Micros
from roost.core.principals import Principal
from roost.core.session import Head
from roost.core.status import Status, collected, ended
from roost.core.unified import AgentOutput, Sums, arguments, output
from roost.engine.bulkhead import open_group
from roost.engine.results import result
from roost.service.desk import Desk
from roost.service.fleet import Fleet

PAGE = 1000
SHOWN = 500  # characters of a result in a summary
TIMEOUT = "timeout"  # the word that clients test for
WRITES = frozenset({"file_write", "file_edit"})
GONE = "the session was deleted"


class Collected(Struct, frozen=True):
    """A session and its result so far; without a head, one that nobody knows."""

    session: str
    head: Head | None
    status: Status
    result: str | None = None


class Ended(Struct, frozen=True):
    """How a session ended that somebody waited for."""

    session: str
    success: bool
    error: str | None = None


class Summary(Struct, frozen=True):
    """A session in numbers."""

    head: Head
    status: Status
    seconds: float | None
    turns: int
    tools: dict[str, int]
    files: tuple[str, ...]  # written or edited
    result: str | None
    input_tokens: int | None
    output_tokens: int | None
    cost: float | None


class Results:
    """Reads what sessions have come to."""

    def __init__(self, desk: Desk, fleet: Fleet) -> None:
        self._desk = desk
        self._store = desk.store
        self._fleet = fleet

    async def output(self, principal: Principal, name: str) -> str:
        """The session's result.

        Raises:
            Unfinished: it has none.
            BadValue, SessionNotFound
        """
        head = await self._fleet.find(principal, name)
        if text := await result(self._store, head):
            return text
        raise Unfinished("the session has no result yet" if head.turn else head.error or "the session has no result")

    async def collect(self, principal: Principal, names: Sequence[str], *, tag: str = "") -> Sequence[Collected]:
        """The results of sessions as they are now; it never waits.

        Raises:
            BadValue: none is named.
            SessionNotFound: nobody has the tag.
        """
        found = []
        for name, head in await self._fleet.chosen(principal, names, tag):
            if head is None:
                found.append(Collected(name, None, Status("unknown")))
            else:
                found.append(Collected(head.id, head, collected(head), await result(self._store, head)))
        return found

    async def whole(self, principal: Principal, name: str, *, after: int = 0) -> AgentOutput:
        """What the turns past `after` came to, with all of their events.

        Raises:
            BadValue, SessionNotFound
        """
        head = await self._fleet.find(principal, name)
        events = await read(self._desk, LogId(head.id))
        path = str(self._fleet.spawn_log(head))
        return output(events, head, after=after, session=head.id, log_path=path)

    # -- waiting --------------------------------------------------------------------------------

    async def wait(
        self, principal: Principal, names: Sequence[str], *, tag: str = "", timeout: str = "", any: bool = False
    ) -> Sequence[Ended]:
        """Return when all sessions have ended, in the order of their ends; with `any`, only the first of them.

        What has not ended when the `timeout` is over is listed last, with the error `timeout`.

        Raises:
            BadValue: none is named, or the timeout is no duration.
            SessionNotFound: one of them is not there.
            ShuttingDown: the server stops first.
        """
        patience = seconds(timeout) if timeout.strip() else None
        heads = await self._fleet.named(principal, names, tag)
        ends: list[tuple[Micros, Ended]] = []
        async with open_group() as tasks:

            async def one(head: Head) -> None:
                ends.append(await self._until_ended(head))
                if any:
                    tasks.cancel_scope.cancel()

            async def alarm(patience: float) -> None:
                await self._desk.makers.clock.sleep(patience)
                waiting.cancel()

            if patience is not None:
                tasks.start_soon(alarm, patience)
            with anyio.CancelScope() as waiting:
                async with open_group() as waits:
                    for head in heads:
                        waits.start_soon(one, head)
            tasks.cancel_scope.cancel()
        ends.sort(key=lambda end: end[0])
        found = [end for _, end in ends]
        if any and found:
            return found[:1]
        over = {end.session for end in found}
        return [*found, *(Ended(head.id, False, TIMEOUT) for head in heads if head.id not in over)]

    async def _until_ended(self, head: Head) -> tuple[Micros, Ended]:
        session = head.id
        try:
            now = await until_ended(self._desk, LogId(session))
        except SessionNotFound:
            return self._desk.makers.clock.now(), Ended(session, False, GONE)
        if now.deleted:
            return now.active_at, Ended(session, False, GONE)
        good = now.outcome == "normal"
        return now.ended_at, Ended(session, good, None if good else now.error or "the session failed")

    # -- numbers --------------------------------------------------------------------------------

    async def summary(self, principal: Principal, names: Sequence[str], *, tag: str = "") -> Sequence[Summary]:
        """Sessions in numbers; those that are not there are left out.

        Raises:
            BadValue: none is named.
            SessionNotFound: nobody has the tag.
        """
        chosen = await self._fleet.chosen(principal, names, tag)
        return [await self._summary(head) for _, head in chosen if head is not None]

    async def _summary(self, head: Head) -> Summary:
        events = await read(self._desk, LogId(head.id))
        counts = _Counts()
        for event in events:
            counts.add(event)
        text, sums = await result(self._store, head), counts.sums
        return Summary(
            head=head,
            status=collected(head),
            seconds=(counts.last - counts.first) / 1e6 if counts.first is not None else None,
            turns=counts.turns,
            tools=dict(counts.tools),
            files=tuple(counts.files),
            result=None if text is None else text[:SHOWN],
            input_tokens=sums.input if sums.known else None,
            output_tokens=sums.output if sums.known else None,
            cost=sums.cost if sums.known else None,
        )


@dataclass(slots=True)
class _Counts:
    """What a summary counts, event by event."""

    sums: Sums = field(default_factory=Sums)
    tools: Counter[str] = field(default_factory=Counter)
    files: dict[str, None] = field(default_factory=dict)
    turns: int = 0
    first: Micros | None = None  # of the first turn
    last: Micros = Micros(0)

    def add(self, event: e.Event) -> None:
        """Take in one more."""
        fact = event.fact
        self.sums.add(fact)
        if self.first is None and isinstance(fact, e.TurnOpened):
            self.first = event.at
        if e.is_delta(fact) or isinstance(fact, e.SessionCreated | e.RunRead):
            return
        self.last = event.at
        match fact:
            case e.MessageAdded(message=message) if message is not None and message.role == "assistant":
                self.turns += bool(message.content.strip())
            case e.ToolCalled(call=call) if fact.attempt == 1:
                self.tools[call.name] += 1
                if toolkinds.kind(call.name) in WRITES and (path := _path(arguments(call))):
                    self.files[path] = None
            case _:
                pass


def _path(given: Any) -> str:
    """The file that a call's arguments name."""
    if not isinstance(given, dict):
        return ""
    found = (given.get(key) for key in ("file_path", "path", "absolute_path", "notebook_path"))
    return next((path for path in found if isinstance(path, str) and path), "")


async def read(desk: Desk, log: LogId) -> list[e.Event]:
    """All events of a log.

    Raises:
        SessionNotFound: there is none.
    """
    events: list[e.Event] = []
    while page := await desk.store.page(log, after=events[-1].seq if events else 0, limit=PAGE):
        events += page
    return events


async def until_ended(desk: Desk, log: LogId) -> Head:
    """The head once the session has ended, or was deleted.

    Raises:
        SessionNotFound: it is gone.
        ShuttingDown: the server stops first.
    """
    while True:
        bell = desk.hub.bell(log)
        head = await desk.store.head(log)
        if ended(head):
            return head
        if desk.hub.closed:
            raise ShuttingDown
        await bell.wait()
