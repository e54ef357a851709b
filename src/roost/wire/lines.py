"""Whole lines out of chunks."""

LIMIT = 64 * 1024 * 1024


class TooLong(ValueError):
    """A line, or an event, is longer than its reader takes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} bytes without an end")
        self.limit = limit


class Lines:
    r"""Feed it bytes as they come; get back the lines that are now complete, without their `\n`."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._rest: list[bytes] = []
        self._size = 0

    @property
    def rest(self) -> bytes:
        """What has come since the last line's end."""
        return b"".join(self._rest)

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` completes.

        Raises:
            TooLong: a line is over the limit.  Nothing more can be read.
        """
        first, *others = chunk.split(b"\n")
        self._rest.append(first)
        self._size += len(first)
        if not others:
            self._check(self._size)
            return []
        self._check(self._size)
        lines = [b"".join(self._rest), *others[:-1]]
        self._check(max(len(line) for line in lines))
        self._rest, self._size = [others[-1]], len(others[-1])
        self._check(self._size)
        return lines

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise TooLong(self._limit)
