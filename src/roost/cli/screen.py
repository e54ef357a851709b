"""The terminal UI over a server in this process."""

from roost.cli.indoors import Room
from roost.core.errors import BadValue


async def show(room: Room) -> int:
    """Show it until somebody leaves; the exit code."""
    raise BadValue("the terminal UI is not there yet: use --exec")
