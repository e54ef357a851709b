"""Everything under `/api/v1`: one page."""

import anyio
from msgspec import Struct

from roost.doors.routes import Answer, Call, Route, asks
from roost.doors.zag.manners import said
from roost.service.service import Service

PREFIX = "/api/v1"


class Alive(Struct):
    """The server answers."""

    status: str
    version: str


def routes(service: Service, *, closing: anyio.Event, version: str) -> list[Route]:
    """The routes, over a service."""
    health = Health(version)
    return [asks("GET", f"{PREFIX}/health", health.alive, "The process is up", answer=Alive, open=True)]


class Health:
    """Answers at once, whatever the rest of the server is at: clients disconnect for good where it does not."""

    def __init__(self, version: str) -> None:
        self._version = version

    async def alive(self, call: Call) -> Answer:
        """GET /health."""
        return said(Alive("ok", self._version))
