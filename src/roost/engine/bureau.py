"""Other sessions, as far as a call may deal with them (`ports.Office`)."""

from collections.abc import Collection, Sequence

from roost.core.errors import NotBuilt
from roost.core.ids import SessionId
from roost.core.messages import Message
from roost.engine.stage import Stage
from roost.ports import Errant, Listing, Task


class Bureau:
    """What the sessions of one stage's tree and account may be asked for."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def start(self, task: Task) -> SessionId:
        """See `ports.Office`."""
        raise NotBuilt("background agents are not built yet")

    async def errants(self) -> Sequence[Errant]:
        """See `ports.Office`."""
        return ()

    async def wait(self, sessions: Collection[SessionId], timeout: float) -> Sequence[Errant]:
        """See `ports.Office`."""
        return ()

    async def stop(self, session: SessionId) -> None:
        """See `ports.Office`."""
        raise NotBuilt("background agents are not built yet")

    async def listing(self) -> Sequence[Listing]:
        """See `ports.Office`."""
        return ()

    async def messages(self, session: SessionId) -> Sequence[Message]:
        """See `ports.Office`."""
        raise NotBuilt("background agents are not built yet")
