"""Parts of a line in another style: what was searched, what is marked."""

from collections.abc import Iterator

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip


def paint(line: Strip, query: str, style: Style) -> Strip:
    """A line with a text marked wherever it occurs; the query is in small letters."""
    text = line.text.lower()
    if not query or query not in text or len(text) != len(line.text):
        return line
    at = text.find(query)
    while at >= 0:
        line = between(line, at, at + len(query), style)
        at = text.find(query, at + len(query))
    return line


def between(line: Strip, start: int, end: int, style: Style) -> Strip:
    """A line with some of its characters in another style."""
    return Strip(list(_between(line, start, end, style)), line.cell_length)


def _between(line: Strip, start: int, end: int, style: Style) -> Iterator[Segment]:
    at = 0
    for text, own, control in line:
        first, last = max(0, start - at), min(len(text), end - at)
        at += len(text)
        if first >= last:
            yield Segment(text, own, control)
            continue
        if first:
            yield Segment(text[:first], own, control)
        yield Segment(text[first:last], own + style if own else style, control)
        if last < len(text):
            yield Segment(text[last:], own, control)


def swap(line: Strip, old: str, new: str) -> Strip:
    """A line with the first of its segments that is one thing replaced by another as wide."""
    segments = list(line)
    for at, (text, style, control) in enumerate(segments):
        if text == old:
            segments[at] = Segment(new, style, control)
            break
    return Strip(segments, line.cell_length)
