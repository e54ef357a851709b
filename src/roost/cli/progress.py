"""How far the long work of a server in this process is, on stderr."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

from roost.cli.bar import Painter, Work, painter, worded
from roost.service.progress import Job, Jobs

FRAME = 0.1  # seconds between two looks


@asynccontextmanager
async def shown(jobs: Jobs) -> AsyncIterator[None]:
    """While the block lasts, show what takes long."""
    task = asyncio.create_task(_show(jobs, painter()), name="progress")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _show(jobs: Jobs, painter: Painter) -> None:
    try:
        while True:
            bell, works = jobs.bell(), of_jobs(jobs.under_way(), time.time())
            painter.paint(works)
            with suppress(TimeoutError):
                async with asyncio.timeout(FRAME if works else None):
                    await bell.wait()
            await asyncio.sleep(FRAME if works else 0)
    finally:
        painter.close()


def of_jobs(jobs: Iterable[Job], now: float) -> list[Work]:
    """Jobs of a server, as they are shown."""
    return [
        Work(job.id, worded(job.what, job.title), job.done, job.total, job.unit, now - job.started_at / 1e6)
        for job in jobs
    ]
