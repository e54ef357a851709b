"""Who tells whom that something waits, where several servers could."""

from typing import Protocol

from msgspec import Struct

from roost.core.ids import Micros, WaitId


class Telling(Struct, frozen=True):
    """Which server tells somebody of a wait, and until when it has that to itself; or that he has been `told`."""

    server: str
    until: Micros
    told: bool = False


class Tellings(Protocol):
    """Who tells whom, so that of several servers on one store one does; `way` is where the message goes.

    What `Accounts` promises of changes holds here too.
    """

    async def claim(self, wait: WaitId, way: str, *, server: str, at: Micros, until: Micros) -> Telling:
        """Take it upon a server, unless he has been told, or another server has that to itself; how it is now."""
        ...

    async def told(self, wait: WaitId, way: str) -> None:
        """He has been told, or never will be."""
        ...
