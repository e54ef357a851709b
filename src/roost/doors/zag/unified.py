"""Renders a log as the unified events of section 11, for clients that ask for `?schema=unified`."""

from collections.abc import Sequence

import msgspec

from roost.core import events as e
from roost.core.ids import LogId
from roost.core.unified import Fold
from roost.doors.sockets import Frame
from roost.doors.zag.events import fitted
from roost.service.archive import Archive


class Unified:
    """Renders one log, in order.  Where it is begun in the middle, it takes in the newest turn before."""

    def __init__(self, archive: Archive, log: LogId) -> None:
        self._archive = archive
        self._log = log
        self._fold = Fold()
        self._next = 1

    async def render(self, event: e.Event) -> Sequence[Frame]:
        """The unified event of a fact, with its `seq` beside it."""
        if event.seq != self._next:
            await self._recall(event.seq)
        self._next = event.seq + 1
        shown = self._fold.render(event)
        if shown is None:
            return ()
        whole = {**msgspec.to_builtins(shown), "seq": event.seq}
        return (Frame(whole["type"], fitted({}, whole)),)

    async def _recall(self, before: int) -> None:
        self._fold = Fold()
        opened = await self._archive.own(self._log, e.TurnOpened, before=before)
        after = opened.seq - 1 if opened else 0
        while after < before - 1:
            page = await self._archive.page(self._log, after=after, limit=min(1000, before - 1 - after))
            if not page:
                return
            for event in page:
                self._fold.render(event)
            after = page[-1].seq
