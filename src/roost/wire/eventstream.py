"""AWS's binary event stream: frames with headers, each part with its checksum."""

import struct
import zlib
from collections.abc import Iterator, Mapping

from roost.wire.sse import Event

LIMIT = 24 * 1024 * 1024  # bytes of one frame
KIND = "application/vnd.amazon.eventstream"

_PRELUDE = struct.Struct(">III")  # length of all, length of the headers, checksum of these two
_TAIL = 4  # the checksum of the frame
_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}  # bytes of a header's value, by its type
_COUNTED = (6, 7)  # bytes and text, after their length


class Damaged(ValueError):
    """What came is no event stream, or was changed on its way."""


class Parser:
    """Feed it bytes as they come, cut anywhere; get back the events that are now complete.

    An event's name is its type; that of an exception ends in `Exception`, that of an error is `error`.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes.

        Raises:
            Damaged: a checksum is wrong, or a frame is over the limit.  Nothing more can be read.
        """
        self._rest += chunk
        return list(self._events())

    def _events(self) -> Iterator[Event]:
        while len(self._rest) >= _PRELUDE.size:
            total, _, _ = prelude(self._rest, self._limit)
            if len(self._rest) < total:
                return
            frame = bytes(self._rest[:total])
            del self._rest[:total]
            yield _event(frame)


def prelude(data: bytes | bytearray, limit: int = LIMIT) -> tuple[int, int, int]:
    """The lengths that a frame begins with, and their checksum.

    Raises:
        Damaged: these bytes do not begin a frame.
    """
    total, headers, checksum = _PRELUDE.unpack_from(data)
    if zlib.crc32(bytes(data[:8])) != checksum:
        raise Damaged("the checksum of a frame's beginning is wrong")
    if not _PRELUDE.size + headers + _TAIL <= total <= limit:
        raise Damaged(f"a frame of {total} bytes, {headers} of them headers")
    return total, headers, checksum


def begins(data: bytes) -> bool:
    """Whether a body is such a stream."""
    try:
        return len(data) >= _PRELUDE.size and bool(prelude(data))
    except Damaged:
        return False


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One frame, with headers that are all text."""
    named = b"".join(
        struct.pack(">B", len(name.encode()))
        + name.encode()
        + struct.pack(">BH", 7, len(value.encode()))
        + value.encode()
        for name, value in headers.items()
    )
    start = struct.pack(">II", _PRELUDE.size + len(named) + len(payload) + _TAIL, len(named))
    whole = start + struct.pack(">I", zlib.crc32(start)) + named + payload
    return whole + struct.pack(">I", zlib.crc32(whole))


def _event(frame: bytes) -> Event:
    (checksum,) = struct.unpack_from(">I", frame, len(frame) - _TAIL)
    if zlib.crc32(frame[:-_TAIL]) != checksum:
        raise Damaged("the checksum of a frame is wrong")
    end = _PRELUDE.size + _PRELUDE.unpack_from(frame)[1]
    headers = dict(_headers(frame[_PRELUDE.size : end]))
    data = frame[end:-_TAIL]
    match headers.get(":message-type"):
        case "exception":
            return Event(data, headers.get(":exception-type", "unknownException"))
        case "error":
            text = headers.get(":error-message") or headers.get(":error-code", "")
            return Event(text.encode(), "error")
        case _:
            return Event(data, headers.get(":event-type", ""))


def _headers(data: bytes) -> Iterator[tuple[str, str]]:
    """The headers that are text, by name; others are stepped over."""
    place = 0
    try:
        while place < len(data):
            size = data[place]
            name = data[place + 1 : place + 1 + size].decode()
            place += 1 + size
            kind = data[place]
            place += 1
            if kind in _COUNTED:
                (length,) = struct.unpack_from(">H", data, place)
                place += 2
            else:
                length = _FIXED[kind]
            if place + length > len(data):
                raise Damaged("a header that is cut off")
            if kind == 7:
                yield name, data[place : place + length].decode()
            place += length
    except (IndexError, KeyError, UnicodeDecodeError, struct.error) as error:
        raise Damaged("a header that can't be read") from error
