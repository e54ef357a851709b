"""A line to a server over the standard library's HTTP, and those that are kept open between requests."""

import errno
import http.client
import io
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from roost.client.dial import CONNECT_SECONDS, dial
from roost.client.server import Server

_KEPT = 8  # idle lines
_KEPT_SECONDS = 2.0  # a line that has been idle for longer may be closed at the other end


class Line(http.client.HTTPConnection):
    """One connection, whose other end is checked before anything is sent."""

    def __init__(self, server: Server, patience: float = CONNECT_SECONDS) -> None:
        super().__init__(server.place.authority, timeout=None)
        self.sock: socket.socket | None
        self.response_class = _Answer
        self.used = time.monotonic()
        self._server = server
        self._patience = patience

    def connect(self) -> None:
        """Open it.

        Raises:
            Unreachable: nobody is there.
            Untrusted: it is not the one that it should be.
        """
        self.sock = dial(self._server, timeout=self._patience)
        self.sock.settimeout(self.timeout)

    def settimeout(self, seconds: float | None) -> None:
        """Wait so long for each piece of what comes."""
        self.timeout = seconds
        if self.sock:
            self.sock.settimeout(seconds)

    @property
    def fresh(self) -> bool:
        """Whether it is surely open still: it was just used, and the other end has not hung up since."""
        return self.sock is not None and time.monotonic() - self.used <= _KEPT_SECONDS and not _stirs(self.sock)


class Lines:
    """The lines to one server, each for one request at a time; however many threads ask, none has another's."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._idle: list[Line] = []

    @contextmanager
    def lent(self, limit: float | None) -> Iterator[Line]:
        """A line: one that is open, else a new one.  Where something goes wrong on it, it is closed."""
        line = self._kept() or Line(self._server, min(CONNECT_SECONDS, limit or CONNECT_SECONDS))
        try:
            line.settimeout(limit)
            yield line
        except BaseException:
            line.close()
            raise
        self.keep(line)

    def keep(self, line: Line) -> None:
        """Have it ready for the next request."""
        line.used = time.monotonic()
        self._idle.append(line)
        while len(self._idle) > _KEPT and (oldest := self._popped(0)):
            oldest.close()

    def close(self) -> None:
        """Close those that nobody has."""
        while line := self._popped():
            line.close()

    def _kept(self) -> Line | None:
        while line := self._popped():
            if line.fresh:
                return line
            line.close()
        return None

    def _popped(self, at: int = -1) -> Line | None:
        try:
            return self._idle.pop(at)
        except IndexError:
            return None


class _Whole(io.BufferedReader):
    """What comes over a line.  The library takes a head that was cut for a whole one; this does not."""

    def readline(self, size: int | None = -1, /) -> bytes:
        """A line of a head, or of what stands between chunks.

        Raises:
            ConnectionResetError: it was cut.
        """
        found = super().readline(size)
        if not found.endswith(b"\n") and len(found) != size:
            raise ConnectionResetError(errno.ECONNRESET, "it closed the connection")
        return found


class _Answer(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = _Whole(self.fp.detach())


def _stirs(sock: socket.socket) -> bool:
    """Whether something has come: a hang-up, or what nobody has asked for."""
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(0))
