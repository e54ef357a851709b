"""Server-Sent Events survive any cut, any line end, and no flood."""

import pytest

from roost.wire import sse
from roost.wire.lines import Lines, TooLong

STREAM = (
    b'\xef\xbb\xbf: hello\n\nid: 1\nevent: note\ndata: {"a": 1}\n\ndata: one\ndata:two\n\nid: 7\n\n'
    b"retry: 250\nid: bad\0id\ndata:  \xc3\xa9\n\nevent: lost\n\ndata\n\ndata: cut off"
)
EVENTS = [
    sse.Event(b'{"a": 1}', "note", "1", numbered=True),
    sse.Event(b"one\ntwo", "", "1"),
    sse.Event(b" \xc3\xa9", "", "7"),
    sse.Event(b"", "", "7"),
]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_events_survive_any_cut(end: bytes) -> None:
    stream = STREAM.replace(b"\n", end)
    for cut in range(len(stream) + 1):
        parser = sse.Parser()
        assert parser.feed(stream[:cut]) + parser.feed(stream[cut:]) == EVENTS
        assert (parser.last_id, parser.retry) == ("7", 250)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_events_survive_byte_by_byte(end: bytes) -> None:
    parser = sse.Parser()
    stream = STREAM.replace(b"\n", end)
    got = [event for i in range(len(stream)) for event in (*parser.feed(stream[i : i + 1]), *parser.feed(b""))]
    assert got == EVENTS


def test_an_event_without_end_is_refused() -> None:
    parser = sse.Parser(limit=100)
    with pytest.raises(TooLong):
        parser.feed(b"data: " + b"x" * 200)
    parser = sse.Parser(limit=100)
    with pytest.raises(TooLong):
        for _ in range(10):
            parser.feed(b"data: " + b"x" * 50 + b"\n")


def test_frames_are_what_the_parser_reads() -> None:
    assert sse.frame(b'{"type":"x"}', 42) == b'id: 42\ndata: {"type":"x"}\n\n'
    assert sse.frame(b"{}") == b"data: {}\n\n"
    assert sse.cursor(43) == b"id: 43\n\n"
    assert sse.PING == b": ping\n\n"
    parser = sse.Parser()
    assert parser.feed(sse.frame(b"{}", 42) + sse.PING + sse.cursor(43)) == [sse.Event(b"{}", "", "42", numbered=True)]
    assert parser.last_id == "43"


@pytest.mark.parametrize("cut", range(13))
def test_lines_survive_any_cut(cut: int) -> None:
    stream, lines = b"one\n\ntwo\nrest", Lines()
    assert lines.feed(stream[:cut]) + lines.feed(stream[cut:]) == [b"one", b"", b"two"]
    assert lines.rest == b"rest"


def test_a_line_without_end_is_refused() -> None:
    lines = Lines(limit=4)
    assert lines.feed(b"1234\n123") == [b"1234"]
    with pytest.raises(TooLong):
        lines.feed(b"45")
    with pytest.raises(TooLong):
        Lines(limit=4).feed(b"12345\n")
