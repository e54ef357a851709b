"""One door: who comes in, which route that is, and how what goes wrong is worded."""

import logging
from typing import Any
from urllib.parse import parse_qsl

import anyio
from starlette.datastructures import Headers

from roost.core.errors import RoostError
from roost.doors import auth, cookies
from roost.doors.auth import Caller
from roost.doors.errors import INTERNAL, Refused, headers, status
from roost.doors.leash import Leash, held
from roost.doors.manners import Manners, Pairs
from roost.doors.routes import Answer, Call, Gone, Place, Receive, Reply, Route, Router, Scope, Send, names

log = logging.getLogger(__name__)

SHOWN = 300  # characters of a path in the log

_HEADS = ("http.response.start", "websocket.http.response.start", "websocket.accept")


class Door:
    """Some routes, behind one gate, with manners of their own."""

    def __init__(self, router: Router, gate: auth.Gate, manners: Manners, closing: anyio.Event) -> None:
        self.router = router
        self._gate = gate
        self._manners = manners
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or one WebSocket."""
        headers = Headers(scope=dict(scope))
        if shared := self._manners.shared(headers):
            send = _Sender(send, shared).send
        try:
            found = await self._find(scope, headers)
        except Exception:
            log.exception("%s %s failed", _method(scope), sent(scope)[:SHOWN], extra={"action": "request_failed"})
            found = self._manners.refusal(INTERNAL, 500, {})
        if isinstance(found, Reply):
            await self._say(found, scope, receive, send)
            return
        route, values, caller = found
        if caller.until is None:
            await self._serve(route, values, caller, scope, receive, send)
            return
        leash = Leash(scope, receive, send)
        async with held(leash, caller.until):
            await self._serve(route, values, caller, scope, leash.receive, leash.send)
        if leash.pulled:
            await leash.farewell(scope, self._manners.refusal(self._manners.wrong_token, 401, {}))

    async def _find(self, scope: Scope, headers: Headers) -> Reply | tuple[Route, tuple[str, ...], Caller]:
        """What is asked for, and who asks; or what is to be said in place of it."""
        place, values = self.router.find(self._manners.path(sent(scope))) or (None, ())
        if _method(scope) == "OPTIONS" and (reply := self._manners.options(place)) is not None:
            return reply
        try:
            caller = await self._let_in(scope, headers, place)
            route = self._route(scope, place)
            self._manners.check(values)
        except Refused as refused:
            return self._manners.refusal(str(refused), refused.status, refused.headers)
        return route if isinstance(route, Reply) else (route, values, caller)

    async def _serve(
        self, route: Route, values: tuple[str, ...], caller: Caller, scope: Scope, receive: Receive, send: Send
    ) -> None:
        call = Call(
            scope,
            receive,
            auth.principal(scope, Headers(scope=dict(scope)), caller),
            names(route.path),
            values,
            read=self._manners.read,
            max_body=self._gate.max_body,
            closing=self._closing,
            caller=caller,
        )
        if (answer := await self._handled(route, call)) is not None:
            await self._say(answer, scope, receive, send)

    async def _say(self, answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
        code = getattr(answer, "status", 200)
        log.info("%s %s %d", _method(scope), sent(scope)[:SHOWN], code, extra={"action": "request"})
        await answer(scope, receive, send)

    async def _let_in(self, scope: Scope, headers: Headers, place: Place | None) -> Caller:
        """Who is calling.

        Raises:
            Refused: nobody who may.
        """
        gate, asks = self._gate, self._gate.asks
        if not (asks and self._manners.strangers):
            gate.check_origin(scope, headers)
        if not asks:
            cookies.check_site(scope, headers)
        gate.check_size(headers)
        if not asks:
            return auth.NOBODY
        if place is not None and (place.open(_method(scope)) or _method(scope) == "OPTIONS"):
            known = await gate.welcome(scope, headers, prove=False) if place.greets else None
            return known or auth.NOBODY
        return await self._identify(scope, headers, place)

    async def _identify(self, scope: Scope, headers: Headers, place: Place | None) -> Caller:
        """Who is calling: by a token, else by a ticket, else by a cookie.

        Raises:
            Refused: none of them opens anything.
        """
        shown = headers.get("authorization")
        if shown is None:
            caller = self._gate.admit(_ticket(scope)) if place is not None and place.streams else None
            if caller := caller or await self._gate.welcome(scope, headers):
                return caller
        token = self._manners.token(headers)
        return await self._gate.identify(token, self._manners.wrong_token, shown or "")

    def _route(self, scope: Scope, place: Place | None) -> Route | Reply:
        """What is asked for.

        Raises:
            Refused: there is nothing, or not in this way.
        """
        if place is None:
            raise Refused(404, "Not Found")
        method = _method(scope)
        if place.socket is not None and method != "OPTIONS":
            return _socket(place.socket, scope)
        if scope["type"] == "websocket":
            raise Refused(400, "no WebSocket is served here")
        if route := place.routes.get("GET" if method == "HEAD" and self._manners.heads else method):
            return route
        allow = ", ".join(place.methods(heads=self._manners.heads))
        if method == "OPTIONS":
            return Reply(status=204, raw=b"", headers={"allow": allow})
        if sent(scope) in self._manners.absent:
            raise Refused(404, "Not Found")
        raise Refused(405, "Method Not Allowed", {"allow": allow})

    async def _handled(self, route: Route, call: Call) -> Answer | None:
        """The handler's answer, or what its error looks like; None where nobody waits for it any more."""
        refusal = self._manners.refusal
        try:
            return await route.handler(call)
        except Gone:
            return None
        except Refused as refused:
            return refusal(str(refused), refused.status, refused.headers)
        except RoostError as error:
            known = (at for kind, at in route.statuses.items() if isinstance(error, kind))
            return refusal(self._manners.worded(error, route.failed), next(known, status(error)), headers(error))
        except Exception:
            log.exception("%s %s failed", route.method, route.path, extra={"action": "request_failed"})
            return refusal(route.failed + INTERNAL, 500, {})


def sent(scope: Scope) -> str:
    """The path as it was sent."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.decode("latin-1")


def _ticket(scope: Scope) -> str:
    query = scope.get("query_string", b"").decode("latin-1")
    return next((value for name, value in parse_qsl(query) if name == "ticket"), "")


def _method(scope: Scope) -> str:
    return str(scope.get("method", "GET"))


def _socket(route: Route, scope: Scope) -> Route:
    """The WebSocket of a path, if a handshake asks for it.

    Raises:
        Refused: 405, 426 or 400.
    """
    if scope["type"] == "websocket":
        return route
    if scope["method"] != "GET":
        raise Refused(405, "Method Not Allowed", {"allow": "GET, OPTIONS"})
    if scope.get("http_version", "1.1") != "1.1":
        raise Refused(426, "a WebSocket needs HTTP/1.1", {"upgrade": "websocket", "connection": "upgrade"})
    raise Refused(400, "this path is a WebSocket: the request is no handshake of one")


class _Sender:
    """Adds headers on the way out."""

    def __init__(self, send: Send, shared: Pairs) -> None:
        self.transport = getattr(getattr(send, "__self__", None), "transport", None)  # for whoever has to cut it
        self._send = send
        self._shared = shared

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message."""
        if message["type"] in _HEADS:
            message = {**message, "headers": [*message.get("headers", ()), *self._shared]}
        await self._send(message)


def beneath(path: str, prefix: str) -> bool:
    """Whether a path, as it was sent, lies at or under `prefix`; doubled slashes count as one."""
    segments = [segment for segment in path.split("/", 8) if segment]
    wanted = prefix.strip("/").split("/")
    return segments[: len(wanted)] == wanted
