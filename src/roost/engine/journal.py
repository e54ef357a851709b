"""One session's pen: write facts, and know the head that they make."""

from collections.abc import Callable, Iterable

import anyio
from msgspec.structs import replace

from roost.core.errors import NotOwner
from roost.core.events import Fact, Unknown
from roost.core.ids import Epoch, LogId, SessionId
from roost.core.session import Head, Turn
from roost.ports import Committed, Condition, EventStore, Owned

Work = Callable[[Head], Iterable[Fact]]
"""Facts worked out from a head: totals, positions, the opposite of what is.  Pure."""


class Moved(Exception):
    """The session is no longer what facts were worked out from."""


async def compose(store: EventStore, log: LogId, work: Work, *, only_if: Condition | None = None) -> Committed:
    """Put outside facts that are worked out from the head as it is at the moment they are committed.

    Raises:
        Exception: what `only_if` or the store raised.
    """
    while True:
        planned = tuple(work(await store.head(log)))
        try:
            return await store.put(log, planned, only_if=_still(work, planned, only_if))
        except Moved:
            continue


def _still(work: Work, planned: tuple[Fact, ...], only_if: Condition | None = None) -> Condition:
    def check(head: Head) -> None:
        if only_if is not None:
            only_if(head)
        if tuple(work(head)) != planned:
            raise Moved

    return check


class Journal:
    """`post` hands deltas over; `write` returns when all that went before is committed.

    `head` is the session as the newest write or `refresh` has seen it, outside facts included.
    """

    def __init__(self, store: EventStore, log: LogId, owned: Owned) -> None:
        self.log = log
        self.epoch: Epoch = owned.epoch
        self._store = store
        self._head = owned.head
        self._turn = owned.head.turn.id if owned.head.turn else None

    @property
    def head(self) -> Head:
        """The session that this pen writes."""
        return self._head

    @property
    def open(self) -> Turn | None:
        """The turn that this pen was taken up for, or None once it has ended."""
        turn = self.head.turn
        return turn if turn is not None and turn.id == self._turn else None

    @property
    def turn(self) -> Turn:
        """The turn that this pen writes.

        Raises:
            NotOwner: somebody else has ended it.
        """
        if (turn := self.open) is None:
            raise NotOwner(self.log)
        return turn

    async def post(self, *facts: Fact) -> None:
        """Deltas, in order, before whatever is written next.  Waits only where too much is uncommitted."""
        await self._store.post(self.log, facts, epoch=self.epoch)

    async def write(self, *facts: Fact, only_if: Condition | None = None) -> Committed:
        """Commit.  Cancellation waits: no write is cut in half."""
        with anyio.CancelScope(shield=True):
            committed = await self._store.append(self.log, facts, epoch=self.epoch, only_if=only_if)
        self._saw(committed.head)
        return committed

    async def compose(self, work: Work) -> Committed:
        """Commit facts that are worked out from the head as it is at the moment they are committed."""
        while True:
            planned = tuple(work(self.head))
            try:
                return await self.write(*planned, only_if=_still(work, planned))
            except Moved:
                await self.refresh()

    async def refresh(self) -> Head:
        """Read the head anew: somebody else has written."""
        self._saw(await self._store.head(self.log))
        return self.head

    async def release(self) -> None:
        """Let any server take the session."""
        with anyio.CancelScope(shield=True):
            await self._store.release(self.log, epoch=self.epoch)

    def _saw(self, head: Head) -> None:
        if head.last_seq >= self._head.last_seq:
            self._head = head


class Inner(Journal):
    """The pen of a sub-session: it writes into its root's log, and knows its own head alone."""

    def __init__(self, root: Journal, sub: SessionId, turn: Turn) -> None:
        self.log = root.log
        self.epoch = root.epoch
        self._root = root
        self._sub = sub
        self._turn = turn.id

    @property
    def head(self) -> Head:
        """The sub-session.

        Raises:
            NotOwner: the call that it was for has returned.
        """
        return self._within(self._root.head)

    def _within(self, head: Head) -> Head:
        if (found := head.sub(self._sub)) is None:
            raise NotOwner(self.log)
        return found

    async def post(self, *facts: Fact) -> None:
        """See `Journal.post`."""
        await self._root.post(*self._named(facts))

    async def write(self, *facts: Fact, only_if: Condition | None = None) -> Committed:
        """See `Journal.write`; a condition is one of the sub-session."""
        condition = None if only_if is None else _inner(only_if, self._within)
        return await self._root.write(*self._named(facts), only_if=condition)

    async def refresh(self) -> Head:
        """See `Journal.refresh`."""
        await self._root.refresh()
        return self.head

    async def release(self) -> None:
        """The root's to do."""

    def _named(self, facts: Iterable[Fact]) -> Iterable[Fact]:
        return (fact if isinstance(fact, Unknown) or fact.sub else replace(fact, sub=self._sub) for fact in facts)


def _inner(condition: Condition, within: Callable[[Head], Head]) -> Condition:
    def check(head: Head) -> None:
        condition(within(head))

    return check
