"""The embedded server: start, end, and clients that dawdle."""

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from roost.config.certificates import Pair, context, own
from roost.doors.listen import Unix, bound, parse, shown
from roost.doors.server import serve

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


class Streams:
    """An app whose `/stream` goes on until it is told to stop; all else says hello."""

    def __init__(self) -> None:
        self.told = asyncio.Event()
        self.ended: list[str] = []
        self.open = asyncio.Event()

    async def __call__(self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        if scope["path"] == "/stream":
            await send({"type": "http.response.body", "body": b"first", "more_body": True})
            self.open.set()
            await self.told.wait()
            self.ended.append("stream")
        await send({"type": "http.response.body", "body": b"last" if scope["path"] == "/stream" else b"hello"})

    def stop(self) -> None:
        self.ended.append("told")
        self.told.set()


@contextlib.asynccontextmanager
async def running(app: Any, address: str = "127.0.0.1:0", **options: Any) -> AsyncIterator[tuple[str, asyncio.Event]]:
    stop, started = asyncio.Event(), asyncio.Event()
    with bound([parse(address)]) as sockets:
        where = shown(sockets[0])
        task = asyncio.ensure_future(serve(app, sockets, stop=stop, on_start=started.set, **options))
        await asyncio.wait_for(started.wait(), 10)
        yield where, stop
        stop.set()
        await asyncio.wait_for(task, 10)


async def dial(where: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if where.startswith("unix://"):
        return await asyncio.open_unix_connection(where.removeprefix("unix://"))
    host, port = where.split(":")
    return await asyncio.open_connection(host, int(port))


async def get(where: str, path: str = "/") -> bytes:
    reader, writer = await dial(where)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


async def test_it_answers_and_keeps_its_name_to_itself() -> None:
    async with running(Streams()) as (where, _):
        answer = await get(where)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"hello" in answer
    assert b"server:" not in answer.lower()


async def test_it_answers_on_a_unix_socket(tmp_path: Path) -> None:
    async with running(Streams(), str(Unix(tmp_path / "s"))) as (where, _):
        assert b"hello" in await get(where)
    assert not (tmp_path / "s").exists()


async def test_the_app_is_told_before_its_streams_are_closed() -> None:
    app = Streams()
    async with running(app, on_stop=app.stop) as (where, stop):
        stream = asyncio.ensure_future(get(where, "/stream"))
        await asyncio.wait_for(app.open.wait(), 10)
        stop.set()
        answer = await stream
    assert answer.endswith(b"0\r\n\r\n")
    assert b"first" in answer
    assert b"last" in answer
    assert app.ended == ["told", "stream"]


async def test_nobody_new_is_let_in_while_the_app_ends() -> None:
    app, in_stop, go_on = Streams(), asyncio.Event(), asyncio.Event()

    async def slow_stop() -> None:
        in_stop.set()
        await go_on.wait()

    async with running(app, on_stop=slow_stop) as (where, stop):
        stop.set()
        await asyncio.wait_for(in_stop.wait(), 10)
        with pytest.raises(OSError):
            await asyncio.wait_for(get(where), 10)
        go_on.set()


async def test_a_stream_that_will_not_end_is_cut_after_the_grace() -> None:
    app = Streams()
    async with running(app, grace=1) as (where, stop):
        stream = asyncio.ensure_future(get(where, "/stream"))
        await asyncio.wait_for(app.open.wait(), 10)
        stop.set()
        answer = await stream
    assert b"last" not in answer
    assert app.ended == []


async def closed(reader: asyncio.StreamReader) -> bytes:
    with contextlib.suppress(ConnectionResetError):
        return await asyncio.wait_for(reader.read(), 10)
    return b""


async def test_a_client_that_says_nothing_is_put_out() -> None:
    async with running(Streams(), header_seconds=0.2) as (where, _):
        reader, writer = await dial(where)
        assert await closed(reader) == b""
        writer.close()


async def test_a_slow_loris_is_put_out_however_steadily_it_drips() -> None:
    async with running(Streams(), header_seconds=0.3) as (where, _):
        reader, writer = await dial(where)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n")

        async def drip() -> None:
            while not writer.is_closing():
                writer.write(b"x-drop: 1\r\n")
                await asyncio.sleep(0.02)

        dripping = asyncio.ensure_future(drip())
        assert b"200" not in await closed(reader)
        writer.close()
        with contextlib.suppress(OSError):
            await dripping


async def test_a_slow_second_request_is_put_out_too() -> None:
    async with running(Streams(), header_seconds=0.3) as (where, _):
        reader, writer = await dial(where)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 10)
        writer.write(b"\r\nGET / HTT")
        assert await closed(reader) == b""
        writer.close()


async def test_a_stream_outlives_the_time_for_headers() -> None:
    app = Streams()
    async with running(app, header_seconds=0.1, on_stop=app.stop) as (where, stop):
        reader, writer = await dial(where)
        writer.write(
            b"POST /stream HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}\r\n"
        )  # an old browser's extra CRLF
        await asyncio.wait_for(app.open.wait(), 10)
        await asyncio.sleep(0.3)  # the time under test
        stop.set()
        assert b"last" in await closed(reader)
        writer.close()


async def test_a_head_too_large_is_refused() -> None:
    async with running(Streams()) as (where, _):
        reader, writer = await dial(where)
        writer.write(b"GET / HTTP/1.1\r\n")
        with contextlib.suppress(OSError):
            for number in range(40):
                writer.write(b"x-%d: " % number + b"y" * 65536 + b"\r\n")
                await writer.drain()
        assert b"200 OK" not in await closed(reader)
        writer.close()
        assert b"hello" in await get(where)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return own(tmp_path / "tls", "localhost")


def trust(pair: Pair) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=pair.cert)


async def dial_tls(where: str, pair: Pair) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = where.split(":")
    return await asyncio.open_connection(host, int(port), ssl=trust(pair))


async def test_it_answers_over_tls(pair: Pair) -> None:
    async with running(Streams(), tls=context(pair)) as (where, _):
        reader, writer = await dial_tls(where, pair)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert b"hello" in await closed(reader)
        writer.close()


async def test_a_handshake_that_does_not_come_is_cut(pair: Pair) -> None:
    async with running(Streams(), tls=context(pair), header_seconds=0.3) as (where, _):
        reader, writer = await dial(where)
        writer.write(b"\x16\x03\x01")  # the beginning of one
        assert await closed(reader) == b""
        writer.close()


async def test_a_head_that_does_not_come_over_tls_is_cut(pair: Pair) -> None:
    async with running(Streams(), tls=context(pair), header_seconds=0.3) as (where, _):
        reader, writer = await dial_tls(where, pair)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n")
        assert b"200" not in await closed(reader)
        writer.close()


async def test_plain_http_on_a_tls_port_is_put_out(pair: Pair) -> None:
    async with running(Streams(), tls=context(pair)) as (where, _):
        assert b"200" not in await get_raw(where)


async def get_raw(where: str) -> bytes:
    reader, writer = await dial(where)
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    answer = await closed(reader)
    writer.close()
    return answer


async def test_idle_clients_do_not_hold_up_the_end_of_a_tls_server(pair: Pair) -> None:
    async with running(Streams(), tls=context(pair), grace=30) as (where, stop):
        sock = socket.create_connection(tuple(where.split(":")), 10)
        silent = await asyncio.to_thread(trust(pair).wrap_socket, sock, server_hostname="localhost")
        await asyncio.to_thread(silent.sendall, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert await asyncio.to_thread(silent.recv, 15) == b"HTTP/1.1 200 OK"
        stop.set()  # the block ends within ten seconds, though this client never closes
    silent.close()


SCRIPT = """
import asyncio, sys
from roost.doors.listen import bound, parse, shown
from roost.doors.server import serve, until_told

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await asyncio.sleep(60)

async def hang():
    print("stopping", flush=True)
    await asyncio.sleep(60 if sys.argv[1] == "hang" else 0)

async def main():
    with bound([parse("127.0.0.1:0")]) as sockets, until_told() as stop:
        say = lambda: print(shown(sockets[0]), flush=True)
        await serve(app, sockets, stop=stop, on_start=say, on_stop=hang, grace=1)
    print("done", flush=True)

asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def program(how: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SCRIPT, how, stdout=PIPE, env=dict(os.environ))
    assert process.stdout is not None
    await asyncio.wait_for(process.stdout.readline(), 20)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_politely(number: signal.Signals) -> None:
    async with program("quick") as process:
        process.send_signal(number)
        out, _ = await asyncio.wait_for(process.communicate(), 20)
    assert out.decode().split() == ["stopping", "done"]
    assert process.returncode == 0


async def test_a_second_signal_ends_it_at_once() -> None:
    async with program("hang") as process:
        assert process.stdout is not None
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.stdout.readline(), 20)
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 20)
    assert process.returncode == -signal.SIGTERM
