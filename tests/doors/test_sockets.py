"""WebSockets over logs, with real clients: what they get, how it ends, and who is put out."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from roost.config.certificates import Pair, context, own
from roost.core import events as e
from roost.core.errors import BadValue, SessionNotFound, ShuttingDown, StoreRefused
from roost.core.ids import LogId, Micros
from roost.doors import sockets
from roost.doors.auth import Gate, Key
from roost.doors.door import Door
from roost.doors.listen import bound, parse, shown
from roost.doors.routes import Answer, Call, Router, streams
from roost.doors.server import serve
from roost.doors.sockets import Frame, Sockets
from roost.doors.zag.manners import Manners

pytestmark = pytest.mark.anyio

LOG = LogId("S")
TOKEN = {"Authorization": "Bearer t"}


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


def events(first: int, last: int, log: str = LOG, text: str = "") -> list[e.Event]:
    return [e.Event(LogId(log), seq, Micros(seq), e.Warned(text or str(seq))) for seq in range(first, last + 1)]


class Loud:
    """Renders every second fact, twice, and counts."""

    rendered: list[tuple[str, int]] = []

    def __init__(self, log: LogId) -> None:
        self.seen: list[int] = []

    async def render(self, event: e.Event) -> Sequence[Frame]:
        await anyio.lowlevel.checkpoint()
        assert not self.seen or event.seq == self.seen[-1] + 1, "a renderer goes in order"
        self.seen.append(event.seq)
        Loud.rendered.append((event.log, event.seq))
        if event.seq % 2:
            return ()
        assert isinstance(event.fact, e.Warned)
        return Frame("odd", f"{event.log}{event.seq}a"), Frame("even", event.fact.message)


@pytest.fixture(autouse=True)
def fresh() -> None:
    Loud.rendered = []


class Stage:
    """A door with one socket, `/api/v1/s/:id`, whose batches are what the test says."""

    def __init__(self, **how: Any) -> None:
        self.closing = anyio.Event()
        self.sockets = Sockets(Loud, self.closing, beat=how.get("beat", 10.0))
        self.batches: Callable[[], Any] = nothing
        self.closed = anyio.Event()
        self.options: dict[str, Any] = {}
        route = streams("/api/v1/s/:id", self.open, "A socket")
        self.app = Door(Router([route]), Gate(Key("t")), Manners(), self.closing)

    async def open(self, call: Call) -> Answer:
        if call.path["id"] == "missing":
            raise SessionNotFound("missing")
        if call.path["id"] == "bad":
            raise BadValue("bad id")
        return self.sockets.open(Watched(self.batches(), self.closed), **self.options)


class Watched:
    """Batches that say when nobody wants them any more."""

    def __init__(self, batches: Any, closed: anyio.Event) -> None:
        self._batches = batches
        self._closed = closed

    def __aiter__(self) -> Any:
        return self._batches

    async def aclose(self) -> None:
        await self._batches.aclose()
        self._closed.set()


async def nothing() -> AsyncIterator[Sequence[e.Event]]:
    """Waits for ever."""
    await anyio.sleep_forever()
    yield ()


async def some(*batches: Sequence[e.Event]) -> AsyncIterator[Sequence[e.Event]]:
    for batch in batches:
        yield batch


@contextlib.asynccontextmanager
async def staged(stage: Stage, **options: Any) -> AsyncIterator[tuple[str, asyncio.Event]]:
    stop, started = asyncio.Event(), asyncio.Event()
    with bound([parse("127.0.0.1:0")]) as listeners:
        where = shown(listeners[0])
        options.setdefault("on_stop", stage.closing.set)
        task = asyncio.ensure_future(serve(stage.app, listeners, stop=stop, on_start=started.set, **options))
        await asyncio.wait_for(started.wait(), 10)
        try:
            yield where, stop
        finally:
            stop.set()
            await asyncio.wait_for(task, 10)


def dial(where: str, path: str = "/api/v1/s/x", headers: dict[str, str] | None = None, **more: Any) -> Any:
    headers = TOKEN if headers is None else headers
    return connect(f"ws://{where}{path}", additional_headers=headers, compression=None, proxy=None, **more)


async def told(client: ClientConnection) -> tuple[list[str], int, str]:
    """All that comes, and how it ends."""
    found: list[str] = []
    try:
        async with asyncio.timeout(20):
            while True:
                message = await client.recv()
                assert isinstance(message, str), "never binary"
                found.append(message)
    except ConnectionClosed as end:
        assert end.rcvd is not None, "a closing handshake"
        return found, end.rcvd.code, end.rcvd.reason


async def test_each_frame_is_a_text_and_the_end_is_a_close() -> None:
    stage = Stage()
    stage.batches = lambda: some(events(1, 3), events(4, 4))
    async with staged(stage) as (where, _), dial(where) as client:
        assert client.response.headers["access-control-allow-origin"] == "*"
        assert "sec-websocket-extensions" not in client.response.headers
        assert await told(client) == (["S2a", "2", "S4a", "4"], 1000, "")


async def test_a_reader_takes_what_it_wants() -> None:
    stage = Stage()
    stage.batches = lambda: some(events(1, 4))
    stage.options = {"wanted": lambda frame: frame.kind == "even"}
    async with staged(stage) as (where, _), dial(where) as client:
        assert await told(client) == (["2", "4"], 1000, "")


async def test_many_logs_share_a_socket_and_every_frame_is_rendered_once() -> None:
    stage = Stage()
    go = anyio.Event()

    async def both() -> AsyncIterator[Sequence[e.Event]]:
        yield [*events(1, 2, "a"), *events(7, 8, "b")]
        await go.wait()
        yield [*events(3, 4, "a"), *events(9, 10, "b")]

    stage.batches = both
    async with staged(stage) as (where, _), dial(where) as one, dial(where) as two:
        first = [await one.recv() for _ in range(4)], [await two.recv() for _ in range(4)]
        assert first == (["a2a", "2", "b8a", "8"], ["a2a", "2", "b8a", "8"])
        go.set()
        assert await told(one) == (["a4a", "4", "b10a", "10"], 1000, "")
        assert await told(two) == (["a4a", "4", "b10a", "10"], 1000, "")
        await stage.closed.wait()
    assert sorted(Loud.rendered) == [*(("a", n) for n in range(1, 5)), *(("b", n) for n in range(7, 11))]
    assert stage.sockets.rings.size == 0


async def test_one_socket_may_meet_more_logs_than_it_keeps_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "MANY", 2)
    stage = Stage()
    stage.batches = lambda: some(*(events(2, 2, name) for name in "abcab"))
    async with staged(stage) as (where, _), dial(where) as client:
        found, code, _ = await told(client)
    assert (found[::2], code) == (["a2a", "b2a", "c2a", "a2a", "b2a"], 1000)


@pytest.mark.parametrize(
    ("path", "headers", "status", "error"),
    [
        ("/api/v1/s/x", {}, 401, "Missing or invalid Authorization header"),
        ("/api/v1/s/x", {"Authorization": "Basic t"}, 401, "Missing or invalid Authorization header"),
        ("/api/v1/s/x", {"Authorization": "Bearer u"}, 401, "Invalid token"),
        ("/api/v1/nowhere", {}, 401, "Missing or invalid Authorization header"),
        ("/api/v1/nowhere", TOKEN, 404, "Not Found"),
        ("/api/v1/s/missing", TOKEN, 404, "Session not found: missing"),
        ("/api/v1/s/bad", TOKEN, 400, "bad id"),
        ("/api/v1/s/%ff", TOKEN, 400, "Invalid URL: a segment of the path is not UTF-8"),
    ],
)
async def test_whoever_may_not_is_told_before_the_upgrade(
    path: str, headers: dict[str, str], status: int, error: str
) -> None:
    async with staged(Stage()) as (where, _):
        with pytest.raises(InvalidStatus) as refused:
            await dial(where, path, headers)
    response = refused.value.response
    assert response.status_code == status
    assert response.body == b'{"error":"%s"}' % error.encode()
    assert response.headers["content-type"] == "application/json"
    assert response.headers["access-control-allow-origin"] == "*"


HANDSHAKE = {
    "Host": "x",
    "Authorization": "Bearer t",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
}


@pytest.mark.parametrize(
    ("line", "change", "status"),
    [
        ("GET /api/v1/s/x HTTP/1.1", {"Upgrade": ""}, 400),
        ("GET /api/v1/s/x HTTP/1.1", {"Connection": "close"}, 400),
        ("GET /api/v1/s/x HTTP/1.1", {"Sec-WebSocket-Version": "12"}, 400),
        ("GET /api/v1/s/x HTTP/1.1", {"Sec-WebSocket-Key": "short"}, 400),
        ("GET /api/v1/s/x HTTP/1.1", {"Sec-WebSocket-Key": "%%%"}, 400),
        ("GET /api/v1/s/x HTTP/1.0", {}, 426),
        ("POST /api/v1/s/x HTTP/1.1", {}, 405),
        ("HEAD /api/v1/s/x HTTP/1.1", {}, 405),
        ("GET /api/v1/s/x HTTP/1.1", {"Authorization": "", "Sec-WebSocket-Version": "12"}, 401),
        ("OPTIONS /api/v1/s/x HTTP/1.1", {"Authorization": ""}, 200),
    ],
)
async def test_what_is_no_handshake_gets_an_answer(line: str, change: dict[str, str], status: int) -> None:
    async with staged(Stage()) as (where, _):
        host, port = where.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = [f"{name}: {value}" for name, value in {**HANDSHAKE, **change}.items() if value]
        writer.write("\r\n".join([line, *head, "", ""]).encode())
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        writer.close()
    assert int(answer.split()[1]) == status, answer


async def test_what_a_client_says_is_read_and_dropped() -> None:
    stage, go = Stage(), anyio.Event()

    async def later() -> AsyncIterator[Sequence[e.Event]]:
        await go.wait()
        yield events(1, 2)

    stage.batches = later
    async with staged(stage) as (where, _), dial(where) as client:
        for _ in range(50):
            await client.send("x" * 10_000)
            await client.send(b"y")
        await (await client.ping())
        go.set()
        assert await told(client) == (["S2a", "2"], 1000, "")


async def test_a_client_that_leaves_frees_what_it_held() -> None:
    stage = Stage()
    async with staged(stage) as (where, _):
        async with dial(where) as client:
            await client.ping()
        with anyio.fail_after(10):
            await stage.closed.wait()
        async with dial(where) as client:
            client.transport.abort()


async def test_d34_when_the_server_stops_clients_are_told_1001() -> None:
    stage = Stage()
    async with staged(stage) as (where, stop), dial(where) as client:
        stop.set()
        assert await told(client) == ([], 1001, "the server stops")


async def test_d34_so_are_those_whose_app_is_not_done() -> None:
    stage = Stage()
    async with staged(stage, on_stop=lambda: None) as (where, stop), dial(where) as client:
        stop.set()
        assert await told(client) == ([], 1001, "the server stops")


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (StoreRefused("no store " + "é" * 100), 1011, "no store " + "é" * 57),
        (ShuttingDown(), 1001, None),
        (ValueError("secret"), 1011, "internal server error"),
    ],
)
async def test_what_can_not_go_on_says_so(error: Exception, code: int, reason: str | None) -> None:
    stage = Stage()

    async def broken() -> AsyncIterator[Sequence[e.Event]]:
        yield events(1, 2)
        raise error

    stage.batches = broken
    async with staged(stage) as (where, _), dial(where) as client:
        found = await told(client)
    assert found[:2] == (["S2a", "2"], code)
    assert reason is None or found[2] == reason


async def test_a_fact_that_can_not_be_rendered_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "LARGEST", 100)
    stage = Stage()
    stage.batches = lambda: some(
        [*events(1, 2), e.Event(LOG, 3, Micros(3), e.Warned("3"))], events(4, 4, text="é" * 51)
    )
    async with staged(stage) as (where, _), dial(where) as client:
        assert await told(client) == (["S2a", "2", "S4a"], 1000, "")


async def test_a_tick_is_sent_beside() -> None:
    stage, ticks = Stage(beat=0.01), iter(["", None, "tock"])
    stage.options = {"tick": lambda: next(ticks, None)}
    async with staged(stage) as (where, _), dial(where) as client:
        assert [await client.recv(), await client.recv()] == ["", "tock"]


async def test_a_client_that_does_not_answer_pings_is_put_out() -> None:
    stage = Stage()
    async with staged(stage, ping_seconds=0.05, pong_seconds=0.1) as (where, _):
        host, port = where.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = "".join(f"{name}: {value}\r\n" for name, value in HANDSHAKE.items())
        writer.write(f"GET /api/v1/s/x HTTP/1.1\r\n{head}\r\n".encode())
        assert b"101" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        rest = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        assert rest.startswith(b"\x89\x04"), "a ping"
        assert b"\x88" in rest, "then a close"
        with anyio.fail_after(10):
            await stage.closed.wait()


async def test_one_that_answers_stays() -> None:
    stage = Stage()
    async with staged(stage, ping_seconds=0.01, pong_seconds=5.0) as (where, _), dial(where) as client:
        for _ in range(20):
            await (await client.ping())
        assert not stage.closed.is_set()


async def test_a_client_that_reads_nothing_is_dropped_with_1013() -> None:
    stage = Stage()

    async def flood() -> AsyncIterator[Sequence[e.Event]]:
        for number in range(1, 100_000):
            yield events(number, number, text="x" * 100_000)

    stage.batches = flood
    async with staged(stage, stuck_seconds=1.0) as (where, _):
        host, port = where.split(":")
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
        async with dial(where, sock=sock, max_queue=1) as client:
            with anyio.fail_after(20):
                await stage.closed.wait()
            found, code, _ = await told(client)
    assert code == 1013
    assert found


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return own(tmp_path / "tls", "localhost")


def dial_tls(where: str, pair: Pair, **more: Any) -> Any:
    tls = ssl.create_default_context(cafile=pair.cert)
    return connect(f"wss://{where}/api/v1/s/x", additional_headers=TOKEN, ssl=tls, proxy=None, **more)


async def test_over_tls_it_is_the_same(pair: Pair) -> None:
    stage = Stage()
    stage.batches = lambda: some(events(1, 4, text="x" * 1_000_000))
    async with staged(stage, tls=context(pair)) as (where, _), dial_tls(where, pair) as client:
        found, code, _ = await told(client)
    assert ([len(text) for text in found], code) == ([3, 1_000_000, 3, 1_000_000], 1000)


async def test_d34_over_tls_too_clients_are_told_1001(pair: Pair) -> None:
    stage = Stage()
    async with staged(stage, tls=context(pair)) as (where, stop), dial_tls(where, pair) as client:
        stop.set()
        assert await told(client) == ([], 1001, "the server stops")


async def test_over_tls_too_a_client_that_reads_nothing_is_dropped(pair: Pair) -> None:
    stage = Stage()

    async def flood() -> AsyncIterator[Sequence[e.Event]]:
        for number in range(1, 100_000):
            yield events(number, number, text="x" * 100_000)

    stage.batches = flood
    async with (
        staged(stage, tls=context(pair), stuck_seconds=1.0) as (where, _),
        dial_tls(where, pair, max_queue=1) as client,
    ):
        with anyio.fail_after(20):
            await stage.closed.wait()
        found, code, _ = await told(client)
    assert code == 1013
    assert found
