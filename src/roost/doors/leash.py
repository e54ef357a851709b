"""A leash: what was let in by a token ends when that token does."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio

from roost.doors.routes import Receive, Reply, Scope, Send

POLICY = 1008  # the close code of a WebSocket whose client may not have it any longer


class Leash:
    """A request's `receive` and `send`.  Once it is pulled, the client seems to have left."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.pulled = False
        self.transport = getattr(getattr(send, "__self__", None), "transport", None)  # for whoever has to cut it
        self._kind: str = scope["type"]
        self._receive = receive
        self._send = send
        self._waiting: anyio.CancelScope | None = None
        self._begun = self._ended = False

    async def receive(self) -> Any:
        """The next message."""
        if not self.pulled:
            with anyio.CancelScope() as self._waiting:
                return await self._receive()
        return {"type": f"{self._kind}.disconnect", "code": POLICY}

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message."""
        self._begun = True
        last = message["type"].endswith("response.body") and not message.get("more_body")
        self._ended = last or message["type"] == "websocket.close"
        await self._send(message)

    def pull(self) -> None:
        """It ends here."""
        self.pulled = True
        if self._waiting is not None:
            self._waiting.cancel()

    async def farewell(self, scope: Scope, refusal: Reply) -> None:
        """Say so to the client: `refusal`, where no answer has begun."""
        with suppress(OSError):  # it has left by itself
            if not self._begun:
                await refusal(scope, self.receive, self.send)
            elif not self._ended and self._kind == "websocket":
                await self.send({"type": "websocket.close", "code": POLICY, "reason": "the token is no longer valid"})
            elif not self._ended:
                await self.send({"type": "http.response.body", "body": b"", "more_body": False})


@asynccontextmanager
async def held(leash: Leash, until: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Pull it as soon as `until` returns, while the block lasts."""

    async def wait() -> None:
        await until()
        leash.pull()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        yield
        tasks.cancel_scope.cancel()
