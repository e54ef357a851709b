"""A turn's ear: outside facts that concern it, and the answers that people give."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import anyio

from roost.core import events as e
from roost.core.errors import RoostError, SessionNotFound
from roost.core.ids import WaitId
from roost.core.session import Head
from roost.engine.bulkhead import open_bulkhead
from roost.engine.hub import Hub
from roost.engine.journal import Journal
from roost.ports import Clock

log = logging.getLogger(__name__)

OUTSIDE = (
    e.WaitAnswered,
    e.CancelAsked,
    e.DeleteAsked,
    e.PermissionsSet,
    e.PolicySet,
    e.ModelChosen,
    e.MessageQueued,
    e.MessageDropped,
    e.CompactionAsked,
    e.TurnDetached,
    e.BudgetSet,
    e.BudgetRaised,
)
PARK_AFTER = 600.0  # seconds without a follower
LOOK = 5.0  # seconds between two looks whether anybody follows
AGAIN = 1.0  # seconds until a head that could not be read is read again


class Park(Exception):
    """Everything that is left of the turn waits for a person, and nobody watches."""


class Ear:
    """Keeps the journal's head fresh, cancels the turn when that is asked, and waits for answers."""

    def __init__(
        self, journal: Journal, hub: Hub, clock: Clock, *, park_after: float, busy: Callable[[], bool]
    ) -> None:
        self.working = 0  # tools that run; a turn is not parked while one does
        self.thinking = 0  # sub-sessions that ask a model; likewise
        self.waiting: set[WaitId] = set()  # the waits whose answer the turn has not had
        self._journal = journal
        self._hub = hub
        self._clock = clock
        self._park_after = park_after
        self._busy = busy
        self._dirty = anyio.Event()
        self._changed = anyio.Event()

    @asynccontextmanager
    async def open(self, turn: anyio.CancelScope) -> AsyncIterator[None]:
        """While the block lasts, outside facts are met; a cancel or a delete cancels `turn`."""
        with self._hub.listen(self._journal.log, self._heard):
            async with open_bulkhead() as bulkhead:
                bulkhead.start(self._listen, turn, name=f"ear of {self._journal.log}")
                yield

    @property
    def changed(self) -> anyio.Event:
        """Set when the next outside fact has been met."""
        return self._changed

    @contextmanager
    def at_work(self, change: int = 1) -> Iterator[None]:
        """A tool runs; with a `change` of -1, one that runs is at rest meanwhile."""
        self.working += change
        self._wake()
        try:
            yield
        finally:
            self.working -= change
            self._wake()

    @contextmanager
    def at_thought(self, change: int = 1) -> Iterator[None]:
        """A model is asked beside other work; with a `change` of -1, whoever asks one is at rest meanwhile."""
        self.thinking += change
        try:
            yield
        finally:
            self.thinking -= change

    async def rest(self) -> None:
        """Return when no tool runs."""
        while self.working:
            await self._changed.wait()

    async def answer(self, wait: WaitId) -> e.Answer:
        """What a person answered, however long that takes.

        Raises:
            Park: nobody follows, and nothing else goes on in this turn.
        """
        answer = await self.answer_unless(wait, lambda: False)
        assert answer is not None
        return answer

    async def answer_unless(self, wait: WaitId, needless: Callable[[], bool]) -> e.Answer | None:
        """The same; None as soon as the answer is needless, which is looked at whenever something has changed.

        Raises:
            Park: as `answer`.
        """
        self.waiting.add(wait)
        quiet_since = self._clock.monotonic()
        while True:
            changed = self._changed
            found = self._found(wait)
            if found is not None or needless():
                self.waiting.discard(wait)
                return found
            if self._hub.followers(self._journal.log) or self.working or self.thinking > 0 or self._busy():
                quiet_since = self._clock.monotonic()
            left = self._park_after - (self._clock.monotonic() - quiet_since)
            if left <= 0:
                raise Park
            await self._until(changed, min(left, LOOK))

    def poke(self) -> None:
        """Something has changed that is no fact of this log: whoever waits looks again."""
        self._wake()

    async def _until(self, changed: anyio.Event, seconds: float) -> None:
        async with anyio.create_task_group() as tasks:

            async def alarm() -> None:
                await self._clock.sleep(seconds)
                tasks.cancel_scope.cancel()

            tasks.start_soon(alarm)
            await changed.wait()
            tasks.cancel_scope.cancel()

    def _found(self, wait: WaitId) -> e.Answer | None:
        turn = self._journal.open
        return next((a.answer for a in turn.answers if a.id == wait), None) if turn else None

    def _heard(self, events: Sequence[e.Event]) -> None:
        if not events or any(isinstance(event.fact, OUTSIDE) for event in events):
            self._dirty.set()

    async def _listen(self, turn: anyio.CancelScope) -> None:
        self._dirty.set()  # what came before we listened
        while True:
            await self._dirty.wait()
            self._dirty = anyio.Event()
            try:
                head = await self.look()
            except SessionNotFound:
                turn.cancel()
                return
            except RoostError as error:
                log.warning("%s can't be read: %s", self._journal.log, error, extra={"action": "ear_failed"})
                await self._clock.sleep(AGAIN)
                self._dirty.set()
                continue
            mine = self._journal.open
            if head.deleted or mine is None or mine.canceled:
                turn.cancel()
            self._wake()

    async def look(self) -> Head:
        """The head as it is now; read anew only where somebody may have written meanwhile."""
        known = self._journal.head
        return known if self._hub.still(self._journal.log, known.last_seq) else await self._journal.refresh()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
