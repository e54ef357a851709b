"""A renderer that counts what it renders, events for it, and what a stream makes of them."""

import anyio

from roost.core import events as e
from roost.core.ids import LogId, Micros

LOG = LogId("S")


class Loud:
    """Renders every second fact, and counts; a test begins with an empty list."""

    rendered: list[int] = []

    def __init__(self, log: LogId) -> None:
        self.seen: list[int] = []

    async def render(self, event: e.Event) -> bytes | None:
        await anyio.lowlevel.checkpoint()
        assert not self.seen or event.seq == self.seen[-1] + 1, "a renderer goes in order"
        self.seen.append(event.seq)
        Loud.rendered.append(event.seq)
        return None if event.seq % 2 else b'{"n":%d}' % event.seq


def events(first: int, last: int) -> list[e.Event]:
    return [e.Event(LOG, seq, Micros(seq), e.Warned(str(seq))) for seq in range(first, last + 1)]


def text(first: int, last: int, *, marks: bool = True) -> bytes:
    """As a stream has them; with `marks`, what is not shown too."""
    pieces = []
    for seq in range(first, last + 1):
        if seq % 2 == 0:
            pieces.append(b'id: %d\ndata: {"n":%d}\n\n' % (seq, seq))
        elif marks:
            pieces.append(b"id: %d\n\n" % seq)
    return b"".join(pieces)
