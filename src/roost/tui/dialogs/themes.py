"""The colours, each tried on while the bar is on it."""

from textual import on
from textual.widgets import OptionList

from roost.tui.dialogs import lists
from roost.tui.dialogs.picker import Picker


class Themes(Picker[str]):
    """Picks one; Esc brings back what was."""

    def __init__(self, now: str) -> None:
        super().__init__("Colours", lists.themes(now))
        self._now = now

    def initial(self, value: str) -> bool:
        """The bar begins at the one that is there."""
        return value == self._now

    @on(OptionList.OptionHighlighted, "#found")
    def _tried(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if self.current:
            self.app.theme = self.current
