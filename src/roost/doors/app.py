"""Which doors stand open, and what they share."""

import time
from collections.abc import Collection, Iterable

import anyio

from roost.doors import docs
from roost.doors.auth import Gate, Key, Lookup
from roost.doors.docker_agent.manners import Manners as DockerAgent
from roost.doors.docker_agent.routes import routes as docker_agent
from roost.doors.door import Door, beneath, sent
from roost.doors.openapi import document
from roost.doors.routes import Receive, Route, Router, Scope, Send
from roost.doors.zag.manners import MAX_BODY
from roost.doors.zag.manners import Manners as Zag
from roost.doors.zag.routes import PREFIX
from roost.doors.zag.routes import routes as zag
from roost.service.service import Service


def make_app(
    service: Service,
    *,
    closing: anyio.Event,
    version: str = "",
    token: str = "",
    lookup: Lookup | None = None,
    trusted: bool = False,
    max_body: int = 1_048_576,
    bound: str = "",
    quiet: float = 15.0,
    origins: Collection[str] = ("*",),
) -> "Doors":
    """Everything that is served over HTTP, as an ASGI application.

    Tokens are those of `lookup`, or `token` alone.  Where none is required, whoever comes may use `/api`, and
    `/api/v1` stays shut.  All who can reach a server that is `trusted` may do everything.  `bound` is the
    host that it listens on; `quiet` how many seconds a stream is silent before it is pinged; `origins` those
    whose pages may use `/api/v1`.  All streams end when `closing` is set.
    """
    lookup = None if trusted else lookup or (Key(token) if token else None)
    gate = Gate(lookup, max_body, bound)
    api = docker_agent(service, closing=closing, version=version, quiet=quiet, private=lambda: gate.asks)
    main = Door(Router([*api, *docs.routes(document(api, version))]), gate, DockerAgent(), closing)
    shut = Gate(lookup, MAX_BODY, bound, shut=not trusted)
    v1 = Door(Router(zag(service, closing=closing, version=version)), shut, Zag(origins), closing)
    return Doors(main, {PREFIX: v1})


class Doors:
    """An ASGI application that sends every request to its door: `main`, or the one of its prefix."""

    def __init__(self, main: Door, others: dict[str, Door]) -> None:
        self.main = main
        self._others = others
        self.open = 0  # requests and streams that are under way
        self.used = time.monotonic()  # when the last of them ended, or began

    @property
    def routes(self) -> Iterable[Route]:
        """The routes of all doors."""
        return [route for door in (self.main, *self._others.values()) for route in door.router.routes]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or one WebSocket."""
        if scope["type"] not in ("http", "websocket"):
            return
        self.open += 1
        try:
            await self._serve(scope, receive, send)
        finally:
            self.open -= 1
            self.used = time.monotonic()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = sent(scope)
        for prefix, door in self._others.items():
            if beneath(path, prefix):
                await door(scope, receive, send)
                return
        await self.main(scope, receive, send)
