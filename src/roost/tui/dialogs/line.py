"""A line to be typed, or a yes to be said."""

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from roost.tui.choices import Choice
from roost.tui.dialogs.card import Choices


class Line(ModalScreen["str | None"]):
    """Asks for a line; None where nothing is wanted."""

    def __init__(self, title: str, value: str = "", *, placeholder: str = "") -> None:
        super().__init__()
        self._title_text, self._value, self._placeholder = title, value, placeholder

    def compose(self) -> ComposeResult:
        """The line."""
        with Vertical(id="line-box") as box:
            box.border_title = Content(self._title_text)
            yield Input(self._value, placeholder=self._placeholder, compact=True)
            yield Static("Enter accept · Esc close", id="keys")

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value.strip())

    def key_escape(self, event: events.Key) -> None:
        """Nothing is wanted."""
        event.stop()
        self.dismiss(None)


class Sure(ModalScreen[bool]):
    """Asks before what can't be undone."""

    def __init__(self, title: str, words: str, yes: str) -> None:
        super().__init__()
        self._title_text, self._words, self._yes = title, words, yes

    def compose(self) -> ComposeResult:
        """What would happen, and yes or no."""
        with Vertical(id="line-box") as box:
            box.border_title = Content(self._title_text)
            yield Static(Content(self._words), classes="message")
            yield Choices((Choice("n", "no, keep it", ""), Choice("y", self._yes, "yes")), self._chosen)

    def _chosen(self, choice: Choice) -> None:
        self.dismiss(choice.word == "yes")

    def key_escape(self, event: events.Key) -> None:
        """No."""
        event.stop()
        self.dismiss(False)
