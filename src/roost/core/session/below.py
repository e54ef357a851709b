"""Sub-sessions: their facts stand in the log of the session that began them, and their heads within its own."""

from msgspec.structs import replace

from roost.core import events as e
from roost.core.ids import SessionId
from roost.core.session import waits
from roost.core.session.birth import born_as
from roost.core.session.changes import Changes
from roost.core.session.costs import lasted, shared
from roost.core.session.head import Head
from roost.core.session.items import counts
from roost.core.session.steps import step
from roost.core.session.turns import acted
from roost.core.usage import plus

CHANGES = Changes[Head]()
"""What a sub-session's fact changes in the head of the log, beside the head of the sub-session."""

CHANGES.update({kind: waits.CHANGES[kind] for kind in (e.WaitOpened, e.WaitAnswered, e.WaitVoided)})

_ROOTS = e.WaitOpened | e.WaitAnswered | e.WaitVoided | e.MessageQueued
"""Facts whose trace is in the head of the log alone, whichever sub-session they name."""


def step_below(head: Head, event: e.Event, fact: e.Known) -> Head:
    """The head of a log after a fact of a sub-session."""
    change = CHANGES.get(type(fact))
    return _nested(head if change is None else change(head, event, fact), event, fact)


@CHANGES.by(e.SessionCreated)
def _begun(head: Head, event: e.Event, fact: e.SessionCreated) -> Head:
    return replace(head, items=head.items + 1) if fact.parent == head.id else head


@CHANGES.by(e.MessageWritten)
def _written(head: Head, event: e.Event, fact: e.MessageWritten) -> Head:
    return replace(head, messages=head.messages + counts(fact.message))


@CHANGES.by(e.MessageTaken)
def _taken(head: Head, event: e.Event, fact: e.MessageTaken) -> Head:
    return replace(waits.unqueued(head, fact), messages=head.messages + counts(fact.message))


@CHANGES.by(e.MessageAdded)
def _added(head: Head, event: e.Event, fact: e.MessageAdded) -> Head:
    turn = head.turn and replace(head.turn, resumes=0)
    return replace(head, messages=head.messages + counts(fact.message, fact.call), turn=turn)


@CHANGES.by(e.TurnEnded)
def _ended(head: Head, event: e.Event, fact: e.TurnEnded) -> Head:
    sub = head.sub(fact.sub)
    turn = sub.turn if sub is not None else None
    seconds, agent = (lasted(turn, event), turn.agent) if turn is not None else (0.0, fact.agent)
    worked = shared(head.shares_below, head, agent, seconds=seconds)
    return replace(head, waits=tuple(w for w in head.waits if w.sub != fact.sub), shares_below=worked)


@CHANGES.by(e.ToolCalled)
def _called(head: Head, event: e.Event, fact: e.ToolCalled) -> Head:
    return _acted(head, fact)


@CHANGES.by(e.ToolReturned)
def _returned(head: Head, event: e.Event, fact: e.ToolReturned) -> Head:
    return _acted(head, fact)


@CHANGES.by(e.LimitRaised)
def _raised(head: Head, event: e.Event, fact: e.LimitRaised) -> Head:
    return _acted(head, fact)


def _acted(head: Head, fact: e.ToolCalled | e.ToolReturned | e.LimitRaised) -> Head:
    return head if head.turn is None else replace(head, turn=acted(head.turn, fact))


@CHANGES.by(e.SummaryAdded)
def _summary(head: Head, event: e.Event, fact: e.SummaryAdded) -> Head:
    return replace(head, below=head.below + fact.cost)


@CHANGES.by(e.UsageAdded)
def _used(head: Head, event: e.Event, fact: e.UsageAdded) -> Head:
    below = head.below + (0 if fact.why == "compaction" else fact.cost)  # that one stands in its SummaryAdded
    shares = shared(head.shares_below, head, fact.agent, fact)
    return replace(head, below=below, used_below=plus(head.used_below, fact.usage), shares_below=shares)


def _nested(head: Head, event: e.Event, fact: e.Known) -> Head:
    """The head with its sub-session's, which is folded as any other."""
    sub = fact.sub
    if isinstance(fact, e.SessionCreated):
        if fact.parent == sub or head.sub(sub) is not None:  # nobody is born twice, nor of himself
            return head
        born = replace(born_as(sub, event, fact), root=head.root, owner=head.owner)
        return _adopting(head, born, fact.parent)
    if isinstance(fact, _ROOTS):
        return head
    return replace(head, subs=tuple(_folded(other, event, sub) for other in head.subs)) if head.subs else head


def _adopting(head: Head, born: Head, parent: SessionId) -> Head:
    if head.id == parent:
        return replace(head, subs=(*head.subs, born))
    return replace(head, subs=tuple(_adopting(other, born, parent) for other in head.subs)) if head.subs else head


def _folded(head: Head, event: e.Event, sub: SessionId) -> Head:
    if head.id == sub:
        return step(head, event)
    return replace(head, subs=tuple(_folded(other, event, sub) for other in head.subs)) if head.subs else head
