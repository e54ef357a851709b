"""What waits for the person: shown, answered, and told of when somebody else was first."""

import os
from typing import TYPE_CHECKING, Any

from roost.core.errors import RoostError
from roost.tui import terminal
from roost.tui.dialogs import lists
from roost.tui.dialogs.card import Card

if TYPE_CHECKING:
    from roost.tui.app import RoostApp


class Attention:
    """Goes to the cards and comes back from them."""

    def __init__(self, app: "RoostApp") -> None:
        self._app = app

    async def draw(self, *, grab: bool = False) -> None:
        """Show what waits, and say what others have answered.  `grab`: it takes the focus, whoever has it."""
        app, view = self._app, self._app.sitting.view
        if not app.dock.is_attached:
            return
        free = not app.prompt.text and app.screen is app.base and app.focused is app.prompt.editor
        held = app.dock.has_focus_within or app.base.focused is None
        new = await app.dock.show(view.waits, grab=free or grab or held)
        for one in app.sitting.elsewhere():
            if told := lists.outcome(one):
                app.say(told)
        if held and not view.waits and app.prompt.is_attached:
            app.prompt.begin()
        if new and not app.app_focus:
            app.emit(terminal.alert(f"{view.title or 'Roost'} waits for you", app.chosen.notify, os.environ))

    async def answer(self, card: Card, fields: dict[str, Any]) -> None:
        """Send an answer; what the server has against it stands on the card."""
        try:
            await self._app.sitting.answer(card.wait, **fields)
        except RoostError as error:
            if card.is_attached:
                card.refuse(str(error))

    def leave(self, by: int) -> None:
        """To another card, or back to the prompt."""
        if not by or not self._app.dock.step(by):
            self._app.prompt.begin()

    def turn(self) -> None:
        """To what waits, or to the conversation, or back."""
        app = self._app
        if app.dock.shown is not None:
            app.dock.shown.begin()
        elif app.focused is app.prompt.editor:
            app.transcript.focus()
        else:
            app.prompt.begin()
