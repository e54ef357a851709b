"""The facts that end a turn before its time: everything open is closed, in one append."""

from collections.abc import Sequence

from roost.core import events as e
from roost.core.history import History
from roost.core.ids import CallId
from roost.core.messages import Message, Result, ToolCall
from roost.core.session import Head

CANCELED = "The tool call was canceled by the user."
INTERRUPTED = "The tool call was interrupted; whether it did its work is not known."


def ending(
    head: Head, history: History, outcome: e.Outcome, *, error: e.ErrorMet | None = None, partial: Message | None = None
) -> Sequence[e.Fact]:
    """What to write so that nothing of the turn stays open.

    `partial` is what an answer under way had come to; without it, its deltas are dropped.
    """
    turn = head.turn
    if turn is None:
        return ()
    facts: list[e.Fact] = [e.WaitVoided(wait.id, e.TURN_ENDED, sub=wait.sub) for wait in head.waits]
    if turn.answer and partial is not None:
        facts.append(e.MessageAdded(partial, answer=turn.answer, agent=turn.agent, partial=True))
    elif turn.answer and error is None:
        facts.append(e.AnswerDropped(turn.answer, turn.asked, e.TURN_ENDED, turn.agent))
    text = CANCELED if outcome == "canceled" else INTERRUPTED
    asked = _asked(history)
    for call in turn.calls:
        whole = asked.get(call.id, ToolCall(call.id, call.name))
        if call.state != "returned":
            facts.append(e.ToolReturned(whole, Result(text, is_error=True), turn.agent))
        facts.append(e.MessageAdded(call=call.id, agent=turn.agent))
    if error is not None:
        facts.append(error)
    facts.append(e.TurnEnded(turn.id, outcome, turn.agent))
    return facts


def _asked(history: History) -> dict[CallId, ToolCall]:
    """The calls of the newest answer, whole."""
    for item in reversed(history.items):
        if item.message is not None and item.message.role == "assistant":
            return {call.id: call for call in item.message.calls}
    return {}
