"""Sessions and those that they have started: what is told to one of them is told to all below it."""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

import anyio
from msgspec import Struct

from roost.core import events as e
from roost.core.errors import SessionNotFound, SessionNotRunning
from roost.core.ids import LogId, TurnId
from roost.core.session import Head
from roost.engine.supervisor import Supervisor
from roost.ports import EventStore

WHY = "the session that started it was cancelled"


class Tree(Struct, frozen=True):
    """A session and all below it, in numbers."""

    sessions: int
    running: int
    cost: float
    input_tokens: int
    output_tokens: int


async def below(store: EventStore, session: str) -> Sequence[Head]:
    """The sessions that a session has started, those that they have started, and so on; deleted ones are not told."""
    children: dict[str, list[Head]] = defaultdict(list)
    for head in await store.heads():
        if head.parent:
            children[head.parent].append(head)
    found: dict[str, Head] = {}
    left = [session]
    while left:
        for head in children.get(left.pop(), ()):
            if head.id not in found:
                found[head.id] = head
                left.append(head.id)
    return list(found.values())


async def cancel_below(
    store: EventStore, supervisor: Supervisor, session: str, *, why: str = WHY, by: str = ""
) -> None:
    """Cancel what runs below a session."""
    for head in await below(store, session):
        if head.turn is not None and not head.turn.canceled:
            with suppress(SessionNotFound, SessionNotRunning):
                await _cancel(store, supervisor, LogId(head.id), e.CancelAsked(head.turn.id, why, by))


async def _cancel(store: EventStore, supervisor: Supervisor, log: LogId, fact: e.CancelAsked) -> None:
    def same(now: Head) -> None:
        if _turn(now) != fact.turn:
            raise SessionNotRunning

    with anyio.CancelScope(shield=True):  # a turn that sleeps has to be awake to end
        await store.put(log, [fact], only_if=same)
        await supervisor.wake(log)


async def measure(store: EventStore, head: Head) -> Tree:
    """A session and all below it, in numbers."""
    heads = [head, *await below(store, head.id)]
    return Tree(
        sessions=len(heads),
        running=sum(one.turn is not None for one in heads),
        cost=sum(one.cost + one.below for one in heads),
        input_tokens=sum(one.used.input + one.used_below.input for one in heads),
        output_tokens=sum(one.used.output + one.used_below.output for one in heads),
    )


def _turn(head: Head) -> TurnId | None:
    return None if head.turn is None else head.turn.id
