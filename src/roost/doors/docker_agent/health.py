"""Is the server there, and can it work."""

from collections.abc import Callable

from roost.doors.docker_agent.shapes import Wire
from roost.doors.errors import Refused
from roost.doors.routes import Answer, Call, Reply
from roost.service.service import Service

READY_WAIT = 30.0

Private = Callable[[], bool]


def nothing() -> bool:
    """No: all callers may be told all."""
    return False


class Said(Wire, frozen=True, kw_only=True):
    """What was done, in words."""

    message: str


class Status(Wire, frozen=True, kw_only=True):
    """One word."""

    status: str


class Alive(Wire, frozen=True, kw_only=True):
    """The process is up."""

    status: str
    version: str


class Ready(Wire, frozen=True, kw_only=True):
    """Whether the server can do its work; `broken_agents` are files that do not load."""

    ready: bool
    active_sessions: int
    store_connected: bool
    toolset_health: str
    latest_error: str = ""
    broken_agents: tuple[str, ...] = ()


class Health:
    """Handlers that look, and change nothing."""

    def __init__(self, service: Service, version: str, private: Private) -> None:
        self._service = service
        self._version = version
        self._private = private

    async def alive(self, call: Call) -> Answer:
        """GET /health."""
        return Reply(Alive(status="ok", version=self._version))

    async def ready(self, call: Call) -> Answer:
        """GET /ready."""
        found = await self._service.health.ready()
        # Whoever has no token learns which files do not load, not what is written in them.
        broken = tuple(name.partition(": ")[0] for name in found.broken) if self._private() else found.broken
        shown = Ready(
            ready=found.ready,
            active_sessions=found.active_sessions,
            store_connected=found.ready,
            toolset_health="ok" if found.ready else "unavailable",
            latest_error=found.error,
            broken_agents=broken,
        )
        return Reply(shown, 200 if found.ready else 503)

    async def ping(self, call: Call) -> Answer:
        """GET /api/ping."""
        return Reply(Status(status="ok"))

    async def first(self, call: Call) -> Answer:
        """GET /api/ready: wait for the first session of this process that runs."""
        patience = call.duration("timeout", READY_WAIT)
        assert patience is not None
        if await call.patiently(lambda: self._service.turns.until_any_ran(patience)):
            return Reply(Status(status="ready"))
        raise Refused(503, "no sessions registered within timeout")

    async def oauth(self, call: Call) -> Answer:
        """POST /api/mcp-oauth/callback: each state is taken once."""
        state, code, error = (call.query.get(name) or "" for name in ("state", "code", "error"))
        if not state:
            raise Refused(400, "missing state query parameter")
        if not (code or error):
            raise Refused(400, "missing both code and error query parameters")
        logins, description = self._service.logins, call.query.get("error_description") or ""
        if logins is None or not logins.deliver(state, code=code, error=error, description=description):
            raise Refused(404, "no pending OAuth flow for the given state")
        return Reply(None)
