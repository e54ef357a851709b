"""Which servers of a file are alive: one is, while it holds the lock of its name.

The kernel takes the lock back when a process dies, so a restart can take over at once and never
takes a turn from a neighbour that lives.
"""

import fcntl
import os
import re
import time
from pathlib import Path

from roost.core.errors import StoreRefused
from roost.core.ids import ServerId

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_PATIENCE = 2.0  # seconds: somebody who looks whether we live holds the lock for a moment


class Servers:
    """The lock files beside a database, and our own among them."""

    def __init__(self, database: Path, server: ServerId) -> None:
        self._folder = database.with_name(database.name + ".servers")
        self._server = server
        self._lock = -1

    def enter(self) -> None:
        """From now on this server lives.

        Raises:
            StoreRefused: another process lives under this name.
        """
        if not _PLAIN.fullmatch(self._server):
            raise StoreRefused(f"{self._server!r} can't be a server's id: letters, digits, '.', '_' and '-' only")
        self._folder.mkdir(mode=0o700, exist_ok=True)
        deadline = time.monotonic() + _PATIENCE
        while not self._locked():
            if time.monotonic() > deadline:
                raise StoreRefused(f"a server with the id {self._server!r} is running on this database already")
            time.sleep(0.01)

    def leave(self) -> None:
        """This server lives no more."""
        if self._lock >= 0:
            self._path(self._server).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = -1

    def alive(self, server: str) -> bool:
        """Whether a server lives."""
        if server == self._server:
            return True
        if not _PLAIN.fullmatch(server):
            return False
        try:
            lock = os.open(self._path(server), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def tidy(self) -> None:
        """Remove the lock files of the dead."""
        for path in self._folder.glob("*.lock"):
            if not self.alive(path.name.removesuffix(".lock")):
                path.unlink(missing_ok=True)

    def _locked(self) -> bool:
        """Take our lock, on a file that is still there afterwards (`tidy` may have removed it meanwhile)."""
        path = self._path(self._server)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(lock), path.stat()):
                self._lock, lock = lock, -1
                return True
        except (BlockingIOError, FileNotFoundError):
            pass
        finally:
            if lock >= 0:
                os.close(lock)
        return False

    def _path(self, server: str) -> Path:
        return self._folder / f"{server}.lock"
