"""What every part of the service works with."""

from dataclasses import dataclass, field

from roost.core.errors import SessionNotFound
from roost.core.ids import LogId
from roost.core.principals import Principal
from roost.core.session import Head
from roost.engine.bulkhead import Bulkhead
from roost.engine.hub import Hub
from roost.engine.runtime import Makers
from roost.engine.supervisor import Supervisor
from roost.ports import EventStore
from roost.service.capacity import Capacity
from roost.service.policy import Policy


@dataclass(frozen=True, slots=True)
class Desk:
    """The makers, the engine, the policy, how much may go on at once, and tasks for what outlives a request."""

    makers: Makers
    hub: Hub
    supervisor: Supervisor
    policy: Policy
    bulkhead: Bulkhead
    capacity: Capacity = field(default_factory=Capacity)

    @property
    def store(self) -> EventStore:
        """The log."""
        return self.makers.store

    async def head(self, principal: Principal, session: str) -> Head:
        """A session without its messages, for a caller who may see it.

        Raises:
            SessionNotFound: there is none that this caller may see, or it was deleted.
        """
        head = await self.store.head(LogId(session))
        if head.deleted:
            raise SessionNotFound(session)
        self.policy.may(principal, head)
        return head
