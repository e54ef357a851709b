"""Server-Sent Events over a log: many readers, each a cursor, and every frame rendered once."""

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from functools import partial
from typing import Protocol

import anyio

from roost.core.errors import RoostError
from roost.core.events import Event
from roost.core.ids import LogId
from roost.doors.routes import Answer, Receive, Scope, Send
from roost.patience import Patience
from roost.wire.sse import PING, cursor, frame

log = logging.getLogger(__name__)

RING = 256 * 1024  # bytes of rendered frames kept for a log
RINGS = 64 * 1024 * 1024  # for all logs together
QUIET = 15.0  # seconds of silence before a ping
STUCK = 60.0  # seconds that a client may take to read what was sent
FAREWELL = 1.0  # seconds for the last bytes of a stream that is ended

HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    (b"connection", b"keep-alive"),
    (b"x-accel-buffering", b"no"),
]


class Batches(Protocol):
    """Events as they come.  Whoever stops early closes it."""

    def __aiter__(self) -> AsyncIterator[Sequence[Event]]:
        """Itself."""
        ...

    async def aclose(self) -> None:
        """No more of them are wanted."""
        ...


class Renderer(Protocol):
    """Facts of one log to frames, in order, from wherever it is begun."""

    async def render(self, event: Event) -> bytes | None:
        """The data of the event's frame; None where clients are shown nothing."""
        ...


# -- frames that are shared ---------------------------------------------------------------------


class Ring:
    """The newest frames of a log, for all its readers."""

    def __init__(self, rings: "Rings", log_id: LogId) -> None:
        self.readers = 0
        self.size = 0
        self._rings = rings
        self._log = log_id
        self._frames: deque[bytes] = deque()
        self._shown: deque[bool] = deque()
        self._end = 0  # the seq that is rendered next
        self._renderer = rings.make(log_id)
        self._pen = asyncio.Lock()
        self._joined: dict[tuple[int, int, bool], bytes] = {}

    def kept(self, batch: Sequence[Event], marks: bool) -> bytes | None:
        """The frames of a batch in one piece, if all of them are here.  With `marks`, facts without a frame too."""
        first = self._end - len(self._frames)
        if batch[0].seq < first or batch[-1].seq >= self._end:
            return None
        key = (batch[0].seq, batch[-1].seq, marks)
        if (found := self._joined.get(key)) is None:
            start = batch[0].seq - first
            places = range(start, start + len(batch))
            found = b"".join(self._frames[place] for place in places if marks or self._shown[place])
            self._joined[key] = found
        return found

    async def extended(self, batch: Sequence[Event], marks: bool) -> bytes | None:
        """The frames of a batch that reaches past the end, which are kept from now on; None for one that does not."""
        async with self._pen:
            if (found := self.kept(batch, marks)) is not None:
                return found
            if batch[-1].seq < self._end:
                return None
            if not self._end - len(self._frames) <= batch[0].seq <= self._end:
                self._restart(batch[0].seq)
            for event in batch:
                if event.seq == self._end:
                    self._keep(event.seq, await rendered(self._renderer, event))
            found = self.kept(batch, marks)
            self.shrink(RING)
            self._rings.grew(self._log)
            return found

    def shrink(self, limit: int) -> None:
        """Forget the oldest frames until `limit` bytes are left."""
        while self.size > limit:
            self._resize(-len(self._frames.popleft()))
            self._shown.popleft()
            self._joined.clear()

    def _keep(self, seq: int, data: bytes | None) -> None:
        text = cursor(seq) if data is None else frame(data, seq)
        self._frames.append(text)
        self._shown.append(data is not None)
        self._end += 1
        self._resize(len(text))
        self._joined.clear()

    def _restart(self, seq: int) -> None:
        self.shrink(0)
        self._end = seq
        self._renderer = self._rings.make(self._log)

    def _resize(self, by: int) -> None:
        self.size += by
        self._rings.size += by


class Rings:
    """The rings of all logs that have readers; the one that grew longest ago gives way first."""

    def __init__(self, make: Callable[[LogId], Renderer]) -> None:
        self.size = 0
        self.make = make
        self._rings: OrderedDict[LogId, Ring] = OrderedDict()

    @contextmanager
    def read(self, log_id: LogId, *, marks: bool) -> Iterator["Reader"]:
        """A reader, while the block lasts."""
        if (ring := self._rings.get(log_id)) is None:
            ring = self._rings[log_id] = Ring(self, log_id)
        ring.readers += 1
        try:
            yield Reader(ring, partial(self.make, log_id), marks=marks)
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


class Reader:
    """One reader of a ring.  Whoever is too far behind for it renders on his own."""

    def __init__(self, ring: Ring, make: Callable[[], Renderer], *, marks: bool) -> None:
        self._ring = ring
        self._make = make
        self._marks = marks
        self._own: Renderer | None = None
        self._next = 0

    async def text(self, batch: Sequence[Event]) -> bytes:
        """The frames of a batch, in one piece."""
        if (found := self._ring.kept(batch, self._marks)) is not None:
            return found
        if (found := await self._ring.extended(batch, self._marks)) is not None:
            return found
        return await self._alone(batch)

    async def _alone(self, batch: Sequence[Event]) -> bytes:
        if self._own is None or self._next != batch[0].seq:
            self._own = self._make()
        pieces = []
        for event in batch:
            data = await rendered(self._own, event)
            self._next = event.seq + 1
            if data is not None:
                pieces.append(frame(data, event.seq))
            elif self._marks:
                pieces.append(cursor(event.seq))
        return b"".join(pieces)


async def rendered(renderer: Renderer, event: Event) -> bytes | None:
    """The data of a frame; a fact that can't be rendered is our fault, and shown as one without a frame."""
    try:
        return await renderer.render(event)
    except RoostError:
        raise
    except Exception:
        log.exception("event %d of %s has no frame", event.seq, event.log, extra={"action": "render_failed"})
        return None


# -- one stream ---------------------------------------------------------------------------------


class Stuck(Exception):
    """The client does not read what it asked for."""


class Line:
    """The way to one client: one message at a time, and none that is stuck for long."""

    def __init__(self, send: Send, patience: Patience, stuck: float) -> None:
        self._send = send
        self._patience = patience
        self._stuck = stuck
        self._pen = asyncio.Lock()
        self.spoke = time.monotonic()

    async def open(self) -> None:
        """Send the head of the answer, so that the client knows that it is heard."""
        await self._send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await self.say(b"")

    async def say(self, text: bytes, *, last: bool = False) -> None:
        """Send some frames.

        Raises:
            Stuck: they can't be got rid of.  The connection is cut.
        """
        async with self._pen:
            sent = self._send({"type": "http.response.body", "body": text, "more_body": not last})
            try:
                await self._patience.wait(sent, self._stuck)
            except TimeoutError:
                abort(self._send)
                raise Stuck from None
            self.spoke = time.monotonic()


def abort(send: Send) -> None:
    """Cut a connection whose client reads nothing, where the server lets us reach it."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is not None:
        transport.abort()


class Stream:
    """An answer that goes on: `batches` of events, as frames.

    `before` is sent first; what `after` makes when the batches have come to their end, and what `broken`
    makes where they can't go on.
    """

    def __init__(
        self,
        streams: "Streams",
        log_id: LogId,
        batches: Batches,
        *,
        marks: bool,
        before: bytes = b"",
        after: Callable[[], bytes] = bytes,
        broken: Callable[[RoostError], bytes],
    ) -> None:
        self._streams = streams
        self._log = log_id
        self._batches = batches
        self._marks = marks
        self._before = before
        self._after = after
        self._broken = broken

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the end, the client's leaving, or the server's."""
        with Patience() as patience:
            await self._run(Line(send, patience, self._streams.stuck), receive)

    async def _run(self, line: Line, receive: Receive) -> None:
        gone = False

        async def until_gone() -> None:
            nonlocal gone
            while (await receive())["type"] != "http.disconnect":
                pass
            gone = True
            tasks.cancel_scope.cancel()

        async def beside() -> None:
            with suppress(Stuck):
                await self._ping(line)
            tasks.cancel_scope.cancel()

        async with aclosing(self._batches), anyio.create_task_group() as tasks:
            tasks.start_soon(until_gone)
            tasks.start_soon(beside)
            try:
                await line.open()
                await self._pump(line)
            except Stuck:
                gone = True
            except Exception:
                log.exception("a stream of %s failed", self._log, extra={"action": "stream_failed"})
            tasks.cancel_scope.cancel()
        if not gone:
            await self._finish(line)

    async def _pump(self, line: Line) -> None:
        """Batch after batch: all that waits, in one piece."""
        if self._before:
            await line.say(self._before)
        with self._streams.rings.read(self._log, marks=self._marks) as reader:
            try:
                async for batch in self._batches:
                    if text := await reader.text(batch):
                        await line.say(text)
                if text := self._after():
                    await line.say(text)
            except RoostError as error:
                await line.say(self._broken(error))

    async def _ping(self, line: Line) -> None:
        """Break long silences; return when the server stops."""
        streams = self._streams
        while True:
            left = line.spoke + streams.quiet - time.monotonic()
            with anyio.move_on_after(max(left, 0.0)):
                await streams.closing.wait()
                return
            if time.monotonic() - line.spoke >= streams.quiet:
                await line.say(PING)

    async def _finish(self, line: Line) -> None:
        with anyio.move_on_after(FAREWELL):
            with suppress(Stuck):
                await line.say(b"", last=True)


class Streams:
    """Opens streams; all of them end when `closing` is set."""

    def __init__(
        self,
        make: Callable[[LogId], Renderer],
        closing: anyio.Event,
        *,
        quiet: float = QUIET,
        stuck: float = STUCK,
    ) -> None:
        self.rings = Rings(make)
        self.closing = closing
        self.quiet = quiet
        self.stuck = stuck

    def open(
        self,
        log_id: LogId,
        batches: Batches,
        *,
        broken: Callable[[RoostError], bytes],
        marks: bool,
        before: bytes = b"",
        after: Callable[[], bytes] = bytes,
    ) -> Answer:
        """A stream, ready to be sent.  With `marks`, facts without a frame move the cursor."""
        return Stream(self, log_id, batches, marks=marks, before=before, after=after, broken=broken)
