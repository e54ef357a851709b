"""Events as they come: of one session to its end, or of all that the caller may see."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from roost.core import events as e
from roost.core.errors import SessionNotFound
from roost.core.ids import LogId
from roost.core.principals import Principal
from roost.core.session import Head
from roost.engine.follow import follow, follow_all
from roost.service.desk import Desk


class Feeds:
    """Readers of logs; whoever stops early closes what was returned."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def to_the_end(
        self, head: Head, principal: Principal, *, after: int
    ) -> AsyncGenerator[Sequence[e.Event], None]:
        """The events of a session past `after`, and new ones until its work is done: the end of its newest turn.

        `head` is that of a session which the caller was found to be allowed to see.  One that has
        never worked is waited for.
        """
        log, name = LogId(head.id), principal.client or "nameless"
        if _idle(head) and after >= head.last_seq:
            return
        async with aclosing(follow(self._desk.store, self._desk.hub, log, after=after, client=name)) as batches:
            async for batch in batches:
                yield batch
                last = batch[-1].seq
                if last >= head.last_seq and await self._over(log, last):
                    return

    async def everywhere(self, principal: Principal, *, tag: str = "") -> AsyncGenerator[Sequence[e.Event], None]:
        """What happens from now on in all sessions that the caller may see, or in those with a tag."""
        store, policy, sought = self._desk.store, self._desk.policy, tag.lower()

        def wanted(head: Head) -> bool:
            try:
                policy.may(principal, head)
            except SessionNotFound:
                return False
            return not sought or sought in {tag.lower() for tag in head.tags}

        async with aclosing(follow_all(store, self._desk.hub, wanted)) as batches:
            async for batch in batches:
                yield batch

    async def _over(self, log: LogId, seq: int) -> bool:
        try:
            head = await self._desk.store.head(log)
        except SessionNotFound:
            return True
        return _idle(head) and seq >= head.last_seq


def _idle(head: Head) -> bool:
    """Whether the session has worked and does no more."""
    return head.turn is None and bool(head.turns)
