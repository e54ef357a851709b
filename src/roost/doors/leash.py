"""An account's request: to whoever serves it, the client is gone once its token is good no more."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import anyio

from roost.doors.routes import Answer, Receive, Scope, Send

POLICY = 1008  # the close code of a WebSocket whose client may no longer be there

_STARTS = ("http.response.start", "websocket.accept", "websocket.http.response.start")


class Leash:
    """Stands between a request and whoever serves it: lets everything through, until it is held.

    Then it looks after the token whenever something is waited for from the client.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.receive = receive
        self.send = send
        self.cut = False  # whether the token was revoked
        self._scope = scope
        self._receive = receive
        self._send = send
        self._whole = False  # whether all that the client has to say first has come
        self._started = False
        self._ended = False

    @property
    def transport(self) -> Any:
        """The connection, for whoever has to cut it."""
        return getattr(getattr(self._send, "__self__", None), "transport", None)

    def hold(self, revoked: Callable[[], Awaitable[None]]) -> None:
        """Let go as soon as `revoked` returns."""
        self._revoked = revoked
        self.receive, self.send = self._hear, self._say

    async def end(self, refusal: Answer) -> None:
        """Where the token was revoked: end what was begun, or answer with the `refusal` where nothing was."""
        with suppress(OSError):  # the client is gone in earnest
            if not self._started:
                await refusal(self._scope, self._receive, self._send)
            elif not self._ended and self._is_socket():
                await self._send({"type": "websocket.close", "code": POLICY, "reason": "this login is over"})
            elif not self._ended:
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _hear(self) -> Mapping[str, Any]:
        """What the client sends; that it is gone, as soon as its token is revoked."""
        if not self._whole:
            message = await self._receive()
            self._whole = not message.get("more_body", False)
            return message
        message = {"type": "websocket.disconnect" if self._is_socket() else "http.disconnect"}

        async def until_revoked() -> None:
            await self._revoked()
            self.cut = True
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(until_revoked)
            message = dict(await self._receive())
            tasks.cancel_scope.cancel()
        return message

    async def _say(self, message: dict[str, Any]) -> None:
        kind: str = message["type"]
        self._started = self._started or kind in _STARTS
        self._ended = kind == "websocket.close" or (kind.endswith(".body") and not message.get("more_body", False))
        await self._send(message)

    def _is_socket(self) -> bool:
        return bool(self._scope["type"] == "websocket")
