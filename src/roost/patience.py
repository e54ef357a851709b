"""Patience with the silent: one timer for a whole stream, however often it is waited for."""

import asyncio
from collections.abc import Awaitable
from types import TracebackType
from typing import Self, TypeVar

T = TypeVar("T")


class Patience:
    """Bounds waits of which there are many, one at a time: here each of them only moves a deadline.

    Two cancel scopes for every delta of every stream were a fifth of what a busy server did.  As with
    `asyncio.timeout`, a wait that takes too long is cancelled from inside.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._waiting: asyncio.Task[object] | None = None
        self._over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def wait(self, what: Awaitable[T], seconds: float) -> T:
        """What `what` comes to.

        Raises:
            TimeoutError: it has not within `seconds`.
        """
        self._deadline = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > self._deadline:
            self._arm()
        self._waiting = task = asyncio.current_task(self._loop)
        try:
            return await what
        except asyncio.CancelledError:
            if not self._over:
                raise
            raise TimeoutError from None
        finally:
            if self._over and task is not None:
                task.uncancel()
            self._waiting, self._over = None, False

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._waiting is None:
            return  # the next wait sets it anew
        if self._loop.time() < self._deadline:
            self._arm()
        elif not self._over:
            self._over = True
            self._waiting.cancel()
