"""What one connection may do, and for how long: HTTP and WebSockets, as uvicorn speaks them."""

import asyncio
import base64
import binascii
import logging
from asyncio import AbstractEventLoop, TimerHandle, Transport
from collections.abc import Iterable
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

HEADER_SECONDS = 10.0  # to send the whole head of a request
HEADER_BYTES = 1 << 20
STUCK_SECONDS = 60.0  # in which a client reads nothing of an answer
CLOSE_SECONDS = 10.0  # for the end of a WebSocket, or of TLS
FAREWELL_SECONDS = 0.5  # for the end of TLS, where the server stops and nothing is left to send

_untold = logging.getLogger(f"{__name__}.sockets")
_untold.setLevel(logging.WARNING)  # the door says what is asked for, and leaves out queries: tickets stand there

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class _Watched(asyncio.Protocol):
    """Gives up a client that does not read: as soon as nothing of what waits for it was read for too long."""

    loop: AbstractEventLoop
    transport: Transport
    _stuck_seconds: float
    _unread: TimerHandle | None = None

    def pause_writing(self) -> None:
        """The client does not keep up with what we send."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """Now it does."""
        super().resume_writing()
        self._unwatch()

    def _watch(self, before: int | None = None) -> None:
        self._unwatch()
        waiting = self.transport.get_write_buffer_size()
        if before is not None and waiting >= before:
            self._give_up()
        else:
            self._unread = self.loop.call_later(self._stuck_seconds, self._watch, waiting)

    def _unwatch(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _give_up(self) -> None:
        self.transport.abort()


class Protocol(_Watched, HttpToolsProtocol):
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


def _is_handshake(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    found = dict(headers)
    try:
        key = base64.b64decode(found.get(b"sec-websocket-key", b"").strip(), validate=True)
    except binascii.Error:
        return False
    return len(key) == 16 and found.get(b"sec-websocket-version", b"").strip() == b"13"


class SocketProtocol(_Watched, WebSocketsSansIOProtocol):
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
        self._cut: TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._unwatch()
        if self._cut is not None:
            self._cut.cancel()
        super().connection_lost(exc)

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

    def _give_up(self) -> None:
        self._drop(1013, "too slow")

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
