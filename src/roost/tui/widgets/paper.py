"""A long paper of which a screen shows a page: where it stands, and how it moves."""

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.widget import Widget

from roost.tui import palette
from roost.tui.painter import Painter
from roost.tui.roll import Roll


class Paper(ScrollView, can_focus=True):
    """Shows a roll at one place.  It sticks to the end unless one scrolls up; else the line at its top stays there."""

    DEFAULT_CSS = """
    Paper {
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
        height: 1fr;
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False),
        Binding("home,g", "home", "Oldest", show=False),
        Binding("end,G", "end", "Newest", show=False),
    ]

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._roll = Roll(Painter(palette.from_theme({})), 80, Style())
        self._stuck = True
        self._anchor: tuple[str, int] | None = None  # the row at the top, and which of its lines that is
        self._placing = False
        self._unseen = 0
        self._colours: dict[str, str] = {}
        self._results = True

    @property
    def at_end(self) -> bool:
        """Whether it sticks to the end."""
        return self._stuck

    @property
    def unseen(self) -> int:
        """How many rows have come below what is seen."""
        return self._unseen

    @property
    def _page(self) -> int:
        return max(1, self.size.height)

    def _place(self, dirty: Sequence[str] | None = None) -> None:
        """Draw all that is seen, and put the view where it belongs; the line at its top stays where it is."""
        roll, page = self._roll, self._page
        if not roll.rows or not self.is_attached:
            self._set(0)
            return
        index = None if self._stuck or self._anchor is None else roll.place(self._anchor[0])
        if index is None:
            top = self._from_end()
        else:
            assert self._anchor is not None
            offset = min(self._anchor[1], roll.draw(index) - 1)
            self._below(index, offset)
            top = roll.top(index) + max(0, offset)
            if top + page >= roll.total:
                self._stuck, top = True, self._from_end()
        self._unseen = 0 if self._stuck else self._unseen
        at, offset = roll.at(top)
        self._anchor = (roll.rows[at].key, offset)
        self._set(top, dirty)
        self.near(top)

    def _from_end(self) -> int:
        roll, seen, index = self._roll, 0, len(self._roll.rows)
        while index and seen < self._page:
            index -= 1
            seen += roll.draw(index)
        return max(0, roll.total - self._page)

    def _below(self, index: int, offset: int) -> None:
        """Draw a page, from one line on."""
        roll, seen = self._roll, -offset
        while index < len(roll.rows) and seen < self._page:
            seen += roll.draw(index)
            index += 1

    def _set(self, top: int, dirty: Sequence[str] | None = None) -> None:
        """Go to a line; with `dirty` only those rows have changed."""
        self._placing = True
        try:
            size = Size(self._roll.cells, max(1, self._roll.total))
            moved = round(self.scroll_y) != top
            if size != self.virtual_size:
                self.set_reactive(Widget.virtual_size, size)  # a list that grows lays nothing else out anew
                self.vertical_scrollbar.window_virtual_size = size.height
                self.vertical_scrollbar.window_size = self._page
            if moved:
                self.scroll_target_y = self.scroll_y = top
            if dirty is None:
                self.refresh()
            elif not moved:
                self._refresh_rows(dirty)
        finally:
            self._placing = False

    def _refresh_rows(self, keys: Sequence[str]) -> None:
        """Draw these rows anew, as far as they are seen, and all that has moved below them."""
        places = [at for key in keys if (at := self._roll.place(key)) is not None]
        if places:
            first = self._roll.top(min(places)) - round(self.scroll_y)
            if first < self._page:
                top = max(0, first)
                self.refresh(Region(0, top, self.size.width, self._page - top))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Somebody scrolled, by whatever means."""
        super().watch_scroll_y(old_value, new_value)
        if self._placing:
            return
        if self._stuck and new_value >= self.max_scroll_y:  # the page has grown, and holds what it is at the end of
            return
        delta = round(new_value) - round(old_value)
        if delta:
            self._move(delta, round(new_value))

    def _move(self, delta: int, line: int) -> None:
        """Move by some lines, exactly; or to a line far away, as well as that is known."""
        roll = self._roll
        if not roll.rows:
            return
        if abs(delta) > 3 * self._page or self._anchor is None or (at := roll.place(self._anchor[0])) is None:
            index, offset = roll.at(line)
            guessed = roll.height(index)
            offset = offset * roll.draw(index) // max(1, guessed)
        else:
            index, offset = self._walk(at, self._anchor[1] + delta)
        self._stuck = False
        self._anchor = (roll.rows[index].key, offset)
        self._place()

    def _walk(self, index: int, offset: int) -> tuple[int, int]:
        roll = self._roll
        while offset < 0 and index:
            index -= 1
            offset += roll.draw(index)
        while index < len(roll.rows) - 1 and offset >= roll.height(index):
            offset -= roll.height(index)
            index += 1
            roll.draw(index)
        return index, max(0, offset)

    def go_end(self) -> None:
        """To the newest, and stay there."""
        self._stuck = True
        self._place()

    def go_home(self) -> None:
        """To the oldest that is there."""
        if self._roll.rows:
            self._stuck, self._anchor = False, (self._roll.rows[0].key, 0)
            self._place()

    def action_home(self) -> None:
        """To the oldest that is there."""
        self.go_home()

    def action_end(self) -> None:
        """To the newest, and stay there."""
        self.go_end()

    def action_page(self, by: int) -> None:
        """A page up or down, but for two lines."""
        self._move(by * max(1, self._page - 2), 0)

    def scroll_page_up(self, **_how: object) -> None:
        """A page up."""
        self.action_page(-1)

    def scroll_page_down(self, **_how: object) -> None:
        """A page down."""
        self.action_page(1)

    def near(self, top: int) -> None:
        """The view begins at this line now."""

    # -- how it looks ---------------------------------------------------------------------------

    def notify_style_update(self) -> None:
        """The theme is another one."""
        super().notify_style_update()
        if self.is_attached:
            self._repaint()

    def _repaint(self) -> None:
        cells, base = max(20, self.scrollable_content_region.width or self.size.width), self.rich_style
        colours = dict(self.app.theme_variables)
        painter = self._roll.painter
        if colours != self._colours or painter.results != self._results:
            self._colours, painter = colours, Painter(palette.from_theme(colours), results=self._results)
        if painter is not self._roll.painter or cells != self._roll.cells or base != self._roll.base:
            self._roll.reset(painter, cells, base)
        self._place()

    def on_resize(self, event: events.Resize) -> None:
        """Wrap anew what is seen."""
        self._repaint()
