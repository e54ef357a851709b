"""Messages that wait in a session: taking one back before a turn takes it."""

from roost.core import events as e
from roost.core.errors import AlreadyTaken, NotQueued
from roost.core.ids import LogId
from roost.core.principals import Principal
from roost.core.session import Head, Queued
from roost.engine.journal import compose
from roost.service.desk import Desk
from roost.service.windows import Waiting

WITHDRAWN = "withdrawn"


class Queues:
    """What waits, and whoever has changed his mind."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._store = desk.store

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
