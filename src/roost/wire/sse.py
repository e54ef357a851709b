"""Server-Sent Events, both ways."""

from msgspec import Struct

from roost.wire.lines import Lines, TooLong

LIMIT = 32 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"


class Event(Struct, frozen=True):
    """One event.  `id` is the newest id the stream has named: its own if it is `numbered`, else an earlier one's."""

    data: bytes
    event: str = ""
    id: str = ""
    numbered: bool = False


class Parser:
    """Feed it bytes as they come, cut anywhere; get back the events that are now complete.

    `last_id` is the cursor: it moves with every complete frame, also with one that holds nothing but an id.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.last_id = ""
        self.retry: int | None = None  # milliseconds, as the server wishes
        self._limit = limit
        self._lines = Lines(limit)
        self._after_cr = False
        self._begun = False
        self._data: list[bytes] = []
        self._size = 0
        self._event = ""
        self._id: str | None = None

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes.

        Raises:
            TooLong: an event is over the limit.  Nothing more can be read.
        """
        events = []
        for line in self._lines.feed(self._plain(chunk)):
            text = line if self._begun else line.removeprefix(_BOM)
            self._begun = True
            if text:
                self._field(text)
            elif (event := self._dispatch()) is not None:
                events.append(event)
        return events

    def _plain(self, chunk: bytes) -> bytes:
        """The chunk with every kind of line end made the same, though a CRLF may be cut in two."""
        if self._after_cr and chunk:
            chunk, self._after_cr = chunk.removeprefix(b"\n"), False
        if b"\r" in chunk:
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return chunk

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match name:
            case b"data":
                self._size += len(value)
                if self._size > self._limit:
                    raise TooLong(self._limit)
                self._data.append(value)
            case b"event":
                self._event = value.decode("utf-8", "replace")
            case b"id" if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
            case b"retry" if value.isdigit():
                self.retry = int(value)
            case _:
                pass  # a comment, or a field that nobody knows

    def _dispatch(self) -> Event | None:
        if self._id is not None:
            self.last_id = self._id
        data, event, numbered = self._data, self._event, self._id is not None
        self._data, self._size, self._event, self._id = [], 0, "", None
        return Event(b"\n".join(data), event, self.last_id, numbered) if data else None


PING = b": ping\n\n"
"""What readers skip; it keeps a quiet line open."""


def frame(data: bytes, id: int | None = None) -> bytes:
    """One event.  `data` is one line, as compact JSON is."""
    if id is None:
        return b"data: %b\n\n" % data
    return b"id: %d\ndata: %b\n\n" % (id, data)


def cursor(id: int) -> bytes:
    """A frame that moves the cursor and is no event."""
    return b"id: %d\n\n" % id
