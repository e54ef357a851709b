"""Styled text on its way to the screen: runs of text in one style each, broken into lines."""

from collections.abc import Iterable, Sequence

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from roost.tui.clean import breaks, fit, width

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
    pieces = iter(joined(runs))
    text, style = next(pieces, ("", Style()))
    lines, at = list[Line](), 0  # where the run begins
    for start, end in breaks("".join(text for text, _ in runs), cells):
        line: Line = []
        while True:
            if piece := text[max(0, start - at) : end - at]:
                line.append((piece, style))
            if at + len(text) >= end or (following := next(pieces, None)) is None:
                break
            at += len(text)
            text, style = following
        lines.append(line)
    return lines


def joined(runs: Iterable[Run]) -> list[Run]:
    """The same with neighbours in one style made one."""
    found = list[tuple[list[str], Style]]()
    for text, style in runs:
        if found and found[-1][1] == style:
            found[-1][0].append(text)
        else:
            found.append(([text], style))
    return [("".join(texts), style) for texts, style in found]


def clip(line: Line, cells: int) -> Line:
    """As much of a line as there is room for."""
    if length(line) <= cells:
        return line
    found: Line = []
    for text, style in line:
        piece = fit(text, cells)
        found.append((piece, style))
        if piece != text or cells <= 0:
            break
        cells -= width(text)
    return found


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
