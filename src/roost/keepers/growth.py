"""Waiting for files to grow: one timer for all who wait, and none while nobody does."""

import asyncio
from collections.abc import Callable
from itertools import count

import anyio

TICK = 0.015  # seconds between two looks


class Growth:
    """Looks at what is waited for, every few milliseconds.

    A look is a system call on an open file: it costs a microsecond, works on every file system, and needs
    no watch that could run out.
    """

    def __init__(self, tick: float = TICK) -> None:
        self._tick = tick
        self._numbers = count()
        self._waiting: dict[int, tuple[Callable[[], bool], anyio.Event]] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self, grown: Callable[[], bool]) -> None:
        """Return once `grown()` is true: at the next tick at the earliest."""
        number, bell = next(self._numbers), anyio.Event()
        self._waiting[number] = (grown, bell)
        if self._timer is None:
            self._arm()
        try:
            await bell.wait()
        finally:
            self._waiting.pop(number, None)

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._tick, self._look)

    def _look(self) -> None:
        for number, (grown, bell) in list(self._waiting.items()):
            if grown():
                bell.set()
                del self._waiting[number]
        if self._waiting:
            self._arm()
        else:
            self._timer = None
