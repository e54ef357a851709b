"""The last thing between a line and the terminal: what a terminal would obey is not passed on, whoever wrote it."""

import re

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, those that turn the direction of what follows, and halves of characters."""


class Sieve(LineFilter):
    """Titles, messages and labels come from models, tools and other people; escapes of our own are no text."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments without what is obeyed."""
        if all(segment.control or segment.text.isprintable() for segment in segments):
            return segments
        return [
            segment if segment.control else Segment(_OBEYED.sub("", segment.text), segment.style)
            for segment in segments
        ]
