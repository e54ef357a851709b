"""A typed route: path, query and body in; status and body out; and the router over them."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qsl, unquote_to_bytes

import anyio
from msgspec import Struct
from starlette.datastructures import Headers

from roost.core.errors import RoostError, ShuttingDown
from roost.core.principals import Principal
from roost.doors.auth import NOBODY, Caller, too_large
from roost.doors.errors import Refused
from roost.wire import durations, json

B = TypeVar("B")
R = TypeVar("R")

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Answer = Callable[[Scope, Receive, Send], Awaitable[None]]

SSE = "text/event-stream"
LARGEST = (1 << 64) - 1
SLOW = 60.0  # seconds without a byte of a body that was announced
SLOWEST = 1000.0  # bytes a second that come of it, at least
LONGEST_WAIT = 300.0


class Gone(Exception):
    """The client has left before it got its answer."""


class Read(Protocol):
    """How a door takes a body."""

    def __call__(self, raw: bytes, content_type: str, kind: type[B], *, optional: bool) -> B:
        """The body as a `kind`; with `optional`, no body at all is an empty object.

        Raises:
            Refused: it can't be.
        """
        ...


class Reply:
    """An answer that is sent whole."""

    def __init__(
        self,
        value: Any = None,
        status: int = 200,
        *,
        raw: bytes | None = None,
        kind: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.raw = json.body(value) if raw is None else raw
        self.kind = kind or ("application/json" if self.raw else "")
        self.headers = headers or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; in place of the upgrade, where one was asked for."""
        start = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
        head = {"content-length": str(len(self.raw)), **self.headers}
        if self.kind:
            head["content-type"] = self.kind
        if self.status in (204, 304):
            del head["content-length"]
        pairs = [(name.encode(), value.encode("latin-1", "replace")) for name, value in head.items()]
        await send({"type": f"{start}.start", "status": self.status, "headers": pairs})
        await send({"type": f"{start}.body", "body": b"" if scope.get("method") == "HEAD" else self.raw})


class Call:
    """A request on its way to its handler."""

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        principal: Principal,
        names: tuple[str, ...],
        raw: tuple[str, ...],
        *,
        read: Read,
        max_body: int,
        closing: anyio.Event,
        caller: Caller = NOBODY,
    ) -> None:
        self.scope = scope
        self.caller = caller
        self.headers = Headers(scope=dict(scope))
        self.address = str((scope.get("client") or ("", 0))[0])  # of the caller; "" behind a Unix socket
        self.principal = principal
        self.raw = dict(zip(names, raw, strict=True))
        self.path = {name: decoded(value) for name, value in self.raw.items()}
        pairs = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        self.query = {_text(name): _text(value) for name, value in reversed(pairs)}
        self._receive = receive
        self._read = read
        self._max_body = max_body
        self._closing = closing

    async def body(self) -> bytes:
        """The whole body.

        Raises:
            Refused: 413 where it is too large, 408 where it does not come.
            Gone: the client left in the middle of it.
        """
        chunks: list[bytes] = []
        size, started = 0, anyio.current_time()
        while True:
            due = started + SLOW + size / SLOWEST
            with anyio.move_on_after(min(SLOW, max(due - anyio.current_time(), 0.0))) as late:
                message = await self._receive()
            if late.cancelled_caught:
                raise Refused(408, "Request Timeout", {"connection": "close"})
            if message["type"] == "http.disconnect":
                raise Gone
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > self._max_body:
                raise too_large()
            if not message.get("more_body"):
                return b"".join(chunks)

    async def json(self, kind: type[B], *, optional: bool = False) -> B:
        """The body as a `kind`; with `optional`, also where there is none.

        Raises:
            Refused: it can't be read; the status says why.
        """
        return self._read(await self.body(), self.headers.get("content-type", ""), kind, optional=optional)

    def duration(self, name: str, default: float | None) -> float | None:
        """A duration of the query, in seconds; `default` where it is absent.

        Raises:
            Refused: 400.
        """
        text = self.query.get(name, "")
        if not text:
            return default
        try:
            return min(durations.seconds(text), LONGEST_WAIT)
        except ValueError as error:
            raise Refused(400, f"invalid {name}: {error}") from None

    def count(self, name: str) -> int | None:
        """A number of the query; None where it is absent.

        Raises:
            Refused: 400.
        """
        text = self.query.get(name, "")
        if text and not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise Refused(400, f'invalid {name}: "{text}" is no number')
        return int(text) if text else None

    def natural(self, name: str) -> int | None:
        """A number of the query that may be as large as 64 bits hold; None where it is absent.

        Raises:
            Refused: 400.
        """
        if (text := self.query.get(name)) is None:
            return None
        if not (text.isascii() and text.isdecimal() and len(text) <= 20 and int(text) <= LARGEST):
            raise Refused(400, f'invalid {name}: "{text}" is no number')
        return int(text)

    def flag(self, name: str) -> bool | None:
        """A `true` or `false` of the query; None where it is absent.

        Raises:
            Refused: 400.
        """
        if (text := self.query.get(name)) is None:
            return None
        if text not in ("true", "false"):
            raise Refused(400, f'invalid {name}: "{text}" is neither true nor false')
        return text == "true"

    async def patiently(self, work: Callable[[], Awaitable[R]]) -> R:
        """Do what may take long, unless the client leaves or the server stops meanwhile.

        Raises:
            Gone, ShuttingDown
        """
        done: list[R] = []
        failed: list[RoostError] = []

        async def run() -> None:
            try:
                done.append(await work())
            except RoostError as error:  # outside of the group it is not wrapped
                failed.append(error)
            tasks.cancel_scope.cancel()

        async def until_gone() -> None:
            while not (await self._receive())["type"].endswith(".disconnect"):
                pass
            tasks.cancel_scope.cancel()

        async def until_closing() -> None:
            await self._closing.wait()
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            for task in (run, until_gone, until_closing):
                tasks.start_soon(task)
        if failed:
            raise failed[0]
        if done:
            return done[0]
        raise ShuttingDown if self._closing.is_set() else Gone


Handler = Callable[[Call], Awaitable[Answer]]


class Route(Struct, frozen=True, kw_only=True):
    """One thing that can be asked.

    `failed` stands before the message of an error; `statuses` are exceptions to the error table.  A
    `socket` is asked for by a WebSocket handshake: its handler answers with something that accepts it.  What
    is `open` to all may still want to know a browser when it sees one: then it `greets`.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    body: Any = None
    answer: Any = None
    full: Any = None  # the answer to `detail=full`
    status: int = 200
    query: tuple[str, ...] = ()
    failed: str = ""
    statuses: Mapping[type[RoostError], int] = {}
    refusals: tuple[int, ...] = ()
    open: bool = False
    greets: bool = False
    socket: bool = False
    shown: bool = True  # in the OpenAPI document


def asks(method: str, path: str, handler: Handler, summary: str, **rest: Any) -> Route:
    """A route whose handler needs no body."""
    return Route(method=method, path=path, handler=handler, summary=summary, **rest)


def tells(
    method: str,
    path: str,
    kind: type[B],
    handler: Callable[[Call, B], Awaitable[Answer]],
    summary: str,
    *,
    optional: bool = False,
    **rest: Any,
) -> Route:
    """A route whose handler is given the body as a `kind`; with `optional`, also where there is none."""

    async def handle(call: Call) -> Answer:
        return await handler(call, await call.json(kind, optional=optional))

    return Route(method=method, path=path, handler=handle, summary=summary, body=kind, **rest)


def streams(path: str, handler: Handler, summary: str, **rest: Any) -> Route:
    """A route that is a WebSocket."""
    return Route(method="GET", path=path, handler=handler, summary=summary, socket=True, **rest)


class Place:
    """A node of the router: what follows a path so far."""

    def __init__(self) -> None:
        self.fixed: dict[str, Place] = {}
        self.any: Place | None = None
        self.routes: dict[str, Route] = {}

    def methods(self, *, heads: bool = False) -> list[str]:
        """What may be done there; with `heads`, HEAD wherever there is GET."""
        return sorted({"OPTIONS", *self.routes} | ({"HEAD"} if heads and "GET" in self.routes else set()))

    @property
    def socket(self) -> Route | None:
        """The WebSocket that is opened here."""
        return next((route for route in self.routes.values() if route.socket), None)

    def open(self, method: str) -> bool:
        """Whether this path needs no token; a method that is not there is as open as the others are."""
        routes = self.routes.values()
        return self.routes[method].open if method in self.routes else any(route.open for route in routes)

    @property
    def greets(self) -> bool:
        """Whether browsers that are known are told from others, though all may come."""
        return any(route.greets for route in self.routes.values())

    @property
    def streams(self) -> bool:
        """Whether this is a WebSocket or an event stream: what a browser can send no header to."""
        return any(route.socket or (route.method, route.answer) == ("GET", SSE) for route in self.routes.values())


class Router:
    """Finds the place of a path, a look-up for each segment; a fixed segment beats a parameter."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._root = Place()
        for route in self.routes:
            self._add(route)

    def find(self, path: str) -> tuple[Place, tuple[str, ...]] | None:
        """The place of a path (as it was sent), and the values of its parameters."""
        segments = path.split("/")
        return _find(self._root, segments[1:], ()) if segments[0] == "" else None

    def _add(self, route: Route) -> None:
        place = self._root
        for segment in route.path.split("/")[1:]:
            if segment.startswith(":"):
                place.any = place.any or Place()
                place = place.any
            else:
                place = place.fixed.setdefault(segment, Place())
        if route.method in place.routes:
            raise ValueError(f"two routes for {route.method} {route.path}")
        place.routes[route.method] = route


def names(path: str) -> tuple[str, ...]:
    """The parameters in a route's path."""
    return tuple(segment[1:] for segment in path.split("/") if segment.startswith(":"))


def decoded(segment: str) -> str:
    """A path segment without its percent signs; what is no text becomes U+FFFD."""
    return _text(unquote_to_bytes(segment))


def _text(raw: bytes | str) -> str:
    text = raw if isinstance(raw, str) else raw.decode("utf-8", "replace")
    return text.replace("\0", "\ufffd")


def _find(place: Place, segments: list[str], values: tuple[str, ...]) -> tuple[Place, tuple[str, ...]] | None:
    if not segments:
        return (place, values) if place.routes else None
    first, rest = segments[0], segments[1:]
    known = place.fixed.get(decoded(first) if "%" in first else first)
    if known is not None and (found := _find(known, rest, values)) is not None:
        return found
    return _find(place.any, rest, (*values, first)) if place.any is not None and first else None
