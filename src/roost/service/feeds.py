"""Events as they come, for whoever follows one session to its end, or all that a caller may see."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from roost.core import events as e
from roost.core.errors import SessionNotFound
from roost.core.ids import LogId
from roost.core.principals import Principal
from roost.core.session import Head
from roost.core.status import ended
from roost.engine.follow import follow, follow_all
from roost.service.desk import Desk
from roost.service.fleet import Fleet, tagged

Batches = AsyncGenerator[Sequence[e.Event], None]


class Feeds:
    """Reads logs as they grow."""

    def __init__(self, desk: Desk, fleet: Fleet) -> None:
        self._desk = desk
        self._store = desk.store
        self._fleet = fleet

    async def session(self, principal: Principal, name: str, *, after: int = 0) -> Batches:
        """Every event of a session past `after`, then every new one, until its last turn has ended.

        A session that has not been in a turn yet is waited for.

        Raises:
            BadValue, SessionNotFound
        """
        head = await self._fleet.find(principal, name)
        return self._until_ended(LogId(head.id), after, principal.client or "nameless")

    async def _until_ended(self, log: LogId, after: int, client: str) -> Batches:
        head = await self._store.head(log)
        over = ended(head)
        if over and after >= head.last_seq:
            return
        async with aclosing(follow(self._store, self._desk.hub, log, after=after, client=client)) as batches:
            async for batch in batches:
                yield batch
                for event in batch:
                    over = _over(over, event.fact)
                if over and await self._nothing_left(log, batch[-1].seq):
                    return

    async def _nothing_left(self, log: LogId, seq: int) -> bool:
        """Whether the session has ended for now, and everything of it was read."""
        try:
            head = await self._store.head(log)
        except SessionNotFound:
            return True
        return seq >= head.last_seq and ended(head)

    def everything(self, principal: Principal, *, tag: str = "") -> Batches:
        """Every new event of all sessions that a caller may see, those born later included; it never ends.

        With a `tag`, only of those that have it when an event comes.  Order holds within a session.
        """

        def wanted(head: Head) -> bool:
            return not head.deleted and self._desk.policy.sees(principal, head.owner) and (not tag or tagged(head, tag))

        return follow_all(self._store, self._desk.hub, wanted)


def _over(before: bool, fact: e.Fact) -> bool:
    """Whether a session's turn is over after one more fact."""
    match fact:
        case e.TurnOpened(sub=""):
            return False
        case e.TurnEnded(sub="") | e.SessionExited() | e.DeleteAsked():
            return True
        case _:
            return before
