"""Tool servers behind an address, in this process: made with the official SDK, and switched off and on by the test."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from pydantic import BaseModel

from fakes.brisk import Brisk

App = Callable[[Any, Any, Any], Awaitable[None]]


class Amount(BaseModel):
    n: int


def server() -> MCPServer[Any]:
    made: MCPServer[Any] = MCPServer("remote", log_level="WARNING")

    @made.tool()
    def echo(text: str) -> str:
        return text

    @made.tool()
    def large(megabytes: int) -> str:
        return "x" * (megabytes << 20)

    @made.tool()
    async def old(ctx: Context[Any]) -> str:
        """It asks as servers did before 2026."""
        answer = await ctx.elicit("How many?", schema=Amount)
        return f"{answer.action} {getattr(answer, 'data', None)}"

    @made.tool()
    def header(ctx: Context[Any], name: str) -> str:
        return str(ctx.request_context.request.headers.get(name))

    @made.tool()
    async def late(ctx: Context[Any]) -> str:
        """It makes another tool."""
        made.add_tool(echo, name="more")
        await ctx.notify_tools_changed()
        with suppress(Exception):  # of the older protocol alone
            await ctx.session.send_tool_list_changed()
        return "made"

    return made


class Door:
    """Where requests come in: the app behind it can be exchanged, and requests refused."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.refuses: tuple[int, str] | None = None  # a status, and the method that gets it ("" is all)
        self.seen: list[str] = []
        self._lifespans: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self.seen.append(f"{scope['method']} {scope['path']}")
            if self.refuses and self.refuses[1] in ("", scope["method"]):
                await send({"type": "http.response.start", "status": self.refuses[0], "headers": []})
                await send({"type": "http.response.body", "body": b"no"})
                return
        await self.app(scope, receive, send)


@asynccontextmanager
async def lived(app: Any) -> AsyncIterator[Any]:
    """A Starlette app between its start-up and its shutdown."""
    async with app.router.lifespan_context(app):
        yield app


@asynccontextmanager
async def served(app: App, *, uds: str = "", port: int = 0) -> AsyncIterator[str]:
    """The app on loopback, or at a socket; leaving the block stops it at once."""
    bound = None if uds else socket.create_server(("127.0.0.1", port))
    config = uvicorn.Config(
        app, uds=uds or None, log_level="error", lifespan="off", timeout_graceful_shutdown=0, ws="none"
    )
    running = Brisk(config)
    running.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: running._serve([bound] if bound else None))
        with anyio.fail_after(10):
            while not running.started:
                await anyio.sleep(0.005)
        try:
            yield f"unix://{uds}" if bound is None else f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            running.should_exit = running.force_exit = True
