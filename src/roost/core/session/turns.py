"""What facts change in the turn that a session is in."""

from msgspec.structs import replace

from roost.core import events as e
from roost.core.ids import AnswerId, CallId
from roost.core.session.changes import Changes
from roost.core.session.head import Limit, OpenCall, Run, Turn

CHANGES = Changes[Turn]()


@CHANGES.by(e.TurnDetached)
def _detached(turn: Turn, event: e.Event, fact: e.TurnDetached) -> Turn:
    return replace(turn, detached=True) if fact.turn == turn.id else turn


@CHANGES.by(e.TurnResumed)
def _resumed(turn: Turn, event: e.Event, fact: e.TurnResumed) -> Turn:
    if fact.turn != turn.id:
        return turn
    kept = tuple(a for a in turn.answers if a.call or a.kind != "question")  # "may it go on?" is answered
    return replace(turn, resumes=fact.n, detached=True, answers=kept)


@CHANGES.by(e.CancelAsked)
def _canceled(turn: Turn, event: e.Event, fact: e.CancelAsked) -> Turn:
    if fact.turn != turn.id or turn.canceled:
        return turn
    return replace(turn, canceled=True, cancel_why=fact.why)


@CHANGES.by(e.TurnStarted)
def _started(turn: Turn, event: e.Event, fact: e.TurnStarted) -> Turn:
    return replace(turn, started=True)


@CHANGES.by(e.LimitRaised)
def _raised(turn: Turn, event: e.Event, fact: e.LimitRaised) -> Turn:
    return replace(acted(turn, fact), max_iterations=fact.max_iterations)


@CHANGES.by(e.BudgetRaised)
def _budget(turn: Turn, event: e.Event, fact: e.BudgetRaised) -> Turn:
    return acted(turn, fact)


@CHANGES.by(e.HandedOver)
def _handed(turn: Turn, event: e.Event, fact: e.HandedOver) -> Turn:
    return replace(turn, heir=fact.to_agent) if turn.calls else replace(turn, agent=fact.to_agent)


@CHANGES.by(e.CompactionStarted)
def _compacting(turn: Turn, event: e.Event, fact: e.CompactionStarted) -> Turn:
    return replace(turn, compacting=fact.reason)


@CHANGES.by(e.CompactionEnded)
def _compacted(turn: Turn, event: e.Event, fact: e.CompactionEnded) -> Turn:
    return replace(turn, compacting="")


# -- answers of a model, and their calls --------------------------------------------------------


@CHANGES.by(e.ModelAsked)
def _asked(turn: Turn, event: e.Event, fact: e.ModelAsked) -> Turn:
    return replace(turn, answer=fact.answer, asked=event.seq, under_way=True, at_rest=False)


@CHANGES.by(e.AnswerDropped)
def _dropped(turn: Turn, event: e.Event, fact: e.AnswerDropped) -> Turn:
    return replace(turn, answer=AnswerId(""), asked=0) if fact.answer == turn.answer else turn


@CHANGES.by(e.MessageAdded)
def _added(turn: Turn, event: e.Event, fact: e.MessageAdded) -> Turn:
    if fact.call:
        calls = tuple(c for c in turn.calls if c.id != fact.call)
        left = replace(turn, calls=calls, resumes=0)
        return left if calls or not turn.heir else replace(left, agent=turn.heir, heir="")
    return _answered(turn, fact)


def _answered(turn: Turn, fact: e.MessageAdded) -> Turn:
    """The turn after a message of the model (or another one that is no tool's)."""
    message = fact.message
    if message is None or message.role != "assistant":
        return turn
    asked = bool(turn.answer) and fact.answer == turn.answer
    return replace(
        turn,
        answer=AnswerId("") if asked else turn.answer,
        asked=0 if asked else turn.asked,
        iterations=turn.iterations + asked,
        under_way=True,
        calls=() if fact.partial else tuple(OpenCall(c.id, c.name) for c in message.calls),
        resumes=0,
    )


@CHANGES.by(e.ToolCalled)
def _called(turn: Turn, event: e.Event, fact: e.ToolCalled) -> Turn:
    calls = _mark(turn.calls, fact.call.id, state="called", effect=fact.effect, attempt=fact.attempt)
    return replace(acted(turn, fact), calls=calls)


@CHANGES.by(e.ToolReturned)
def _returned(turn: Turn, event: e.Event, fact: e.ToolReturned) -> Turn:
    return replace(acted(turn, fact), calls=_mark(turn.calls, fact.call.id, state="returned"), resumes=0)


@CHANGES.by(e.CallChanged)
def _changed(turn: Turn, event: e.Event, fact: e.CallChanged) -> Turn:
    return replace(turn, calls=_mark(turn.calls, fact.call, changed=fact.arguments))


@CHANGES.by(e.CallLost)
def _lost(turn: Turn, event: e.Event, fact: e.CallLost) -> Turn:
    return replace(turn, calls=_mark(turn.calls, fact.call, state="lost"))


def _mark(calls: tuple[OpenCall, ...], call: CallId, **changes: object) -> tuple[OpenCall, ...]:
    return tuple(replace(c, **changes) if c.id == call else c for c in calls)


def acted(turn: Turn, fact: e.ToolCalled | e.ToolReturned | e.LimitRaised | e.BudgetRaised) -> Turn:
    """The turn without the answers that it (or a sub-session in it) has now acted on."""
    match fact:
        case e.ToolCalled(call=call, sub=sub):
            kept = [a for a in turn.answers if (a.sub, a.call, a.kind) != (sub, call.id, "approval")]
        case e.ToolReturned(call=call, sub=sub):
            kept = [a for a in turn.answers if (a.sub, a.call) != (sub, call.id)]
        case e.LimitRaised(sub=sub):
            kept = [a for a in turn.answers if (a.sub, a.kind) != (sub, "limit")]
        case e.BudgetRaised(wait=wait):
            kept = [a for a in turn.answers if a.id != wait]
    return turn if len(kept) == len(turn.answers) else replace(turn, answers=tuple(kept))


# -- runs of an agent CLI -----------------------------------------------------------------------


@CHANGES.by(e.RunStarted)
def _run(turn: Turn, event: e.Event, fact: e.RunStarted) -> Turn:
    run = Run(fact.run, fact.pid, fact.started, fact.boot_id, event.at, sandbox=fact.sandbox, resumed=fact.resumed)
    return replace(turn, run=run, runs=turn.runs + 1)


@CHANGES.by(e.RunRead)
def _read(turn: Turn, event: e.Event, fact: e.RunRead) -> Turn:
    if turn.run is None or turn.run.id != fact.run:
        return turn
    return replace(turn, run=replace(turn.run, out=fact.out, err=fact.err))


@CHANGES.by(e.RunEnded)
def _gone(turn: Turn, event: e.Event, fact: e.RunEnded) -> Turn:
    return turn if turn.run is None or turn.run.id != fact.run else replace(turn, run=None)


@CHANGES.by(e.RoundEnded)
def _round(turn: Turn, event: e.Event, fact: e.RoundEnded) -> Turn:
    return replace(turn, rounds=turn.rounds + 1, at_rest=True)


@CHANGES.by(e.LimitHit)
def _hit(turn: Turn, event: e.Event, fact: e.LimitHit) -> Turn:
    asleep = None if fact.resume_at is None else Limit(fact.incident, fact.resume_at)
    return replace(turn, limit=asleep, limits=turn.limits + 1)


@CHANGES.by(e.LimitResumed)
def _awake(turn: Turn, event: e.Event, fact: e.LimitResumed) -> Turn:
    return replace(turn, limit=None)
