"""What a spawn asked of a session, heeded by the turns of agent files: wait for others, tell of them, end in time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio

from roost.core import events as e
from roost.core.errors import SessionNotFound, TimedOut
from roost.core.ids import LogId
from roost.core.limits import SECOND
from roost.core.messages import Message
from roost.core.orders import Order
from roost.engine.briefing import await_others, brief
from roost.engine.bulkhead import open_group
from roost.engine.stage import Stage


async def ordered(stage: Stage) -> Order | None:
    """What the session was spawned for; None where nobody spawned it."""
    if not stage.journal.head.provider:
        return None
    (first,) = await stage.makers.store.page(stage.log, after=0, limit=1)
    return first.fact.order if isinstance(first.fact, e.SessionCreated) else None


async def wait(stage: Stage, order: Order | None) -> None:
    """Before its first work, wait for the sessions that it depends on.

    Raises:
        DependencyFailed: one of them has not ended well.
    """
    head = stage.journal.head
    if order is not None and head.turns == 1 and not stage.turn.started:
        await await_others(stage.makers.store, stage.hub, head.depends_on)


async def tell(stage: Stage, order: Order | None) -> None:
    """Put before the model what the order has besides its prompt, once."""
    turn = stage.turn
    if order is None or stage.journal.head.turns > 1 or turn.iterations:
        return
    if any(item.message is not None and item.message.implicit for item in stage.history.items):
        return
    told = (await brief(stage.makers.store, order, "")).strip()
    texts = [text for text in (order.system_prompt.strip(), told) if text]
    if texts:
        message = Message("user", "\n\n".join(texts), at=stage.makers.clock.now(), implicit=True)
        await stage.journal.write(e.MessageWritten(message))
        await stage.catch_up()


@asynccontextmanager
async def in_time(stage: Stage, order: Order | None) -> AsyncIterator[None]:
    """While the block lasts, the turn may: it is cut off when the order's time is over.

    Raises:
        TimedOut: it was.
    """
    if order is None or not order.time_limit:
        yield
        return
    clock = stage.makers.clock
    until = await _begun(stage, order) + order.time_limit * SECOND
    with anyio.CancelScope() as scope:
        async with open_group() as tasks:

            async def alarm() -> None:
                await clock.sleep(max(0.0, (until - clock.now()) / SECOND))
                scope.cancel()

            tasks.start_soon(alarm)
            yield
            tasks.cancel_scope.cancel()
    if scope.cancelled_caught:
        raise TimedOut(order.timeout)


async def _begun(stage: Stage, order: Order) -> int:
    """When the turn's time began: with its first fact, or when the last of those it waited for had ended."""
    store = stage.makers.store
    (opened,) = await store.page(stage.log, after=stage.turn.opened - 1, limit=1)
    if stage.journal.head.turns > 1:
        return opened.at
    begun = opened.at
    for session in order.depends_on:
        with suppress(SessionNotFound):
            begun = max(begun, (await store.head(LogId(session))).ended_at)
    return begun
