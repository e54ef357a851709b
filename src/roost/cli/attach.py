"""`roost attach`: the terminal UI on a session of a server."""

from typing import Any

import click

from roost.core.errors import BadValue


def talk(ctx: click.Context, agent: str, prompt: str, session: str, flags: dict[str, Any]) -> int:
    """Talk to an agent of a server."""
    raise BadValue("the terminal UI is not there yet: use `roost exec`")
