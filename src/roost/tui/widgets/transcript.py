"""The conversation: a list of any length of which only what is seen is laid out."""

from textual.message import Message
from textual.scroll_view import ScrollView

from roost.tui.rows import Changes, Row
from roost.tui.view import View


class Transcript(ScrollView, can_focus=True):
    """Shows a view's rows, and stays at their end unless one scrolls up."""

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

    class Searched(Message):
        """Where a search stands: the match that is shown, of how many."""

        def __init__(self, query: str, index: int, count: int) -> None:
            super().__init__()
            self.query, self.index, self.count = query, index, count

    def load(self, view: View) -> None:
        """Show a view from now on, at its end."""

    def apply(self, changes: Changes) -> None:
        """Show what has changed in it; drawn with the next frame."""

    # -- where one is ---------------------------------------------------------------------------

    @property
    def at_end(self) -> bool:
        """Whether it sticks to the end."""
        return True

    @property
    def unseen(self) -> int:
        """How many rows have come below what is seen."""
        return 0

    def go_end(self) -> None:
        """To the newest, and stay there."""

    def go_home(self) -> None:
        """To the oldest that is there."""

    # -- one row --------------------------------------------------------------------------------

    @property
    def selected(self) -> Row | None:
        """The selected row."""
        return None

    def select(self, key: str | None) -> None:
        """Select a row and bring it into view; None selects nothing."""

    def step(self, by: int, *, messages: bool = False) -> None:
        """Select the next row (negative: the one before); with `messages` only what people or models said."""

    def toggle(self, key: str | None = None) -> None:
        """Open a row that is folded, or fold it: the selected one, or that of `key`."""

    def unfold_all(self, open_: bool) -> None:
        """Open, or fold, everything."""

    def copy(self, *, code: bool = False) -> str:
        """Put the selected row's text (or the newest answer's) on the clipboard; `code`: its last code block alone."""
        return ""

    # -- search ---------------------------------------------------------------------------------

    def search(self, query: str) -> int:
        """Mark a text wherever it occurs and go to the nearest match upwards; how many rows match.  "" ends it."""
        return 0

    def next_match(self, by: int = 1) -> None:
        """Go to the next match (1) or the one before (-1)."""
