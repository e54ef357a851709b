"""What takes long, and how far it is."""

from roost.core.principals import Principal
from roost.doors.docker_agent.overview import Show
from roost.doors.docker_agent.shapes import Wire
from roost.doors.routes import Answer, Call, Reply
from roost.ports import Clock
from roost.service.progress import Job
from roost.service.service import Service
from roost.wire.json import encode, rfc3339

PAUSE = 0.25  # seconds between two lists for one screen


class JobShape(Wire, frozen=True, kw_only=True):
    """Work under way, or that was a moment ago; `total` is 0 where nobody knows."""

    id: str
    what: str
    title: str
    done: int
    total: int
    unit: str
    started_at: str
    ended_at: str = ""
    error: str = ""


class Jobs:
    """Handlers about jobs."""

    def __init__(self, service: Service) -> None:
        self._jobs = service.jobs
        self._clock: Clock = service.desk.makers.clock

    async def listing(self, call: Call) -> Answer:
        """GET /api/jobs."""
        return Reply(self._shapes(call.principal))

    async def show(self, principal: Principal, show: Show) -> None:
        """All of them, whenever one has changed: on a screen where nothing takes long, nothing."""
        shown: list[JobShape] = []
        while True:
            bell = self._jobs.bell()
            found = self._shapes(principal)
            if found != shown:
                shown = found
                show("jobs", encode({"jobs": found}))
            await bell.wait()
            await self._clock.sleep(PAUSE)

    def _shapes(self, principal: Principal) -> list[JobShape]:
        return [_shape(job) for job in self._jobs.seen(principal)]


def _shape(job: Job) -> JobShape:
    return JobShape(
        id=job.id,
        what=job.what,
        title=job.title,
        done=job.done,
        total=job.total,
        unit=job.unit,
        started_at=rfc3339(job.started_at),
        ended_at=rfc3339(job.ended_at) if job.ended_at else "",
        error=job.error,
    )
