"""What confines a program."""

from collections.abc import Collection, Sequence
from typing import Protocol

from msgspec import Struct

from roost.ports.runs import Launch


class Confinement(Struct, frozen=True, kw_only=True):
    """What a program in a sandbox may see and reach."""

    name: str  # unique, not to be guessed, with the session's id in it
    home: str  # a folder of ours that is HOME inside; `Sandbox.furnish` makes it
    writable: tuple[str, ...]  # the working directory, added ones
    readable: tuple[str, ...] = ()  # more to read; what the program itself needs is found
    endpoints: tuple[str, ...] = ()  # host:port, or unix:/path; none is no network at all
    folder: str = ""  # the run's, where `Launch.files` come to lie: read-only inside


class Sandbox(Protocol):
    """A command line and a confinement in, a confined command line out."""

    @property
    def kind(self) -> str:
        """`docker` or `bubblewrap`."""
        ...

    async def trouble(self) -> str:
        """Why it can't be used on this machine, or ""."""
        ...

    def confine(self, launch: Launch, confinement: Confinement) -> Launch:
        """The same program, inside; `trouble` is asked before.

        Raises:
            NoSandbox: it can't be: a folder that it needs must not be seen from inside, or it is not there.
        """
        ...

    async def furnish(self, home: str, keeps: Sequence[str]) -> None:
        """Make the folder that is HOME inside, and copy into it what of ours `keeps` names and is newer.

        A session's is kept between its runs, so that a CLI finds its history again.
        """
        ...

    async def tidy(self, homes: str, living: Collection[str]) -> None:
        """Remove the folders in `homes` that are named after no session of `living`."""
        ...

    async def names(self) -> Sequence[str]:
        """The sandboxes of ours that are there, running or not, where they have names."""
        ...

    async def remove(self, name: str) -> None:
        """Make sure that nothing is left of it.  One that is not there is no error."""
        ...
