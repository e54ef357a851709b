"""Whole lines out of a file that still grows, from any offset."""

import os
from pathlib import Path
from typing import NamedTuple

READ = 1 << 20  # bytes in one look
LONGEST = 16 << 20  # bytes of a line; its rest is lost


class Taken(NamedTuple):
    """Lines without their newlines, and the offset after them."""

    lines: tuple[bytes, ...]
    offset: int
    cut: bool = False
    through: bool = False  # nothing stands behind the offset


class Spool:
    """A file that one program writes and anybody reads."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._looked = (0, 0)  # a line without an end: where it begins, and how far it was looked through

    @property
    def size(self) -> int:
        """Its bytes as of now."""
        return os.fstat(self._fd).st_size if self._fd >= 0 else 0

    def take(self, offset: int, *, final: bool = False) -> Taken:
        """The lines behind an offset, about a MiB of them, or one that is longer.

        A half line is left for later, unless this is `final`: nothing will be written any more.
        """
        chunk = os.pread(self._fd, READ, offset)
        end = chunk.rfind(b"\n")
        if end >= 0:
            return Taken(tuple(chunk[:end].split(b"\n")), offset + end + 1, through=end + 1 == len(chunk) < READ)
        if len(chunk) == READ:
            return self._long(offset, final)
        if final and chunk:
            return Taken((chunk,), offset + len(chunk), through=True)
        return Taken((), offset, through=not chunk)

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _long(self, offset: int, final: bool) -> Taken:
        begins, at = self._looked
        if begins != offset:
            at = offset
        while chunk := os.pread(self._fd, READ, at):
            end = chunk.find(b"\n")
            if end >= 0:
                return self._whole(offset, at + end, 1)
            at += len(chunk)
        self._looked = (offset, at)
        return self._whole(offset, at, 0) if final else Taken((), offset)

    def _whole(self, offset: int, end: int, newline: int) -> Taken:
        line = os.pread(self._fd, min(end - offset, LONGEST), offset)
        after = end + newline
        return Taken((line,), after, cut=end - offset > LONGEST, through=after == self.size)
