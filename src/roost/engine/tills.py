"""The tills of this server, one for each tree of sessions that is at work on it.

What was spent stands in the logs; a till has what is reserved besides.
"""

from roost.core.ids import SessionId
from roost.core.session import Head
from roost.engine.runtime import Makers
from roost.engine.stage import Stage
from roost.engine.till import Till
from roost.engine.warden import Warden


class Tills:
    """One for each tree that has a turn on this server."""

    def __init__(self, makers: Makers) -> None:
        self._makers = makers
        self._tills: dict[SessionId, Till] = {}

    def enter(self, stage: Stage) -> None:
        """A log's turn is played from now on."""
        self._till(stage).stages[stage.log] = stage

    def leave(self, stage: Stage) -> None:
        """No longer; the last one closes the till, and the next one finds what was spent in the logs."""
        till = self._till(stage)
        if till.stages.get(stage.log) is stage:
            till.look()
            del till.stages[stage.log]
            till.purse.forget(stage.log)
        till.ring()
        if not till.stages:
            self._tills.pop(stage.journal.head.root, None)

    def guard(self, stage: Stage) -> Warden:
        """Who stands between a turn, or one inside it, and the models."""
        return Warden(self._makers, self._till(stage.root), stage)

    def changed(self, head: Head) -> None:
        """Somebody has changed the budgets of a session."""
        if till := self._tills.get(head.root):
            till.saw(head)
            till.ring()

    def _till(self, stage: Stage) -> Till:
        return self._tills.setdefault(stage.journal.head.root, Till())
