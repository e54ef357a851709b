"""All that waits for a person, one card at a time, above the prompt."""

from collections.abc import Sequence

from textual.containers import Vertical
from textual.content import Content

from roost.tui.dialogs.approval import Approval
from roost.tui.dialogs.budget import Budget
from roost.tui.dialogs.card import Card
from roost.tui.dialogs.limit import Limit
from roost.tui.dialogs.link import Link, address
from roost.tui.dialogs.question import Question
from roost.tui.parts import Wait


def card(wait: Wait) -> Card:
    """The card for what waits."""
    match wait.kind:
        case "approval":
            return Approval(wait)
        case "limit":
            return Limit(wait)
        case "budget":
            return Budget(wait)
    return Link(wait) if address(wait) else Question(wait)


class Dock(Vertical):
    """The cards.  What has been filled into one stays while another is looked at."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._cards: dict[str, Card] = {}
        self._shown = ""

    @property
    def shown(self) -> Card | None:
        """The card that is seen."""
        return self._cards.get(self._shown)

    async def show(self, waits: Sequence[Wait], *, grab: bool) -> list[Wait]:
        """Have a card for each of these, and for nothing else; what is new.  `grab`: a first one takes the focus."""
        ids = [wait.id for wait in waits]
        held = self.shown is not None and self.shown.has_focus_within
        for gone in [known for known in self._cards if known not in ids]:
            await self._cards.pop(gone).remove()
        new = [wait for wait in waits if wait.id not in self._cards]
        for wait in new:
            self._cards[wait.id] = card(wait)
            await self.mount(self._cards[wait.id])
        if self._shown not in self._cards:
            self._shown = ids[0] if ids else ""
            self._turn()
            if self.shown is not None and (held or grab):
                self.shown.guard()
                self.shown.begin()
        self._turn()
        return new

    def step(self, by: int) -> bool:
        """To another card; whether there is one."""
        ids = list(self._cards)
        if len(ids) < 2:
            return False
        self._shown = ids[(ids.index(self._shown) + by) % len(ids)]
        self._turn()
        self._cards[self._shown].begin()
        return True

    def _turn(self) -> None:
        """Let the one be seen that is to be, and say which of how many it is."""
        self.display = bool(self._cards)
        for at, (wait, one) in enumerate(self._cards.items()):
            one.display = wait == self._shown
            if len(self._cards) == 1:
                one.border_subtitle = Content("" if one.has_focus_within else "Tab to answer")
                continue
            several = f"{at + 1} of {len(self._cards)}   {'Alt+→' if isinstance(one, Question) else 'Tab'} next"
            one.border_subtitle = Content(several)

    def on_descendant_focus(self) -> None:
        """Say how to get there only to who is elsewhere."""
        self.call_after_refresh(self._turn)

    def on_descendant_blur(self) -> None:
        """And again."""
        self.call_after_refresh(self._turn)
