"""The facts that end a turn before its time: everything open is closed, in one append."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from roost.core import approvals
from roost.core import events as e
from roost.core.history import History
from roost.core.ids import CallId, SessionId
from roost.core.messages import Message, Result, ToolCall
from roost.core.session import Head, OpenCall, Turn

INTERRUPTED = "The tool call was interrupted; whether it did its work is not known."
BY_USER = "cancelled by user"
NOT_RUN = "The tool call was not run: the turn ended before its time."


def ending(
    head: Head,
    history: History,
    outcome: e.Outcome,
    *,
    error: e.ErrorMet | None = None,
    partial: Message | None = None,
    shown: bool = True,
    why: str = e.TURN_ENDED,
    partials: Mapping[SessionId, Message | None] = {},
) -> Sequence[e.Fact]:
    """What to write so that nothing of the turn stays open, nor of any sub-session in it.

    `partial` is what an answer under way had come to; without it, the deltas that were `shown` of it
    are taken back, with `why`.  `partials` are those of sub-sessions.
    """
    turn = head.turn
    if turn is None:
        return ()
    facts: list[e.Fact] = [e.WaitVoided(wait.id, e.TURN_ENDED, sub=wait.sub) for wait in head.waits]
    for sub in head.subs:
        facts += _inner(head, sub, history, outcome, why, partials)
    if turn.compacting:
        facts.append(e.CompactionEnded("failed", turn.agent))
    if turn.answer and partial is not None:
        facts.append(e.MessageAdded(partial, answer=turn.answer, agent=turn.agent, partial=True))
    elif turn.answer and shown:
        facts.append(e.AnswerDropped(turn.answer, turn.asked, why, turn.agent))
    facts += _of_calls(head, turn, history, outcome)
    if error is not None:
        facts.append(error)
    facts.append(ended(turn, outcome, error))
    return facts


def _of_calls(head: Head, turn: Turn, history: History, outcome: e.Outcome) -> Iterator[e.Fact]:
    """A result for each call that has none."""
    answer = newest_answer(history)
    whole = {call.id: (call, digest) for call, digest in _called(answer)} if answer else {}
    at_hand = _at_hand(head, turn.calls)
    for call in turn.calls:
        if call.state != "returned":
            result = Result(_said_of(call, outcome, at_hand), is_error=True)
            asked, digest = whole.get(call.id, (ToolCall(call.id, call.name), ""))
            leave = "context_canceled" if outcome == "canceled" and call.state == "new" else ""
            yield e.ToolReturned(asked, result, turn.agent, digest, leave)
        yield e.MessageAdded(call=call.id, agent=turn.agent)


def _inner(
    head: Head,
    sub: Head,
    root: History,
    outcome: e.Outcome,
    why: str,
    partials: Mapping[SessionId, Message | None],
) -> Iterable[e.Fact]:
    """The same for a sub-session, and the end of its part in its parent's turn."""
    for deeper in sub.subs:
        yield from _inner(sub, deeper, root, outcome, why, partials)
    if sub.turn is not None:
        alone = replace(sub, subs=(), waits=())
        partial = partials.get(sub.id)
        for fact in ending(alone, root.sub(sub.id), outcome, partial=partial, why=why):
            yield fact if isinstance(fact, e.Unknown) else replace(fact, sub=sub.id)
    if not sub.exited:
        agent = head.turn.agent if head.turn else head.agent
        parent = head.id if head.call else SessionId("")
        yield e.SubSessionEnded(sub.id, agent, sub=parent)
        yield e.AgentSwitched(agent, False, from_agent=sub.agent, to_agent=agent, sub=parent)


def ended(turn: Turn, outcome: e.Outcome, error: e.ErrorMet | None = None) -> e.TurnEnded:
    """A turn's last fact, with the reason where it did not end well."""
    why = error.message if error else ""
    if outcome == "canceled":
        why = f"cancelled: {turn.cancel_why or BY_USER}"
    return e.TurnEnded(turn.id, outcome, turn.agent, why)


def newest_answer(history: History) -> Message | None:
    """The newest answer of the model: the one whose calls may be open."""
    messages = (item.message for item in reversed(history.items) if item.message is not None)
    return next((message for message in messages if message.role == "assistant"), None)


def _called(answer: Message) -> Iterable[tuple[ToolCall, str]]:
    """The calls of an answer, each with the digest of its tool."""
    unnamed = ("",) * (len(answer.calls) - len(answer.definitions))
    return zip(answer.calls, (*answer.definitions, *unnamed), strict=False)


def _at_hand(head: Head, calls: Sequence[OpenCall]) -> Collection[CallId]:
    """The calls that run or that a person is asked about; where there is none, the one that was next."""
    left = [call for call in calls if call.state != "returned"]
    asked = {wait.call for wait in head.waits}
    return {call.id for call in left if call.state != "new" or call.id in asked} or {call.id for call in left[:1]}


def _said_of(call: OpenCall, outcome: e.Outcome, at_hand: Collection[CallId]) -> str:
    if outcome == "canceled":
        return approvals.CANCELED if call.id in at_hand else approvals.CANCELED_WITH_BATCH
    return NOT_RUN if call.state == "new" else INTERRUPTED
