"""Task groups with walls: what fails in one task stays there, and the block's own error comes out as it is."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVarTuple

import anyio
from anyio.abc import TaskGroup

from roost.core.errors import NotOwner, StoreFull

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
async def open_group() -> AsyncIterator[TaskGroup]:
    """A task group whose first error comes out as it is, without a group around it."""
    try:
        async with anyio.create_task_group() as tasks:
            yield tasks
    except BaseExceptionGroup as group:
        raise _first(group) from None


def _first(error: BaseException) -> BaseException:
    """The first single error of a group: one of the store's where there is one, since it decides what to do."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    grave, _ = error.split((NotOwner, StoreFull))
    return _first((grave or error).exceptions[0])


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
