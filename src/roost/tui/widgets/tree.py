"""The side panel: the agents at work, those below others indented."""

from collections.abc import Iterator, Sequence

from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from roost.tui.parts import Branch

_MARKS = {
    "running": ("●", "$success"),
    "waiting": ("◆", "$warning"),
    "idle": ("✓", "$text-muted"),
    "failed": ("✗", "$error"),
    "canceled": ("■", "$text-muted"),
}


class Tree(OptionList):
    """The session, and all sub-sessions below it."""

    class Chosen(Message):
        """One of them is to be shown in the transcript; "" is the session itself."""

        def __init__(self, session: str) -> None:
            super().__init__()
            self.session = session

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, compact=True)
        self._sessions: list[str] = []
        self.border_title = "Agents"

    def show(self, agent: str, state: str, branches: Sequence[Branch]) -> None:
        """Draw it anew."""
        at = self.highlighted
        rows = [
            ("", self._line(agent or "agent", "", state if state in _MARKS else "idle", 0)),
            *self._below(branches, 1),
        ]
        self._sessions = [session for session, _ in rows]
        self.clear_options()
        self.add_options([Option(label) for _, label in rows])
        self.highlighted = min(at, len(rows) - 1) if at is not None else None

    def _below(self, branches: Sequence[Branch], depth: int) -> Iterator[tuple[str, Content]]:
        for branch in branches:
            yield branch.id, self._line(branch.agent or "sub-agent", branch.title, branch.state, depth)
            yield from self._below(branch.below, depth + 1)

    def _line(self, agent: str, title: str, state: str, depth: int) -> Content:
        mark, style = _MARKS.get(state, ("·", "$text-muted"))
        parts = [("  " * (depth - 1) + "└ " if depth else "", "$text-muted"), (f"{mark} ", style), (agent, "bold")]
        return Content.assemble(*parts, (f"  {title}" if title else "", "$text-muted"))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """It was chosen."""
        event.stop()
        self.post_message(self.Chosen(self._sessions[event.option_index]))
