"""Messages for sessions that are there: into the turn that runs, or as the beginning of another one."""

from collections.abc import Sequence
from contextlib import suppress

import anyio
from msgspec import Struct

from roost.core import events as e
from roost.core.errors import (
    BadValue,
    LaunchFailed,
    QueueFull,
    RoostError,
    SessionBusy,
    SessionNotFound,
    SessionNotRunning,
)
from roost.core.ids import LogId
from roost.core.messages import Message
from roost.core.principals import Principal
from roost.core.session import Head
from roost.core.unified import AgentOutput
from roost.service.desk import Desk
from roost.service.fleet import Fleet
from roost.service.openings import Work
from roost.service.orders import LONGEST_PROMPT
from roost.service.results import Results, until_ended
from roost.service.turns import Turns

WAITING = 20  # messages that may wait in a session
AT_ONCE = 4  # sessions that a broadcast resumes at the same time


class Sent(Struct, frozen=True):
    """What became of a message: `queued` in the turn that runs, or answered with an `output`."""

    head: Head
    queued: bool = False
    output: AgentOutput | None = None


class Told(Struct, frozen=True):
    """What became of a message to one of several sessions."""

    session: str
    output: AgentOutput | None = None
    error: str = ""


class Inputs:
    """Takes messages."""

    def __init__(self, desk: Desk, fleet: Fleet, turns: Turns, results: Results) -> None:
        self._desk = desk
        self._store = desk.store
        self._fleet = fleet
        self._turns = turns
        self._results = results

    async def send(self, principal: Principal, name: str, message: str) -> Sent:
        """Give a session a message.

        A turn that runs takes it at its next boundary, and this returns at once.  A session that rests is
        resumed with it, with what it was spawned for, and this returns when that turn has ended.

        Raises:
            QueueFull: too many wait already.
            LaunchFailed: its CLI can't be resumed.
            SessionNotRunning: it has never been in a turn, and nobody knows whose session it is.
            TooManySessions, BadValue, SessionNotFound
        """
        head, after = await self.put(principal, name, message)
        if after is None:
            return Sent(head, queued=True)
        ended = await until_ended(self._desk, LogId(head.id))
        return Sent(ended, output=await self._results.whole(principal, head.id, after=after))

    async def put(self, principal: Principal, name: str, message: str) -> tuple[Head, int | None]:
        """The same, without waiting for what it brings about.

        The number is the seq before the turn that was opened for it, None where it went into one that runs.
        """
        _check(message)
        head = await self._fleet.find(principal, name)
        while True:
            if (queued := await self._queue(LogId(head.id), message)) is not None:
                return queued, None
            with suppress(SessionBusy):  # somebody was quicker: the message goes into that turn
                return head, await self._resume(principal, head, message)

    async def queue(self, log: LogId, message: str) -> bool:
        """Give the turn that runs a message; False where none runs.

        Raises:
            QueueFull: too many wait already.
            BadValue: it is empty, or too long.
            SessionNotFound
        """
        _check(message)
        return await self._queue(log, message) is not None

    async def _queue(self, log: LogId, message: str) -> Head | None:
        def fits(head: Head) -> None:
            if head.deleted:
                raise SessionNotFound(head.id)
            if head.turn is None or head.turn.canceled:
                raise SessionNotRunning
            if head.depth("followup") >= WAITING:
                raise QueueFull("input")

        said = Message("user", message, at=self._desk.makers.clock.now())
        try:
            committed = await self._store.put(log, [e.MessageQueued("followup", (said,))], only_if=fits)
        except SessionNotRunning:
            await self._until_free(log)
            return None
        with anyio.CancelScope(shield=True):
            await self._desk.supervisor.wake(log)
        return committed.head

    async def _until_free(self, log: LogId) -> None:
        """A turn that was cancelled takes no message; the next one can begin when it has ended."""
        head = await self._store.head(log)
        if head.turn is not None and head.turn.canceled:
            await until_ended(self._desk, log)

    async def _resume(self, principal: Principal, head: Head, message: str) -> int:
        """Open another turn; the seq before its first fact."""
        source = head.provider or head.source
        if not source:
            raise SessionNotRunning("the session has never run: post to the agent that is to answer")
        driver = self._desk.makers.drivers.get(source)
        if driver is not None and head.turns and not driver.capability.features["resume"].supported:
            raise LaunchFailed(f"{source} can't go on with an earlier conversation")
        agent = "" if driver is not None else head.agent
        work = Work(command="input")
        run = await self._turns.run(
            principal, head.id, source, [Message("user", message)], agent=agent, detach=True, work=work
        )
        return run.after

    async def broadcast(self, principal: Principal, message: str, *, tag: str = "") -> Sequence[Told]:
        """Give all spawned sessions, or those with a tag, a message, a few at a time; what became of each.

        Raises:
            SessionNotFound: nobody has the tag.
            BadValue: the message is empty, or too long.
        """
        _check(message)
        heads = [head for head in await self._fleet.listing(principal, tag=tag) if tag or head.provider]
        if tag and not heads:
            raise SessionNotFound(f"tag {tag}")
        told: dict[str, Told] = {}
        limit = anyio.CapacityLimiter(AT_ONCE)

        async def one(head: Head) -> None:
            async with limit:
                try:
                    sent = await self.send(principal, head.id, message)
                    told[head.id] = Told(head.id, sent.output)
                except RoostError as error:
                    told[head.id] = Told(head.id, error=error.message)

        async with anyio.create_task_group() as tasks:
            for head in heads:
                tasks.start_soon(one, head)
        return [told[head.id] for head in heads]


def _check(message: str) -> None:
    if not message.strip():
        raise BadValue("the message is empty")
    if len(message) > LONGEST_PROMPT or "\0" in message:
        raise BadValue(f"the message is longer than {LONGEST_PROMPT} characters, or holds a NUL")
