"""A budget is used up: go on, and up to what?"""

from typing import Any

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from roost.client.shapes import Budget as Caps
from roost.core.errors import BadValue
from roost.tui import caps
from roost.tui.choices import Choice
from roost.tui.dialogs.card import Asked
from roost.tui.parts import Wait

_CHOICES = (
    Choice("y", "yes, as much again", "approve"),
    Choice("b", "yes, up to…", "approve", asks="budget"),
    Choice("n", "no, stop here", "reject"),
)


class Budget(Asked):
    """A budget that is used up."""

    def __init__(self, wait: Wait) -> None:
        super().__init__(wait, _CHOICES)

    def title(self) -> str:
        """Which one."""
        name = str(self.wait.metadata.get("budget") or "")
        return f"The budget {name} is used up: go on?" if name else "The budget is used up: go on?"

    def body(self) -> ComposeResult:
        """How much there was, and how much is spent."""
        known: dict[str, Any] = self.wait.metadata
        limit = str(known.get("limit") or "")
        said = self.wait.message or "It has spent what it may."
        yield Static(Content(said))
        if known.get("max"):
            spent, cap = caps.shown(limit, known.get("used")), caps.shown(limit, known.get("max"))
            yield Static(Content(f"{spent} of {cap} spent"), classes="why")

    def proposed(self, choice: Choice) -> tuple[str, str]:
        """Twice what there was."""
        limit = str(self.wait.metadata.get("limit") or "")
        return caps.doubled(limit, self.wait.metadata.get("max")), "Up to how much?   $5, 200k tokens, 30m"

    def said(self, choice: Choice, text: str) -> None:
        """Send it, with the new limit."""
        if choice.asks != "budget":
            self.answer(confirmation=choice.word)
            return
        try:
            budget: Caps | None = caps.read(text, str(self.wait.metadata.get("limit") or ""))
        except BadValue as error:
            self.complain(str(error))
            return
        self.answer(confirmation=choice.word, budget=budget)
