"""Who a browser is: how it comes in, what it may know of itself, and how it leaves."""

import socket
from typing import Any

from msgspec import Struct

from roost import addresses, codes
from roost.core.errors import BadValue
from roost.core.principals import Principal
from roost.doors import cookies
from roost.doors.auth import Gate, is_loopback
from roost.doors.errors import Refused
from roost.doors.routes import Answer, Call, Reply
from roost.doors.web.manners import said
from roost.service.browsers import Entry
from roost.service.service import Service
from roost.wire.json import moment

LONGEST = 1000  # characters of a code, a token, a name, a password


class Surroundings(Struct, frozen=True):
    """What a server is told of itself.  `public_url` is where a proxy has it; `authority` is a certificate, or b""."""

    version: str = ""
    trusted: bool = False
    public_url: str = ""
    authority: bytes = b""


class Pairing(Struct):
    """A code."""

    code: str = ""


class Whose(Struct):
    """Whom a code lets a browser in as: an account, or "" for the operator."""

    user: str
    host: str
    expires_at: str


class Login(Struct):
    """A token, or a name and a password."""

    token: str = ""
    username: str = ""
    password: str = ""


class PushState(Struct):
    """Whether browsers can be told something while no page is open, and the server's key for that."""

    enabled: bool = False
    key: str = ""


class Session(Struct):
    """What a page has to know first."""

    paired: bool
    csrf: str
    user: str
    version: str
    host: str
    name: str
    asks: bool
    v1: bool
    accounts: bool  # whether several people come in here: whose a code is, is asked before it is used
    ca: bool  # whether /web/ca.pem is there, for a phone that does not trust this server yet
    push: PushState


class Code(Struct):
    """A pairing code, told once."""

    code: str
    url: str
    expires_at: str
    matrix: list[str]  # of the QR code: a row of 0 and 1 each


class Entrance:
    """Handlers about the browser that asks."""

    def __init__(self, service: Service, gate: Gate, about: Surroundings) -> None:
        self._browsers = service.browsers
        self._notices = service.notices
        self._gate = gate
        self._about = about
        self._host = socket.gethostname()

    @property
    def _asks(self) -> bool:
        return self._gate.asks

    async def session(self, call: Call) -> Answer:
        """GET /web/session.  The cookie of a browser that is in is set anew: its month begins again."""
        cookie = cookies.found(call.scope, call.headers) if call.caller.by == "cookie" else ""
        shown = self._session(call.caller.principal, cookie)
        return said(shown, headers=self._cookie(call, cookie) if cookie else None)

    async def whose(self, call: Call, body: Pairing) -> Answer:
        """POST /web/whose: nobody comes in by a stranger's link without having seen whose it is."""
        self._check_code(body)
        asked = await self._browsers.whose(body.code, address=call.address)
        return said(Whose(asked.account, self._host, moment(asked.expires_at)))

    async def pair(self, call: Call, body: Pairing) -> Answer:
        """POST /web/pair."""
        self._check_code(body)
        return self._entered(call, await self._browsers.pair(body.code, **_marks(call)))

    async def login(self, call: Call, body: Login) -> Answer:
        """POST /web/login."""
        self._check(body.token, body.username, body.password)
        if body.token:
            return self._entered(call, await self._browsers.enter(body.token, **_marks(call)))
        if not body.username:
            raise BadValue("either `token` or `username` and `password` has to be there")
        return self._entered(call, await self._browsers.login(body.username, body.password, **_marks(call)))

    async def logout(self, call: Call) -> Answer:
        """DELETE /web/session."""
        if call.caller.by == "cookie":
            await self._browsers.leave(cookies.found(call.scope, call.headers))
        return said(self._session(Principal(), "", out=True), headers=self._cookie(call, ""))

    async def authority(self, call: Call) -> Answer:
        """GET /web/ca.pem: phones offer to install what is of this kind."""
        if not self._about.authority:
            raise Refused(404, "this server has no authority of its own: `roost serve --own-ca` makes one")
        headers = {"content-disposition": 'attachment; filename="roost-ca.pem"', "x-content-type-options": "nosniff"}
        return Reply(raw=self._about.authority, kind="application/x-x509-ca-cert", headers=headers)

    async def code(self, call: Call) -> Answer:
        """POST /web/codes."""
        offer = await self._browsers.offer(call.principal)
        url = f"{self.place(call)}/#pair={offer.code}"
        return said(Code(offer.code, url, moment(offer.expires_at), codes.matrix(url)))

    def place(self, call: Call) -> str:
        """The address of this server, as another device can reach it."""
        if self._about.public_url:
            return self._about.public_url
        scheme = "https" if call.scope.get("scheme") == "https" else "http"
        asked, port = call.headers.get("host", ""), (call.scope.get("server") or ("", None))[1]
        bare = asked.rpartition(":")[0] if asked.rpartition(":")[2].isdecimal() else asked
        if asked and not is_loopback(bare) and bare:
            return f"{scheme}://{asked}"
        if is_loopback(self._gate.bound) or port is None:
            return f"{scheme}://{asked or 'localhost'}"
        return addresses.url(scheme, addresses.reachable(self._gate.bound), port)

    def _entered(self, call: Call, entry: Entry) -> Answer:
        principal = Principal(entry.browser.account, kind="account" if entry.browser.account else "super")
        return said(self._session(principal, entry.cookie), headers=self._cookie(call, entry.cookie))

    def _session(self, principal: Principal, cookie: str, *, out: bool = False) -> Session:
        known = (bool(cookie) or not self._asks) and not out
        return Session(
            paired=known,
            csrf=self._browsers.csrf(cookie) if cookie else "",
            user=principal.name,
            version=self._about.version,
            host=self._host,
            name=self._host.partition(".")[0],
            asks=self._asks,
            v1=self._about.trusted or (known and self._asks),
            accounts=self._browsers.shared,
            ca=bool(self._about.authority),
            push=PushState(*(self._notices.push_state() if known else ())),
        )

    def _cookie(self, call: Call, cookie: str) -> dict[str, str]:
        return {"set-cookie": cookies.setting(cookie, call.scope, call.headers)}

    def _check_code(self, body: Pairing) -> None:
        self._check(body.code)
        if not body.code:
            raise BadValue("`code` has to be there")

    def _check(self, *given: str) -> None:
        if not self._asks:
            raise BadValue("this server asks nobody for a token: there is nothing to pair or to log in to")
        if any(len(one) > LONGEST for one in given):
            raise Refused(400, f"longer than {LONGEST} characters")


def _marks(call: Call) -> dict[str, Any]:
    return {"agent": call.headers.get("user-agent", ""), "address": call.address}
