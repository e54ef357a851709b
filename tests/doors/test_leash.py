"""Accounts that are removed while they are connected: whatever they had open ends, and says so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from roost.core.ids import LogId
from roost.core.principals import Principal
from roost.doors.auth import Gate, Key
from roost.doors.door import Door
from roost.doors.listen import bound, parse, shown
from roost.doors.routes import Answer, Call, Reply, Router, asks, streams
from roost.doors.server import serve
from roost.doors.sockets import Sockets
from roost.doors.streams import Streams
from roost.doors.zag.manners import Manners
from roost.wire import tls

pytestmark = pytest.mark.anyio


class Accounts(Key):
    """One account, `ann`, whose token is `a` until it is gone."""

    def __init__(self) -> None:
        super().__init__("t")
        self.gone = anyio.Event()

    async def principal(self, token: str) -> Principal | None:
        if token == "a" and not self.gone.is_set():
            return Principal("ann", kind="account")
        return await super().principal(token)

    async def revoked(self, token: str) -> None:
        await self.gone.wait()


async def nothing() -> AsyncIterator[Any]:
    await anyio.sleep_forever()
    yield ()


class Stage:
    def __init__(self) -> None:
        self.closing, self.waiting, self.accounts = anyio.Event(), anyio.Event(), Accounts()
        self.streams = Streams(lambda log: None, self.closing)  # type: ignore[arg-type, return-value]
        self.sockets = Sockets(lambda log: None, self.closing)  # type: ignore[arg-type, return-value]
        routes = [
            asks("GET", "/api/v1/wait", self.wait, "Wait"),
            asks("GET", "/api/v1/events", self.events, "Events"),
            asks("GET", "/api/v1/quick", self.quick, "Quick"),
            streams("/api/v1/stream", self.stream, "Stream"),
        ]
        self.app = Door(Router(routes), Gate(self.accounts), Manners(), self.closing)

    async def quick(self, call: Call) -> Answer:
        return Reply(call.principal.name)

    async def wait(self, call: Call) -> Answer:
        self.waiting.set()
        await call.patiently(anyio.sleep_forever)
        raise AssertionError("unreachable")

    async def events(self, call: Call) -> Answer:
        self.waiting.set()
        return self.streams.open(LogId("S"), nothing(), broken=lambda error: b"", marks=False, before=b": hi\n\n")

    async def stream(self, call: Call) -> Answer:
        return self.sockets.open(nothing())


@asynccontextmanager
async def staged() -> AsyncIterator[tuple[Stage, str]]:
    stage, stop, started = Stage(), asyncio.Event(), asyncio.Event()
    with bound([parse("127.0.0.1:0")]) as listeners:
        task = asyncio.ensure_future(serve(stage.app, listeners, stop=stop, on_start=started.set))
        await asyncio.wait_for(started.wait(), 10)
        yield stage, shown(listeners[0])
        stage.closing.set()
        stop.set()
        await asyncio.wait_for(task, 10)


def client(where: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        verify=tls.trusted(), base_url=f"http://{where}", headers={"authorization": "Bearer a"}, trust_env=False
    )


async def test_d9_a_request_that_waits_is_refused_after_all() -> None:
    async with staged() as (stage, where), client(where) as ann:
        waits = asyncio.ensure_future(ann.get("/api/v1/wait", timeout=10))
        await stage.waiting.wait()
        assert (await ann.get("/api/v1/quick")).json() == "ann"
        stage.accounts.gone.set()
        answer = await waits
        assert (answer.status_code, answer.json()) == (401, {"error": "Invalid token"})
        assert (await ann.get("/api/v1/quick")).status_code == 401


async def test_d9_a_stream_ends_whole() -> None:
    async with staged() as (stage, where), client(where) as ann, ann.stream("GET", "/api/v1/events") as answer:
        chunks = answer.aiter_raw()
        assert await anext(chunks) == b": hi\n\n"
        stage.accounts.gone.set()
        with anyio.fail_after(10):
            assert [chunk async for chunk in chunks] == []


async def test_d9_a_socket_is_closed_with_1008() -> None:
    bearer = {"Authorization": "Bearer a"}
    async with (
        staged() as (stage, where),
        connect(f"ws://{where}/api/v1/stream", additional_headers=bearer, proxy=None) as socket,
    ):
        stage.accounts.gone.set()
        with pytest.raises(ConnectionClosed) as closed, anyio.fail_after(10):
            await socket.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "the token is no longer valid")


async def test_the_servers_own_token_is_on_no_leash() -> None:
    async with staged() as (stage, where), client(where) as ann:
        stage.accounts.gone.set()
        assert (await ann.get("/api/v1/quick", headers={"authorization": "Bearer t"})).status_code == 200
