"""Rows laid out one below the other: only those that are seen are drawn, of the others the height is guessed."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from rich.style import Style
from textual.strip import Strip

from roost.tui import excerpt
from roost.tui.calls import PREVIEW, quiet
from roost.tui.ink import Line, length, strip
from roost.tui.painter import SAID, Painter
from roost.tui.rows import Answer, Call, Failure, Nest, Note, Reasoning, Row, Summary, User

KEPT = 150  # rows that stay drawn
STRIPS = 400  # lines that are kept as Textual wants them: each is many objects
NOTHING: Line = []
DEEPEST = 8  # levels that are indented
WIDEST = 128  # cells of a line of text: longer ones are hard to read

_COMPACT = (Call, Note, Reasoning, Nest, Summary)
_SPEAKS = (Answer, Reasoning, Call)
FOLDS = (User, Call, Reasoning, Note, Summary, Nest)


class Spot(NamedTuple):
    """How a row stands among the others: blank lines above it, whether it says who speaks, what it is nested in."""

    lead: int
    named: bool
    guides: tuple[str, ...]
    hidden: int = 0


class Roll:
    """Rows, their heights, and those that are drawn.  A row is asked for by its index."""

    def __init__(self, painter: Painter, cells: int, base: Style) -> None:
        self.painter = painter
        self.cells = cells
        self.base = base
        self.rows: list[Row] = []
        self.opened: set[str] = set()  # keys of rows that are open
        self.closed: set[str] = set()  # keys of sub-sessions whose rows are folded away
        self.team = False  # whether more than one agent can speak
        self._spots: list[Spot] = []
        self._heights: list[int] = []
        self._tops: list[int] | None = None
        self._exact: dict[str, tuple[object, int]] = {}
        self._drawn: OrderedDict[str, tuple[object, list[Line]]] = OrderedDict()
        self._strips: OrderedDict[tuple[str, int], tuple[Line, Strip]] = OrderedDict()
        self._places: dict[str, int] | None = None

    # -- what is shown --------------------------------------------------------------------------

    def show(self, rows: Sequence[Row]) -> None:
        """These are the rows from now on."""
        self.rows, self._spots = [], []
        self._heights = []
        self._extend(rows)

    def forget(self, *, folds: bool) -> None:
        """Other rows come, whose keys may be those of the ones before; with `folds` nothing is open or folded away."""
        self._drawn.clear()
        self._strips.clear()
        self._exact.clear()
        if folds:
            self.opened.clear()
            self.closed.clear()

    def grow(self, rows: Sequence[Row]) -> None:
        """These come below."""
        self._extend(rows)

    def _extend(self, rows: Sequence[Row]) -> None:
        path = list(self._spots[-1].guides) if self._spots else []
        if self.rows and isinstance(self.rows[-1], Nest):
            path.append(self.rows[-1].agent)
        speakers: dict[str, str] = {}
        for row in self.rows[-50:]:
            _speak(speakers, row)
        shut: int | None = None
        for row in rows:
            if shut is not None:
                if row.depth > shut:
                    self._hide()
                    continue
                shut = None
            del path[row.depth :]
            spot = Spot(self._lead(row), self._named(row, speakers), tuple(path[:DEEPEST]))
            _speak(speakers, row)
            if isinstance(row, Nest):
                path.append(row.agent)
                shut = row.depth if row.key in self.closed else None
            self.rows.append(row)
            self._spots.append(spot)
            self._heights.append(self._height(row, spot))
        self._tops = self._places = None

    def _hide(self) -> None:
        spot = self._spots[-1]
        self._spots[-1] = spot._replace(hidden=spot.hidden + 1)

    def _lead(self, row: Row) -> int:
        if not self.rows:
            return 0
        before = self.rows[-1]
        if isinstance(before, Nest) and row.depth > before.depth:
            return 0
        if isinstance(row, _COMPACT) and isinstance(before, _COMPACT):
            return 0
        return 1

    def _named(self, row: Row, speakers: dict[str, str]) -> bool:
        """Whether a row says who speaks: where it is another than before, or than who one might expect."""
        if not isinstance(row, _SPEAKS) or not row.agent or row.depth:
            return False
        before = speakers.get(row.session)
        return before != row.agent if before is not None else self.team

    def dirty(self, row: Row) -> bool:
        """A row shows something else; whether it is one of those that are shown."""
        at = self.place(row.key)
        if at is None:
            return False
        height = self._height(row, self._spots[at])
        if height != self._heights[at]:
            self._heights[at], self._tops = height, None
        return True

    # -- where things are -----------------------------------------------------------------------

    @property
    def total(self) -> int:
        """How many lines there are, as far as that is known: a blank one is the last."""
        return self._sums()[-1] + 1 if self.rows else 0

    def _sums(self) -> list[int]:
        if self._tops is None:
            self._tops = list(accumulate(self._heights, initial=0))
        return self._tops

    def top(self, index: int) -> int:
        """The line at which a row begins."""
        return self._sums()[index]

    def height(self, index: int) -> int:
        """How many lines a row has, as far as that is known."""
        return self._heights[index]

    def at(self, line: int) -> tuple[int, int]:
        """The row that a line belongs to, and which of its lines that is."""
        sums = self._sums()
        index = max(0, min(bisect_right(sums, line) - 1, len(self.rows) - 1))
        return index, line - sums[index]

    def place(self, key: str) -> int | None:
        """Where a row is; None where it is not shown."""
        if self._places is None:
            self._places = {row.key: at for at, row in enumerate(self.rows)}
        return self._places.get(key)

    def lead(self, index: int) -> int:
        """How many blank lines stand above a row."""
        return self._spots[index].lead

    def head(self, index: int) -> int:
        """The first of a row's lines that says what it is: past blank ones and names."""
        spot = self._spots[index]
        return spot.lead + (1 if spot.named else 0)

    # -- how they look --------------------------------------------------------------------------

    def reset(self, painter: Painter, cells: int, base: Style) -> None:
        """Another look, or another width: everything is to be drawn anew, as it comes into sight."""
        self._drawn.clear()
        self._strips.clear()
        same = cells == self.cells and painter.results == self.painter.results
        self.painter, self.base = painter, base
        if same:
            return
        self.cells = cells
        self._exact.clear()
        self._heights = [self._height(row, spot) for row, spot in zip(self.rows, self._spots, strict=True)]
        self._tops = None

    def draw(self, index: int) -> int:
        """Draw a row; its height, which is known from now on."""
        height = len(self._lines(index))
        if self._heights[index] != height:
            self._heights[index], self._tops = height, None
        return height

    def strip(self, index: int, offset: int) -> Strip:
        """One line of a row, as it is put on the screen."""
        lines = self._lines(index)
        if not 0 <= offset < len(lines):
            return Strip.blank(self.cells, self.base)
        line, place = lines[offset], (self.rows[index].key, offset)
        kept = self._strips.get(place)
        if kept is not None and kept[0] is line:
            self._strips.move_to_end(place)
            return kept[1]
        margin = self._margins(self.rows[index], self._spots[index])[offset >= self._spots[index].lead]
        found = strip([*margin, *line], self.cells, self.base)
        self._strips[place] = (line, found)
        while len(self._strips) > STRIPS:
            self._strips.popitem(last=False)
        return found

    def texts(self, index: int) -> list[str]:
        """The lines of a row without what stands at its left."""
        return ["".join(text for text, _ in line) for line in self._lines(index)]

    def _lines(self, index: int) -> list[Line]:
        row, spot = self.rows[index], self._spots[index]
        sign = (row.version, spot, row.key in self.opened)
        kept = self._drawn.get(row.key)
        if kept is None or kept[0] != sign:
            kept = self._drawn[row.key] = (sign, self._draw(row, spot))
            while len(self._drawn) > KEPT:
                self._drawn.popitem(last=False)
        else:
            self._drawn.move_to_end(row.key)
        self._exact[row.key] = (sign, len(kept[1]))
        return kept[1]

    def _draw(self, row: Row, spot: Spot) -> list[Line]:
        taken = length(self._margins(row, spot)[1])
        room = min(self.cells - taken, WIDEST) - 1
        lines = self.painter.lines(row, room, opened=row.key in self.opened, named=spot.named, hidden=spot.hidden)
        return [*[NOTHING] * spot.lead, *lines]

    def _margins(self, row: Row, spot: Spot) -> tuple[Line, Line]:
        """What stands at the left: of a blank line above a row, and of its own."""
        palette = self.painter.palette
        guides: Line = [("│ ", palette.hue(agent)) for agent in spot.guides]
        barred = isinstance(row, User | Failure) and not guides
        return [("   ", palette.text), *guides], [(" " if barred else "   ", palette.text), *guides]

    # -- how high they may be -------------------------------------------------------------------

    def _height(self, row: Row, spot: Spot) -> int:
        known = self._exact.get(row.key)
        if known is not None and known[0] == (row.version, spot, row.key in self.opened):
            return known[1]
        return spot.lead + spot.named + self._guess(row)

    def _guess(self, row: Row) -> int:
        cells = max(10, min(self.cells, WIDEST) - 6)
        if row.key in self.opened:
            return 2 + row.text.count("\n") + len(row.text) // cells
        match row:
            case User():
                lines = row.words.count("\n") + 1
                return len(row.pictures) + (SAID + 1 if lines > SAID else lines + min(len(row.words), 8000) // cells)
            case Answer():
                return 1 + row.words.count("\n") + len(row.words) // cells if row.words else 0
            case Call():
                return 1 + self._below(row)
            case Note(kind="plan"):
                return 1 + row.words.count("\n")
            case Note() | Failure():
                return min(6, 1 + row.words.count("\n")) + (1 if isinstance(row, Failure) else 0)
        return 1

    def _below(self, row: Call) -> int:
        """Lines of a preview."""
        hidden = row.state in ("denied", "canceled") or not self.painter.results
        if hidden or (quiet(row) and row.state != "failed"):
            return 0
        text = row.output if row.state == "running" else row.result
        if not text.strip():
            return 0
        shown = excerpt.tail(text.rstrip("\n"), PREVIEW)
        return len(shown.lines) + bool(shown.left)


def _speak(speakers: dict[str, str], row: Row) -> None:
    if isinstance(row, User):
        speakers.pop(row.session, None)
    elif isinstance(row, _SPEAKS) and row.agent:
        speakers[row.session] = row.agent
