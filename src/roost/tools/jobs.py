"""Commands that run in the background while the agent goes on."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import count

import anyio

from roost.core.errors import RoostError
from roost.process import Ended, Output
from roost.tools.tool import Refused

MOST_OUTPUT = 10 * 1024 * 1024  # bytes that a job keeps
MOST_RUNNING = 50
MOST_ENDED = 20  # ended jobs that are remembered
SHOWN = 30_000  # characters

Start = Callable[[Output], Awaitable[Ended]]

log = logging.getLogger(__name__)


class Job:
    """One command, running or ended."""

    def __init__(self, id: str, command: str, folder: str) -> None:
        self.id = id
        self.command = command
        self.folder = folder
        self.output = Output(MOST_OUTPUT)
        self.status = "running"
        self.code: int | None = None
        self.done = anyio.Event()
        self.task: asyncio.Task[None] | None = None
        self.watchers = 0
        self._started = time.monotonic()
        self._ended = 0.0

    def end(self, status: str, code: int | None) -> None:
        """It runs no longer."""
        self.status, self.code, self._ended = status, code, time.monotonic()
        self.done.set()

    def head(self) -> str:
        """What it is and how it goes."""
        runtime = (self._ended or time.monotonic()) - self._started
        lines = [f"ID: {self.id}", f"Command: {self.command}", f"Status: {self.status}", f"Runtime: {runtime:.1f}s"]
        if self.code is not None:
            lines.append(f"Exit Code: {self.code}")
        return "\n".join(lines)

    def view(self, most: int = SHOWN) -> str:
        """The same, and what it wrote."""
        return f"{self.head()}\n\n--- Output ---\n{self.output.text(most).strip() or '<no output>'}"

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Somebody waits for its end, and need not be told of it."""
        self.watchers += 1
        try:
            yield
        finally:
            self.watchers -= 1


class Jobs:
    """The jobs of one toolset.  A job's task belongs to no scope, since a job outlives the call that starts it.

    `ended` is called for each job that ends by itself while nobody waits for it.
    """

    def __init__(self, ended: Callable[[Job], Awaitable[None]] | None = None) -> None:
        self._ended = ended
        self._jobs: dict[str, Job] = {}
        self._numbers = count(1)

    @property
    def running(self) -> int:
        """How many there are that have not ended."""
        return sum(job.status == "running" for job in self._jobs.values())

    @property
    def busy(self) -> bool:
        """Whether anything is still to be done, be it only to tell of an end."""
        return any(job.task is not None and not job.task.done() for job in self._jobs.values())

    def start(self, command: str, folder: str, start: Start) -> Job:
        """Run a command, and come back at once."""
        if self.running >= MOST_RUNNING:
            raise Refused(f"{MOST_RUNNING} background jobs are running already: stop one first")
        job = Job(f"job_{int(time.time())}_{next(self._numbers)}", command, folder)
        self._jobs[job.id] = job
        job.task = asyncio.create_task(self._run(job, start), name=f"background {job.id}")
        return job

    async def _run(self, job: Job, start: Start) -> None:
        try:
            ended = await start(job.output)
            status, code = "failed" if ended.code else "completed", ended.code
        except OSError as error:
            job.output.add(str(error).encode())
            status, code = "failed", None
        watched = job.watchers > 0
        job.end(status, code)
        self._forget()
        if self._ended is not None and not watched:
            try:
                await self._ended(job)
            except RoostError as error:  # the session is gone, or takes no more
                log.warning("the end of %s was not told: %s", job.id, error, extra={"action": "recall_failed"})

    def _forget(self) -> None:
        ended = [job.id for job in self._jobs.values() if job.status != "running"]
        for old in ended[:-MOST_ENDED]:
            del self._jobs[old]

    def all(self) -> list[Job]:
        """Those that run, and the newest of those that have ended."""
        return list(self._jobs.values())

    def find(self, id: str) -> Job:
        """One of them."""
        if id not in self._jobs:
            raise Refused(f"Job not found: {id}")
        return self._jobs[id]

    async def stop(self, job: Job) -> None:
        """End it and all that it started."""
        if job.status != "running" or job.task is None:
            raise Refused(f"Job {job.id} is not running: {job.status}")
        job.task.cancel()
        await asyncio.wait([job.task])
        if job.status == "running":  # else it has ended by itself meanwhile
            job.end("stopped", None)

    async def close(self) -> None:
        """End them all."""
        tasks = [job.task for job in self._jobs.values() if job.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
