"""What stands around the conversation: the line below, sub-agents beside, the welcome before, the title above."""

import time
from typing import TYPE_CHECKING

from roost.tui import terminal
from roost.tui.feed import GONE
from roost.tui.widgets.status import Standing
from roost.tui.widgets.welcome import tilde

if TYPE_CHECKING:
    from roost.tui.app import RoostApp

WIDE = 110  # columns from which on the sub-agents come by themselves


class Margins:
    """Keeps them as the session is."""

    def __init__(self, app: "RoostApp") -> None:
        self._app = app
        self._worked_since = 0.0

    def draw(self) -> None:
        """Tell anew where the session stands."""
        app, sitting = self._app, self._app.sitting
        app.status.now = self._standing()
        app.prompt.busy = sitting.busy
        app.prompt.queued = len(sitting.view.queue)
        app.prompt.commands = sitting.commands
        self._beside()
        self._before()
        self._entitle()

    def _standing(self) -> Standing:
        app, sitting, view = self._app, self._app.sitting, self._app.sitting.view
        if view.state != "running":
            self._worked_since = 0.0
        elif not self._worked_since:
            self._worked_since = time.monotonic()
        now, usage = time.monotonic(), view.usage
        return Standing(
            state=view.state,
            agent=sitting.speaker or sitting.source,
            model=sitting.model or view.model,
            safety=view.safety or "asks",
            title=view.title,
            listening=app.listening,
            context=usage.context,
            limit=usage.limit,
            threshold=usage.threshold,
            cost=usage.cost,
            tree_cost=usage.tree_cost,
            unpriced=usage.unpriced,
            queued=len(view.queue),
            waits=len(view.waits),
            seconds=int(now - self._worked_since) if self._worked_since else 0,
            beat=int(now * 8) if self._worked_since else 0,
            trouble=GONE if view.exited else sitting.feed.trouble,
            hint=app.presses.hint,
        )

    def _beside(self) -> None:
        app, sitting, view = self._app, self._app.sitting, self._app.sitting.view
        wanted = app.chosen.tree if app.chosen.tree is not None else bool(view.tree) and app.size.width >= WIDE
        app.kin.display = wanted
        if wanted:
            app.kin.show(sitting.speaker, view.state, view.tree)

    def _before(self) -> None:
        app, sitting, view = self._app, self._app.sitting, self._app.sitting.view
        empty = not view.rows
        app.transcript.display = not empty
        app.welcome.display = empty
        if empty:
            mate = next((mate for mate in sitting.team if mate.name == sitting.speaker), None)
            words = view.welcome or (mate.description if mate else "")
            model = sitting.model or view.model or (mate.model if mate else "")
            folder = view.working_dir if sitting.folder is None else tilde(sitting.folder)
            app.welcome.show(sitting.speaker or sitting.source, model, words, folder)

    def _entitle(self) -> None:
        sitting, view = self._app.sitting, self._app.sitting.view
        mark = "◆ " if view.waits else "● " if view.state == "running" else ""
        words = f"{mark}{view.title or sitting.speaker or sitting.source} · roost"
        if words != self._app.title:
            self._app.title = words
            self._app.emit(terminal.title(words))
