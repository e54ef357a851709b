"""Hearing that files have grown: the system says so, and costs nothing while they don't."""

import asyncio
import ctypes
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

GATHER = 0.005  # seconds in which news gathers before anybody hears of it: a busy program writes often
TICK = 0.015  # seconds between two looks, where the system has no watch left
MODIFIED = 0x2  # IN_MODIFY
OVERFLOWN = 0x4000  # IN_Q_OVERFLOW
HEADER = struct.Struct("iIII")

Heard = Callable[[], object]


class Growth:
    """Watches files for all runs of a server, by inotify: one descriptor, read when there is news.

    Where no watch is to be had (users have a limited number) a file is looked at every few milliseconds.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._watched: dict[int, Heard] = {}
        self._looked: dict[Path, tuple[int, Heard]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        if self._fd >= 0:
            self._loop.add_reader(self._fd, self._gather)

    def watch(self, path: Path, heard: Heard) -> Callable[[], None]:
        """Call `heard` soon after each growth; what is returned ends that.

        Each file is watched by one alone.
        """
        watch = self._libc.inotify_add_watch(self._fd, os.fsencode(path), MODIFIED) if self._fd >= 0 else -1
        if watch < 0:
            self._looked[path] = (path.stat().st_size, heard)
            self._tick()
            return lambda: self._forget(path)
        self._watched[watch] = heard
        return lambda: self._drop(watch)

    def close(self) -> None:
        """Watch nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._watched.clear()
        self._looked.clear()
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _drop(self, watch: int) -> None:
        if self._watched.pop(watch, None) is not None:
            self._libc.inotify_rm_watch(self._fd, watch)

    def _forget(self, path: Path) -> None:
        self._looked.pop(path, None)

    def _gather(self) -> None:
        self._loop.remove_reader(self._fd)
        self._loop.call_later(GATHER, self._tell)

    def _tell(self) -> None:
        if self._fd < 0:
            return
        self._loop.add_reader(self._fd, self._gather)
        grown: set[int] = set()
        with suppress(BlockingIOError):
            while text := os.read(self._fd, 1 << 16):
                at = 0
                while at < len(text):
                    watch, mask, _, name = HEADER.unpack_from(text, at)
                    at += HEADER.size + name
                    grown |= set(self._watched) if mask & OVERFLOWN else {watch}
        for watch in grown:
            if heard := self._watched.get(watch):
                heard()

    def _tick(self) -> None:
        """Look at the files that have no watch."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for path, (size, heard) in list(self._looked.items()):
            with suppress(OSError):
                if (now := path.stat().st_size) != size:
                    self._looked[path] = (now, heard)
                    heard()
        if self._looked:
            self._timer = self._loop.call_later(TICK, self._tick)
