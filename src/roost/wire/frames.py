"""Messages behind a header that says how long they are, as language servers send them."""

HEADER = 16 * 1024  # bytes that a header may have
LIMIT = 64 * 1024 * 1024


class BadFrame(ValueError):
    """What came is no frame, or is longer than its reader takes.  Nothing more can be read."""


class Frames:
    """Feed it bytes as they come, cut anywhere; get back the bodies that are now complete."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._length: int | None = None

    def feed(self, chunk: bytes) -> list[bytes]:
        """The bodies that `chunk` completes.

        Raises:
            BadFrame: it can't be read.
        """
        self._rest += chunk
        bodies = []
        while (body := self._next()) is not None:
            bodies.append(body)
        return bodies

    def _next(self) -> bytes | None:
        if self._length is None:
            end = self._rest.find(b"\r\n\r\n")
            if end > HEADER or (end < 0 and len(self._rest) > HEADER):
                raise BadFrame(f"a header of more than {HEADER} bytes")
            if end < 0:
                return None
            self._length = self._announced(bytes(self._rest[:end]))
            del self._rest[: end + 4]
        if len(self._rest) < self._length:
            return None
        body = bytes(self._rest[: self._length])
        del self._rest[: self._length]
        self._length = None
        return body

    def _announced(self, header: bytes) -> int:
        for line in header.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length" and value.strip().isdigit():
                length = int(value)
                if length > self._limit:
                    raise BadFrame(f"a message of {length} bytes")
                return length
        raise BadFrame("a header without Content-Length")


def frame(body: bytes) -> bytes:
    """A body behind its header."""
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
