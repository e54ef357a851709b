"""Messages that wait in a session: for the middle of its turn, for after it, and back to whoever sent them."""

from collections.abc import Sequence
from functools import partial

from msgspec.structs import replace

from roost.core import events as e
from roost.core.errors import (
    AlreadyTaken,
    BadValue,
    Duplicate,
    NotQueued,
    QueueFull,
    SessionBusy,
    SessionNotFound,
    SessionNotRunning,
)
from roost.core.ids import LogId
from roost.core.messages import Message
from roost.core.principals import Principal
from roost.core.session import Head, Queued
from roost.engine.journal import compose
from roost.service.desk import Desk
from roost.service.openings import WAITING, Openings
from roost.service.seats import Seat, Seats
from roost.service.windows import Waiting

STEERS, FOLLOWUPS = 5, 20  # messages that may wait in a session
LONGEST_KEY = 1024  # characters of an idempotency key: it is kept with the session
FRAMINGS = ("", "plain", "instruction", "replacement")
NEVER_RAN = "session not found or not running"
WITHDRAWN = "withdrawn"


class Queues:
    """What waits; where a session is open at a terminal, a follow-up begins a turn."""

    def __init__(self, desk: Desk, openings: Openings, seats: Seats) -> None:
        self._desk = desk
        self._store = desk.store
        self._openings = openings
        self._seats = seats

    async def steer(self, principal: Principal, session: str, messages: Sequence[Message], framing: str = "") -> None:
        """Messages for the middle of the turn; an idle session keeps them for its next one.

        Raises:
            BadValue, QueueFull, SessionNotRunning
        """
        if framing not in FRAMINGS:
            raise BadValue(f'invalid framing "{framing}": must be one of plain, instruction, replacement')
        fact = e.MessageQueued("steer", self._users(principal, messages), framing=framing)
        await self._queue(principal, session, fact, STEERS, "failed to steer session: ", "steer")

    async def followup(self, principal: Principal, session: str, messages: Sequence[Message], key: str = "") -> str:
        """Messages for after the turn: `queued_streaming`, `queued_idle`, or `duplicate` for a key seen before.

        Raises:
            BadValue, QueueFull, SessionNotRunning
        """
        if len(key) > LONGEST_KEY:
            raise BadValue(f"the Idempotency-Key is longer than {LONGEST_KEY} characters")
        fact = e.MessageQueued("followup", self._users(principal, messages), key)
        try:
            if seat := self._seats.seat(session):
                await self._as_typed(principal, session, fact, seat)
                return "queued_streaming"
            head = await self._queue(principal, session, fact, FOLLOWUPS, "failed to enqueue follow-up: ", "follow-up")
        except Duplicate:
            return "duplicate"
        return "queued_streaming" if head.turn is not None else "queued_idle"

    async def _as_typed(self, principal: Principal, session: str, fact: e.MessageQueued, seat: Seat) -> None:
        """Queue what was sent to a session that is open at a terminal; where no turn runs, one begins with it."""
        log, prefix = LogId(session), "failed to enqueue follow-up: "

        def runs(head: Head) -> None:
            self._fits(head, fact, FOLLOWUPS, prefix, "follow-up")
            if head.turn is None:
                raise _Idle

        while True:
            try:
                head = await self._desk.head(principal, session)
                if head.turn is not None:
                    await self._store.put(log, [fact], only_if=runs)
                    return
                agent = seat.agent if head.turns == seat.turns else ""
                agent = agent or (head.agent if head.source == seat.source else "")
                opening = await self._openings.of_file(
                    seat.principal, head, seat.source, (), agent=agent, model="", detach=True, work=WAITING
                )
                fits = partial(self._fits, fact=fact, room=FOLLOWUPS, prefix=prefix, name="follow-up")
                async with self._desk.capacity.room(head):
                    await self._desk.supervisor.open(log, [fact, *opening], only_if=fits)
                return
            except SessionNotFound:
                raise SessionNotRunning(prefix + NEVER_RAN) from None
            except (SessionBusy, _Idle):
                continue  # a turn has begun, or ended, meanwhile

    async def _queue(
        self, principal: Principal, session: str, fact: e.MessageQueued, room: int, prefix: str, name: str
    ) -> Head:
        fits = partial(self._fits, fact=fact, room=room, prefix=prefix, name=name)
        try:
            await self._desk.head(principal, session)
            committed = await self._store.put(LogId(session), [fact], only_if=fits)
        except SessionNotFound:
            raise SessionNotRunning(prefix + NEVER_RAN) from None
        return committed.head

    def _fits(self, head: Head, fact: e.MessageQueued, room: int, prefix: str, name: str) -> None:
        """A condition: the session has, or had, a runtime, and its queue has room."""
        if head.deleted or not (head.turns or self._seats.seat(head.id)):
            raise SessionNotRunning(prefix + NEVER_RAN)
        if head.depth(fact.queue) + len(fact.messages) > room:
            raise QueueFull(name)

    def _users(self, principal: Principal, messages: Sequence[Message]) -> tuple[Message, ...]:
        if not messages:
            raise BadValue("at least one message is required")
        messages = self._desk.policy.files(principal, messages)
        now = self._desk.makers.clock.now()
        return tuple(replace(message, role="user", at=message.at or now) for message in messages)

    async def withdraw(self, principal: Principal, session: str, seq: int) -> Waiting:
        """Take back the messages that a MessageQueued brought, as far as they still wait; these are returned.

        Whether they do is looked at when that is committed: no message is both taken and withdrawn.

        Raises:
            NotQueued: none of that number waits.
            AlreadyTaken: a turn has taken them.
            SessionNotFound
        """
        log = LogId(session)
        await self._desk.head(principal, session)
        gone: list[Queued] = []

        def drop(head: Head) -> list[e.Fact]:
            gone[:] = [queued for queued in head.queue if queued.seq == seq]
            if not gone:
                raise NotQueued(seq)
            return [e.MessageDropped(queued.seq, queued.index, WITHDRAWN) for queued in gone]

        try:
            await compose(self._store, log, drop)
        except NotQueued:
            if await self._taken(log, seq):
                raise AlreadyTaken(seq) from None
            raise
        (brought,) = await self._store.page(log, after=seq - 1, limit=1)
        assert isinstance(brought.fact, e.MessageQueued)
        messages = brought.fact.messages
        return Waiting(seq, brought.fact.queue, tuple((queued.index, messages[queued.index]) for queued in gone))

    async def _taken(self, log: LogId, seq: int) -> bool:
        """Whether one of those messages has come into the history."""
        later = await self._store.messages(log, since=seq)
        return any(isinstance(event.fact, e.MessageTaken) and event.fact.queued == seq for event in later)


class _Idle(Exception):
    """No turn runs."""
