"""Task groups with walls: what fails in one task stays there, and the block's own error comes out as it is."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVarTuple

import anyio
from anyio.abc import TaskGroup

log = logging.getLogger(__name__)

Args = TypeVarTuple("Args")


class Bulkhead:
    """Starts tasks that fail alone: the error goes to the server's log, and nobody else is harmed."""

    def __init__(self, tasks: TaskGroup) -> None:
        self.tasks = tasks

    def start(self, work: Callable[[*Args], Awaitable[object]], *args: *Args, name: str) -> None:
        """Run `work` on its own."""
        self.tasks.start_soon(self._run, work, args, name, name=name)

    @staticmethod
    async def _run(work: Callable[[*Args], Awaitable[object]], args: tuple[*Args], name: str) -> None:
        try:
            await work(*args)
        except Exception:
            log.exception("%s failed", name, extra={"action": "task_failed"})


@asynccontextmanager
async def open_bulkhead() -> AsyncIterator[Bulkhead]:
    """Leaving the block cancels what still runs."""
    error: Exception | None = None
    async with anyio.create_task_group() as tasks:
        try:
            yield Bulkhead(tasks)
        except Exception as raised:  # outside of the group it is not wrapped
            error = raised
        tasks.cancel_scope.cancel()
    if error is not None:
        raise error
