"""What a renderer may look up: earlier facts of a log, as the store has them."""

from collections.abc import Callable, Sequence
from typing import Any

from roost.core.errors import SessionNotFound
from roost.core.events import Event, Fact, Known
from roost.core.ids import LogId, WaitId
from roost.core.messages import Definition
from roost.core.session import Head
from roost.ports import WaitRecord
from roost.service.desk import Desk

PAGE = 500

Wanted = Callable[[Any], bool]


def _any(fact: Any) -> bool:
    return True


class Archive:
    """Reads, for doors that have checked already that their caller may see the log."""

    def __init__(self, desk: Desk) -> None:
        self._store = desk.store

    async def head(self, log: LogId) -> Head | None:
        """How its session stands; None where it is gone."""
        try:
            return await self._store.head(log)
        except SessionNotFound:
            return None

    async def page(self, log: LogId, *, after: int, limit: int) -> Sequence[Event]:
        """The events past `after`, in order, at most `limit`."""
        return await self._store.page(log, after=after, limit=limit)

    async def messages(self, log: LogId, *, until: int) -> Sequence[Event]:
        """The events up to `until` that bear messages."""
        return [event for event in await self._store.messages(log) if event.seq <= until]

    async def newest(self, log: LogId, kind: type[Fact], *, before: int) -> Event | None:
        """The newest event of a kind that stands before a seq."""
        return await self._store.newest(log, kind, before=before)

    async def own(self, log: LogId, kind: type[Known], *, before: int, wanted: Wanted = _any) -> Event | None:
        """The newest event of a kind before a seq that is wanted, and no sub-session's."""
        while (found := await self._store.newest(log, kind, before=before)) is not None:
            if isinstance(found.fact, kind) and not found.fact.sub and wanted(found.fact):
                return found
            before = found.seq
        return None

    async def first(self, log: LogId, kind: type[Known], *, before: int) -> Event | None:
        """The oldest event of a kind before a seq that is no sub-session's."""
        after = 0
        while after < before - 1:
            page = await self._store.page(log, after=after, limit=min(PAGE, before - 1 - after))
            for event in page:
                if isinstance(event.fact, kind) and not event.fact.sub:
                    return event
            if not page:
                break
            after = page[-1].seq
        return None

    async def wait(self, wait: WaitId) -> WaitRecord | None:
        """One wait, open or not."""
        return await self._store.wait(wait)

    async def definition(self, log: LogId, digest: str) -> Definition | None:
        """The tool definition that this log knows under `digest`."""
        return await self._store.definition(log, digest)
