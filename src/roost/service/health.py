"""Is the server well: its store, its agent files."""

import anyio
from msgspec import Struct

from roost.core.errors import RoostError
from roost.service.desk import Desk

PROBE = 0.1  # seconds; a store that takes longer counts as connected


class Readiness(Struct, frozen=True):
    """What `/ready` says."""

    ready: bool
    active_sessions: int
    error: str = ""
    broken: tuple[str, ...] = ()  # agent files that do not load: `id: first line of the error`


class Health:
    """Looks, and changes nothing."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def ready(self) -> Readiness:
        """Whether the server can do its work."""
        try:
            active = 0
            with anyio.move_on_after(PROBE):
                await self._desk.store.probe()
                active = await self._desk.store.running()
        except RoostError:
            return Readiness(False, 0, "store disconnected")
        sources = await self._desk.makers.agents.sources()
        broken = tuple(f"{source.id}: {source.error.splitlines()[0]}" for source in sources if source.error)
        return Readiness(True, active, broken=broken)
