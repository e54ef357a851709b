"""Sessions and those that they have started: what is told to one of them is told to all below it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Protocol

import anyio

from roost.core import events as e
from roost.core.errors import SessionNotFound, SessionNotRunning
from roost.core.ids import LogId, TurnId
from roost.core.session import Head
from roost.ports import EventStore

WHY = "the session that started it was cancelled"


class Wakes(Protocol):
    """Who lets turns that sleep hear of what has come."""

    async def wake(self, log_id: LogId) -> None:
        """Go on with a turn that sleeps, if no living server has it."""
        ...


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


async def above(store: EventStore, head: Head) -> int:
    """How many sessions there are above one; those that are gone end the count."""
    depth, seen = 0, {head.id}
    with suppress(SessionNotFound):
        while head.parent and head.parent not in seen:
            seen.add(head.parent)
            depth += 1
            head = await store.head(LogId(head.parent))
    return depth


async def cancel_below(store: EventStore, wakes: Wakes, session: str, *, why: str = WHY, by: str = "") -> int:
    """Cancel what runs below a session, and what is started there meanwhile; how many turns that were."""
    asked: set[TurnId] = set()
    while turns := {log: turn for log, turn in _running(await below(store, session)) if turn not in asked}:
        for log, turn in turns.items():
            asked.add(turn)
            with suppress(SessionNotFound, SessionNotRunning):
                await cancel(store, wakes, log, e.CancelAsked(turn, why, by))
    return len(asked)


async def cancel(store: EventStore, wakes: Wakes, log: LogId, fact: e.CancelAsked) -> None:
    """Ask for the end of a turn.

    Raises:
        SessionNotRunning: it has ended.
        SessionNotFound: its session is gone.
    """

    def same(now: Head) -> None:
        if now.turn is None or now.turn.id != fact.turn:
            raise SessionNotRunning

    with anyio.CancelScope(shield=True):  # a turn that sleeps has to be awake to end
        await store.put(log, [fact], only_if=same)
        await wakes.wake(log)


def _running(heads: Iterable[Head]) -> Iterable[tuple[LogId, TurnId]]:
    """The turns whose end nobody has asked for."""
    return ((LogId(head.id), head.turn.id) for head in heads if head.turn is not None and not head.turn.canceled)
