"""The binary event stream: whole whatever the cuts, and refused where it is damaged."""

import struct
import zlib

import pytest

from roost.wire.eventstream import Damaged, Parser, begins, frame
from roost.wire.sse import Event

ONE = frame({":message-type": "event", ":event-type": "contentBlockDelta"}, '{"delta":"ü"}'.encode())
TWO = frame({":message-type": "exception", ":exception-type": "throttlingException"}, b'{"message":"slow"}')
THREE = frame({":message-type": "error", ":error-code": "Internal", ":error-message": "it broke"}, b"")
EVENTS = [
    Event('{"delta":"ü"}'.encode(), "contentBlockDelta"),
    Event(b'{"message":"slow"}', "throttlingException"),
    Event(b"it broke", "error"),
]


@pytest.mark.parametrize("cut", range(0, len(ONE + TWO + THREE), 3))
def test_frames_survive_any_cut(cut: int) -> None:
    stream, parser = ONE + TWO + THREE, Parser()
    assert parser.feed(stream[:cut]) + parser.feed(stream[cut:]) == EVENTS


def test_byte_by_byte() -> None:
    parser = Parser()
    assert [event for byte in ONE + TWO for event in parser.feed(bytes([byte]))] == EVENTS[:2]


@pytest.mark.parametrize("place", range(len(ONE)))
def test_a_changed_byte_is_noticed(place: int) -> None:
    changed = bytearray(ONE)
    changed[place] ^= 0x41
    with pytest.raises(Damaged):
        Parser().feed(bytes(changed))


def test_a_frame_over_the_limit_is_refused_before_it_has_come() -> None:
    start = struct.pack(">II", 1 << 30, 0)
    with pytest.raises(Damaged, match="1073741824 bytes"):
        Parser().feed(start + struct.pack(">I", zlib.crc32(start)))


def test_headers_of_other_types_are_stepped_over() -> None:
    named = b"\x01a\x00" + b"\x01b\x04\x00\x00\x00\x07" + b"\x01c\x06\x00\x02xy" + b"\x01d\x08" + b"\0" * 8
    named += b"\x0b:event-type\x07\x00\x04ping"
    start = struct.pack(">II", 12 + len(named) + 4, len(named))
    whole = start + struct.pack(">I", zlib.crc32(start)) + named
    assert Parser().feed(whole + struct.pack(">I", zlib.crc32(whole))) == [Event(b"", "ping")]


@pytest.mark.parametrize("named", [b"\x01a\x63", b"\x05ab", b"\x01a\x07\x00\x09short", b"\x01\xff\x00", b"\x01a"])
def test_headers_that_make_no_sense_are_refused(named: bytes) -> None:
    start = struct.pack(">II", 12 + len(named) + 4, len(named))
    whole = start + struct.pack(">I", zlib.crc32(start)) + named
    with pytest.raises(Damaged):
        Parser().feed(whole + struct.pack(">I", zlib.crc32(whole)))


def test_a_body_tells_what_it_is() -> None:
    assert begins(ONE)
    assert not begins(b"data: hello there\n\n")
    assert not begins(b"{}")


def test_the_reader_of_the_official_sdk_agrees() -> None:
    eventstream = pytest.importorskip("botocore.eventstream")
    buffer = eventstream.EventStreamBuffer()
    buffer.add_data(ONE + TWO)
    one, two = list(buffer)
    assert (one.headers[":event-type"], one.payload) == ("contentBlockDelta", EVENTS[0].data)
    assert (two.headers[":exception-type"], two.payload) == ("throttlingException", EVENTS[1].data)
