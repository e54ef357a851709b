"""Server-Sent Events over a log: many readers, each a cursor, and every frame rendered once."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from typing import Protocol

import anyio

from roost.core.errors import RoostError
from roost.core.events import Event
from roost.core.ids import LogId
from roost.doors.rings import Renderer, Rings
from roost.doors.routes import Answer, Receive, Scope, Send
from roost.patience import Patience
from roost.wire.sse import PING, cursor, frame

log = logging.getLogger(__name__)

QUIET = 15.0  # seconds of silence before a ping
STUCK = 60.0  # seconds that a client may take to read what was sent
FRAMED = 16  # bytes that a frame has besides its data
FAREWELL = 1.0  # seconds for the last bytes of a stream that is ended

HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    (b"connection", b"keep-alive"),
    (b"x-accel-buffering", b"no"),
]


Frames = Renderer[bytes | None]
"""Facts of one log to the data of frames, in order; None where clients are shown nothing."""


class Batches(Protocol):
    """Events as they come.  Whoever stops early closes it."""

    def __aiter__(self) -> AsyncIterator[Sequence[Event]]:
        """Itself."""
        ...

    async def aclose(self) -> None:
        """No more of them are wanted."""
        ...


def marked(batch: Sequence[Event], frames: Sequence[bytes | None]) -> bytes:
    """The frames of a batch in one piece; facts without one move the cursor."""
    return b"".join(
        [
            cursor(event.seq) if data is None else frame(data, event.seq)
            for event, data in zip(batch, frames, strict=True)
        ]
    )


def shown(batch: Sequence[Event], frames: Sequence[bytes | None]) -> bytes:
    """The frames of a batch in one piece, and nothing else."""
    return b"".join([frame(data, event.seq) for event, data in zip(batch, frames, strict=True) if data is not None])


def size(data: bytes | None) -> int:
    """How many bytes a frame takes, more or less."""
    return FRAMED + (0 if data is None else len(data))


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
        name, join = ("marked", marked) if self._marks else ("shown", shown)
        with self._streams.rings.read(self._log) as reader:
            try:
                async for batch in self._batches:
                    if text := await reader.made(batch, name, join):
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
        make: Callable[[LogId], Frames],
        closing: anyio.Event,
        *,
        quiet: float = QUIET,
        stuck: float = STUCK,
    ) -> None:
        self.rings = Rings(make, measure=size, blank=None)
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
