"""Tables that fit a terminal: which columns are shown, how wide, and what of a cell is cut. Pure."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

GAP = 2  # between two columns
LEAST = 8  # what a column that is cut keeps
EASY = 16  # down to here columns are cut before one is left out
IDENT = 8  # characters of an id


class Column(NamedTuple):
    """A column of a table, and what becomes of it on a terminal."""

    name: str
    widest: int = 0  # 0: as wide as what is in it
    right: bool = False
    ident: bool = False  # ids: as many characters as tell them apart
    firm: bool = False  # never cut
    tail: bool = False  # where it is cut, its end stays
    spare: int = 0  # may be left out where there is no room: the highest first


Cells = Sequence[Sequence[str]]


def fitted(columns: Sequence[Column], cells: Cells, room: int) -> tuple[list[Column], list[list[str]]]:
    """The columns that there is room for, and their cells at the width they have; empty columns are left out."""
    kept = [at for at, _ in enumerate(columns) if any(row[at] for row in cells)]
    shown = [columns[at] for at in kept]
    grid = [_idents(shown[n], [row[at] for row in cells]) for n, at in enumerate(kept)]
    widths = _widths(shown, grid, room)
    while sum(widths) + GAP * (len(widths) - 1) > room and any(column.spare for column in shown):
        gone = max(range(len(shown)), key=lambda at: shown[at].spare)
        del shown[gone], grid[gone]
        widths = _widths(shown, grid, room)
    cut = [
        [padded(cell, width, column) for cell in (column.name.upper(), *cells)]
        for column, cells, width in zip(shown, grid, widths, strict=True)
    ]
    return shown, [list(row) for row in zip(*cut, strict=True)]


def _widths(columns: Sequence[Column], grid: Cells, room: int) -> list[int]:
    """How wide each is: where they do not fit, the widest gives way first; spare columns stay easy to read."""
    widths = [_natural(column, cells) for column, cells in zip(columns, grid, strict=True)]
    least = EASY if any(column.spare for column in columns) else LEAST
    floors = [
        width if column.firm or column.ident or column.right else min(width, max(least, len(column.name)))
        for column, width in zip(columns, widths, strict=True)
    ]
    over = sum(widths) + GAP * (len(widths) - 1) - room
    while over > 0 and widths != floors:
        at = max(range(len(widths)), key=lambda n: (widths[n] > floors[n], widths[n]))
        widths[at] -= 1
        over -= 1
    return widths


def _natural(column: Column, cells: Sequence[str]) -> int:
    width = max((wide(cell) for cell in cells), default=0)
    return max(len(column.name), min(width, column.widest) if column.widest else width)


def _idents(column: Column, cells: Sequence[str]) -> list[str]:
    if not column.ident:
        return list(cells)
    known = set(cells)
    return [brief(cell, known) for cell in cells]


def brief(name: str, among: Collection[str] = ()) -> str:
    """As few characters of an id as tell it from others.

    What a run has asked is called like the run, with an end of its own (`…-w2`): of two of them the end is kept.
    """
    rivals = [other for other in among if other != name]
    for size in (IDENT, 13, 18):
        if not any(other.startswith(name[:size]) for other in rivals):
            return name[:size]
    head, dash, end = name.rpartition("-")
    if dash and len(head) == 36:
        short = f"{name[:IDENT]}-{end}"
        if not any(meant(other, short) for other in rivals):
            return short
    return name


def meant(name: str, typed: str) -> bool:
    """Whether somebody means an id: its first characters, or those and the end of it (`brief`)."""
    head, dash, end = typed.rpartition("-")
    ended = bool(dash) and len(head) == IDENT and name.startswith(head) and name[36:] == f"-{end}"
    return ended or name.startswith(typed)


def padded(cell: str, width: int, column: Column) -> str:
    """A cell at its width."""
    words = cut(cell, width, tail=column.tail)
    fill = " " * (width - wide(words))
    return fill + words if column.right else words + fill


def cut(text: str, width: int, *, tail: bool = False) -> str:
    """As much of a line as fits."""
    if wide(text) <= width:
        return text
    kept, room = "", width - 1
    for char in reversed(text) if tail else text:
        if (room := room - wide(char)) < 0:
            break
        kept = char + kept if tail else kept + char
    return f"…{kept}" if tail else f"{kept.rstrip()}…"


def wide(text: str) -> int:
    """How many cells of a terminal a line takes."""
    if text.isascii():
        return len(text)
    # Only what is not ASCII pays for it.
    from rich.cells import cell_len

    return cell_len(text)
