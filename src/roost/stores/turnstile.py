"""Two locks that let the writers of one file take turns, whichever process they live in.

SQLite's own busy handler sleeps and tries again, so that a busy writer starves another for seconds.
Here whoever wants to write first takes `next`, waits with it for `main`, and only then lets `next`
go: between two turns of one writer everybody else who waits gets one.  The kernel takes both locks
back from a process that dies.
"""

import fcntl
import os
from pathlib import Path
from typing import Self


class Turnstile:
    """Hold it (`with turnstile:`) while writing.  Entering blocks the thread."""

    def __init__(self, database: Path) -> None:
        self._next = _open(database.with_name(database.name + ".next"))
        self._main = _open(database.with_name(database.name + ".main"))

    def __enter__(self) -> Self:
        fcntl.flock(self._next, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._main, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._next, fcntl.LOCK_UN)
        return self

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._main, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give the locks back for good."""
        os.close(self._next)
        os.close(self._main)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
