"""Follow-ups and steering that wait for their moment.

They wait in the log: `MessageQueued` brings them, `Head.queue` counts them, `MessageTaken` lets them
into the history.
"""

from roost.core import events as e
from roost.core.errors import MessagesWait
from roost.core.messages import Message
from roost.core.session import Head, Queued
from roost.engine.slash import resolved
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
    messages = [resolved(message, stage.ready.agent, stage.makers.env)[0] for message in messages]

    def facts(head: Head) -> list[e.Fact]:
        return [
            e.MessageTaken(queued.seq, queued.index, message, head.items + place, queue)
            for place, (queued, message) in enumerate(zip(taken, messages, strict=True))
        ]

    await stage.journal.compose(facts)
    return True


async def waiting(stage: Stage, queued: Queued) -> Message:
    """A queued message, from the fact that brought it."""
    (event,) = await stage.makers.store.page(stage.log, after=queued.seq - 1, limit=1)
    assert isinstance(event.fact, e.MessageQueued)
    return event.fact.messages[queued.index]
