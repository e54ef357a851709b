"""How the server is, for the page's view of it."""

from msgspec import Struct

from roost.doors.routes import Answer, Call
from roost.doors.web.manners import said
from roost.service.service import Service
from roost.service.vitals import Cli, Disk, Walls
from roost.wire.json import moment


class Sessions(Struct):
    """How many there are."""

    total: int
    running: int
    waiting: int  # questions to a person


class Database(Struct):
    """Where all is kept."""

    path: str
    bytes: int
    fsync_ms: float


class Agents(Struct):
    """How many agent files load, and which do not."""

    served: int
    broken: tuple[str, ...]


class Health(Struct):
    """All of it; null is what this caller need not know."""

    version: str
    host: str
    started_at: str
    uptime: float
    ready: bool
    error: str
    sessions: Sessions
    agents: Agents
    clis: tuple[Cli, ...]
    devices: int
    push: bool
    webhook: bool
    database: Database | None
    sandbox: Walls | None
    disks: tuple[Disk, ...]


class Looks:
    """Its handler."""

    def __init__(self, service: Service, version: str) -> None:
        self._service = service
        self._version = version

    async def health(self, call: Call) -> Answer:
        """GET /web/health."""
        service = self._service
        found = await service.vitals.take(call.principal)
        database = Database(found.database, found.database_bytes, round(found.fsync * 1000, 3))
        return said(
            Health(
                version=self._version,
                host=found.host,
                started_at=moment(found.started_at),
                uptime=round(found.uptime, 1),
                ready=found.ready,
                error=found.error,
                sessions=Sessions(found.sessions, found.running, found.waiting),
                agents=Agents(found.agents, found.broken),
                clis=found.clis,
                devices=len(await service.browsers.devices(call.principal)),
                push=service.notices.push_state()[0],
                webhook=service.notices.hooked,
                database=database if found.database else None,
                sandbox=found.sandbox,
                disks=found.disks,
            )
        )
