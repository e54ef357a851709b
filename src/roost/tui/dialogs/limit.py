"""The agent has taken as many steps as it may: go on?"""

from textual.app import ComposeResult
from textual.widgets import Static

from roost.tui.choices import Choice
from roost.tui.dialogs.card import Asked
from roost.tui.parts import Wait

_CHOICES = (
    Choice("y", "yes, go on", "approve"),
    Choice("n", "no, stop here", "reject"),
)


class Limit(Asked):
    """The end of the iterations."""

    def __init__(self, wait: Wait) -> None:
        super().__init__(wait, _CHOICES)

    def title(self) -> str:
        """What is asked."""
        return "Go on?"

    def body(self) -> ComposeResult:
        """How many there were."""
        count = self.wait.max_iterations
        yield Static(
            f"It has taken {count} steps, which is as many as it may." if count else "It has reached its limit."
        )

    def said(self, choice: Choice, text: str) -> None:
        """Send it."""
        self.answer(confirmation=choice.word)
