"""WebSockets over logs: many readers, each a cursor, and every frame rendered once."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import ExitStack, aclosing, suppress

import anyio
import anyio.lowlevel
from msgspec import Struct

from roost.core.errors import RoostError, ShuttingDown
from roost.core.events import Event
from roost.core.ids import LogId
from roost.doors.rings import Reader, Renderer, Rings
from roost.doors.routes import Receive, Scope, Send
from roost.doors.streams import Batches

log = logging.getLogger(__name__)

LARGEST = 16 * 1024 * 1024 - 16  # bytes of a message that clients take
BEAT = 10.0  # seconds between two ticks
REASON = 123  # bytes that fit into a close frame
MANY = 256  # logs whose rings one socket keeps open

ENDED, STOPPED, FAILED = 1000, 1001, 1011

Filter = Callable[["Frame"], bool]
Tick = Callable[[], str | None]


class Frame(Struct, frozen=True):
    """One message to a client: its text, and the kind by which readers choose."""

    kind: str
    text: str


Frames = Renderer[Sequence[Frame]]
"""Facts of one log to frames, in order; none where clients are shown nothing."""


class _Fitting:
    """A renderer whose frames clients can take: one that is too large for them is our fault, and left out."""

    def __init__(self, renderer: Frames) -> None:
        self._renderer = renderer

    async def render(self, event: Event) -> Sequence[Frame]:
        """The frames of an event."""
        found = await self._renderer.render(event)
        fit = [frame for frame in found if len(frame.text) <= LARGEST // 4 or len(frame.text.encode()) <= LARGEST]
        if len(fit) < len(found):
            where = {"action": "frame_too_large"}
            log.error("event %d of %s is too large for clients", event.seq, event.log, extra=where)
        return fit


def _size(frames: Sequence[Frame]) -> int:
    return 32 + sum(len(frame.text) for frame in frames)


# -- one socket ---------------------------------------------------------------------------------


_Reader = Reader[Sequence[Frame]]


class _Readers:
    """Readers of the logs that one socket has met lately."""

    def __init__(self, rings: Rings[Sequence[Frame]]) -> None:
        self._rings = rings
        self._open: OrderedDict[LogId, tuple[_Reader, ExitStack]] = OrderedDict()

    def of(self, log_id: LogId) -> _Reader:
        """The reader of a log; the one that was asked for longest ago gives way to it."""
        if (found := self._open.get(log_id)) is not None:
            self._open.move_to_end(log_id)
            return found[0]
        stack = ExitStack()
        reader = stack.enter_context(self._rings.read(log_id))
        self._open[log_id] = reader, stack
        if len(self._open) > MANY:
            self._open.popitem(last=False)[1][1].close()
        return reader

    def close(self) -> None:
        """Let all of them go."""
        for _, stack in self._open.values():
            stack.close()
        self._open.clear()


class Socket:
    """A WebSocket that goes on: `batches` of events, each as its frames, those that `wanted` lets pass.

    What comes from the client is read and dropped.  However it ends, a close frame says so: 1000 after the last
    batch, 1001 when the server stops, 1011 where the batches can't go on.
    """

    status = 101

    def __init__(
        self, sockets: "Sockets", batches: Batches, *, wanted: Filter | None = None, tick: Tick | None = None
    ) -> None:
        self._sockets = sockets
        self._batches = batches
        self._wanted = wanted
        self._tick = tick
        self._end: tuple[int, str] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Accept it, and send until the end, the client's leaving, or the server's."""
        async with aclosing(self._batches):
            with suppress(OSError):  # the client is gone
                await send({"type": "websocket.accept"})
                await self._run(receive, send)
                if self._end is not None:
                    code, reason = self._end
                    await send({"type": "websocket.close", "code": code, "reason": _cut(reason)})

    async def _run(self, receive: Receive, send: Send) -> None:
        async def until_gone() -> None:
            while (await receive())["type"] != "websocket.disconnect":
                pass
            tasks.cancel_scope.cancel()

        async def until_stopped() -> None:
            await self._sockets.closing.wait()
            self._finish(STOPPED, "the server stops")
            tasks.cancel_scope.cancel()

        async def beat(tick: Tick) -> None:
            with suppress(OSError):
                while True:
                    await anyio.sleep(self._sockets.beat)
                    if (text := tick()) is not None:
                        await send({"type": "websocket.send", "text": text})

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(until_gone)
            tasks.start_soon(until_stopped)
            if self._tick is not None:
                tasks.start_soon(beat, self._tick)
            with suppress(OSError):
                await self._pump(send)
            tasks.cancel_scope.cancel()

    async def _pump(self, send: Send) -> None:
        """Batch after batch."""
        readers = _Readers(self._sockets.rings)
        try:
            async for batch in self._batches:
                for event in batch:
                    (frames,) = await readers.of(event.log).frames((event,))
                    for frame in frames:
                        if self._wanted is None or self._wanted(frame):
                            await send({"type": "websocket.send", "text": frame.text})
                await anyio.lowlevel.checkpoint()  # a `send` to somebody who keeps up gives nobody else a turn
            self._finish(ENDED)
        except ShuttingDown as error:
            self._finish(STOPPED, error.message)
        except RoostError as error:
            self._finish(FAILED, error.message)
        except OSError:
            raise
        except Exception:
            log.exception("a socket failed", extra={"action": "socket_failed"})
            self._finish(FAILED, "internal server error")
        finally:
            readers.close()

    def _finish(self, code: int, reason: str = "") -> None:
        self._end = self._end or (code, reason)


def _cut(reason: str) -> str:
    """As much of a reason as a close frame holds."""
    return reason.encode()[:REASON].decode("utf-8", "ignore")


class Sockets:
    """Opens WebSockets; all of them end when `closing` is set."""

    def __init__(self, make: Callable[[LogId], Frames], closing: anyio.Event, *, beat: float = BEAT) -> None:
        self.rings: Rings[Sequence[Frame]] = Rings(lambda log_id: _Fitting(make(log_id)), measure=_size, blank=())
        self.closing = closing
        self.beat = beat

    def open(self, batches: Batches, *, wanted: Filter | None = None, tick: Tick | None = None) -> Socket:
        """A socket, ready to be accepted.  What `tick` makes is sent beside, every `beat` seconds; None is not."""
        return Socket(self, batches, wanted=wanted, tick=tick)
