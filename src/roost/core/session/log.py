"""The head of a log, event by event."""

from collections.abc import Iterable

from msgspec.structs import replace

from roost.core import events as e
from roost.core.session.below import step_below
from roost.core.session.birth import born
from roost.core.session.head import Head
from roost.core.session.steps import step


def apply(head: Head | None, event: e.Event) -> Head:
    """The head of a session after one more event; `None` stands before the first.

    Raises:
        ValueError: the first event of a log is not a SessionCreated.
    """
    if head is None:
        return born(event)
    fact = event.fact
    head = replace(head, last_seq=event.seq, active_at=head.active_at if e.is_delta(fact) else event.at)
    if not isinstance(fact, e.Unknown) and fact.sub:
        return step_below(head, event, fact)
    return step(head, event)


def fold(events: Iterable[e.Event], head: Head | None = None) -> Head:
    """The head after all of `events`.

    Raises:
        ValueError: there is none.
    """
    for event in events:
        head = apply(head, event)
    if head is None:
        raise ValueError("a log of no events has no head")
    return head
