"""A fake model: OpenAI's chat stream with as little work as can be, so that it is never what is measured.

The model's name is the order: `n32r0` is 32 chunks as fast as they go, each a send of its own; `n500r100` is
500 chunks at 100 a second, starting at a random moment of the first interval.  Each chunk is `INDEX@NS `: its
place, and the moment (CLOCK_MONOTONIC, in ns) at which it was handed to the socket.

Run: python -m bench.model CORE   (prints "listening on PORT")
"""

import asyncio
import random
import re
import sys
import time

import uvloop

from bench.cores import pin

ORDER = re.compile(rb'"model"\s*:\s*"(?:[^"]*/)?n(\d+)r(\d+)"')
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_REFUSED = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"


def _framed(data: bytes) -> bytes:
    """An SSE event in an HTTP chunk of its own."""
    event = b"data: %b\n\n" % data
    return b"%x\r\n%b\r\n" % (len(event), event)


def _chunk(delta: bytes, reason: bytes = b"null") -> bytes:
    return (
        b'{"id":"c","object":"chat.completion.chunk","created":0,"model":"bench",'
        b'"choices":[{"index":0,"delta":%b,"finish_reason":%b}]}' % (delta, reason)
    )


_FIRST = _framed(_chunk(b'{"role":"assistant","content":""}'))
_LAST = (
    _framed(_chunk(b"{}", b'"stop"'))
    + _framed(
        b'{"id":"c","object":"chat.completion.chunk","created":0,"model":"bench","choices":[],'
        b'"usage":{"prompt_tokens":10,"completion_tokens":32,"total_tokens":42}}'
    )
    + _framed(b"[DONE]")
    + b"0\r\n\r\n"
)


class Line(asyncio.Protocol):
    """One connection: a request at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._body = b""
        self._count = self._index = 0
        self._pause = self._next = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._body += data
        end = self._body.find(b"\r\n\r\n")
        length = LENGTH.search(self._body, 0, end) if end >= 0 else None
        if length is None or len(self._body) < end + 4 + int(length[1]):
            return
        order, self._body = ORDER.search(self._body, end), b""
        if order is None:
            self._transport.write(_REFUSED)
            return
        self._index, self._count, rate = 0, int(order[1]), int(order[2])
        self._transport.write(_HEAD + _FIRST)
        self._pause = 1 / rate if rate else 0.0
        self._next = self._loop.time() + random.random() * self._pause
        self._schedule()

    def _schedule(self) -> None:
        if self._pause:
            self._loop.call_at(self._next, self._send)
            self._next += self._pause
        else:
            self._loop.call_soon(self._send)

    def _send(self) -> None:
        if self._transport.is_closing():
            return
        if self._index == self._count:
            self._transport.write(_LAST)
            return
        self._transport.write(_framed(_chunk(b'{"content":"%d@%d "}' % (self._index, time.monotonic_ns()))))
        self._index += 1
        self._schedule()


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Line, "127.0.0.1", 0, backlog=2048)
    print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    pin(int(sys.argv[1]))
    uvloop.run(serve())
