"""A cursor on a log: everything past n, then everything new."""

from collections.abc import AsyncGenerator, Sequence

from roost.core.events import Event, SessionExited
from roost.core.ids import LogId
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
