"""What waits: questions for a person, and messages for their moment.

All of a log's stand in the head of the log, those of its sub-sessions too.
"""

from msgspec.structs import replace

from roost.core import events as e
from roost.core.ids import CallId
from roost.core.session.changes import Changes
from roost.core.session.head import Answered, Head, OpenWait, Queued
from roost.core.session.items import grown

CHANGES = Changes[Head]()


@CHANGES.by(e.WaitOpened)
def opened(head: Head, event: e.Event, fact: e.WaitOpened) -> Head:
    """A question stands open; one of the same id gives way to it."""
    call = fact.call
    wait = OpenWait(
        id=fact.wait,
        kind=fact.kind,
        seq=event.seq,
        at=event.at,
        call=call.id if call else CallId(""),
        tool=call.name if call else "",
        durable=fact.durable,
        sub=fact.sub,
        about=str(fact.meta.get("roost/type", "")),
    )
    return replace(head, waits=(*(w for w in head.waits if w.id != wait.id), wait))


@CHANGES.by(e.WaitAnswered)
def answered(head: Head, event: e.Event, fact: e.WaitAnswered) -> Head:
    """The turn keeps the answer until it has acted on it; only the first one counts."""
    wait = next((w for w in head.waits if w.id == fact.wait), None)
    if wait is None:
        return head
    turn = head.turn
    if turn is not None:
        kept = Answered(wait.id, wait.kind, fact.answer, wait.call, wait.sub, wait.about)
        turn = replace(turn, answers=(*turn.answers, kept))
    return replace(head, waits=tuple(w for w in head.waits if w.id != wait.id), turn=turn)


@CHANGES.by(e.WaitVoided)
def voided(head: Head, event: e.Event, fact: e.WaitVoided) -> Head:
    """Nobody is asked any more."""
    return replace(head, waits=tuple(w for w in head.waits if w.id != fact.wait))


@CHANGES.by(e.MessageQueued)
def _queued(head: Head, event: e.Event, fact: e.MessageQueued) -> Head:
    new = tuple(Queued(fact.queue, event.seq, index) for index in range(len(fact.messages)))
    return replace(head, queue=head.queue + new)


@CHANGES.by(e.MessageTaken)
def _taken(head: Head, event: e.Event, fact: e.MessageTaken) -> Head:
    return grown(unqueued(head, fact), fact.message)


@CHANGES.by(e.MessageDropped)
def _dropped(head: Head, event: e.Event, fact: e.MessageDropped) -> Head:
    return unqueued(head, fact)


def unqueued(head: Head, fact: e.MessageTaken | e.MessageDropped) -> Head:
    """The head without a message that waited; a CLI that was at rest is so no longer."""
    rest = tuple(q for q in head.queue if (q.seq, q.index) != (fact.queued, fact.index))
    turn = replace(head.turn, at_rest=False) if head.turn is not None and head.turn.at_rest else head.turn
    return replace(head, queue=rest, turn=turn)
