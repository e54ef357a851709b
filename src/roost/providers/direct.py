"""The way to a provider without a proxy: HTTP/1.1 straight on the event loop's transport.

A model's answer is hundreds of small chunks, and a server's core is spent on them: the stream of a general
client costs three times what it costs here.  TLS, certificates and everything above stay httpx2's.
"""

import asyncio
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import anyio
import httptools
import httpx2

PAUSE = 256 * 1024  # bytes of a body that nobody has asked for yet: at this many, reading stops
IDLE = 30.0  # seconds that a line is kept for the next request
IDLE_LINES = 50
HEAD_START = 0.25  # seconds until the next address of a host is tried beside the first

_UNFIT = re.compile(rb"[\r\n\0]")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Place(NamedTuple):
    """Where a line leads."""

    scheme: str
    host: str
    port: int


class Direct(httpx2.AsyncBaseTransport):
    """Lines to providers, kept for the next request.  `secure` makes what TLS needs, when it is first needed."""

    def __init__(self, secure: Callable[[], ssl.SSLContext]) -> None:
        self._secure = secure
        self._context: ssl.SSLContext | None = None
        self._idle: dict[Place, list[_Line]] = {}
        self._closed = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request, and return when its answer's head is there.

        Raises:
            httpx2.TransportError: the kinds that httpx2's own transport knows.
        """
        place, raw = _place(request), _head(request)
        raw += b"".join([part async for part in _body_of(request)])
        line = self._kept(place) or await self._dial(place, request)
        try:
            await line.ask(raw)
        except BaseException:
            line.abort()
            raise
        stream = _Body(line, lambda: self._keep(place, line))
        return httpx2.Response(
            line.status, headers=line.headers, stream=stream, extensions={"http_version": b"HTTP/1.1"}
        )

    async def aclose(self) -> None:
        """Hang up."""
        self._closed = True
        for lines in self._idle.values():
            for line in lines:
                line.abort()
        self._idle.clear()

    def _kept(self, place: Place) -> "_Line | None":
        lines = self._idle.get(place, [])
        while lines:
            line = lines.pop()  # the one that served last: the others may grow old
            if line.usable and time.monotonic() - line.since < IDLE:
                return line
            line.abort()
        return None

    def _keep(self, place: Place, line: "_Line") -> None:
        """Keep a line whose answer is complete; hang up where it is not, or where there are enough."""
        now = time.monotonic()
        lines = [kept for kept in self._idle.get(place, []) if kept.usable and now - kept.since < IDLE]
        if line.usable and not self._closed and len(lines) < IDLE_LINES:
            line.since = now
            lines.append(line)
        else:
            line.abort()
        self._idle[place] = lines

    async def _dial(self, place: Place, request: httpx2.Request) -> "_Line":
        patience = request.extensions.get("timeout", {}).get("connect")
        if place.scheme == "https" and self._context is None:
            self._context = self._secure()
            self._context.set_alpn_protocols(["http/1.1"])
        context = self._context if place.scheme == "https" else None
        name = place.host if context else None
        try:
            with anyio.fail_after(patience):
                sock = await _connected(place.host, place.port)
                _, line = await asyncio.get_running_loop().create_connection(
                    _Line, sock=sock, ssl=context, server_hostname=name
                )
        except TimeoutError as error:
            raise httpx2.ConnectTimeout(str(error), request=request) from error
        except OSError as error:  # what TLS complains of is one, too
            raise httpx2.ConnectError(str(error), request=request) from error
        return line


class _Line(asyncio.Protocol):
    """One connection, a request at a time."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.since = 0.0
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._lost = False
        self._asked = False  # a request is under way
        self._headed = False  # the head of its answer is there
        self._done = True  # and all of it
        self._framed = False  # its end can be told from its bytes
        self._error: httpx2.TransportError | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None

    @property
    def usable(self) -> bool:
        """Whether another request can be sent."""
        return self._done and not self._lost and self._error is None and not self._transport.is_closing()

    async def ask(self, raw: bytes) -> None:
        """Send a request, and return when the head of its answer is there."""
        self.headers, self._headed, self._done, self._framed, self._asked = [], False, False, False, True
        self._forget()
        self._transport.write(raw)
        while not self._headed:
            self._complain()
            await self._wait()

    async def read(self) -> bytes:
        """All of the body that has come since; b"" at its end."""
        while not self._pieces:
            if self._done:
                return b""
            self._complain()
            await self._wait()
        found = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._forget()
        return found

    def abort(self) -> None:
        """Hang up."""
        self._error = self._error or httpx2.ReadError("the line was closed")
        self._transport.abort()

    def _forget(self) -> None:
        """The pieces that are here are taken, or wanted by nobody: there is room again."""
        self._pieces.clear()
        self._size = 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _complain(self) -> None:
        if self._error is not None:
            raise self._error
        if self._lost:
            raise httpx2.RemoteProtocolError("Server disconnected without sending a whole answer.")

    # -- what the event loop tells --------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = True
        if error is not None:
            self._error = self._error or httpx2.ReadError(str(error))
        elif self._headed and not self._framed and self._error is None:
            self._done = True  # an answer that ends with its line
        self._wake()

    def data_received(self, data: bytes) -> None:
        if not self._asked:  # nobody asked for anything
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._error = httpx2.RemoteProtocolError(str(error))
            self._transport.abort()
        if self._size > PAUSE and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    # -- what the parser tells ------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """An answer starts; one that nobody has asked for is no answer."""
        if not self._asked:
            self.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which nobody wants."""
        if self._asked and not self._headed:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is there, if it is not only a word in advance (1xx)."""
        if not self._asked:
            return
        self.status = self._parser.get_status_code()
        if self.status < 200:
            self.headers = []
            return
        self._headed = True
        names = {name.lower() for name, _ in self.headers}
        self._framed = bool(names & {b"content-length", b"transfer-encoding"}) or self.status in (204, 304)

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if not self._asked:
            return
        self._pieces.append(body)
        self._size += len(body)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        if not self._headed or not self._asked:
            return
        self._done, self._asked = True, False
        if not self._parser.should_keep_alive():
            self._transport.close()


class _Body(httpx2.AsyncByteStream):
    """The body of an answer as it comes: what has gathered since the last look, in one piece."""

    def __init__(self, line: _Line, over: Callable[[], None]) -> None:
        self._line = line
        self._over: Callable[[], None] | None = over

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self._line.read():
            yield piece

    async def aclose(self) -> None:
        """Give the line back, or hang up in the middle."""
        over, self._over = self._over, None
        if over is not None:
            over()


async def _connected(host: str, port: int) -> socket.socket:
    """A socket that is connected to the first of a host's addresses to answer; each gets a start on the next.

    Raises:
        OSError: none does.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    won: list[socket.socket] = []
    errors: list[OSError] = []

    async def attempt(family: int, address: Any, failed: anyio.Event) -> None:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, address)
        except BaseException as error:
            sock.close()
            failed.set()
            if not isinstance(error, OSError):
                raise
            errors.append(error)
        else:
            won.append(sock)
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for family, *_, address in found:
            failed = anyio.Event()
            tasks.start_soon(attempt, family, address, failed)
            with anyio.move_on_after(HEAD_START):
                await failed.wait()
    for late in won[1:]:
        late.close()
    if not won:
        raise errors[0] if errors else OSError(f"{host} has no address")
    return won[0]


def _place(request: httpx2.Request) -> Place:
    url = request.url
    if url.scheme not in ("http", "https"):
        raise httpx2.UnsupportedProtocol(f"Request URL has an unsupported protocol '{url.scheme}://'.", request=request)
    return Place(url.scheme, url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80))


def _head(request: httpx2.Request) -> bytes:
    """The head of a request; nothing in it may start a line of its own."""
    lines = [b"%b %b HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    for name, value in request.headers.raw:
        if not _NAME.fullmatch(name) or _UNFIT.search(value):
            raise httpx2.LocalProtocolError(f"Illegal header {name!r}", request=request)
        lines.append(b"%b: %b" % (name, value))
    return b"\r\n".join([*lines, b"", b""])


def _body_of(request: httpx2.Request) -> httpx2.AsyncByteStream:
    assert isinstance(request.stream, httpx2.AsyncByteStream)
    return request.stream
