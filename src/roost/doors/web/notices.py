"""Subscriptions: a browser that wants to be told something while no page is open."""

from msgspec import Struct

from roost.core.errors import BadValue
from roost.doors import cookies
from roost.doors.routes import Answer, Call
from roost.doors.web.manners import said
from roost.service.service import Service


class Keys(Struct, frozen=True):
    """What only this browser can read with."""

    p256dh: str = ""
    auth: str = ""


class Subscription(Struct):
    """As browsers hand it out."""

    endpoint: str = ""
    keys: Keys = Keys()


class Endpoint(Struct):
    """Which subscription."""

    endpoint: str = ""


class Told(Struct):
    """What was done."""

    message: str


class Notices:
    """Handlers about what a browser is told."""

    def __init__(self, service: Service) -> None:
        self._browsers = service.browsers
        self._notices = service.notices

    async def subscribe(self, call: Call, body: Subscription) -> Answer:
        """POST /web/push."""
        if not body.endpoint:
            raise BadValue("`endpoint` has to be there")
        await self._notices.subscribe(
            call.principal, await self._browser(call), body.endpoint, body.keys.p256dh, body.keys.auth
        )
        return said(Told("this browser is told from now on"), 201)

    async def unsubscribe(self, call: Call, body: Endpoint) -> Answer:
        """DELETE /web/push."""
        await self._notices.unsubscribe(call.principal, body.endpoint)
        return said(Told("this browser is told no longer"))

    async def _browser(self, call: Call) -> str:
        """Which browser asks; "" where none has to be let in."""
        if not call.caller.by:
            return ""
        if call.caller.by != "cookie":
            raise BadValue("only a browser that was let in can be told: this request came with a token")
        known = await self._browsers.known(cookies.found(call.scope, call.headers))
        return known.id if known is not None else ""
