"""Rings of rendered frames, and lines to clients that do not read."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import anyio
import pytest

from roost.core import events as e
from roost.core.ids import LogId, Micros
from roost.doors import streams
from roost.doors.streams import Rings, Streams

pytestmark = pytest.mark.anyio

LOG = LogId("S")


class Loud:
    """Renders every second fact, and counts."""

    rendered: list[int] = []

    def __init__(self, log: LogId) -> None:
        self.seen: list[int] = []

    async def render(self, event: e.Event) -> bytes | None:
        await anyio.lowlevel.checkpoint()
        assert not self.seen or event.seq == self.seen[-1] + 1, "a renderer goes in order"
        self.seen.append(event.seq)
        Loud.rendered.append(event.seq)
        return None if event.seq % 2 else b'{"n":%d}' % event.seq


@pytest.fixture(autouse=True)
def fresh() -> None:
    Loud.rendered = []


def events(first: int, last: int) -> list[e.Event]:
    return [e.Event(LOG, seq, Micros(seq), e.Warned(str(seq))) for seq in range(first, last + 1)]


def text(first: int, last: int, *, marks: bool = True) -> bytes:
    pieces = []
    for seq in range(first, last + 1):
        if seq % 2 == 0:
            pieces.append(b'id: %d\ndata: {"n":%d}\n\n' % (seq, seq))
        elif marks:
            pieces.append(b"id: %d\n\n" % seq)
    return b"".join(pieces)


async def test_what_one_reader_had_rendered_another_does_not() -> None:
    rings = Rings(Loud)
    with rings.read(LOG, marks=True) as one, rings.read(LOG, marks=False) as two:
        assert await one.text(events(1, 4)) == text(1, 4)
        assert await two.text(events(1, 6)) == text(1, 6, marks=False)
        assert await one.text(events(5, 6)) == text(5, 6)
    assert Loud.rendered == [1, 2, 3, 4, 5, 6]
    assert rings.size == 0


async def test_readers_at_once_render_once() -> None:
    rings = Rings(Loud)
    found: list[bytes] = []

    async def read(first: int, last: int) -> None:
        with rings.read(LOG, marks=True) as reader:
            assert await reader.text(events(first, last)) == text(first, last)
            found.append(b"")

    with rings.read(LOG, marks=True):
        async with anyio.create_task_group() as tasks:
            for last in (9, 9, 5, 7, 9):
                tasks.start_soon(read, 1, last)
    assert len(found) == 5
    assert Loud.rendered == list(range(1, 10))


async def test_whoever_is_behind_renders_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "RING", 60)
    rings = Rings(Loud)
    with rings.read(LOG, marks=True) as slow, rings.read(LOG, marks=True) as fast:
        assert await slow.text(events(1, 2)) == text(1, 2)
        assert await fast.text(events(51, 90)) == text(51, 90)  # past the ring: it begins anew there
        assert await slow.text(events(3, 20)) == text(3, 20)
        assert await slow.text(events(21, 50)) == text(21, 50)
        assert await fast.text(events(91, 92)) == text(91, 92)
        assert await slow.text(events(51, 92)) == text(51, 92)
        assert await slow.text(events(93, 94)) == text(93, 94)
        assert await fast.text(events(93, 94)) == text(93, 94)
        assert rings.size <= 60


async def test_all_rings_together_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "RINGS", 500)
    rings = Rings(Loud)
    with rings.read(LogId("a"), marks=True) as a, rings.read(LogId("b"), marks=True) as b:
        await a.text(events(1, 20))
        await b.text(events(1, 30))
        assert rings.size <= 500
        assert await a.text(events(1, 22)) == text(1, 22)
        assert await a.text(events(23, 24)) == text(23, 24)


async def test_a_reader_that_is_cancelled_spoils_nothing() -> None:
    rings = Rings(Loud)
    with rings.read(LOG, marks=True) as one, rings.read(LOG, marks=True) as two:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await one.text(events(1, 4))
        assert await two.text(events(1, 4)) == text(1, 4)


async def test_a_fact_that_can_not_be_rendered_only_moves_the_cursor() -> None:
    class Broken(Loud):
        async def render(self, event: e.Event) -> bytes | None:
            if event.seq == 2:
                raise ValueError("no")
            return await super().render(event) if event.seq < 2 else b"{}"

    rings = Rings(Broken)
    with rings.read(LOG, marks=True) as reader:
        assert await reader.text(events(1, 3)) == b"id: 1\n\nid: 2\n\nid: 3\ndata: {}\n\n"


# -- clients that do not read ---------------------------------------------------------------------


class Transport:
    aborted = False

    def abort(self) -> None:
        self.aborted = True


class Client:
    """The sending half of a connection; nothing goes out while it is stuck."""

    def __init__(self) -> None:
        self.transport = Transport()
        self.stuck = False
        self.sent: list[dict[str, Any]] = []
        self.left = anyio.Event()

    async def send(self, message: dict[str, Any]) -> None:
        if self.stuck:
            await anyio.sleep_forever()
        self.sent.append(message)

    async def receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}


class Source:
    """Batches by hand, and whether they were closed."""

    def __init__(self) -> None:
        self.closed = False
        self.send, self._receive = anyio.create_memory_object_stream[Sequence[e.Event]](10)
        self._batches = self._read()

    async def _read(self) -> AsyncGenerator[Sequence[e.Event], None]:
        async for batch in self._receive:
            yield batch

    def __aiter__(self) -> AsyncGenerator[Sequence[e.Event], None]:
        return self._batches

    async def aclose(self) -> None:
        self.closed = True
        await self._batches.aclose()


async def test_a_client_that_does_not_read_is_cut_off() -> None:
    client, source = Client(), Source()
    opened = Streams(Loud, anyio.Event(), stuck=0.05)
    stream = opened.open(LOG, source, broken=lambda _: b"", marks=True)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stream, {}, client.receive, client.send)
        while len(client.sent) < 2:
            await anyio.lowlevel.checkpoint()
        client.stuck = True
        await source.send.send(events(1, 4))
    assert client.transport.aborted
    assert source.closed


async def test_a_client_that_leaves_is_let_go() -> None:
    client, source = Client(), Source()
    stream = Streams(Loud, anyio.Event()).open(LOG, source, broken=lambda _: b"", marks=True)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream, {}, client.receive, client.send)
            await source.send.send(events(1, 2))
            while len(client.sent) < 3:
                await anyio.lowlevel.checkpoint()
            client.left.set()
    assert source.closed
    assert client.sent[-1]["more_body"]


async def test_a_client_that_has_left_before_the_first_byte_closes_its_source() -> None:
    client, source = Client(), Source()
    client.left.set()
    stream = Streams(Loud, anyio.Event()).open(LOG, source, broken=lambda _: b"", marks=True)
    with anyio.fail_after(10):
        await stream({}, client.receive, client.send)
    assert source.closed


async def test_closing_ends_a_quiet_stream_properly() -> None:
    client, source, closing = Client(), Source(), anyio.Event()
    stream = Streams(Loud, closing).open(LOG, source, broken=lambda _: b"", marks=True)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream, {}, client.receive, client.send)
            closing.set()
    assert client.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def test_all_that_waits_goes_out_in_one_piece() -> None:
    client, source = Client(), Source()
    stream = Streams(Loud, anyio.Event()).open(LOG, source, broken=lambda _: b"", marks=True, before=b": hi\n\n")
    await source.send.send(events(1, 500))
    source.send.close()
    await stream({}, client.receive, client.send)
    assert [message["body"] for message in client.sent[1:]] == [b"", b": hi\n\n", text(1, 500), b""]
