"""An HTTP/1.1 and SSE client straight on the transport: a thousand streams on one core.

It has no patience and no retries: whatever is not as expected is an error of the measurement.
"""

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any, Self

CHUNK = re.compile(rb"(\d+)@(\d+) ")
"""What the model says: a chunk's place, and when it was sent."""

Sink = Callable[[bytes], None]


class Refused(Exception):
    """An answer that is no 2xx."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"{status}: {body[:300]!r}")
        self.status = status


class Cut(Exception):
    """The connection is gone before the answer's end."""


class Line(asyncio.Protocol):
    """One connection, a request at a time.  Made by `dial`."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._buffer = b""
        self._status = 0
        self._left: int | None = None  # bytes of the body, or of this chunk; None before the head
        self._chunked = False
        self._body: list[bytes] = []
        self._sink: Sink | None = None
        self._open: asyncio.Future[int] | None = None
        self._done: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, error: Exception | None) -> None:
        for waiting in (self._open, self._done):
            if waiting is not None and not waiting.done():
                waiting.set_exception(Cut())
                waiting.exception()  # whoever waits is told all the same; nobody else needs to be

    def close(self) -> None:
        """Hang up, in the middle of whatever it is."""
        self._transport.abort()

    async def ask(self, method: str, path: str, body: Any = None) -> bytes:
        """A request, and the whole body of its answer."""
        await self.start(method, path, body)
        return await self.end()

    async def start(
        self, method: str, path: str, body: Any = None, *, headers: str = "", sink: Sink | None = None
    ) -> None:
        """A request; return when it is accepted.  What comes then is given to `sink`, in whatever pieces it comes."""
        loop = asyncio.get_running_loop()
        self._open, self._done = loop.create_future(), loop.create_future()
        self._left, self._body, self._sink = None, [], sink
        raw = b"" if body is None else json.dumps(body).encode()
        kind = "content-type: application/json\r\n" if raw else ""
        head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\n{headers}{kind}content-length: {len(raw)}\r\n\r\n"
        self._transport.write(head.encode() + raw)
        status = await self._open
        if status >= 300:
            raise Refused(status, await self._done)

    async def end(self) -> bytes:
        """The body (b"" where a sink had it), once it is complete."""
        assert self._done is not None
        return await self._done

    # -- bytes ----------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if self._left is None and not self._head():
            return
        if self._chunked:
            self._chunks()
        else:
            self._plain()

    def _head(self) -> bool:
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return False
        self._buffer = rest
        lowered = head.lower()
        self._status = int(head[9:12])
        self._chunked = b"\r\ntransfer-encoding: chunked" in lowered
        length = re.search(rb"\r\ncontent-length: *(\d+)", lowered)
        self._left = 0 if self._chunked or length is None else int(length[1])
        if self._status >= 300:
            self._sink = None
        assert self._open is not None
        if not self._open.done():
            self._open.set_result(self._status)
        return True

    def _plain(self) -> None:
        assert self._left is not None
        piece, self._buffer = self._buffer[: self._left], self._buffer[self._left :]
        self._left -= len(piece)
        self._give(piece)
        if not self._left:
            self._finish()

    def _chunks(self) -> None:
        buffer, start, pieces = self._buffer, 0, []
        while True:
            line = buffer.find(b"\r\n", start)
            if line < 0:
                break
            size = int(buffer[start:line], 16)
            end = line + 2 + size + 2
            if len(buffer) < end:
                break
            if not size:
                self._buffer = buffer[end:]
                self._give(b"".join(pieces))
                self._finish()
                return
            pieces.append(buffer[line + 2 : end - 2])
            start = end
        self._buffer = buffer[start:]
        self._give(b"".join(pieces))

    def _give(self, piece: bytes) -> None:
        if not piece:
            return
        if self._sink is None:
            self._body.append(piece)
        else:
            self._sink(piece)

    def _finish(self) -> None:
        assert self._done is not None
        if not self._done.done():
            self._done.set_result(b"".join(self._body))


class Server:
    """Where a server listens, and connections to it that wait for their next request."""

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("http://").rpartition(":")
        self._host, self._port = host, int(port)
        self._idle: list[Line] = []

    async def dial(self) -> Line:
        """A new connection."""
        _, line = await asyncio.get_running_loop().create_connection(Line, self._host, self._port)
        return line

    async def ask(self, method: str, path: str, body: Any = None) -> bytes:
        """A request over a connection that is kept."""
        line = self._idle.pop() if self._idle else await self.dial()
        answer = await line.ask(method, path, body)
        self._idle.append(line)
        return answer

    def hang_up(self) -> None:
        """Close what is kept: a server may close it too, after a while, and then a request would fail."""
        for line in self._idle:
            line.close()
        self._idle.clear()

    async def session(self, title: str = "bench") -> str:
        """A new session; its title keeps the server from asking the model for one."""
        made = json.loads(await self.ask("POST", "/api/sessions", {"title": title}))
        return str(made["id"])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.hang_up()
