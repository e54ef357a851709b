"""An HTTP server in this process: uvicorn as a library, with a start and an end of our own."""

import asyncio
import signal
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from inspect import isawaitable
from typing import Any

import uvicorn
from uvicorn.config import Config

from roost.doors.protocols import CLOSE_SECONDS, HEADER_SECONDS, STUCK_SECONDS, Protocol, SocketProtocol

App = Callable[..., Awaitable[None]]
Call = Callable[[], object]

SOCKET_BYTES = 1 << 20  # of a message from a WebSocket's client, in however many pieces
GRACE_SECONDS = 3  # for answers under way, once the app knows that it stops
IDLE_SECONDS = 75  # between two requests of one connection
PING_SECONDS = 20.0  # between two pings of a WebSocket
PONG_SECONDS = 40.0  # in which it must answer one: the time of two


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
