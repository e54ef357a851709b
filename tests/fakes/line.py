"""A line to a server that can be cut."""

import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress


class Line:
    """Passes bytes on, both ways, from a port of its own."""

    def __init__(self, port: int) -> None:
        self.opened = 0
        self._to = port
        self._ends: list[socket.socket] = []
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self._refusing = False
        self.lengths: Iterator[int] = iter(())
        self.left = threading.Semaphore(0)  # as many as clients that have ended their connections

    def shorten(self, lengths: Iterable[int]) -> None:
        """Cut the connections to come when so many bytes of the server's have gone through: the first after the first
        number, and so on."""
        self.lengths = iter(lengths)

    def run(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._door.accept()
                if self._refusing:
                    near.close()
                    continue
                try:
                    far = socket.create_connection(("127.0.0.1", self._to))
                except OSError:  # nobody is there
                    near.close()
                    continue
                self.opened += 1
                self._ends += [near, far]
                threading.Thread(target=self._up, args=(near, far), daemon=True).start()
                threading.Thread(target=_pump, args=(far, near, next(self.lengths, None)), daemon=True).start()

    def _up(self, near: socket.socket, far: socket.socket) -> None:
        _pump(near, far, None)
        self.left.release()

    def cut(self) -> None:
        """End every connection, in the middle of whatever it is at."""
        ends, self._ends = self._ends, []
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def refuse(self, whether: bool = True) -> None:
        """Hang up on whoever comes."""
        self._refusing = whether

    def lead(self, url: str) -> None:
        """Lead those who come from now on to another server."""
        self._to = int(url.rpartition(":")[2])

    def close(self) -> None:
        self.cut()
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()


def _pump(one: socket.socket, other: socket.socket, most: int | None) -> None:
    with suppress(OSError):
        while (most is None or most > 0) and (chunk := one.recv(65536 if most is None else min(most, 65536))):
            other.sendall(chunk)
            most = None if most is None else most - len(chunk)
    with suppress(OSError):
        other.shutdown(socket.SHUT_RDWR)
    if most == 0:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@contextmanager
def line(url: str) -> Iterator[Line]:
    """A line to the server at this address."""
    made = Line(int(url.rpartition(":")[2]))
    thread = threading.Thread(target=made.run, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.close()
        thread.join(5)
