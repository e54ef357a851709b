"""Follow-ups and steering that wait for their moment.

They wait in the log: `MessageQueued` brings them, `Head.queue` counts them, `MessageTaken` lets them
into the history.
"""

from collections.abc import Sequence

from roost.core import events as e
from roost.core.errors import MessagesWait
from roost.core.messages import Message
from roost.core.session import Head, Queued
from roost.engine.firing import warn
from roost.engine.slash import said
from roost.engine.stage import Stage


def empty(head: Head) -> None:
    """A condition for a turn's end.

    Raises:
        MessagesWait: somebody has sent a message meanwhile.
    """
    if head.queue:
        raise MessagesWait


async def take(stage: Stage, queue: e.Queue) -> bool:
    """Messages of a queue enter the history: all that steer, or one follow-up.  Whether there were any."""
    those = [queued for queued in stage.journal.head.queue if queued.queue == queue]
    taken = those if queue == "steer" else those[:1]
    if not taken:
        return False
    messages = [await waiting(stage, queued) for queued in taken]
    if (refused := await _refusal(stage, queue, messages)) is not None:
        dropped = [e.MessageDropped(queued.seq, queued.index, refused) for queued in taken]
        await stage.journal.write(*dropped)
        await warn(stage, f"a message was refused by a hook: {refused}")
        return False
    messages = [(await said(stage, message)).message for message in messages]

    def facts(head: Head) -> list[e.Fact]:
        return [
            e.MessageTaken(queued.seq, queued.index, message, head.items + place, queue)
            for place, (queued, message) in enumerate(zip(taken, messages, strict=True))
        ]

    await stage.journal.compose(facts)
    return True


async def _refusal(stage: Stage, queue: e.Queue, messages: Sequence[Message]) -> str | None:
    """Why hooks do not want these messages; None where they do."""
    texts = [message.content for message in messages]
    if queue == "steer":
        return (await stage.fire("user_steering_messages_submit", steering_messages=texts)).blocked
    return (await stage.fire("user_followup_submit", prompt="\n".join(texts))).blocked


async def waiting(stage: Stage, queued: Queued) -> Message:
    """A queued message, from the fact that brought it."""
    (event,) = await stage.makers.store.page(stage.log, after=queued.seq - 1, limit=1)
    assert isinstance(event.fact, e.MessageQueued)
    return event.fact.messages[queued.index]
