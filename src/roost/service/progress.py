"""What takes long: jobs that are under way, or were a moment ago, with how far they are."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import anyio
from msgspec import Struct
from msgspec.structs import replace

from roost import ports
from roost.core.errors import RoostError
from roost.core.ids import Micros, fresh
from roost.core.principals import Principal

LONG = 0.5  # seconds after which a job that went well is worth remembering
KEPT = 60.0  # seconds for which it is
MOST = 50  # jobs that are


class Job(Struct, frozen=True):
    """Work, and how far it is.  `total` is 0 where nobody knows, `ended_at` 0 while it goes on."""

    id: str
    what: str  # pull, tools, recover, import, gc …
    title: str
    started_at: Micros
    done: int = 0
    total: int = 0
    unit: str = ""
    ended_at: Micros = Micros(0)
    error: str = ""
    owner: str = ""  # the account that it is for; "" is the server itself


class Jobs:
    """All of them, in memory.  What was over at once leaves no trace, unless it failed."""

    def __init__(self, clock: ports.Clock) -> None:
        self._clock = clock
        self._under_way: dict[str, Job] = {}
        self._ended: deque[Job] = deque(maxlen=MOST)
        self._bell = anyio.Event()

    @contextmanager
    def job(self, what: str, title: str, *, total: int = 0, unit: str = "", owner: str = "") -> Iterator["Effort"]:
        """See `ports.Progress`."""
        started = Job(fresh(), what, title, self._clock.now(), total=total, unit=unit, owner=owner)
        self._put(started)
        error = ""
        try:
            yield Effort(self, started.id)
        except RoostError as failed:
            error = failed.message
            raise
        except TimeoutError:
            error = "it took too long"
            raise
        except Exception:
            error = "internal error; the server's log has the details"
            raise
        finally:
            self._end(started.id, error)

    def seen(self, principal: Principal) -> Sequence[Job]:
        """Those that a caller may see: under way first, in their order, then those that have ended, newest first."""
        since = self._clock.now() - KEPT * 1e6
        recent = [job for job in reversed(self._ended) if job.ended_at > since]
        return [job for job in (*self._under_way.values(), *recent) if _may(principal, job)]

    def under_way(self) -> Sequence[Job]:
        """All that go on, in their order."""
        return list(self._under_way.values())

    def bell(self) -> anyio.Event:
        """What rings at the next change: take it before looking."""
        return self._bell

    def advance(self, id: str, *, done: int = 0, more: int = 0) -> None:
        """A job has come further, or there is more of it."""
        if (job := self._under_way.get(id)) is not None:
            self._put(replace(job, done=job.done + done, total=job.total + more))

    def _put(self, job: Job) -> None:
        self._under_way[job.id] = job
        self._ring()

    def _end(self, id: str, error: str) -> None:
        job = replace(self._under_way.pop(id), ended_at=self._clock.now(), error=error)
        if error or job.ended_at - job.started_at >= LONG * 1e6:
            self._ended.append(job)
        self._ring()

    def _ring(self) -> None:
        bell, self._bell = self._bell, anyio.Event()
        bell.set()


class Effort:
    """See `ports.Effort`."""

    def __init__(self, jobs: Jobs, id: str) -> None:
        self._jobs = jobs
        self._id = id

    def step(self, done: int = 1) -> None:
        """See `ports.Effort`."""
        self._jobs.advance(self._id, done=done)

    def expect(self, more: int) -> None:
        """See `ports.Effort`."""
        self._jobs.advance(self._id, more=more)


def _may(principal: Principal, job: Job) -> bool:
    return not principal.confined or (job.owner == principal.name and bool(job.owner))
