"""One process, told from any later one with the same number."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import anyio

from roost.keepers.keeper import stat_of


def boot() -> str:
    """The boot that this is: what processes of another one are called means nothing."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class Watch:
    """A process that is known by its number and its start; it is never mistaken for a stranger.

    When it ends, `heard` is called.  Where it is a child of ours it is buried then.
    """

    def __init__(self, pid: int, started: int, heard: Callable[[], object] = lambda: None) -> None:
        self._heard = heard
        self._ended = anyio.Event()
        self._fd = -1
        self._loop = asyncio.get_running_loop()
        try:
            fd = os.pidfd_open(pid) if pid > 0 else -1
        except OSError:
            fd = -1
        stat = stat_of(pid)
        if fd < 0 or stat is None or stat.started != started:
            self._let_go(fd)
            return
        self._fd = fd
        self._loop.add_reader(fd, self._bury)

    @property
    def gone(self) -> bool:
        """Whether it has ended."""
        return self._ended.is_set()

    def send(self, number: int) -> None:
        """Signal it, if it is there."""
        if self._fd >= 0:
            with suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(self._fd, number)

    async def wait(self) -> None:
        """Return once it has ended."""
        await self._ended.wait()

    def close(self) -> None:
        """Look no longer."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _bury(self) -> None:
        with suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self._fd, os.WEXITED | os.WNOHANG)
        self.close()
        self._ended.set()
        self._heard()

    def _let_go(self, fd: int) -> None:
        if fd >= 0:
            os.close(fd)
        self._ended.set()
