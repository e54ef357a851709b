"""The straight way to a provider: answers cut anywhere, lines that serve again, and lines that must not."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import httpx2
import pytest
import trustme

from roost.providers.direct import PAUSE, Direct

pytestmark = pytest.mark.anyio

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
Serve = Callable[[Reader, Writer], Awaitable[None]]

CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
ANSWER = CHUNKED + b"3\r\none\r\n5\r\n two \r\n5\r\nthree\r\n0\r\n\r\n"


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


def no_tls() -> ssl.SSLContext:
    raise AssertionError("no TLS is wanted here")


@asynccontextmanager
async def listening(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    async def quietly(reader: Reader, writer: Writer) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(quietly, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"{'https' if tls else 'http'}://localhost:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@asynccontextmanager
async def client(secure: Callable[[], ssl.SSLContext] = no_tls) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(transport=Direct(secure), timeout=httpx2.Timeout(None, connect=5)) as made:
        yield made


def answers(*raw: bytes, lines: list[int] | None = None) -> Serve:
    """A server that gives these answers, one for each request, all on one line if it can."""
    left = list(raw)

    async def serve(reader: Reader, writer: Writer) -> None:
        if lines is not None:
            lines.append(1)
        while left:
            await asked(reader)
            writer.write(left.pop(0))
            await writer.drain()

    return serve


async def asked(reader: Reader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    return head + await reader.readexactly(length)


async def test_a_request_says_what_it_was_given() -> None:
    seen: list[bytes] = []

    async def serve(reader: Reader, writer: Writer) -> None:
        seen.append(await asked(reader))
        writer.write(ANSWER)
        await writer.drain()

    async with listening(serve) as url, client() as http:
        await http.post(f"{url}/v1/chat?x=1", headers={"x-key": "value"}, content=b"body")
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/chat?x=1 HTTP/1.1\r\n")
    assert b"\r\nx-key: value" in head
    assert b"\r\nhost: localhost:" in head.lower()
    assert body == b"body"


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
async def test_an_answer_survives_any_cut(size: int) -> None:
    async def serve(reader: Reader, writer: Writer) -> None:
        await asked(reader)
        for start in range(0, len(ANSWER), size):
            writer.write(ANSWER[start : start + size])
            await writer.drain()
            await asyncio.sleep(0)

    async with listening(serve) as url, client() as http:
        response = await http.get(url)
    assert (response.status_code, response.content) == (200, b"one two three")
    assert response.headers["content-type"] == "text/event-stream"


async def test_a_line_serves_again() -> None:
    lines: list[int] = []
    async with listening(answers(ANSWER, ANSWER, ANSWER, lines=lines)) as url, client() as http:
        for _ in range(3):
            assert (await http.post(url, content=b"x")).content == b"one two three"
    assert len(lines) == 1


async def test_a_word_in_advance_is_no_answer() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    async with listening(answers(early + ANSWER)) as url, client() as http:
        response = await http.get(url)
    assert (response.status_code, response.content) == (200, b"one two three")
    assert "link" not in response.headers


async def test_a_line_that_the_other_side_closes_is_not_used_again() -> None:
    lines: list[int] = []
    closing = ANSWER.replace(b"200 OK\r\n", b"200 OK\r\nconnection: close\r\n")
    async with listening(answers(closing, ANSWER, lines=lines)) as url, client() as http:
        for _ in range(2):
            assert (await http.get(url)).content == b"one two three"
    assert len(lines) == 2


async def test_an_answer_may_end_with_its_line() -> None:
    async def serve(reader: Reader, writer: Writer) -> None:
        await asked(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        await writer.drain()

    async with listening(serve) as url, client() as http:
        assert (await http.get(url)).content == b"all of it"


@pytest.mark.parametrize(
    "part", [b"", b"HTTP/1.1 200", ANSWER[:-5], b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"], ids=range(4)
)
async def test_a_cut_answer_is_an_error(part: bytes) -> None:
    async with listening(answers(part)) as url, client() as http:
        with pytest.raises(httpx2.TransportError):
            await http.get(url)


async def test_what_is_no_http_is_an_error() -> None:
    async with listening(answers(b"SSH-2.0-OpenSSH\r\n\r\n")) as url, client() as http:
        with pytest.raises(httpx2.RemoteProtocolError):
            await http.get(url)


async def test_bytes_that_nobody_asked_for_do_no_harm() -> None:
    second = ANSWER.replace(b"three", b"THREE")
    async with listening(answers(ANSWER + second, ANSWER)) as url, client() as http:
        for _ in range(2):
            assert (await http.get(url)).content == b"one two three"


async def test_a_line_that_is_left_in_the_middle_is_closed() -> None:
    gone = anyio.Event()

    async def serve(reader: Reader, writer: Writer) -> None:
        await asked(reader)
        writer.write(CHUNKED + b"3\r\none\r\n")
        await writer.drain()
        assert await reader.read() == b""
        gone.set()

    async with listening(serve) as url, client() as http:
        async with http.stream("POST", url, content=b"x") as response:
            async for piece in response.aiter_bytes():
                assert piece == b"one"
                break
        with anyio.fail_after(5):
            await gone.wait()


async def test_a_cancelled_request_closes_its_line() -> None:
    heard, gone = anyio.Event(), anyio.Event()

    async def serve(reader: Reader, writer: Writer) -> None:
        await asked(reader)
        heard.set()
        await reader.read()
        gone.set()

    async with listening(serve) as url, client() as http:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(http.get, url)
            await heard.wait()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(5):
            await gone.wait()


async def test_a_reader_who_does_not_read_holds_the_sender_up() -> None:
    offered = 0
    held = anyio.Event()

    async def serve(reader: Reader, writer: Writer) -> None:
        nonlocal offered
        await asked(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (400 * PAUSE))
        for _ in range(400):
            writer.write(bytes(PAUSE))
            offered += PAUSE
            try:
                with anyio.fail_after(0.5):
                    await writer.drain()
            except TimeoutError:
                held.set()
                await writer.drain()

    async with listening(serve) as url, client() as http, http.stream("GET", url) as response:
        with anyio.fail_after(10):
            await held.wait()
        assert offered < 400 * PAUSE
        size = 0
        async for piece in response.aiter_bytes():
            size += len(piece)
    assert size == 400 * PAUSE


async def test_nobody_there() -> None:
    async with client() as http:
        with pytest.raises(httpx2.ConnectError):
            await http.get("http://127.0.0.1:9/")


@pytest.mark.parametrize("value", [b"a\r\nx-other: b", b"a\nb", b"a\0b"])
async def test_a_header_is_one_line(value: bytes) -> None:
    async with listening(answers(ANSWER)) as url, client() as http:
        with pytest.raises(httpx2.LocalProtocolError):
            await http.get(url, headers=[(b"x-key", value)])


async def test_tls_with_a_certificate_that_is_trusted_and_one_that_is_not() -> None:
    authority = trustme.CA()
    here, there = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(here)
    authority.configure_trust(there)
    async with listening(answers(ANSWER), here) as url:
        async with client(ssl.create_default_context) as http:
            with pytest.raises(httpx2.ConnectError, match="certificate"):
                await http.get(url)
        async with client(lambda: there) as http:
            assert (await http.get(url)).content == b"one two three"
