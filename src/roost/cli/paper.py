"""A QR code on a terminal: black on white, whatever its colours are."""

import click

from roost import codes


def code(text: str) -> str:
    """The code of a text, as lines."""
    lines = codes.drawn(codes.matrix(text)).splitlines()
    return "\n".join(click.style(line, fg="bright_white", bg="black") for line in lines)
