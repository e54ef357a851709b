"""What the page asks of the server besides the API: one page."""

from roost.doors.auth import Caller, Gate
from roost.doors.routes import Route, asks, tells
from roost.doors.web import devices as d
from roost.doors.web import entrance as e
from roost.doors.web import health as h
from roost.doors.web import notices as n
from roost.doors.web.manners import coded
from roost.service.service import Service
from roost.service.tickets import Tickets

PREFIX = "/web"


def routes(entrance: e.Entrance, devices: d.Devices, notices: n.Notices, looks: h.Looks) -> list[Route]:
    """The routes under `/web`."""
    # fmt: off
    return [
        asks("GET", f"{PREFIX}/session", coded(entrance.session), "Who this browser is", answer=e.Session,
             open=True, greets=True),
        asks("DELETE", f"{PREFIX}/session", coded(entrance.logout), "This browser leaves", answer=e.Session,
             greets=True),
        tells("POST", f"{PREFIX}/pair", e.Pairing, coded(entrance.pair), "Come in by a pairing code",
              answer=e.Session, refusals=(400, 410, 429), open=True),
        tells("POST", f"{PREFIX}/whose", e.Pairing, coded(entrance.whose), "Whom a pairing code lets in",
              answer=e.Whose, refusals=(400, 410, 429), open=True),
        tells("POST", f"{PREFIX}/login", e.Login, coded(entrance.login), "Come in by a token, or by a password",
              answer=e.Session, refusals=(400, 401, 429), open=True),
        asks("GET", f"{PREFIX}/ca.pem", entrance.authority, "Who vouches for this server, to be trusted once",
             answer=None, refusals=(404,), open=True),
        asks("POST", f"{PREFIX}/codes", coded(entrance.code), "A code that lets one browser in", answer=e.Code,
             refusals=(400, 403)),
        asks("GET", f"{PREFIX}/devices", coded(devices.listing), "The browsers that may come in",
             answer=list[d.Device]),
        asks("DELETE", f"{PREFIX}/devices/:id", coded(devices.revoke), "Send a browser away", answer=d.Gone,
             refusals=(404,)),
        asks("GET", f"{PREFIX}/health", coded(looks.health), "How the server is", answer=h.Health),
        tells("POST", f"{PREFIX}/push", n.Subscription, coded(notices.subscribe), "Tell this browser what waits",
              answer=n.Told, status=201, refusals=(400, 403)),
        tells("DELETE", f"{PREFIX}/push", n.Endpoint, coded(notices.unsubscribe), "Tell it no longer", answer=n.Told),
    ]
    # fmt: on


def tickets(devices: d.Devices) -> list[Route]:
    """What stands beside the API: tickets are good for the streams of both doors."""
    summary = "A ticket that opens one stream: `?ticket=`, once, within 30 s"
    return [asks("POST", "/api/tickets", devices.ticket, summary, answer=d.Ticket)]


def made(
    service: Service, gate: Gate, issued: Tickets[Caller], about: e.Surroundings
) -> tuple[list[Route], list[Route]]:
    """Those under `/web`, and those beside the API."""
    entrance = e.Entrance(service, gate, about)
    devices = d.Devices(service, issued)
    return routes(entrance, devices, n.Notices(service), h.Looks(service, about.version)), tickets(devices)
