"""Options to choose from, one or several of them, with marks that need no colour."""

from collections.abc import Iterable, Sequence
from typing import Any

from textual import events
from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Offset, Region
from textual.widget import Widget


class Options(Widget, can_focus=True):
    """Up and down go through them, Space chooses; with `many` it takes the choice back as well."""

    def __init__(self, labels: Sequence[str], chosen: Iterable[int] = (), *, many: bool, classes: str = "") -> None:
        super().__init__(classes=classes)
        self.labels = tuple(labels)
        self.chosen = set(chosen)
        self.many = many
        self._at = min(self.chosen, default=0)

    def render(self) -> Content:
        """A line each."""
        return Content("\n").join(self._line(at, label) for at, label in enumerate(self.labels))

    def get_content_height(self, container: Any, viewport: Any, width: int) -> int:
        """As many lines as there are."""
        return len(self.labels)

    def _line(self, at: int, label: str) -> Content:
        left, mark, right = ("[", "x", "]") if self.many else ("(", "•", ")")
        here = self.has_focus and at == self._at
        return Content.assemble(
            (f"{left}{mark if at in self.chosen else ' '}{right}", "$success" if at in self.chosen else "$text-muted"),
            (f" {label} ", "bold on $primary 35%" if here else ""),
        )

    def on_click(self, event: events.Click) -> None:
        """The one under the mouse."""
        if 0 <= event.y < len(self.labels):
            event.stop()
            self.action_take(event.y)

    def action_take(self, at: int) -> None:
        """Choose it, or no longer."""
        self._at = at
        if not self.many:
            self.chosen = {at}
        elif at in self.chosen:
            self.chosen.discard(at)
        else:
            self.chosen.add(at)
        self.refresh()

    def on_focus(self) -> None:
        """Show where one is."""
        self._show()

    def on_blur(self) -> None:
        """And no longer."""
        self.refresh()

    def on_key(self, event: events.Key) -> None:
        """Move, or choose."""
        moves = {"up": -1, "down": 1}
        if event.key in moves and len(self.labels) > 1:
            self._at = (self._at + moves[event.key]) % len(self.labels)
            if not self.many:
                self.chosen = {self._at}
            self._show()
        elif event.key == "space":
            self.action_take(self._at)
        else:
            return
        event.stop()
        event.prevent_default()

    def _show(self) -> None:
        self.refresh()
        self.call_after_refresh(self._reveal)  # before, nobody knows where it stands

    def _reveal(self) -> None:
        box = next((parent for parent in self.ancestors if isinstance(parent, VerticalScroll)), None)
        if box is not None:
            place = self.virtual_region.offset + Offset(0, self._at)
            if self.parent is not box and isinstance(self.parent, Widget):
                place += self.parent.virtual_region.offset
            box.scroll_to_region(Region(place.x, place.y, 1, 1), animate=False)
        self.call_after_refresh(self._point)

    def _point(self) -> None:
        """Put the terminal's cursor there: what reads a screen aloud goes by it."""
        if self.has_focus:
            self.app.cursor_position = self.region.offset + Offset(1, self._at)
