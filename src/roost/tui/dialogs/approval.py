"""May this call run?  The call as it is, why it asks, and what can be said."""

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from roost.tui import choices, exhibit
from roost.tui.choices import Choice
from roost.tui.dialogs.card import Asked
from roost.tui.parts import Wait

_INKS = {
    "": "$text",
    "command": "bold $text",
    "add": "$text-success on $success 12%",
    "remove": "$text-error on $error 12%",
    "place": "bold $secondary",
    "name": "$text",
    "faint": "$text-muted",
}


class Approval(Asked):
    """A call that asks."""

    def __init__(self, wait: Wait) -> None:
        super().__init__(wait, choices.of_approval(wait))

    def title(self) -> str:
        """Which tool."""
        return f"May {exhibit.clean(self.wait.tool) or 'this tool'} run?"

    def body(self) -> ComposeResult:
        """The call, and why it asks."""
        lines = exhibit.of(self.wait)
        text = (
            Content("\n").join(drawn(line) for line in lines)
            if lines
            else Content.styled("no arguments", "$text-muted")
        )
        with VerticalScroll(classes="exhibit", can_focus=False):
            yield Static(text)
        if why := exhibit.why(self.wait):
            alarming = exhibit.alarming(self.wait)
            yield Static(Content(f"{'⚠ ' if alarming else ''}{why}"), classes="why -alarming" if alarming else "why")

    def proposed(self, choice: Choice) -> tuple[str, str]:
        """A pattern that can be edited, or nothing yet."""
        if choice.asks == "pattern":
            return choice.detail, "Which calls are to run unasked?   Enter grants it, Esc goes back"
        return super().proposed(choice)

    def said(self, choice: Choice, text: str) -> None:
        """Send it, in the server's words."""
        if choice.asks == "pattern":
            if not text:
                self.complain("A pattern is needed: the name of a tool, as shell, or shell:cmd=git status*")
                return
            self.answer(confirmation=choice.word, tool_name=text)
        elif choice.asks == "reason" and text:
            self.answer(confirmation=choice.word, reason=text)
        else:
            self.answer(confirmation=choice.word)


def drawn(line: exhibit.Line) -> Content:
    """A line of an exhibit, in its colour."""
    if line.ink == "name":
        name, colon, rest = line.text.partition(":")
        return Content.assemble((name + colon, "$secondary"), (rest, "$text"))
    return Content.styled(line.text, _INKS[line.ink])
