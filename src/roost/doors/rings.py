"""Rendered frames that the readers of a log share: each fact is rendered once, however many follow."""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar

from roost.core.errors import RoostError
from roost.core.events import Event
from roost.core.ids import LogId

log = logging.getLogger(__name__)

RING = 256 * 1024  # bytes of rendered frames kept for a log
RINGS = 64 * 1024 * 1024  # for all logs together

T = TypeVar("T")
J = TypeVar("J")
F_co = TypeVar("F_co", covariant=True)


class Renderer(Protocol[F_co]):
    """Facts of one log to what clients are shown, in order, from wherever it is begun."""

    async def render(self, event: Event) -> F_co:
        """What is shown of an event."""
        ...


class Ring(Generic[T]):
    """The newest frames of a log, for all its readers.  `made` is what they have made of some of them."""

    def __init__(self, rings: "Rings[T]", log_id: LogId) -> None:
        self.readers = 0
        self.size = 0
        self.made: dict[tuple[int, int, str], Any] = {}
        self._rings = rings
        self._log = log_id
        self._frames: deque[T] = deque()
        self._end = 0  # the seq that is rendered next
        self._renderer = rings.make(log_id)
        self._pen = asyncio.Lock()

    def find(self, batch: Sequence[Event]) -> Sequence[T] | None:
        """The frames of a batch, if all of them are here."""
        if not self.has(batch):
            return None
        start = batch[0].seq - self._end + len(self._frames)
        if len(batch) == 1:
            return (self._frames[start],)
        return [self._frames[place] for place in range(start, start + len(batch))]

    def has(self, batch: Sequence[Event]) -> bool:
        """Whether the frames of a batch are here."""
        return self._end - len(self._frames) <= batch[0].seq and batch[-1].seq < self._end

    async def extend(self, batch: Sequence[Event]) -> Sequence[T] | None:
        """The frames of a batch that reaches past the end, which are kept from now on; None for one that does not."""
        async with self._pen:
            if (found := self.find(batch)) is not None:
                return found
            if batch[-1].seq < self._end:
                return None
            if not self._end - len(self._frames) <= batch[0].seq <= self._end:
                self._restart(batch[0].seq)
            for event in batch:
                if event.seq == self._end:
                    self._keep(await self._rings.rendered(self._renderer, event))
            found = self.find(batch)
            self.shrink(RING)
            self._rings.grew(self._log)
            return found

    def shrink(self, limit: int) -> None:
        """Forget the oldest frames until `limit` bytes are left."""
        while self._frames and self.size > limit:
            self._resize(-self._rings.measure(self._frames.popleft()))

    def _keep(self, frame: T) -> None:
        self._frames.append(frame)
        self._end += 1
        self._resize(self._rings.measure(frame))

    def _restart(self, seq: int) -> None:
        self.shrink(0)
        self._end = seq
        self._renderer = self._rings.make(self._log)

    def _resize(self, by: int) -> None:
        self.made.clear()
        self.size += by
        self._rings.size += by


class Rings(Generic[T]):
    """The rings of all logs that have readers; the one that grew longest ago gives way first.

    `measure` says how many bytes a frame takes (more than none), `blank` what stands for one that can't be rendered.
    """

    def __init__(self, make: Callable[[LogId], Renderer[T]], *, measure: Callable[[T], int], blank: T) -> None:
        self.size = 0
        self.make = make
        self.measure = measure
        self._blank = blank
        self._rings: OrderedDict[LogId, Ring[T]] = OrderedDict()

    @contextmanager
    def read(self, log_id: LogId) -> Iterator["Reader[T]"]:
        """A reader, while the block lasts."""
        if (ring := self._rings.get(log_id)) is None:
            ring = self._rings[log_id] = Ring(self, log_id)
        ring.readers += 1
        try:
            yield Reader(self, ring, log_id)
        finally:
            ring.readers -= 1
            if not ring.readers:
                ring.shrink(0)
                del self._rings[log_id]

    def grew(self, log_id: LogId) -> None:
        """A ring has new frames: see that all of them together stay within their bound."""
        self._rings.move_to_end(log_id)
        for ring in tuple(self._rings.values()) if self.size > RINGS else ():
            ring.shrink(0)
            if self.size <= RINGS:
                return

    async def rendered(self, renderer: Renderer[T], event: Event) -> T:
        """A frame; a fact that can't be rendered is our fault, and shown as one of which clients are shown nothing."""
        try:
            return await renderer.render(event)
        except RoostError:
            raise
        except Exception:
            log.exception("event %d of %s has no frame", event.seq, event.log, extra={"action": "render_failed"})
            return self._blank


class Reader(Generic[T]):
    """One reader of a ring.  Whoever is too far behind for it renders on his own."""

    def __init__(self, rings: Rings[T], ring: Ring[T], log_id: LogId) -> None:
        self._rings = rings
        self._ring = ring
        self._log = log_id
        self._own: Renderer[T] | None = None
        self._next = 0

    async def frames(self, batch: Sequence[Event]) -> Sequence[T]:
        """The frames of a batch, one for each event."""
        if (found := self._ring.find(batch)) is not None:
            return found
        if (found := await self._ring.extend(batch)) is not None:
            return found
        return await self._alone(batch)

    async def made(self, batch: Sequence[Event], name: str, make: Callable[[Sequence[Event], Sequence[T]], J]) -> J:
        """What `make` makes of a batch; all who ask for it by this `name` while the log does not grow share it."""
        key, known = (batch[0].seq, batch[-1].seq, name), self._ring.made
        if (found := known.get(key)) is not None:
            made: J = found
            return made
        made = make(batch, await self.frames(batch))
        if self._ring.has(batch):
            known[key] = made
        return made

    async def _alone(self, batch: Sequence[Event]) -> Sequence[T]:
        if self._own is None or self._next != batch[0].seq:
            self._own = self._rings.make(self._log)
        frames = []
        for event in batch:
            frames.append(await self._rings.rendered(self._own, event))
            self._next = event.seq + 1
        return frames
