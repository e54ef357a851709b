"""A session's events across however many lines it takes: each once, in order; apart from the lines themselves."""

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from roost.client import happenings as h
from roost.client import talk
from roost.client.again import Again, Told
from roost.client.errors import Garbled, Missing, Overloaded, Refused, Unreachable
from roost.client.exchange import clock
from roost.client.happenings import Happening
from roost.client.request import Request
from roost.wire.lines import TooLong
from roost.wire.sse import Parser

SILENCE = 45.0  # seconds without a byte after which a line is dead: a server pings every 15
_STEADY = 5.0  # seconds that a line has to hold for its server to count as back


class Frame(Struct, frozen=True):
    """An event, and the text it came as."""

    data: bytes
    happening: Happening


class Following:
    """Ask with `request`, say when the line is `opened`, feed it what comes, and wait as long as `cut` says."""

    def __init__(
        self,
        session: str,
        since: int,
        *,
        patience: float,
        told: Told,
        until: int | None = None,
        now: Callable[[], float] = clock,
    ) -> None:
        self.newest = since
        self.over = False
        self._session = session
        self._until = until
        self._told = told
        self._now = now
        self._again = Again(patience, clock=now)
        self._parser = Parser()
        self._taken_in = False  # whether a server has ever known the session
        self._since: float | None = None  # when the line was opened that is open

    def request(self) -> Request[Any]:
        """What to ask on the next line."""
        asked = talk.events(self._session)
        since = (("since", str(self.newest)),) if self.newest else ()
        return Request("GET", asked.path, object, query=(*asked.query, *since), patient=True)

    def opened(self, kind: str) -> None:
        """The line is open; `kind` is the type of what it carries.

        Raises:
            Garbled: these are no events.
        """
        if kind.partition(";")[0].strip().lower() != "text/event-stream":
            raise Garbled(f"no stream of events came, but {kind or 'something without a type'}")
        self._parser = Parser()
        self._taken_in = True
        self._since = self._now()

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """The events that are complete now, and new.

        Raises:
            Garbled: these are no events.
        """
        if chunk:
            self._again.alive()
        try:
            found = self._parser.feed(chunk)
        except TooLong as error:
            raise Garbled(f"an event of the server is too long: {error}") from None
        for event in found:
            seq = int(event.id) if event.numbered and event.id.isdecimal() else 0
            if seq and seq <= self.newest:
                continue
            happening = h.decode(event.data, seq)
            self._moved(seq, happening)
            yield Frame(event.data, happening)
            if self.over:
                return
        if self._parser.last_id.isdecimal():
            self.newest = max(self.newest, int(self._parser.last_id))
        self.over = self.over or (self._until is not None and self.newest >= self._until)

    def cut(self, error: Unreachable | Refused) -> float | None:
        """How long to wait before the next line; None where there is nothing more to come but what `gone` says.

        Raises:
            Unreachable: it is not worth it any more.
            Refused: the server said no.
        """
        if isinstance(error, Missing) and self._taken_in:
            return None
        if isinstance(error, Refused) and not isinstance(error, Overloaded):
            raise error
        if self._since is not None and self._now() - self._since >= _STEADY:
            self._again.alive()
        self._since = None
        asked = error.retry_after if isinstance(error, Refused) else None
        return max(self._again.after(error, self._told), asked or 0.0)

    def gone(self) -> Frame:
        """The end of a session that was deleted while nobody listened."""
        self.over = True
        return Frame(b'{"type":"session_exited"}', h.SessionExited(session_id=self._session, reason="session deleted"))

    def _moved(self, seq: int, happening: Happening) -> None:
        if isinstance(happening, h.Gap):
            self.newest = 0
        elif isinstance(happening, h.SessionExited):
            self.over = True
        self.newest = max(self.newest, seq)
