"""A line to find text in the conversation with."""

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Static

from roost.tui.widgets.transcript import Transcript


class Find(Horizontal):
    """Marks while one types; Enter goes to the match above, Shift+Enter or Down to the one below."""

    def compose(self) -> ComposeResult:
        """The line, and where one is."""
        yield Static("find", id="find-label")
        yield Input(placeholder="in this conversation", compact=True)
        yield Static("", id="find-count")

    def on_mount(self) -> None:
        """Closed at first."""
        self.display = False

    def begin(self) -> None:
        """Open it."""
        self.display = True
        line = self.query_one(Input)
        line.focus()
        line.action_select_all()
        if line.value:
            self._mark(line.value)

    def _mark(self, query: str) -> None:
        found = self.screen.query_one(Transcript).search(query)
        self.query_one("#find-count", Static).update("" if not query else f"{found} found" if found else "nothing")

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self._mark(event.value)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.screen.query_one(Transcript).next_match(-1)

    def on_key(self, event: events.Key) -> None:
        """Up and down through what was found, Esc closes."""
        transcript = self.screen.query_one(Transcript)
        if event.key == "escape":
            self.display = False
            transcript.search("")
            self.screen.query_one("Editor").focus()
        elif event.key == "up":
            transcript.next_match(-1)
        elif event.key == "down":
            transcript.next_match(1)
        else:
            return
        event.stop()
        event.prevent_default()
