"""WebSockets over logs: many readers, each a cursor, and every frame rendered once."""

import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, aclosing, contextmanager, suppress
from typing import Protocol

import anyio
import anyio.lowlevel
from msgspec import Struct

from roost.core.errors import RoostError, ShuttingDown
from roost.core.events import Event
from roost.core.ids import LogId
from roost.doors.routes import Receive, Scope, Send
from roost.doors.streams import Batches

log = logging.getLogger(__name__)

RING = 256 * 1024  # bytes of rendered frames kept for a log
RINGS = 64 * 1024 * 1024  # for all logs together
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


class Renderer(Protocol):
    """Facts of one log to frames, in order, from wherever it is begun."""

    async def render(self, event: Event) -> Sequence[Frame]:
        """The frames of an event; none where clients are shown nothing."""
        ...


# -- frames that are shared ---------------------------------------------------------------------


class Ring:
    """The newest frames of a log, for all its readers."""

    def __init__(self, rings: "Rings", log_id: LogId) -> None:
        self.readers = 0
        self.size = 0
        self._rings = rings
        self._log = log_id
        self._kept: deque[Sequence[Frame]] = deque()
        self._end = 0  # the seq that is rendered next
        self._renderer = rings.make(log_id)
        self._pen = anyio.Lock()

    def find(self, event: Event) -> Sequence[Frame] | None:
        """The frames of an event, if they are here."""
        first = self._end - len(self._kept)
        return self._kept[event.seq - first] if first <= event.seq < self._end else None

    async def extend(self, event: Event) -> Sequence[Frame] | None:
        """The frames of an event past the end, which are kept from now on; None for an older one."""
        async with self._pen:
            if event.seq < self._end:
                return self.find(event)
            if event.seq > self._end:
                self.shrink(0)
                self._end = event.seq
                self._renderer = self._rings.make(self._log)
            found = await rendered(self._renderer, event)
            self._kept.append(found)
            self._end += 1
            self._resize(_size(found))
            self.shrink(RING)
            self._rings.grew(self._log)
            return found

    def shrink(self, limit: int) -> None:
        """Forget the oldest frames until `limit` bytes are left."""
        while self._kept and self.size > limit:
            self._resize(-_size(self._kept.popleft()))

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
    def read(self, log_id: LogId) -> Iterator["Reader"]:
        """A reader, while the block lasts."""
        if (ring := self._rings.get(log_id)) is None:
            ring = self._rings[log_id] = Ring(self, log_id)
        ring.readers += 1
        try:
            yield Reader(ring, self.make, log_id)
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

    def __init__(self, ring: Ring, make: Callable[[LogId], Renderer], log_id: LogId) -> None:
        self._ring = ring
        self._make = make
        self._log = log_id
        self._own: Renderer | None = None
        self._next = 0

    async def frames(self, event: Event) -> Sequence[Frame]:
        """The frames of an event."""
        if (found := self._ring.find(event)) is not None:
            return found
        if (found := await self._ring.extend(event)) is not None:
            return found
        if self._own is None or self._next != event.seq:
            self._own = self._make(self._log)
        found = await rendered(self._own, event)
        self._next = event.seq + 1
        return found


async def rendered(renderer: Renderer, event: Event) -> Sequence[Frame]:
    """The frames of an event; one that can't be rendered, or is too large for clients, is our fault and left out."""
    try:
        found = await renderer.render(event)
    except RoostError:
        raise
    except Exception:
        log.exception("event %d of %s has no frame", event.seq, event.log, extra={"action": "render_failed"})
        return ()
    fit = [frame for frame in found if len(frame.text) <= LARGEST // 4 or len(frame.text.encode()) <= LARGEST]
    if len(fit) < len(found):
        log.error("event %d of %s is too large for clients", event.seq, event.log, extra={"action": "frame_too_large"})
    return fit


def _size(frames: Sequence[Frame]) -> int:
    return 32 + sum(len(frame.text) for frame in frames)


# -- one socket ---------------------------------------------------------------------------------


class _Readers:
    """Readers of the logs that one socket has met lately."""

    def __init__(self, rings: Rings) -> None:
        self._rings = rings
        self._open: OrderedDict[LogId, tuple[Reader, ExitStack]] = OrderedDict()

    def of(self, log_id: LogId) -> Reader:
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
                    for frame in await readers.of(event.log).frames(event):
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

    def __init__(self, make: Callable[[LogId], Renderer], closing: anyio.Event, *, beat: float = BEAT) -> None:
        self.rings = Rings(make)
        self.closing = closing
        self.beat = beat

    def open(self, batches: Batches, *, wanted: Filter | None = None, tick: Tick | None = None) -> Socket:
        """A socket, ready to be accepted.  What `tick` makes is sent beside, every `beat` seconds; None is not."""
        return Socket(self, batches, wanted=wanted, tick=tick)
