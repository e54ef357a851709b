"""Connections that are held open, and what they may cost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from roost.doors.listen import bound, parse, shown
from roost.doors.protocols import HEADER_BYTES
from roost.doors.server import serve

LARGE = 32 << 20

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


class App:
    """Reads no body: `/large` answers with much, `/open` does not end, all else is short."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def __call__(self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/open":
            await send({"type": "http.response.body", "body": b"first", "more_body": True})
            while (await receive())["type"] != "http.disconnect":
                pass
            self.gone.set()
        if scope["path"] == "/large":
            for _ in range(LARGE >> 16):
                await send({"type": "http.response.body", "body": b"x" * (1 << 16), "more_body": True})
            self.gone.set()
        await send({"type": "http.response.body", "body": b"hello"})


@contextlib.asynccontextmanager
async def dialled(app: App, **options: Any) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server of this app."""
    stop, started = asyncio.Event(), asyncio.Event()
    with bound([parse("127.0.0.1:0")]) as sockets:
        host, _, port = shown(sockets[0]).partition(":")
        task = asyncio.ensure_future(serve(app, sockets, stop=stop, on_start=started.set, grace=1, **options))
        await asyncio.wait_for(started.wait(), 10)
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        yield reader, writer
        writer.close()
        stop.set()
        await asyncio.wait_for(task, 10)


async def until_closed(reader: asyncio.StreamReader) -> int:
    """How many bytes come until the other end closes."""
    size = 0
    with contextlib.suppress(ConnectionError):
        while chunk := await asyncio.wait_for(reader.read(65536), 10):
            size += len(chunk)
    return size


async def test_what_is_left_of_a_body_has_to_come() -> None:
    """An answer that did not need the body leaves a connection that waits for the rest of it: not for ever."""
    async with dialled(App(), header_seconds=0.3) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc")
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"d")
        await until_closed(reader)


async def test_after_the_rest_of_a_body_the_connection_serves_on() -> None:
    async with dialled(App(), header_seconds=5) as (reader, writer):
        for _ in range(3):
            writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nab")
            assert b"200 OK" in await asyncio.wait_for(reader.readuntil(b"\r\n0\r\n\r\n"), 10)
            writer.write(b"cd")


async def test_a_head_without_end_behind_a_stream() -> None:
    app = App()
    async with dialled(app) as (reader, writer):
        writer.write(b"GET /open HTTP/1.1\r\nhost: x\r\n\r\n")
        await asyncio.wait_for(reader.readuntil(b"first"), 10)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nx-much: ")
        with contextlib.suppress(ConnectionError):
            for _ in range(4 * HEADER_BYTES // 65536):
                writer.write(b"a" * 65536)
                await asyncio.wait_for(writer.drain(), 10)
        await asyncio.wait_for(app.gone.wait(), 10)
        await until_closed(reader)


async def test_an_answer_that_nobody_reads_is_given_up() -> None:
    app = App()
    async with dialled(app, stuck_seconds=0.3) as (reader, writer):
        writer.write(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
        await asyncio.wait_for(app.gone.wait(), 10)  # and until then not a byte is read
        assert 0 < await until_closed(reader) < LARGE


async def test_a_slow_reader_gets_all_of_it() -> None:
    async with dialled(App(), stuck_seconds=1) as (reader, writer):
        writer.write(b"GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        size = 0
        while chunk := await asyncio.wait_for(reader.read(2 << 20), 10):
            size += len(chunk)
            await asyncio.sleep(0.0005)
        assert size > LARGE
