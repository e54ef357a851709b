"""A line of a list: columns that share the room there is, counted in cells of the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from textual.content import Content

GAP = 2  # cells between two columns


@dataclass(frozen=True, slots=True)
class Column:
    """`width` is what it would like to have, 0 as much as its text; it is cut down to `least` before others go.

    Where there is no room even so, the column with the highest `rank` is left out; one of rank 0 stays.
    """

    text: str
    style: str = "$text"
    width: int = 0
    least: int = 8
    rank: int = 0
    grows: bool = False  # into the room that is left

    @property
    def wanted(self) -> int:
        """Cells."""
        return self.width or cell_len(self.text)


def line(columns: Sequence[Column], room: int, *, lead: Content | None = None) -> Content:
    """As much of them as fits behind `lead`."""
    lead = lead if lead is not None else Content("")
    room -= lead.cell_length
    shown = [column for column in columns if column.text or column.width]
    while len(shown) > 1 and _least(shown) > room and max(column.rank for column in shown):
        shown.remove(max(shown, key=lambda column: column.rank))
    cells = [column.wanted for column in shown]
    spare = room - sum(cells) - GAP * (len(cells) - 1)
    for at, column in enumerate(shown):
        if column.grows and spare > 0:
            cells[at], spare = cells[at] + spare, 0
        elif spare < 0:
            cut = min(-spare, max(0, cells[at] - min(column.least, cells[at])))
            cells[at], spare = cells[at] - cut, spare + cut
    parts = [Content.styled(fit(column.text, size), column.style) for column, size in zip(shown, cells, strict=True)]
    return Content.assemble(lead, Content(" " * GAP).join(parts))


def fit(text: str, cells: int) -> str:
    """A text in exactly so many cells; what is too long ends in `…`."""
    text = " ".join(text.split())
    return set_cell_size(text, cells) if cell_len(text) <= cells else f"{set_cell_size(text, max(0, cells - 1))}…"


def _least(shown: Sequence[Column]) -> int:
    return sum(min(column.least, column.wanted) for column in shown) + GAP * (len(shown) - 1)
