"""What a session has come to: the text that others are given of it."""

from roost.core import events as e
from roost.core.ids import LogId
from roost.core.session import Head
from roost.ports import EventStore


async def result(store: EventStore, head: Head) -> str | None:
    """The session's result where it was set, else its newest answer; None where it has neither."""
    for seq in (head.result, head.spoke):
        if seq and (text := await _text(store, LogId(head.id), seq)):
            return text
    return None


async def _text(store: EventStore, log: LogId, seq: int) -> str:
    events = await store.page(log, after=seq - 1, limit=1)
    match events[0].fact if events else None:
        case e.ResultSet(result=text):
            return text
        case e.MessageAdded(message=message) if message is not None:
            return message.content
        case _:
            return ""
