"""How many sessions may be in a turn at once, in all and of one account."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from roost.core.errors import TooManySessions
from roost.core.session import Head
from roost.ports import EventStore


class Capacity:
    """The limits; 0 is none.  Without a store there are none either."""

    def __init__(self, store: EventStore | None = None, *, sessions: int = 0, per_account: int = 0) -> None:
        self._store = store
        self._sessions = sessions
        self._per_account = per_account
        self._turn = anyio.Lock()

    @asynccontextmanager
    async def room(self, head: Head) -> AsyncIterator[None]:
        """While the block lasts, a turn of `head` can be opened, and nobody else on this server opens one.

        Raises:
            TooManySessions: as many run as may.
        """
        if not (self._sessions or self._per_account):
            yield
            return
        async with self._turn:
            await self.check(head.owner)
            yield

    async def check(self, owner: str) -> None:
        """Look whether one more turn of an account's ("" is none) can be opened now.

        Raises:
            TooManySessions: as many run as may.
        """
        if (store := self._store) is None:
            return
        if self._sessions and await store.running() >= self._sessions:
            raise TooManySessions(self._sessions)
        if self._per_account and owner:
            mine = [head for head in await store.heads() if head.owner == owner and head.turn is not None]
            if len(mine) >= self._per_account:
                raise TooManySessions(self._per_account)
