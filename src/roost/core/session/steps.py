"""One more fact of a session: what it changes in the head, and in the turn."""

from typing import Any

from msgspec.structs import replace

from roost.core import events as e
from roost.core.session import costs, course, items, settings, turns, waits
from roost.core.session.changes import Change, Changes
from roost.core.session.head import Head, Turn

QUIET: tuple[type[e.Fact], ...] = (
    e.TitleShown,
    e.TeamShown,
    e.ToolsShown,
    e.McpStarting,
    e.McpReady,
    e.UserSaid,
    e.Warned,
    e.TextAdded,
    e.ReasoningAdded,
    e.CallDrafted,
    e.OutputAdded,
    e.FellBack,
    e.Authorized,
    e.SessionCreated,
    e.MessageEdited,
    e.UserNoted,
    e.StatusShown,
    e.StderrAdded,
    e.LineSkipped,
    e.RoundResult,
    e.LimitResumeFailed,
    e.AgentSwitched,
    e.HookStarted,
    e.HookEnded,
    e.HookBlocked,
    e.ContextAdded,
    e.PlanSet,
    e.IndexingShown,
    e.BudgetShown,
    e.Unknown,
)
"""Facts that leave the head as it was."""


def step(head: Head, event: e.Event) -> Head:
    """The head after a fact of its own session."""
    return _CHANGES[type(event.fact)](head, event, event.fact)


def _same(head: Head, event: e.Event, fact: e.Fact) -> Head:
    return head


def _also(change: Change[Head, Any], turned: Change[Turn, Any]) -> Change[Head, Any]:
    """What changes the head, then the turn, if there is one."""

    def both(head: Head, event: e.Event, fact: Any) -> Head:
        head = change(head, event, fact)
        return head if head.turn is None else replace(head, turn=turned(head.turn, event, fact))

    return both


def _all() -> Changes[Head]:
    """What every kind of fact changes; a test sees to it that none is missing."""
    changes = Changes[Head](dict.fromkeys(QUIET, _same))
    for part in (settings, items, costs, course, waits):
        for kind, change in part.CHANGES.items():
            changes.by(kind)(change)
    changes.update({kind: _also(changes.get(kind, _same), turned) for kind, turned in turns.CHANGES.items()})
    return changes


_CHANGES = _all()
