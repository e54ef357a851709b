"""A session's events as they come in: each once, in order, across however many lines it takes."""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from roost.client.fleet import Event

UNNUMBERED = frozenset({"heartbeat"})  # signs of life: they carry the newest number, and have none


class Frame(Struct, frozen=True):
    """An event, and the text it came as."""

    text: str
    event: Event


class Cursor:
    """How far each session has been read.  Feed it frames as they come, again from wherever a new line begins."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def take(self, frame: Frame) -> bool:
        """Whether this event is new; if so, it counts as read."""
        event = frame.event
        if event.type in UNNUMBERED or not event.seq:
            return True
        if event.seq <= self._last.get(event.session, 0):
            return False
        self._last[event.session] = event.seq
        return True

    def after(self, session: str) -> int:
        """The number of the last event that was read."""
        return self._last.get(session, 0)

    @property
    def newest(self) -> int:
        """The same where only one session is read."""
        return max(self._last.values(), default=0)

    @property
    def sessions(self) -> Iterable[str]:
        """Those of which something was read."""
        return tuple(self._last)


_event = msgspec.json.Decoder(Event)


def frame(text: str | bytes) -> Frame | None:
    """A frame's text read; None for what is no event."""
    whole = text if isinstance(text, str) else text.decode("utf-8", "replace")
    try:
        return Frame(whole, _event.decode(whole))
    except msgspec.DecodeError:
        return None


def frames(body: bytes) -> list[Frame]:
    """The events of an answer that is a list of them."""
    try:
        items = msgspec.json.decode(body, type=list[msgspec.Raw])
    except msgspec.DecodeError:
        return []
    return [found for item in items if (found := frame(bytes(item)))]
