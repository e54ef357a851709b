"""Messages behind a header: whole wherever they are cut, and bounded."""

import pytest

from roost.wire.frames import BadFrame, Frames, frame

STREAM = frame(b"one") + b"content-type: x\r\nCONTENT-LENGTH: 3\r\n\r\ntwo" + frame(b"")


@pytest.mark.parametrize("cut", range(len(STREAM)))
def test_frames_survive_any_cut(cut: int) -> None:
    frames = Frames()
    assert frames.feed(STREAM[:cut]) + frames.feed(STREAM[cut:]) == [b"one", b"two", b""]


@pytest.mark.parametrize(
    "stream", [b"Hello: 3\r\n\r\n", b"Content-Length: x\r\n\r\n", b"Content-Length: 11\r\n\r\n", b"x" * 20_000]
)
def test_what_is_no_frame(stream: bytes) -> None:
    with pytest.raises(BadFrame):
        Frames(limit=10).feed(stream)
