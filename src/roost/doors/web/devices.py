"""The browsers that may come in, and tickets for their streams."""

from msgspec import Struct

from roost.doors import cookies
from roost.doors.auth import Caller
from roost.doors.routes import Answer, Call, Reply
from roost.doors.web.manners import said
from roost.service.service import Service
from roost.service.tickets import Tickets
from roost.wire.json import moment


class Device(Struct):
    """A browser that may come in; `current` is the one that asks."""

    id: str
    label: str
    user: str
    created_at: str
    last_seen_at: str
    expires_at: str
    current: bool


class Ticket(Struct):
    """What opens one stream."""

    ticket: str
    expires_at: str


class Gone(Struct):
    """It is."""

    message: str


class Devices:
    """Handlers about other browsers, and about what this one opens next."""

    def __init__(self, service: Service, tickets: Tickets[Caller]) -> None:
        self._browsers = service.browsers
        self._tickets = tickets

    async def listing(self, call: Call) -> Answer:
        """GET /web/devices: whoever was here last comes first."""
        mine = None
        if call.caller.by == "cookie":
            mine = await self._browsers.known(cookies.found(call.scope, call.headers))
        return said(
            [
                Device(
                    one.id,
                    one.label,
                    one.account,
                    moment(one.created_at),
                    moment(one.seen_at),
                    moment(one.expires_at),
                    mine is not None and one.id == mine.id,
                )
                for one in await self._browsers.devices(call.principal)
            ]
        )

    async def revoke(self, call: Call) -> Answer:
        """DELETE /web/devices/:id."""
        await self._browsers.revoke(call.principal, call.path["id"])
        return said(Gone("the device was sent away"))

    async def ticket(self, call: Call) -> Answer:
        """POST /api/tickets."""
        ticket, due = self._tickets.issue(call.caller, owner=call.principal.name)
        return Reply(Ticket(ticket, moment(due)), headers={"cache-control": "no-store"})
