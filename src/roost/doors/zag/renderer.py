"""Renders a log as log events of `/api/v1`, in order, from wherever it is begun; `events.py` has the table."""

from collections.abc import AsyncGenerator, Sequence

from roost.core import events as e
from roost.core.ids import AnswerId, LogId
from roost.doors.sockets import Frame
from roost.doors.sockets import Renderer as Painter
from roost.doors.zag.events import Memory, render
from roost.service.archive import Archive

PAGE = 500


async def frames(
    archive: Archive, renderer: Painter, log: LogId, *, after: int, end: int
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
        for first in await self._archive.page(self._log, after=0, limit=1):
            memory.learn(first.fact)
        for kind in (e.TurnOpened, e.Introduced):
            if (found := await self._archive.newest(self._log, kind, before=before)) is not None:
                memory.learn(found.fact)
        memory.turns = await self._turns(before)
        asked = await self._archive.newest(self._log, e.ModelAsked, before=before)
        if asked is not None and isinstance(asked.fact, e.ModelAsked):
            await self._rethink(asked.fact.answer, asked.seq, before)

    async def _turns(self, before: int) -> int:
        """How many turns were opened, as far as it matters: none, one, or more."""
        count = 0
        while count < 2 and (found := await self._archive.newest(self._log, e.TurnOpened, before=before)) is not None:
            count, before = count + 1, found.seq
        return count

    async def _rethink(self, answer: AnswerId, after: int, before: int) -> None:
        """The reasoning of the answer under way that no event has shown yet."""
        scratch = Memory()
        while page := await self._archive.page(self._log, after=after, limit=min(PAGE, before - 1 - after) or 1):
            for event in page:
                if event.seq >= before:
                    break
                render(event, scratch)
            after = page[-1].seq
            if after >= before - 1:
                break
        self._memory.reasoning = scratch.reasoning
        self._memory.asked = scratch.asked
