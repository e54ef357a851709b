"""What a program is given to read: a file of whole lines, and a bell beside it."""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from roost.core.errors import StoreFull
from roost.ports import Input

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Input).decode


class Inputs:
    """The inputs of one run, in order, each id once.

    Nothing of this is forced to the disk: it is to outlive the server, not the machine, whose end is the
    end of the program as well.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "in.jsonl"
        self._bell = folder / "bell"
        self._known: set[str] = set()
        self._read = 0  # bytes of whole lines that `_known` stands for

    def all(self) -> tuple[Input, ...]:
        """Every input that was given so far."""
        try:
            return tuple(_entries(self._path.read_bytes()))
        except FileNotFoundError:
            return ()

    def add(self, inputs: Sequence[Input]) -> tuple[Input, ...]:
        """Append those whose id is new, and ring; they are returned.

        Two servers may do so at once, and one may have died in the middle of it.

        Raises:
            StoreFull: there is no room.
        """
        with self._locked() as fd:
            torn = self._catch_up(fd)
            new = {given.id: given for given in reversed(inputs) if given.id not in self._known}
            ordered = tuple(given for given in inputs if new.get(given.id) is given)
            if ordered:
                _write(fd, torn + b"".join(_encode(given) + b"\n" for given in ordered))
        self._ring()
        return ordered

    def _catch_up(self, fd: int) -> bytes:
        """Learn what was added elsewhere; what ends the line that a crash has torn."""
        text = os.pread(fd, os.fstat(fd).st_size - self._read, self._read)
        end = text.rfind(b"\n") + 1
        self._known.update(entry.id for entry in _entries(text[:end]))
        self._read += end
        return b"\n" if end < len(text) else b""

    @contextmanager
    def _locked(self) -> Iterator[int]:
        fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield fd
        finally:
            os.close(fd)

    def _ring(self) -> None:
        with suppress(OSError):  # nobody listens, or the bell rings already
            fd = os.open(self._bell, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                os.write(fd, b"!")
            finally:
                os.close(fd)


def _entries(text: bytes) -> Iterator[Input]:
    """The entries of whole lines; what a crash of their writer has torn is none."""
    for line in text.split(b"\n")[:-1]:
        with suppress(msgspec.DecodeError):
            yield _decode(line)


def _write(fd: int, text: bytes) -> None:
    rest = memoryview(text)
    try:
        while rest:
            rest = rest[os.write(fd, rest) :]
    except OSError as error:
        raise StoreFull(f"what a program was to be given can't be written: {error.strerror}") from None
