"""An HTTP transport into an app of this process: the same requests, no socket, and streams that stream."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import httpx2

App = Callable[..., Awaitable[None]]

LEAVE_SECONDS = 5.0  # for the app to notice that its client has gone
HELD = 256 * 1024  # bytes that the client has not read yet: past them the app waits, as before a socket that is full


class InProcess(httpx2.AsyncBaseTransport):
    """Hands requests to `app`.  Closing a response before its end tells the app that its client has gone."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Ask the app; the answer's body comes as the app sends it."""
        exchange = _Exchange(await request.aread())
        exchange.task = asyncio.ensure_future(self._app(_scope(request), exchange.receive, exchange.send))
        exchange.task.add_done_callback(exchange.finish)
        try:
            status, headers = await exchange.head
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True):
                await exchange.aclose()
            raise
        return httpx2.Response(status, headers=headers, stream=exchange)


class _Exchange(httpx2.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self.task: asyncio.Future[None]
        self.head: asyncio.Future[tuple[int, list[tuple[bytes, bytes]]]] = asyncio.get_running_loop().create_future()
        self._body: bytes | None = body
        self._gone = asyncio.Event()
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._held = 0
        self._room = asyncio.Event()
        self._ended = False  # by the app, as it should

    async def receive(self) -> dict[str, Any]:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if self._gone.is_set():
            return
        if message["type"] == "http.response.start":
            self.head.set_result((message["status"], list(message.get("headers", []))))
            return
        if chunk := message.get("body", b""):
            await self._hold(bytes(chunk))
        if not message.get("more_body", False):
            self._ended = True
            self._chunks.put_nowait(None)
            self._gone.set()  # an app that still listens learns that this is over

    async def _hold(self, chunk: bytes) -> None:
        while self._held >= HELD and not self._gone.is_set():
            self._room.clear()
            await self._room.wait()
        self._held += len(chunk)
        self._chunks.put_nowait(chunk)

    def finish(self, task: asyncio.Future[None]) -> None:
        self._chunks.put_nowait(None)
        if self.head.done():
            return
        error = None if task.cancelled() else task.exception()
        self.head.set_exception(error or RuntimeError("the app gave no answer"))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await self._chunks.get()) is not None:
            self._held -= len(chunk)
            self._room.set()
            yield chunk
        if not self._ended:
            raise httpx2.RemoteProtocolError("the app broke off")

    async def aclose(self) -> None:
        self._gone.set()
        self._room.set()
        done, _ = await asyncio.wait([self.task], timeout=LEAVE_SECONDS)
        if not done:
            self.task.cancel()
            await asyncio.wait([self.task])


def _scope(request: httpx2.Request) -> dict[str, Any]:
    raw_path, _, query = request.url.raw_path.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "server": (request.url.host, request.url.port or 80),
        "client": ("127.0.0.1", 0),
        "state": {},
    }
