"""Renders a log as log events of `/api/v1`, in order, from wherever it is begun; `events.py` has the table."""

from collections.abc import AsyncGenerator, Sequence

from roost.core import events as e
from roost.core.ids import LogId
from roost.doors.sockets import Frame, Frames
from roost.doors.zag.events import Memory, render
from roost.service.archive import Archive

PAGE = 500


async def frames(
    archive: Archive, renderer: Frames, log: LogId, *, after: int, end: int
) -> AsyncGenerator[Frame, None]:
    """What clients are shown of the facts past `after` and up to `end`."""
    while after < end:
        page = await archive.page(log, after=after, limit=min(PAGE, end - after))
        if not page:
            return
        for event in page:
            for frame in await renderer.render(event):
                yield frame
        after = page[-1].seq


class Renderer:
    """Renders one log, in order.  Where it is begun in the middle, it looks up what it needs of the facts before."""

    def __init__(self, archive: Archive, log: LogId) -> None:
        self._archive = archive
        self._log = log
        self._memory = Memory()
        self._next = 1

    @property
    def memory(self) -> Memory:
        """What it knows of the facts so far."""
        return self._memory

    async def render(self, event: e.Event) -> Sequence[Frame]:
        """The frame of an event, if it has one."""
        if event.seq != self._next:
            await self._recall(event.seq)
        self._next = event.seq + 1
        fact = event.fact
        if isinstance(fact, e.WaitAnswered) and fact.wait not in self._memory.asked:
            record = await self._archive.wait(fact.wait)
            if record is not None:
                self._memory.asked[fact.wait] = record.fact
        frame = render(event, self._memory)
        return () if frame is None else (frame,)

    async def _recall(self, before: int) -> None:
        """What the facts before `before` have left behind."""
        self._memory = memory = Memory()
        archive, log = self._archive, self._log
        for born in await archive.page(log, after=0, limit=1):
            memory.learn(born.fact)
        opened = await archive.own(log, e.TurnOpened, before=before)
        if opened is None:
            return
        first = await archive.first(log, e.TurnOpened, before=before)
        for turn in {event.seq: event for event in (first, opened) if event is not None}.values():
            memory.learn(turn.fact)  # none, one or more: that is all that matters
        introduced = await archive.own(
            log, e.Introduced, before=before, wanted=lambda fact: bool(fact.provider_session)
        )
        if introduced is not None:
            memory.learn(introduced.fact)
        await self._rethink(await self._asked(opened.seq, before), before)

    async def _asked(self, opened: int, before: int) -> int:
        """The seq from which on there may be reasoning that no event has shown yet."""
        nested = await self._archive.newest(self._log, e.SessionCreated, before=before)
        if nested is not None and nested.seq > opened:  # sub-sessions think at the same time
            return opened
        asked = await self._archive.newest(self._log, e.ModelAsked, before=before)
        return before if asked is None else asked.seq

    async def _rethink(self, after: int, before: int) -> None:
        """The reasoning of the answers under way that no event has shown yet."""
        scratch = Memory()
        while after < before - 1:
            page = await self._archive.page(self._log, after=after, limit=min(PAGE, before - 1 - after))
            if not page:
                break
            for event in page:
                render(event, scratch)
            after = page[-1].seq
        self._memory.reasoning = scratch.reasoning
        self._memory.asked = scratch.asked
