"""Styled text on its way to the screen: runs of text in one style each, broken into lines."""

from collections.abc import Iterable, Sequence

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from roost.tui.clean import breaks, width

Run = tuple[str, Style]
Line = list[Run]


def length(line: Iterable[Run]) -> int:
    """How many cells a line takes."""
    return sum(width(text) for text, _ in line)


def wrap(runs: Sequence[Run], cells: int) -> list[Line]:
    """Break clean text, without line breaks of its own, into lines."""
    if len(runs) == 1:
        text, style = runs[0]
        return [[(text[start:end], style)] for start, end in breaks(text, cells)]
    return [_slice(runs, start, end) for start, end in breaks("".join(text for text, _ in runs), cells)]


def _slice(runs: Sequence[Run], start: int, end: int) -> Line:
    line, at = [], 0
    for text, style in runs:
        if at >= end:
            break
        piece = text[max(0, start - at) : end - at]
        if piece and at + len(text) > start:
            line.append((piece, style))
        at += len(text)
    return line


def split(runs: Iterable[Run]) -> list[Line]:
    """Runs whose text has line breaks, line by line."""
    lines: list[Line] = [[]]
    for text, style in runs:
        first, *rest = text.split("\n")
        if first:
            lines[-1].append((first, style))
        lines += [[(piece, style)] if piece else [] for piece in rest]
    return lines


def strip(line: Sequence[Run], cells: int, base: Style) -> Strip:
    """A line as Textual draws it, on its ground and as wide as the screen."""
    taken = length(line)
    segments = [Segment(text, base + style) for text, style in line if text]
    if taken < cells:
        segments.append(Segment(" " * (cells - taken), base))
    found = Strip(segments, max(taken, cells))
    return found if taken <= cells else found.crop(0, cells)
