"""Which doors stand open, and what they share."""

import time
from collections.abc import Collection, Iterable

import anyio
from msgspec.structs import replace

from roost.doors import docs
from roost.doors.auth import Caller, Gate, Key, Lookup, host_of
from roost.doors.docker_agent.manners import Manners as DockerAgent
from roost.doors.docker_agent.routes import routes as docker_agent
from roost.doors.door import Door, beneath, sent
from roost.doors.openapi import document
from roost.doors.routes import Receive, Route, Router, Scope, Send
from roost.doors.web import files
from roost.doors.web import routes as web
from roost.doors.web.entrance import Surroundings
from roost.doors.web.manners import Manners as Web
from roost.doors.zag.manners import MAX_BODY
from roost.doors.zag.manners import Manners as Zag
from roost.doors.zag.routes import PREFIX
from roost.doors.zag.routes import routes as zag
from roost.service.service import Service
from roost.service.tickets import Tickets


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
    public_url: str = "",
    authority: bytes = b"",
) -> "Doors":
    """Everything that is served over HTTP, as an ASGI application.

    Tokens are those of `lookup`, or `token` alone.  Where none is required, whoever comes may use `/api`, and
    `/api/v1` stays shut.  All who can reach a server that is `trusted` may do everything.  `bound` is the
    host that it listens on; `quiet` how many seconds a stream is silent before it is pinged; `origins` those
    whose pages may use `/api/v1`; `public_url` where a proxy shows it to the world;
    `authority` the certificate of whoever vouches for it, where phones do not know that.  All streams end when
    `closing` is set.
    """
    lookup = None if trusted else lookup or (Key(token) if token else None)
    tickets: Tickets[Caller] = Tickets(service.desk.makers.clock)
    known = frozenset({host_of(public_url)} if public_url else ())
    gate = Gate(lookup, max_body, bound, guests=service.browsers, tickets=tickets, names=known)
    api = docker_agent(service, closing=closing, version=version, quiet=quiet, private=lambda: gate.asks)
    about = Surroundings(version, trusted, public_url, authority)
    page, beside = web.made(service, gate, tickets, about)
    api = [*api, *beside]
    main = Door(
        Router([*api, *docs.routes(lambda: document(api, version)), *files.routes()]), gate, DockerAgent(), closing
    )
    shut = replace(gate, max_body=MAX_BODY, shut=not trusted)
    v1 = Door(Router(zag(service, closing=closing, version=version)), shut, Zag(origins), closing)
    return Doors(main, {PREFIX: v1, web.PREFIX: Door(Router(page), gate, Web(), closing)})


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
