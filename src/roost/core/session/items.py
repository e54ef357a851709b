"""How many items a session's history has, and how many messages people see of them."""

from msgspec.structs import replace

from roost.core import events as e
from roost.core.ids import CallId
from roost.core.messages import Message
from roost.core.session.changes import Changes
from roost.core.session.head import Head

CHANGES = Changes[Head]()

_NO_CALL = CallId("")


@CHANGES.by(e.MessageWritten)
def _written(head: Head, event: e.Event, fact: e.MessageWritten) -> Head:
    return grown(head, fact.message)


@CHANGES.by(e.MessageAdded)
def _added(head: Head, event: e.Event, fact: e.MessageAdded) -> Head:
    head, message = grown(head, fact.message, fact.call), fact.message
    if message is not None and message.role == "assistant" and message.content.strip():
        return replace(head, spoke=event.seq)
    return head


@CHANGES.by(e.SummaryAdded)
def _summary(head: Head, event: e.Event, fact: e.SummaryAdded) -> Head:
    return replace(head, items=head.items + 1, summary=event.seq, cost=head.cost + fact.cost)


@CHANGES.by(e.ErrorMet)
def _error(head: Head, event: e.Event, fact: e.ErrorMet) -> Head:
    return replace(head, items=head.items + 1)


def grown(head: Head, message: Message | None, call: CallId = _NO_CALL) -> Head:
    """The head after one more item, if it is one."""
    if message is None and not call:
        return head
    return replace(head, items=head.items + 1, messages=head.messages + counts(message, call))


def counts(message: Message | None, call: CallId = _NO_CALL) -> int:
    """1 for a message that people see; that of a tool stands in its ToolReturned, and here is only the call."""
    return int(message.role != "system" if message is not None else bool(call))
