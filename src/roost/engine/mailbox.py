"""Follow-ups and steering that wait for their moment.

They wait in the log: `MessageQueued` brings them, `Head.queue` counts them, `MessageTaken` lets them
into the history.  Whoever sent one may withdraw it until then: whether it still waits is looked at when
it is taken.
"""

from collections.abc import Sequence

from roost.core import events as e
from roost.core.errors import MessagesWait
from roost.core.messages import Message
from roost.core.session import Head, Queued
from roost.engine.firing import warn
from roost.engine.slash import said
from roost.engine.stage import Stage
from roost.ports import Condition


class Withdrawn(Exception):
    """What was to be taken waits no more."""


def empty(head: Head) -> None:
    """A condition for a turn's end.

    Raises:
        MessagesWait: somebody has sent a message meanwhile.
    """
    if head.queue:
        raise MessagesWait


def waits(queued: Queued) -> Condition:
    """A condition for whatever is done with a message.

    Raises (when it is looked at):
        Withdrawn: it waits no more.
    """

    def check(head: Head) -> None:
        if queued not in head.queue:
            raise Withdrawn

    return check


async def opened_for(stage: Stage) -> bool:
    """Whether this turn was opened with a message that waited (`MessageQueued` comes right before `TurnOpened`)."""
    before = await stage.makers.store.page(stage.log, after=stage.turn.opened - 2, limit=1)
    return any(isinstance(event.fact, e.MessageQueued) for event in before)


async def take(stage: Stage, queue: e.Queue) -> bool:
    """Messages of a queue enter the history: all that steer, or one follow-up.  Whether there were any."""
    while True:
        try:
            return await _take(stage, queue)
        except Withdrawn:
            await stage.journal.refresh()


async def _take(stage: Stage, queue: e.Queue) -> bool:
    those = [queued for queued in stage.journal.head.queue if queued.queue == queue]
    taken = those if queue == "steer" else those[:1]
    if not taken:
        return False
    messages = [await waiting(stage, queued) for queued in taken]
    if (refused := await _refusal(stage, queue, messages)) is not None:
        await stage.journal.compose(
            lambda head: [e.MessageDropped(queued.seq, queued.index, refused) for queued in _left(head, taken)]
        )
        await warn(stage, f"a message was refused by a hook: {refused}")
        return False
    messages = [(await said(stage, message)).message for message in messages]

    said_so = dict(zip(taken, messages, strict=True))

    def facts(head: Head) -> list[e.Fact]:
        return [
            e.MessageTaken(queued.seq, queued.index, said_so[queued], head.items + place, queue)
            for place, queued in enumerate(_left(head, taken))
        ]

    await stage.journal.compose(facts)
    return True


def _left(head: Head, taken: Sequence[Queued]) -> Sequence[Queued]:
    """What of it still waits.

    Raises:
        Withdrawn: nothing does.
    """
    left = [queued for queued in taken if queued in head.queue]
    if not left:
        raise Withdrawn
    return left


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
