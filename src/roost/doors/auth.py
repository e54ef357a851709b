"""Who is calling: Host, Origin, size and token of a request, and the principal that it makes."""

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import Any, Literal, Protocol

import anyio
from msgspec import Struct
from msgspec.structs import replace
from starlette.datastructures import Headers

from roost.core.principals import Principal
from roost.doors import cookies
from roost.doors.errors import Refused

Scope = Mapping[str, Any]
Until = Callable[[], Awaitable[None]]

SUPER = Principal(kind="super")
"""Whoever knows the server's own token."""

ANYONE = Principal()
"""Whoever comes in where no token is asked for."""

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_PORTS = {"http": "80", "https": "443"}
_DIGITS = re.compile(r"[0-9]{1,15}")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:\[\]@/]+)(:[0-9]*)?")


class Lookup(Protocol):
    """Whom a token belongs to.  It is asked at every request, so that an account that is gone is gone at once."""

    @property
    def required(self) -> bool:
        """Whether callers have to say who they are, as things stand."""
        ...

    async def principal(self, token: str) -> Principal | None:
        """The caller, as far as the token tells; None for one that opens nothing."""
        ...

    async def revoked(self, token: str) -> None:
        """Return as soon as a token that was good opens nothing more."""
        ...


class Key:
    """The server's own token, and no other."""

    required = True

    def __init__(self, token: str) -> None:
        self._digest = _digest(token)

    async def principal(self, token: str) -> Principal | None:
        """Whoever knows it may do everything."""
        return SUPER if hmac.compare_digest(_digest(token), self._digest) else None

    async def revoked(self, token: str) -> None:
        """It never is."""
        await anyio.sleep_forever()


class Caller(Struct, frozen=True):
    """Somebody who was let in, `by` what, and `until` when that opens nothing more (None: it always will).

    `mark` stands for the header that was shown: it tells programs apart.
    """

    principal: Principal = ANYONE
    by: Literal["", "token", "cookie", "ticket"] = ""
    mark: str = ""
    until: Until | None = None


NOBODY = Caller()


class Guests(Protocol):
    """Browsers, which come with a cookie."""

    async def visitor(self, cookie: str) -> Principal | None:
        """Whose browser has this cookie; None for one that may not come in."""
        ...

    async def left(self, cookie: str) -> None:
        """Return as soon as a browser may not come in any more."""
        ...

    def csrf(self, cookie: str) -> str:
        """What pages of our own, and no others, can send beside the cookie."""
        ...


class Redeems(Protocol):
    """Tickets: each lets somebody who is known open one stream."""

    def redeem(self, ticket: str) -> Caller | None:
        """Whose it is, once."""
        ...


class Gate(Struct, frozen=True):
    """What a door asks of everybody who comes in.

    Where no `lookup` requires a token it is open to all, or, if `shut`, to nobody.  `bound` is the host that
    the server listens on; a loopback one makes it look at the `Host` header too, which may be one of `names`
    besides.  Browsers among the `guests` come in by their cookie, and streams are opened by `tickets`.
    """

    lookup: Lookup | None = None
    max_body: int = 1_048_576
    bound: str = ""
    shut: bool = False
    guests: Guests | None = None
    tickets: Redeems | None = None
    names: frozenset[str] = frozenset()

    @property
    def asks(self) -> bool:
        """Whether it asks for a token."""
        return self.shut or (self.lookup is not None and self.lookup.required)

    def check_origin(self, scope: Scope, headers: Headers) -> None:
        """Keep out pages of other origins, also those that have bent a name of theirs to our address.

        Raises:
            Refused: 403.
        """
        hosts = headers.getlist("host")
        if self._is_local(scope) and not all(_name(host) in self._known() for host in hosts):
            raise Refused(403, "this Host is not served here")
        for origin in headers.getlist("origin"):
            if not _same(origin, hosts, encrypted=scope.get("scheme") in ("https", "wss")):
                raise Refused(403, "requests from other origins are not served")

    def check_size(self, headers: Headers) -> None:
        """Refuse a body before it is read.

        Raises:
            Refused: 413.
        """
        for declared in headers.getlist("content-length"):
            if not _DIGITS.fullmatch(declared) or int(declared) > self.max_body:
                raise too_large()

    async def identify(self, token: str, otherwise: str, mark: str = "") -> Caller:
        """The caller with this token.

        Raises:
            Refused: 401, worded as `otherwise`.
        """
        found = await self.lookup.principal(token) if self.lookup is not None else None
        if self.lookup is None or found is None:
            raise Refused(401, otherwise)
        return Caller(found, "token", mark, partial(self.lookup.revoked, token) if found.confined else None)

    def admit(self, ticket: str) -> Caller | None:
        """The caller who was given this ticket, if it is still good."""
        found = self.tickets.redeem(ticket) if ticket and self.tickets is not None else None
        return None if found is None else replace(found, by="ticket")

    async def welcome(self, scope: Scope, headers: Headers, *, prove: bool = True) -> Caller | None:
        """The caller whose browser shows a cookie of ours; None where there is none that is good.

        Raises:
            Refused: 403; the browser may have been made to ask, and not by our page.
        """
        cookie = cookies.found(scope, headers)
        if self.guests is None or self.lookup is None or not cookie:
            return None
        if (known := await self.guests.visitor(cookie)) is None:
            return None
        self.check_origin(scope, headers)
        cookies.check_site(scope, headers)
        if prove:
            cookies.prove(scope, headers, self.guests.csrf(cookie))
        return Caller(known, "cookie", f"cookie {cookie}", partial(self.guests.left, cookie))

    def _is_local(self, scope: Scope) -> bool:
        """Whether we listen where only browsers of this machine can come in; a bound name may mean loopback too."""
        address, port = scope.get("server") or ("", None)
        if port is None:  # a Unix socket
            return False
        return is_loopback(self.bound) or (_is_name(self.bound) and is_loopback(address))

    def _known(self) -> Collection[str]:
        bound = self.bound.lower()
        return _LOCAL_NAMES | {bound, f"[{bound}]"} | self.names


def spelled(token: str) -> str:
    """A token out of a header, as it was typed: what is not ASCII is UTF-8 there."""
    return token.encode("latin-1", "replace").decode("utf-8", "replace")


def too_large() -> Refused:
    """What a body over the limit gets; what still comes of it is dropped."""
    return Refused(413, "Request Entity Too Large")


def principal(scope: Scope, headers: Headers, caller: Caller = NOBODY) -> Principal:
    """The caller who was let in, as the request shows him."""
    address = (scope.get("client") or ("", 0))[0]
    marks = (caller.mark or headers.get("authorization", ""), address, headers.get("user-agent", ""))
    client = hashlib.sha256("\0".join(marks).encode()).hexdigest()[:16]
    return replace(caller.principal, client=client, headers=cookies.without(headers))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on `host`."""
    host = host.strip("[]").lower()
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_name(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return bool(host)
    return False


def _name(host: str) -> str:
    """The name in a Host header, without its port; "" where it is none."""
    found = _HOST.fullmatch(host.strip().lower())
    return found[1].removesuffix(".") if found else ""


def host_of(url: str) -> str:
    """The name that a `Host` header has for an address, without a port."""
    return _name(url.partition("://")[2].partition("/")[0])


def _same(origin: str, hosts: Collection[str], *, encrypted: bool) -> bool:
    """Whether a page is one of ours.  A proxy may speak TLS for us; what we encrypt ourselves has no plain pages."""
    scheme, found, place = origin.strip().lower().partition("://")
    if not found or scheme not in _PORTS or len(hosts) != 1 or (encrypted and scheme != "https"):
        return False
    (host,) = hosts
    return _with_port(place, scheme) == _with_port(host.strip().lower(), scheme)


def _with_port(place: str, scheme: str) -> str:
    return place if re.search(r":[0-9]+\Z", place) else f"{place}:{_PORTS[scheme]}"
