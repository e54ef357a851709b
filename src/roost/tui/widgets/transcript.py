"""The conversation: a list of any length of which only what is seen is drawn."""

import gc
import re
from time import monotonic
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message
from textual.selection import Selection
from textual.strip import Strip
from textual.timer import Timer

from roost.tui import gist
from roost.tui.clean import width
from roost.tui.roll import FOLDS
from roost.tui.rows import Answer, Call, Changes, Failure, Nest, Row, User
from roost.tui.view import View
from roost.tui.widgets import marks
from roost.tui.widgets.paper import Paper

FRAME = 1 / 15  # seconds between two drawings of what streams in
NEAR = 40  # lines from the beginning at which older messages are asked for
TURNS = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_FENCED = re.compile(r"^ {0,3}(`{3,}|~{3,})[^\n]*\n(.*?)^ {0,3}\1", re.M | re.S)


class Transcript(Paper):
    """Shows a view's rows, and stays at their end unless one scrolls up."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "step(-1)", "Row above", show=False),
        Binding("down,j", "step(1)", "Row below", show=False),
        Binding("shift+up,left_square_bracket", "step(-1, True)", "Message above", show=False),
        Binding("shift+down,right_square_bracket", "step(1, True)", "Message below", show=False),
        Binding("enter,space", "fold", "Open or fold"),
        Binding("z", "unfold", "Open or fold all", show=False),
        Binding("r", "app.order('results')", "Show or hide results", show=False),
        Binding("y,c", "copy", "Copy"),
        Binding("Y,C", "copy(True)", "Copy code", show=False),
        Binding("backspace,delete", "take_back", "Take back", show=False),
        Binding("n", "match(1)", "Next match", show=False),
        Binding("N", "match(-1)", "Match before", show=False),
    ]

    class Selected(Message):
        """Another row is selected, or none."""

        def __init__(self, row: Row | None) -> None:
            super().__init__()
            self.row = row

    class OlderWanted(Message):
        """The beginning is near and the view has `more`: fetch an older page, `view.prepend` it, then `apply`."""

    class Copied(Message):
        """Text was put on the clipboard."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class TakeBack(Message):
        """A message that waits is to stand in the prompt again; `number` names it."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    class Searched(Message):
        """Where a search stands: the match that is shown, of how many."""

        def __init__(self, query: str, index: int, count: int) -> None:
            super().__init__()
            self.query, self.index, self.count = query, index, count

    class Linked(Message):
        """A link was clicked."""

        def __init__(self, url: str) -> None:
            super().__init__()
            self.url = url

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.view = View()
        self._pending = Changes()
        self._timer: Timer | None = None
        self._drawn = 0.0
        self._selected: str | None = None
        self._asked = 0  # the oldest message when older ones were asked for
        self._query = ""
        self._hits: list[str] = []
        self._turn = 0
        self._turning: set[int] = set()

    # -- what is shown --------------------------------------------------------------------------

    def load(self, view: View) -> None:
        """Show a view from now on, at its end."""
        another = view.session != self.view.session
        self._roll.forget(folds=another)
        self.view = view
        self._pending, self._stuck, self._anchor, self._unseen, self._asked = Changes(), True, None, 0, 0
        self._selected = None if another or view.row(self._selected or "") is None else self._selected
        self._roll.team = len(view.team) > 1
        self._roll.show(view.rows)
        if self._query:
            self._find()
        self._place()
        gc.freeze()  # what is there stays: the collector need not look through it, again and again, between two frames

    def apply(self, changes: Changes) -> None:
        """Show what has changed in it; drawn with the next frame."""
        if not changes.appeared and not changes.changed and not changes.vanished and "team" not in changes.parts:
            return
        self._pending.add(changes)
        if self._timer is None:
            wait = FRAME - (monotonic() - self._drawn)
            self._timer = self.set_timer(max(0.001, wait), self._flush)

    def flush(self) -> None:
        """Draw what has changed now."""
        if self._timer is not None:
            self._timer.stop()
        self._flush()

    def _flush(self) -> None:
        self._timer = None
        changes, self._pending = self._pending, Changes()
        self._drawn = monotonic()
        if not self._stuck:
            self._unseen += len(changes.appeared - changes.vanished)
        team = len(self.view.team) > 1
        if self._tail(changes) and team == self._roll.team:
            self._roll.grow(self.view.rows[len(self.view.rows) - len(changes.appeared) :])
        elif changes.appeared or changes.vanished or team != self._roll.team or self._renamed(changes):
            changes.appeared.add("")  # all is drawn anew
            self._roll.team = team
            self._roll.show(self.view.rows)
        for key in changes.changed:
            row = self.view.row(key)
            if row is not None:
                self._roll.dirty(row)
        if self._selected is not None and self.view.row(self._selected) is None:
            self._selected = None
        self._place(None if changes.appeared or changes.vanished else sorted(changes.changed))

    def _tail(self, changes: Changes) -> bool:
        """Whether rows have come at the end, and nothing else has moved."""
        count = len(changes.appeared)
        if changes.vanished or not count or self._roll.closed or self._renamed(changes):
            return False
        rows = self.view.rows
        return len(self._roll.rows) + count == len(rows) and all(row.key in changes.appeared for row in rows[-count:])

    def _renamed(self, changes: Changes) -> bool:
        """Whether something changed that rows below show as well."""
        return any(isinstance(self.view.row(key), Nest) for key in changes.changed)

    def on_mount(self) -> None:
        """Begin to turn what runs."""
        super().on_mount()  # type: ignore[no-untyped-call]
        self._repaint()
        if self.app.animation_level != "none":
            self.set_interval(1 / 10, self._spin)

    def near(self, top: int) -> None:
        """Older messages are asked for before one comes to the first of those that are here."""
        if top < NEAR and self.view.more and self._asked != self.view.oldest:
            self._asked = self.view.oldest
            self.post_message(self.OlderWanted())

    # -- one row --------------------------------------------------------------------------------

    @property
    def selected(self) -> Row | None:
        """The selected row."""
        return self.view.row(self._selected) if self._selected else None

    def select(self, key: str | None) -> None:
        """Select a row and bring it into view; None selects nothing."""
        if key is not None and self.view.row(key) is None:
            return
        changed, self._selected = key != self._selected, key
        if key is not None:
            self._reveal(key)
            self._show_row(key)
        self.refresh()
        if changed:
            self.post_message(self.Selected(self.selected))

    def step(self, by: int, *, messages: bool = False) -> None:
        """Select the next row (negative: the one before); with `messages` only what people or models said."""
        roll = self._roll
        if not roll.rows:
            return
        at = roll.place(self._selected) if self._selected else None
        if at is None:
            line = round(self.scroll_y) + (0 if by > 0 else self._page - 1)
            at = roll.at(line)[0] - (by if by > 0 else 0)
            at = at if by > 0 else at + 1
        index = at + by
        while 0 <= index < len(roll.rows) and messages and not isinstance(roll.rows[index], User | Answer | Failure):
            index += by
        if 0 <= index < len(roll.rows):
            self.select(roll.rows[index].key)
        elif by > 0:
            self.select(None)
            self.go_end()

    def action_step(self, by: int, messages: bool = False) -> None:
        """Select the row above or below."""
        self.step(by, messages=messages)

    def _show_row(self, key: str, line: int = 0) -> None:
        """Bring a row into view, with as little movement as will do."""
        roll, at = self._roll, self._roll.place(key)
        if at is None:
            return
        roll.draw(at)
        top, height, seen = roll.top(at), roll.height(at), round(self.scroll_y)
        if line:
            top, height = top + line, 1
        if top >= seen and top + height <= seen + self._page:
            return
        target = top if top < seen or height >= self._page else top + height - self._page
        index, offset = roll.at(max(0, target))
        self._stuck, self._anchor = False, (roll.rows[index].key, offset)
        self._place()

    def _reveal(self, key: str) -> None:
        """Open the sub-sessions that a row is folded into."""
        if self._roll.place(key) is not None:
            return
        row = self.view.row(key)
        while row is not None and row.depth:
            head = self.view.stack.levels[row.session].head if row.session in self.view.stack.levels else None
            if head is None:
                break
            self._roll.closed.discard(head.key)
            row = head
        self._roll.show(self.view.rows)
        self._place()

    def toggle(self, key: str | None = None) -> None:
        """Open a row that is folded, or fold it: the selected one, or that of `key`."""
        key = key or self._selected
        row = self.view.row(key) if key else None
        if row is None or not isinstance(row, FOLDS):
            return
        if isinstance(row, Nest):
            self._roll.closed ^= {row.key}
            self._roll.show(self.view.rows)
        else:
            self._roll.opened ^= {row.key}
            self._roll.dirty(row)
        if self._stuck and row.key in self._roll.opened:
            self._stuck = False  # what was just opened is to be read from its beginning
        self._place()
        self._show_row(row.key)

    def action_fold(self) -> None:
        """Open the selected row, or fold it."""
        self.toggle()

    @property
    def results(self) -> bool:
        """Whether calls show what they returned; one that is opened does in any case."""
        return self._results

    @results.setter
    def results(self, shown: bool) -> None:
        self._results = shown
        if self.is_attached:
            self._repaint()

    def unfold_all(self, open_: bool) -> None:
        """Open, or fold, everything."""
        keys = {row.key for row in self.view.rows if isinstance(row, FOLDS) and not isinstance(row, Nest)}
        self._roll.opened = keys if open_ else set()
        self._roll.closed.clear()
        self._roll.show(self.view.rows)
        self._place()

    def action_unfold(self) -> None:
        """Open everything, or fold it again."""
        self.unfold_all(not self._roll.opened)

    def copy(self, *, code: bool = False) -> str:
        """Put the selected row's text (or the newest answer's) on the clipboard; `code`: its last code block alone."""
        row = self.selected or next((row for row in reversed(self.view.rows) if isinstance(row, Answer)), None)
        if row is None:
            return ""
        text = _code(row) if code else row.text
        text = text.encode("utf-8", "replace").decode()
        if text:
            self.app.copy_to_clipboard(text)
            self.post_message(self.Copied(text))
        return text

    def action_copy(self, code: bool = False) -> None:
        """Copy the selected row."""
        self.copy(code=code)

    def action_take_back(self) -> None:
        """Ask for the selected message, if it still waits."""
        row = self.view.row(self._selected or "")
        if isinstance(row, User) and row.state == "queued":
            self.post_message(self.TakeBack(row.seq))

    # -- search ---------------------------------------------------------------------------------

    def search(self, query: str) -> int:
        """Mark a text wherever it occurs and go to the nearest match upwards; how many rows match.  "" ends it."""
        self._query = query.strip().lower()
        self._find()
        if not self._query:
            self.refresh()
            return 0
        last = self._roll.at(round(self.scroll_y) + self._page - 1)[0] if self._roll.rows else 0
        seen = {row.key for row in self._roll.rows[: last + 1]}
        near = next((key for key in reversed(self._hits) if key in seen), self._hits[-1] if self._hits else None)
        self._go(near)
        return len(self._hits)

    def _find(self) -> None:
        query = self._query
        self._hits = [row.key for row in self.view.rows if query in row.text.lower()] if query else []

    def next_match(self, by: int = 1) -> None:
        """Go to the next match (1) or the one before (-1)."""
        self._find()
        if not self._hits:
            self._go(None)
            return
        order = {row.key: at for at, row in enumerate(self.view.rows)}
        here = order.get(self._selected or "", -1)
        if by > 0:
            found = next((key for key in self._hits if order[key] > here), self._hits[0])
        else:
            found = next((key for key in reversed(self._hits) if order[key] < here), self._hits[-1])
        self._go(found)

    def action_match(self, by: int) -> None:
        """Go to the next match, or the one before."""
        self.next_match(by)

    def _go(self, key: str | None) -> None:
        index = self._hits.index(key) + 1 if key in self._hits else 0
        self.post_message(self.Searched(self._query, index, len(self._hits)))
        if key is None:
            self.refresh()
            return
        self.select(key)
        line = self._line_of(key)
        row = self.view.row(key)
        if line is None and row is not None and isinstance(row, FOLDS) and not isinstance(row, Nest):
            self._roll.opened.add(key)
            self._roll.dirty(row)
            self._place()
            line = self._line_of(key)
        self._show_row(key, line or 0)

    def _line_of(self, key: str) -> int | None:
        """The first line of a row that has what is searched."""
        at = self._roll.place(key)
        if at is None:
            return None
        return next((n for n, text in enumerate(self._roll.texts(at)) if self._query in text.lower()), None)

    # -- drawing --------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """A line of what is seen."""
        line = round(self.scroll_y) + y
        self._turning.discard(y)
        if not self._roll.rows or line >= self._roll.total:
            return Strip.blank(self.size.width, self._roll.base)
        index, offset = self._roll.at(line)
        found, row = self._roll.strip(index, offset), self._roll.rows[index]
        if isinstance(row, Call) and row.state == "running" and offset == self._roll.head(index):
            self._turning.add(y)
            found = marks.swap(found, "●", TURNS[self._turn % len(TURNS)]) if self._turn else found
        if self._query:
            colours = self._roll.painter.palette
            style = colours.match_here if row.key == self._selected else colours.match
            found = marks.paint(found, self._query, style)
        if row.key == self._selected and offset >= self._roll.lead(index):
            found = self._highlight(found)
        found = self._selection(found, line)
        if y == self._page - 1 and not self._stuck:
            found = self._pill(found)
        return found.apply_offsets(0, line)

    def _highlight(self, line: Strip) -> Strip:
        colours = self._roll.painter.palette
        ground = colours.selected
        rest = (
            Segment(text, style if style and style.bgcolor != self._roll.base.bgcolor else (style or Style()) + ground)
            for text, style, _ in line.crop(1)
        )
        return Strip([Segment("▎", colours.accent + ground), *rest], line.cell_length)

    def _pill(self, line: Strip) -> Strip:
        text = f" {self._unseen:,} new ↓ " if self._unseen else " ↓ "
        cells, wide = self.size.width, width(text)
        pill = Strip([Segment(text, self._roll.painter.palette.pill)], wide)
        return Strip.join([line.crop(0, cells - wide - 1), pill, line.crop(cells - 1, cells)])

    def _selection(self, line: Strip, y: int) -> Strip:
        selection = self.text_selection
        if selection is None or (span := selection.get_span(y)) is None:
            return line
        start, end = span
        style = self.screen.get_component_rich_style("screen--selection")
        return marks.between(line, start, len(line.text) if end == -1 else end, style)

    @property
    def allow_select(self) -> bool:
        """Text can be marked with the mouse."""
        return True

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The text that is marked."""
        first = selection.start.y if selection.start else 0
        last = selection.end.y if selection.end else self._roll.total - 1
        found = []
        for line in range(first, min(last, first + 20_000, self._roll.total - 1) + 1):
            index, offset = self._roll.at(line)
            text = self._roll.strip(index, offset).text
            start, end = selection.get_span(line) or (0, 0)
            piece = text[start:] if end == -1 else text[start:end]
            found.append(piece.rstrip() if start else piece[3:].rstrip() if len(piece) > 3 else piece.rstrip())
        return "\n".join(found), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """Something else is marked."""
        self.refresh()

    def _spin(self) -> None:
        if not self._turning or not self.display:
            return
        self._turn += 1
        for y in list(self._turning):
            self.refresh(Region(0, y, self.size.width, 1))

    # -- the mouse ------------------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        """Select a row; open it where its first line is clicked; follow a link; go to the end."""
        where = event.get_content_offset(self)
        if where is None or not self._roll.rows:
            return
        if where.y == self._page - 1 and not self._stuck and where.x >= self.size.width - 14:
            self.go_end()
            return
        if event.style.link:
            self.post_message(self.Linked(event.style.link))
            return
        line = round(self.scroll_y) + where.y
        if line >= self._roll.total or self.text_selection is not None:
            return
        index, offset = self._roll.at(line)
        row = self._roll.rows[index]
        again = row.key == self._selected
        self.select(row.key)
        told = offset == self._roll.head(index) and not isinstance(row, User)
        if isinstance(row, FOLDS) and (told or again):
            self.toggle(row.key)


def _code(row: Row) -> str:
    """The newest code in a row: of a call what it runs, of a message its last block."""
    if isinstance(row, Call):
        return gist.shell(row) or row.arguments
    found = _FENCED.findall(row.text)
    return str(found[-1][1]) if found else ""
