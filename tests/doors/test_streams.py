"""Rings of rendered frames, and lines to clients that do not read."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import anyio
import pytest

from fakes.loud import LOG, Loud, events, text
from roost.core import events as e
from roost.doors.streams import Streams

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def fresh() -> None:
    Loud.rendered = []


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
