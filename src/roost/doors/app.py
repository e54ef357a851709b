"""Which doors stand open, and what they share."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from starlette.datastructures import Headers

from roost.core.errors import QueueFull, RoostError
from roost.doors import auth, docs
from roost.doors.docker_agent.routes import NEVER
from roost.doors.docker_agent.routes import routes as docker_agent
from roost.doors.errors import INTERNAL, Refused, status, told, worded
from roost.doors.openapi import document
from roost.doors.routes import Answer, Call, Gone, Place, Receive, Reply, Route, Router, Scope, Send, names
from roost.service.service import Service

log = logging.getLogger(__name__)

App = Callable[[Any, Any, Any], Awaitable[None]]

SHOWN = 300  # characters of a path in the log


def make_app(
    service: Service,
    *,
    closing: anyio.Event,
    version: str = "",
    token: str = "",
    max_body: int = 1_048_576,
    bound: str = "",
    quiet: float = 15.0,
) -> App:
    """Everything that is served over HTTP, as an ASGI application.

    `bound` is the host that it listens on; `quiet` how many seconds a stream is silent before it is
    pinged; all streams end when `closing` is set.
    """
    api = docker_agent(service, closing=closing, version=version, quiet=quiet, private=bool(token))
    return Doors(Router([*api, *docs.routes(document(api, version))]), auth.Gate(token, max_body, bound), closing)


class Doors:
    """Checks who comes in, finds the route, and words what goes wrong."""

    def __init__(self, router: Router, gate: auth.Gate, closing: anyio.Event) -> None:
        self.router = router
        self._gate = gate
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1000})
            return
        try:
            answer = await self._answer(scope, receive)
        except Exception:
            log.exception("%s %s failed", scope["method"], _path(scope)[:SHOWN], extra={"action": "request_failed"})
            answer = Reply(told(INTERNAL), 500)
        if answer is not None:
            code = getattr(answer, "status", 200)
            log.info("%s %s %d", scope["method"], _path(scope)[:SHOWN], code, extra={"action": "request"})
            await answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer | None:
        headers, path = Headers(scope=dict(scope)), _path(scope)
        place, values = self.router.find(path) or (None, ())
        try:
            self._check(scope, headers, place)
            route = _route(place, scope["method"], path)
        except Refused as refused:
            return Reply(told(str(refused)), refused.status, headers=refused.headers)
        if isinstance(route, Reply):
            return route
        call = Call(
            scope,
            receive,
            headers,
            auth.principal(scope, headers),
            names(route.path),
            values,
            max_body=self._gate.max_body,
            closing=self._closing,
        )
        return await _handled(route, call)

    def _check(self, scope: Scope, headers: Headers, place: Place | None) -> None:
        self._gate.check_origin(scope, headers)
        self._gate.check_size(headers)
        if place is None or not (place.open or scope["method"] == "OPTIONS"):
            self._gate.check_token(headers)


def _path(scope: Scope) -> str:
    """The path as it was sent."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.decode("latin-1")


def _route(place: Place | None, method: str, path: str) -> Route | Reply:
    if place is None:
        raise Refused(404, "Not Found")
    if route := place.routes.get(method):
        return route
    if method == "OPTIONS":
        return Reply(status=204, raw=b"", headers={"allow": place.allow})
    if path in NEVER:
        raise Refused(404, "Not Found")
    raise Refused(405, "Method Not Allowed", {"allow": place.allow})


async def _handled(route: Route, call: Call) -> Answer | None:
    """The handler's answer, or what its error looks like; None where nobody waits for it any more."""
    try:
        return await route.handler(call)
    except Gone:
        return None
    except Refused as refused:
        return Reply(told(str(refused)), refused.status, headers=refused.headers)
    except RoostError as error:
        return refusal(route, error)
    except Exception:
        log.exception("%s %s failed", route.method, route.path, extra={"action": "request_failed"})
        return Reply(told(route.failed + INTERNAL), 500)


def refusal(route: Route, error: RoostError) -> Reply:
    """An error of the service, in the words of this route."""
    known = (at for kind, at in route.statuses.items() if isinstance(error, kind))
    headers = {"retry-after": "1"} if isinstance(error, QueueFull) else {}
    return Reply(told(worded(error, route.failed)), next(known, status(error)), headers=headers)
