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
from roost.tui.ink import Line, Run, strip
from roost.tui.painter import SAID, Painter
from roost.tui.rows import Answer, Call, Failure, Nest, Note, Reasoning, Row, Summary, User

KEPT = 500  # rows that stay drawn
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


class _Drawn(NamedTuple):
    """A row as it was drawn."""

    sign: tuple[object, ...]
    lines: list[Line]
    strips: list[Strip]


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
        self._drawn: OrderedDict[str, _Drawn] = OrderedDict()
        self._places: dict[str, int] | None = None

    # -- what is shown --------------------------------------------------------------------------

    def show(self, rows: Sequence[Row]) -> None:
        """These are the rows from now on."""
        self.rows, self._spots = [], []
        self._heights = []
        self._extend(rows)

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
        """How many lines there are, as far as that is known."""
        return self._sums()[-1] if self.rows else 0

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
        """Other colours, or another width: everything is to be drawn anew, as it comes into sight."""
        self._drawn.clear()
        self.painter, self.base = painter, base
        if cells == self.cells:
            return
        self.cells = cells
        self._exact.clear()
        self._heights = [self._height(row, spot) for row, spot in zip(self.rows, self._spots, strict=True)]
        self._tops = None

    def strips(self, index: int) -> list[Strip]:
        """A row, drawn; its height is known from now on."""
        row, spot = self.rows[index], self._spots[index]
        sign = self._sign(row, spot)
        kept = self._drawn.get(row.key)
        if kept is not None and kept.sign == sign:
            self._drawn.move_to_end(row.key)
            found = kept.strips
        else:
            drawn = self._drawn[row.key] = self._draw(row, spot, sign, kept)
            found = drawn.strips
            while len(self._drawn) > KEPT:
                self._drawn.popitem(last=False)
        self._exact[row.key] = (sign, len(found))
        if self._heights[index] != len(found):
            self._heights[index], self._tops = len(found), None
        return found

    def _sign(self, row: Row, spot: Spot) -> tuple[object, ...]:
        return (row.version, spot, row.key in self.opened)

    def _draw(self, row: Row, spot: Spot, sign: tuple[object, ...], kept: "_Drawn | None") -> "_Drawn":
        """Draw a row; lines at its beginning that are the very same as before stay."""
        palette = self.painter.palette
        guides: list[Run] = [("│ ", palette.hue(agent)) for agent in spot.guides]
        barred = isinstance(row, User | Failure)
        inner = [("  ", palette.text)] if guides or not barred else []
        margin: Line = [(" ", palette.text), *inner, *guides]
        room = min(self.cells, WIDEST + 2 * len(guides)) - 2 * len(guides) - 2 * len(inner) - 2
        lines = self.painter.lines(row, room, opened=row.key in self.opened, named=spot.named, hidden=spot.hidden)
        same, strips = 0, [strip([("   ", palette.text), *guides], self.cells, self.base)] * spot.lead
        if kept is not None and kept.sign[1:] == sign[1:]:
            same = _same(kept.lines, lines)
            strips = kept.strips[: spot.lead + same]
        strips += [strip([*margin, *line], self.cells, self.base) for line in lines[same:]]
        return _Drawn(sign, lines, strips)

    # -- how high they may be -------------------------------------------------------------------

    def _height(self, row: Row, spot: Spot) -> int:
        known = self._exact.get(row.key)
        if known is not None and known[0] == self._sign(row, spot):
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
        if row.state in ("denied", "canceled") or (quiet(row) and row.state != "failed"):
            return 0
        text = row.output if row.state == "running" else row.result
        if not text.strip():
            return 0
        shown = excerpt.tail(text.rstrip("\n"), PREVIEW)
        return len(shown.lines) + bool(shown.left)


def _same(old: Sequence[Line], new: Sequence[Line]) -> int:
    """How many lines at the beginning are the very same objects."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((at for at, (one, other) in pairs if one is not other), min(len(old), len(new)))


def _speak(speakers: dict[str, str], row: Row) -> None:
    if isinstance(row, User):
        speakers.pop(row.session, None)
    elif isinstance(row, _SPEAKS) and row.agent:
        speakers[row.session] = row.agent
