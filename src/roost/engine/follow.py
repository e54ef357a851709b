"""A cursor on a log, or on all of them: everything past n, then everything new."""

from collections.abc import AsyncGenerator, Callable, Sequence

import anyio

from roost.core.errors import SessionNotFound
from roost.core.events import Event, SessionExited
from roost.core.ids import LogId
from roost.core.session import Head
from roost.engine.hub import Hub
from roost.ports import EventStore

PAGE = 500


async def follow(
    store: EventStore, hub: Hub, log: LogId, *, after: int = 0, client: str = ""
) -> AsyncGenerator[Sequence[Event], None]:
    """Every event past `after`, then every new one, in batches: in order, none twice, none lost.

    It ends with the SessionExited that ends the log, and when the server stops.  `client` names the
    follower, so that a turn knows whether anybody watches it.

    Raises:
        StoreFull: the log's owner can't write any more.
    """
    begun = False
    with hub.watch(log, client):
        while not hub.closed:
            bell = hub.bell(log)  # taken before reading, so that nothing slips in between
            batch = await _next(store, hub, log, after)
            if batch:
                yield batch
                after = batch[-1].seq
                if isinstance(batch[-1].fact, SessionExited):
                    return
            elif not begun and (await store.head(log)).exited:
                return
            begun = True
            if len(batch) < PAGE and not hub.closed:  # else there may be more
                await bell.wait()
            if error := hub.broken(log):
                raise error


async def _next(store: EventStore, hub: Hub, log: LogId, after: int) -> Sequence[Event]:
    tail = hub.tail(log, after)
    return await store.page(log, after=after, limit=PAGE) if tail is None else tail


async def follow_all(
    store: EventStore, hub: Hub, wanted: Callable[[Head], bool]
) -> AsyncGenerator[Sequence[Event], None]:
    """Every new event of the sessions that are `wanted`, those born later included, in batches of one log each.

    The order holds within a log.  `wanted` is asked anew with each batch.  It ends when the server stops.
    """
    grown: dict[LogId, None] = {}  # in the order in which they grew
    bell = anyio.Event()

    def overhear(log: LogId) -> None:
        grown[log] = None
        bell.set()

    with hub.overhear(overhear):
        cursors = {LogId(head.id): head.last_seq for head in await store.heads()}
        while not hub.closed:
            await bell.wait()
            bell = anyio.Event()
            while grown and not hub.closed:
                log = next(iter(grown))
                del grown[log]
                async for batch in _new(store, log, cursors, wanted):
                    yield batch


async def _new(
    store: EventStore, log: LogId, cursors: dict[LogId, int], wanted: Callable[[Head], bool]
) -> AsyncGenerator[Sequence[Event], None]:
    """What a log has past its cursor, if it is wanted; the cursor is moved either way."""
    try:
        head = await store.head(log)
    except SessionNotFound:
        cursors.pop(log, None)
        return
    if not wanted(head):
        cursors[log] = head.last_seq
        return
    while batch := await store.page(log, after=cursors.get(log, 0), limit=PAGE):
        cursors[log] = batch[-1].seq
        yield batch
