"""A turn's ear: outside facts that concern it, and the answers that people give."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import anyio

from roost.core import events as e
from roost.core.ids import WaitId
from roost.engine.bulkhead import open_bulkhead
from roost.engine.hub import Hub
from roost.engine.journal import Journal
from roost.ports import Clock

OUTSIDE = (
    e.WaitAnswered,
    e.CancelAsked,
    e.DeleteAsked,
    e.PermissionsSet,
    e.PolicySet,
    e.ModelChosen,
    e.MessageQueued,
    e.TurnDetached,
)
PARK_AFTER = 600.0  # seconds without a follower


class Park(Exception):
    """Everything that is left of the turn waits for a person, and nobody watches."""


class Ear:
    """Keeps the journal's head fresh, cancels the turn when that is asked, and waits for answers."""

    def __init__(self, journal: Journal, hub: Hub, clock: Clock) -> None:
        self.park_after = PARK_AFTER
        self.working = 0  # tools that run; a turn is not parked while one does
        self._journal = journal
        self._hub = hub
        self._clock = clock
        self._dirty = anyio.Event()
        self._changed = anyio.Event()

    @asynccontextmanager
    async def open(self, turn: anyio.CancelScope) -> AsyncIterator[None]:
        """While the block lasts, outside facts are met; a cancel or a delete cancels `turn`."""
        with self._hub.listen(self._journal.log, self._heard):
            async with open_bulkhead() as bulkhead:
                bulkhead.start(self._listen, turn, name=f"ear of {self._journal.log}")
                yield

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """A tool runs."""
        self.working += 1
        try:
            yield
        finally:
            self.working -= 1
            self._wake()

    async def rest(self) -> None:
        """Return when no tool runs."""
        while self.working:
            await self._changed.wait()

    async def answer(self, wait: WaitId) -> e.Answer:
        """What a person answered, however long that takes.

        Raises:
            Park: nobody follows, and nothing else goes on in this turn.
        """
        quiet_since = self._clock.monotonic()
        while True:
            changed = self._changed
            if (found := self._found(wait)) is not None:
                return found
            if self._hub.followers(self._journal.log) or self.working:
                quiet_since = self._clock.monotonic()
            left = self.park_after - (self._clock.monotonic() - quiet_since)
            if left <= 0:
                raise Park
            with anyio.move_on_after(min(left, 5.0)):
                await changed.wait()

    def _found(self, wait: WaitId) -> e.Answer | None:
        turn = self._journal.head.turn
        answers = turn.answers if turn else ()
        return next((a.answer for a in answers if a.id == wait), None)

    def _heard(self, events: Sequence[e.Event]) -> None:
        if not events or any(isinstance(event.fact, OUTSIDE) for event in events):
            self._dirty.set()

    async def _listen(self, turn: anyio.CancelScope) -> None:
        self._dirty.set()  # what came before we listened
        while True:
            await self._dirty.wait()
            self._dirty = anyio.Event()
            head = await self._journal.refresh()
            if head.deleted or head.turn is None or head.turn.canceled:
                turn.cancel()
            self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
