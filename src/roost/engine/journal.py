"""One session's pen: write facts, and know the head that they make."""

from collections.abc import Callable, Iterable

import anyio

from roost.core.events import Fact
from roost.core.ids import Epoch, LogId
from roost.core.session import Head, Turn
from roost.ports import Committed, Condition, EventStore, Owned


class Journal:
    """`post` hands deltas over; `write` returns when all that went before is committed.

    `head` is the session as the newest write or `refresh` has seen it, outside facts included.
    """

    def __init__(self, store: EventStore, log: LogId, owned: Owned) -> None:
        self.log = log
        self.head = owned.head
        self.epoch: Epoch = owned.epoch
        self._store = store
        self._pen = anyio.Lock()

    @property
    def turn(self) -> Turn:
        """The turn that this pen writes.

        Raises:
            RuntimeError: there is none, which is a fault of the engine's.
        """
        if self.head.turn is None:
            raise RuntimeError(f"session {self.log} is in no turn")
        return self.head.turn

    async def post(self, *facts: Fact) -> None:
        """Deltas, in order, before whatever is written next.  Waits only where too much is uncommitted."""
        await self._store.post(self.log, facts, epoch=self.epoch)

    async def write(self, *facts: Fact, only_if: Condition | None = None) -> Committed:
        """Commit.  Cancellation waits: no write is cut in half."""
        with anyio.CancelScope(shield=True):
            committed = await self._store.append(self.log, facts, epoch=self.epoch, only_if=only_if)
        self._saw(committed.head)
        return committed

    async def compose(self, facts: Callable[[Head], Iterable[Fact]], only_if: Condition | None = None) -> Committed:
        """Commit facts that are worked out from the head (totals, positions): one such write at a time."""
        with anyio.CancelScope(shield=True):
            async with self._pen:
                committed = await self.write(*facts(self.head), only_if=only_if)
        return committed

    async def refresh(self) -> Head:
        """Read the head anew: somebody else has written."""
        self._saw(await self._store.head(self.log))
        return self.head

    async def release(self) -> None:
        """Let any server take the session."""
        with anyio.CancelScope(shield=True):
            await self._store.release(self.log, epoch=self.epoch)

    def _saw(self, head: Head) -> None:
        if head.last_seq >= self.head.last_seq:
            self.head = head
