"""Claims: of several servers on one store, the one that has made a claim tells somebody that something waits."""

import hashlib
import logging

from roost import ports
from roost.core.errors import RoostError
from roost.core.ids import Micros, WaitId, fresh
from roost.ports import EventStore

log = logging.getLogger(__name__)

LEASE = 60.0  # seconds in which a server that is about to tell has that to itself
LOOK = 0.5  # seconds, at least, until another one looks whether it has
SECOND = 1_000_000


class Claims:
    """Those of this server.  Without `tellings` there is no other one."""

    def __init__(self, store: EventStore, clock: ports.Clock, tellings: ports.Tellings | None) -> None:
        self._store = store
        self._clock = clock
        self._tellings = tellings
        self._server = fresh()

    async def mine(self, wait: WaitId, where: str) -> bool:
        """Whether it is for this server to tell, once that is settled; False where nobody is to be told any more.

        Where another server has it, that is looked at again when its time is up: it may be gone.
        """
        while (record := await self._store.wait(wait)) is not None and record.open:
            found = await self._claim(wait, where, LEASE)
            if found is None or (found.server == self._server and not found.told):
                return True
            if found.told:
                return False
            await self._clock.sleep(max((found.until - self._clock.now()) / SECOND, LOOK))
        return False

    async def pause(self, wait: WaitId, where: str, seconds: float) -> None:
        """Wait until another try is due, and have it to ourselves meanwhile."""
        await self._claim(wait, where, seconds + LEASE)
        await self._clock.sleep(seconds)

    async def told(self, wait: WaitId, where: str) -> None:
        """Nobody is to be told any more."""
        if self._tellings is not None:
            await self._tellings.told(wait, _digest(where))

    async def _claim(self, wait: WaitId, where: str, seconds: float) -> ports.Telling | None:
        """How it stands now; None where nobody can say, since to be told twice is better than not at all."""
        if self._tellings is None:
            return None
        now = self._clock.now()
        until = Micros(now + round(seconds * SECOND))
        try:
            return await self._tellings.claim(wait, _digest(where), server=self._server, at=now, until=until)
        except RoostError:
            log.warning("who tells of a wait can't be written down", extra={"action": "claim_failed"})
            return None


def _digest(where: str) -> str:
    """What the servers on one store call an address, which may be a secret."""
    return hashlib.sha256(where.encode()).hexdigest()[:32]
