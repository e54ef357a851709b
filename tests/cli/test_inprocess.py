"""The transport into an app of this process: what a socket would do, it does."""

import asyncio
from typing import Any

import anyio
import httpx2
import pytest

from roost.cli.inprocess import HELD, InProcess

pytestmark = pytest.mark.anyio

CHUNK = b"x" * 16_384


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class App:
    """Sends for ever; knows how much it got rid of, and whether it was told that nobody reads any more."""

    def __init__(self) -> None:
        self.sent = 0
        self.left = anyio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        async with anyio.create_task_group() as tasks:

            async def listen() -> None:
                await receive()
                self.left.set()
                tasks.cancel_scope.cancel()

            tasks.start_soon(listen)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
                self.sent += len(CHUNK)
                await anyio.lowlevel.checkpoint()


def client(app: Any) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=InProcess(app), base_url="http://x")


async def test_who_does_not_read_holds_up_the_app_and_nothing_piles_up() -> None:
    app = App()
    async with client(app) as http, http.stream("GET", "/") as response:
        chunks = response.aiter_raw()
        for _ in range(3):
            await anext(chunks)
            with anyio.fail_after(5):
                while app.sent < HELD:
                    await anyio.lowlevel.checkpoint()
            for _ in range(1000):
                await anyio.lowlevel.checkpoint()
        assert app.sent <= HELD + 4 * len(CHUNK)
    assert app.left.is_set()


async def test_an_app_that_waits_for_its_reader_is_told_when_he_leaves() -> None:
    app = App()
    async with client(app) as http:
        async with http.stream("GET", "/"):
            while app.sent < HELD:
                await anyio.lowlevel.checkpoint()
        with anyio.fail_after(5):
            await app.left.wait()


async def test_an_answer_that_breaks_off_is_no_whole_answer() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    async with client(broken) as http:
        with pytest.raises(httpx2.RemoteProtocolError):
            await http.get("/")


async def test_who_is_cancelled_before_the_answer_leaves_nothing_running() -> None:
    before = asyncio.all_tasks()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await receive()  # until the client is gone

    async with client(slow) as http:
        with anyio.move_on_after(0.05):
            await http.get("/")
        assert asyncio.all_tasks() <= before
