"""An HTTP server in this process: uvicorn as a library, with a start and an end of our own."""

import asyncio
import base64
import binascii
import logging
import signal
import socket
import ssl
from asyncio import AbstractEventLoop, TimerHandle, Transport
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from inspect import isawaitable
from typing import Any

import uvicorn
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

App = Callable[..., Awaitable[None]]
Call = Callable[[], object]

HEADER_SECONDS = 10.0  # to send the whole head of a request
HEADER_BYTES = 1 << 20
SOCKET_BYTES = 1 << 20  # of a message from a WebSocket's client, in however many pieces
GRACE_SECONDS = 3  # for answers under way, once the app knows that it stops
IDLE_SECONDS = 75  # between two requests of one connection
STUCK_SECONDS = 60.0  # in which a client reads nothing of an answer
PING_SECONDS = 20.0  # between two pings of a WebSocket
PONG_SECONDS = 40.0  # in which it must answer one: the time of two
CLOSE_SECONDS = 10.0  # for the end of a WebSocket, or of TLS
FAREWELL_SECONDS = 0.5  # for the end of TLS, where the server stops and nothing is left to send

_untold = logging.getLogger(f"{__name__}.sockets")
_untold.setLevel(logging.WARNING)  # the door says what is asked for, and leaves out queries: tickets stand there

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Protocol(HttpToolsProtocol):
    """Closes a connection that dawdles, or sends a head that is too large.

    The whole head of a request has to come in time, and so has what is left of a body that nobody wants any more
    (it is read and dropped, so that the client gets to read its answer).  Of an answer, something has to be read.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
        *,
        header_seconds: float = HEADER_SECONDS,
        stuck_seconds: float = STUCK_SECONDS,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._header_seconds = header_seconds
        self._stuck_seconds = stuck_seconds
        self._heading = True  # what comes next belongs to the head of a request
        self._head_bytes = 0
        self._alarm: TimerHandle | None = None
        self._unread: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Start the clock."""
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._disarm()
        self._unwatch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count the head's bytes, then parse."""
        if self._heading:
            self._head_bytes += len(data)
            if self._head_bytes > HEADER_BYTES:
                self._refuse()
                return
            if self._alarm is None:
                self._arm()
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """The head is here."""
        self._disarm()
        self._heading = False
        self._head_bytes = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The next byte begins another request."""
        self._disarm()
        self._heading = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The rest of a body that was not read has to come soon."""
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body and self._alarm is None:
            self._arm()

    def pause_writing(self) -> None:
        """The client does not keep up with what we send."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """Now it does."""
        super().resume_writing()
        self._unwatch()

    def _should_upgrade_to_ws(self) -> bool:
        """Whether this is a WebSocket handshake: whatever looks like one and is none is a request like all others."""
        return (
            super()._should_upgrade_to_ws()
            and self.scope["method"] == "GET"
            and self.scope["http_version"] == "1.1"
            and _is_handshake(self.headers)
        )

    def _unsupported_upgrade_warning(self) -> None:
        """The door says what is wrong."""

    def shutdown(self) -> None:
        """The server stops: an idle client that will not say good-bye does not hold it up."""
        super().shutdown()
        if self.transport.is_closing() and not self.transport.get_write_buffer_size():
            self.loop.call_later(FAREWELL_SECONDS, self.transport.abort)

    def timeout_keep_alive_handler(self) -> None:
        """Nothing more has come: close, also where the last answer was never read."""
        super().timeout_keep_alive_handler()
        self._watch()

    def _refuse(self) -> None:
        if self._answering():  # a head in the middle of an answer: there is no way to say no
            self.transport.abort()
            return
        self.transport.write(_TOO_LARGE)
        self.transport.close()

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _arm(self) -> None:
        self._alarm = self.loop.call_later(self._header_seconds, self._late)

    def _disarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _late(self) -> None:
        self._alarm = None
        if not self._answering() and not self.transport.is_closing():
            self.transport.close()
            self._watch()

    def _watch(self, before: int | None = None) -> None:
        """Cut the connection as soon as nothing has been read for too long."""
        self._unwatch()
        waiting = self.transport.get_write_buffer_size()
        if before is not None and waiting >= before:
            self.transport.abort()
        else:
            self._unread = self.loop.call_later(self._stuck_seconds, self._watch, waiting)

    def _unwatch(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


def _is_handshake(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    found = dict(headers)
    try:
        key = base64.b64decode(found.get(b"sec-websocket-key", b"").strip(), validate=True)
    except binascii.Error:
        return False
    return len(key) == 16 and found.get(b"sec-websocket-version", b"").strip() == b"13"


class SocketProtocol(WebSocketsSansIOProtocol):
    """Lets no client hold a connection that it does not read from, and says 1001 when the server stops."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
        *,
        stuck_seconds: float = STUCK_SECONDS,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.logger = self.conn.logger = _untold
        self.conn.debug = False
        self.close_timeout = min(CLOSE_SECONDS, stuck_seconds)
        self._stuck_seconds = stuck_seconds
        self._unread: TimerHandle | None = None
        self._cut: TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._unwatch()
        if self._cut is not None:
            self._cut.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not keep up with what we send."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """Now it does."""
        super().resume_writing()
        self._unwatch()

    def shutdown(self) -> None:
        """The server stops."""
        if not self.handshake_complete or self.close_sent:
            super().shutdown()
            return
        self._drop(1001, "the server stops")

    def keepalive_timeout(self) -> None:
        """Nobody is there any more."""
        super().keepalive_timeout()
        self._cut_soon()

    async def send(self, message: Any) -> None:
        """Send; a close frame is the last thing that may take its time."""
        await super().send(message)
        if message["type"] == "websocket.close":
            self._cut_soon()

    def _watch(self, before: int | None = None) -> None:
        """Drop the client as soon as nothing has been read for too long."""
        self._unwatch()
        waiting = self.transport.get_write_buffer_size()
        if before is not None and waiting >= before:
            self._drop(1013, "too slow")
        else:
            self._unread = self.loop.call_later(self._stuck_seconds, self._watch, waiting)

    def _unwatch(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _drop(self, code: int, reason: str) -> None:
        """Close, whether the app is done or not; it is told that the client is gone."""
        if self.close_sent or self.transport.is_closing():
            return
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = self.disconnected = True
        self.writable.set()  # whoever waits to send learns that it is too late
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.close)
        self._cut_soon()

    def _cut_soon(self) -> None:
        """What has not been read by then never will be."""
        if self._cut is None:
            self._cut = self.loop.call_later(self.close_timeout + 1.0, self.transport.abort)


class _Server(uvicorn.Server):
    """Leaves signals alone, bounds TLS handshakes, and tells the app before it closes connections."""

    def __init__(
        self,
        config: Config,
        on_start: Call | None,
        on_stop: Call | None,
        tls: ssl.SSLContext | None,
        handshake_seconds: float,
    ) -> None:
        super().__init__(config)
        self._told = asyncio.Event()  # to stop
        self._on_start = on_start
        self._on_stop = on_stop
        self._tls: dict[str, Any] = {}
        if tls is not None:
            self._tls = {"ssl": tls, "ssl_handshake_timeout": handshake_seconds, "ssl_shutdown_timeout": CLOSE_SECONDS}

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Somebody else listens to them."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        loop = asyncio.get_running_loop()
        self.servers = []
        for sock in sockets or ():
            self.servers.append(
                await loop.create_server(self._protocol, sock=sock, backlog=self.config.backlog, **self._tls)
            )
        self.started = True
        if self._on_start is not None:
            self._on_start()

    def leave(self, *, at_once: bool = False) -> None:
        """Stop; `at_once` waits for no answer."""
        self.should_exit = True
        self.force_exit = self.force_exit or at_once
        self._told.set()

    async def main_loop(self) -> None:
        """A tick each second, for the header with the date; a stop waits for none."""
        counter = 0
        while not await self.on_tick(counter):
            counter += 10  # it counts tenths
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), 1.0)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """No new connections; then the app ends its streams; then the rest are closed."""
        for server in self.servers:
            server.close()
        if self._on_stop is not None:
            ended = self._on_stop()
            if isawaitable(ended):
                await ended
        for connection in list(self.server_state.connections):
            connection.shutdown()
        try:
            await asyncio.wait_for(self._emptied(), self.config.timeout_graceful_shutdown)
        except TimeoutError:
            for task in self.server_state.tasks:
                task.cancel()

    async def _emptied(self) -> None:
        """Until all connections and answers have ended."""
        state = self.server_state
        while (state.connections or state.tasks) and not self.force_exit:  # noqa: ASYNC110  (sets tell nobody)
            await asyncio.sleep(0.01)

    def _protocol(self) -> asyncio.Protocol:
        make: Any = self.config.http_protocol_class
        made: asyncio.Protocol = make(config=self.config, server_state=self.server_state, app_state={})
        return made


async def serve(
    app: App,
    sockets: Sequence[socket.socket],
    *,
    stop: asyncio.Event,
    tls: ssl.SSLContext | None = None,
    on_start: Call | None = None,
    on_stop: Call | None = None,
    grace: int = GRACE_SECONDS,
    header_seconds: float = HEADER_SECONDS,
    stuck_seconds: float = STUCK_SECONDS,
    ping_seconds: float = PING_SECONDS,
    pong_seconds: float = PONG_SECONDS,
) -> None:
    """Serve `app` on all `sockets` until `stop` is set and every answer has ended, or `grace` seconds after.

    All of them speak TLS where `tls` is given.  `on_start` is called once connections are taken; `on_stop`
    (plain or async) once none are taken any more and before those that are open are closed: the place for
    the app to end its streams.  The sockets are closed at the end.  The app sees no lifespan: whoever calls
    has opened all it needs.
    """
    config = Config(
        app,
        http=partial(Protocol, header_seconds=header_seconds, stuck_seconds=stuck_seconds),  # type: ignore[arg-type]
        ws=partial(SocketProtocol, stuck_seconds=stuck_seconds),  # type: ignore[arg-type]
        ws_max_size=SOCKET_BYTES,
        ws_per_message_deflate=False,
        ws_ping_interval=ping_seconds,
        ws_ping_timeout=pong_seconds,
        interface="asgi3",  # never guess
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=grace,
    )
    server = _Server(config, on_start, on_stop, tls, header_seconds)
    serving = asyncio.ensure_future(server.serve(sockets=list(sockets)))
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        server.leave()
        await serving
    except asyncio.CancelledError:
        server.leave(at_once=True)
        await asyncio.shield(serving)
        raise
    finally:
        stopping.cancel()


@contextmanager
def until_told(*signals: signal.Signals) -> Iterator[asyncio.Event]:
    """An event that a signal sets: these, else SIGINT and SIGTERM.  A second one ends the process as a crash would."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    signals = signals or (signal.SIGINT, signal.SIGTERM)

    def tell() -> None:
        told.set()
        for number in signals:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    before = {number: signal.getsignal(number) for number in signals}
    for number in signals:
        loop.add_signal_handler(number, tell)
    try:
        yield told
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
            with suppress(TypeError):  # a handler that Python did not install
                signal.signal(number, before[number])
