"""A client that blocks: one request after the other, on a line that is kept open between them."""

import http.client
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeVar

from roost.client import dial, here, streams, talk
from roost.client.again import PATIENCE, Again, Told, unheard
from roost.client.answers import Answer, Turn
from roost.client.board import Asking, News
from roost.client.errors import Cut, Refused, Unreachable
from roost.client.exchange import (
    ANSWER_SECONDS,
    Tries,
    Watch,
    content,
    decode,
    headers,
    refused,
    target,
)
from roost.client.fleet import Event
from roost.client.following import SILENCE, Following, Frame
from roost.client.happenings import Happening
from roost.client.line import Line, Lines
from roost.client.request import Request
from roost.client.server import Server, named
from roost.client.shapes import Waiting
from roost.client.start import CHECKS, Start
from roost.client.table import Table
from roost.client.talk import Said

T = TypeVar("T")

_CHUNK = 64 * 1024


class Blocking(Table):
    """Asks one server, and needs the standard library alone.  Threads may share it, each with streams of its own."""

    def __init__(
        self,
        server: Server | str,
        *,
        token: str = "",
        fingerprint: str | None = None,
        ca: str | None = None,
        insecure: bool = False,
        timeout: float = ANSWER_SECONDS,
        watch: Watch | None = None,
    ) -> None:
        self.server = named(server, token=token, fingerprint=fingerprint, ca=ca, insecure=insecure)
        self._timeout = timeout
        self._watch = watch
        self._lines = Lines(self.server)
        self._heard = False  # whether the server has ever answered

    @classmethod
    def here(cls, env: Mapping[str, str] | None = None) -> "Blocking":
        """A client of the server that commands of this machine go to.

        Raises:
            Nowhere: there is none; none is started.
        """
        return cls(here.find(env))

    def __enter__(self) -> "Blocking":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # -- one request ----------------------------------------------------------------------------

    def ask(self, request: Request[T], *, timeout: float | None = None) -> T:
        """The answer.

        What may be sent twice is, where the line was cut or a busy server has said when to come again.

        Raises:
            Refused: the server said no.
            Unreachable: it did not answer; `Cut` where it may have done what was asked.
            Untrusted: it is not the one that it should be.
            Garbled: it answered with what is no answer.
        """
        return decode(request, self.raw(request, timeout=timeout))

    def raw(self, request: Request[Any], *, timeout: float | None = None) -> bytes:
        """The answer's bytes; else as `ask`."""
        limit = timeout or (None if request.patient else self._timeout)
        tries = Tries(request, timeout)
        while True:
            try:
                return self._once(request, limit)
            except (Refused, Cut) as error:
                time.sleep(tries.again(error))

    def read(self, request: Request[T], body: bytes) -> T:
        """An answer's bytes as its type.

        Raises:
            Garbled: they are none.
        """
        return decode(request, body)

    def open(self) -> None:
        """Open the line now.

        Raises:
            Unreachable: nobody is there.
            Untrusted: it is not the one that it should be.
        """
        line = Line(self.server)
        line.connect()
        self._lines.keep(line)

    def close(self) -> None:
        """Hang up."""
        self._lines.close()

    # -- turns and events -----------------------------------------------------------------------

    def start(
        self,
        session: str,
        agent: str,
        messages: Said,
        *,
        agent_name: str = "",
        model: str = "",
        since: int | None = None,
    ) -> int:
        """Open a turn, which goes on by itself; what happens in it is behind the number that this returns.

        Where the line was cut before the server has said yes, the log is asked whether it has: the turn is never
        posted twice.  `since` is a number of the session's log that is known to be before it.

        Raises:
            Refused: the server said no: `session_busy`, for one.
            Unreachable: it did not answer; `Cut` where the turn is not in the log, and may yet come.
        """
        before = self.snapshot(session, last=1).last_event_seq if since is None else since
        start = Start(session, before)
        try:
            with self._opened(talk.turn(session, agent, messages, agent_name=agent_name, model=model)):
                return before
        except Cut as error:
            self._accepted(start, error)
            return before

    def run(
        self,
        session: str,
        agent: str,
        messages: Said,
        *,
        agent_name: str = "",
        model: str = "",
        told: Told = unheard,
        patience: float = PATIENCE,
    ) -> Generator[Happening, None, None]:
        """Open a turn, and yield what happens in it to its end; whoever stops before does not end it (`cancel` does).

        Raises:
            Refused, Unreachable: as of `start` and `follow`.
        """
        since, turn = self.start(session, agent, messages, agent_name=agent_name, model=model), Turn(session)
        for happening in self.follow(session, since, told=told, patience=patience):
            yield happening
            turn.take(happening)
            if turn.over:
                return

    def say(self, session: str, agent: str, messages: Said, *, agent_name: str = "", model: str = "") -> Answer:
        """Run a turn to its end; what waits for a person in it is for others to answer.

        Raises:
            Refused, Unreachable: as of `run`.
        """
        turn = Turn(session)
        for happening in self.run(session, agent, messages, agent_name=agent_name, model=model):
            turn.take(happening)
        return turn.answer()

    def follow(
        self, session: str, since: int = 0, *, told: Told = unheard, patience: float = PATIENCE
    ) -> Generator[Happening, None, None]:
        """All that happens in a session past a number of its log, until the session is no more.

        A line that was cut, or that has been silent for too long, is opened anew: nothing is lost, nothing doubled.
        A `Gap` says that the log does not begin where it should: take a snapshot.

        Raises:
            Refused: the server said no.
            Unreachable: it was gone for longer than `patience`.
            Garbled: what came is no event.
        """
        return (frame.happening for frame in self.frames(session, since, told=told, patience=patience))

    def frames(
        self,
        session: str,
        since: int = 0,
        *,
        told: Told = unheard,
        patience: float = PATIENCE,
        until: int | None = None,
    ) -> Generator[Frame, None, None]:
        """The same, each with the text that it came as; `until` is the number to end at."""
        following = Following(session, since, patience=patience, told=told, until=until)
        while not following.over:
            try:
                with self._opened(following.request(), SILENCE) as response:
                    following.opened(response.headers.get("content-type", ""))
                    while not following.over:
                        yield from following.feed(self._chunk(response))
            except (Unreachable, Refused) as error:
                delay = following.cut(error)
                if delay is None:
                    yield following.gone()
                else:
                    time.sleep(delay)

    # -- streams of /api/v1 -----------------------------------------------------------------------

    def stream(
        self,
        session: str,
        *,
        types: Iterable[str] = (),
        after: int = 0,
        schema: str | None = None,
        told: Told = unheard,
        patience: float = PATIENCE,
    ) -> Generator[Event, None, None]:
        """A session's log events of `/api/v1` past `after`, until it ends; else as `follow`."""
        found = streams.follow(self, session, types=types, after=after, schema=schema, told=told, patience=patience)
        return (one.event for one in found)

    def subscribe(
        self,
        *,
        tag: str | None = None,
        types: Iterable[str] = (),
        told: Told = unheard,
        patience: float = PATIENCE,
    ) -> Generator[Event, None, None]:
        """Every session's log events of `/api/v1` from now on; after a cut, what was missed comes first."""
        return (one.event for one in streams.subscribe(self, tag=tag, types=types, told=told, patience=patience))

    # -- the whole server -------------------------------------------------------------------------

    def watch(self, *, told: Told = unheard, patience: float = PATIENCE) -> Generator[News, None, None]:
        """What there is on the server, then what changes: lines of sessions, and what waits for a person.

        Raises:
            Refused, Unreachable: as of `follow`.
        """
        return streams.watch(self, told=told, patience=patience)

    def asks(self, *, told: Told = unheard, patience: float = PATIENCE) -> Generator[Waiting, None, None]:
        """What waits for a person anywhere on the server, now and from now on, each once.

        Raises:
            Refused, Unreachable: as of `follow`.
        """
        asking = Asking()
        news = streams.watch(self, rows=False, told=told, patience=patience)
        return (waiting for one in news for waiting in asking.new(one))

    # -- below ----------------------------------------------------------------------------------

    def _once(self, request: Request[Any], limit: float | None) -> bytes:
        started = time.monotonic()
        try:
            with self._lines.lent(limit) as line:
                response = self._sent(line, request)
                status, body = response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._meant(error, limit) from None
        if self._watch:
            self._watch(request.method, request.path, status, time.monotonic() - started)
        if not 200 <= status < 300:
            raise refused(request, status, body, response.getheader)
        return body

    def _sent(self, line: Line, request: Request[Any]) -> http.client.HTTPResponse:
        path = self.server.place.prefix + target(request)
        line.request(request.method, path, content(request), headers(self.server, request))
        response = line.getresponse()
        self._heard = True
        return response

    @contextmanager
    def _opened(self, request: Request[Any], silence: float | None = None) -> Iterator[http.client.HTTPResponse]:
        """The answer to a request, unread, on a line of its own."""
        line = Line(self.server)
        try:
            line.settimeout(silence)
            response = self._sent(line, request)
            if not 200 <= response.status < 300:
                raise refused(request, response.status, response.read(), response.getheader)
            yield response
        except (OSError, http.client.HTTPException) as error:
            raise self._meant(error, silence) from None
        finally:
            line.close()

    def _chunk(self, response: http.client.HTTPResponse) -> bytes:
        """What comes next of an answer that has no end."""
        found = response.read1(_CHUNK)
        if not found:
            raise Unreachable(self.server.url, "the stream ended")
        return found

    def _meant(self, error: OSError | http.client.HTTPException, limit: float | None) -> Unreachable:
        """An error of the library, as one of ours."""
        match error:
            case TimeoutError():
                return Unreachable(self.server.url, f"no answer within {limit:g} s" if limit else "no answer")
            case OSError():
                cut = Cut(self.server.url, dial.reason(error))
            case _:
                cut = Cut(self.server.url, "it closed the connection")
        return cut if self._heard else dial.unheard(self.server, cut)

    def _accepted(self, start: Start, error: Cut) -> None:
        """Return if the turn is in the log.

        Raises:
            Cut: it is not.
        """
        for pause in CHECKS:
            time.sleep(pause)
            last = self._newest(start.session)
            for frame in self.frames(start.session, start.before, until=last) if last > start.before else ():
                if start.found(frame.happening):
                    return
        raise error

    def _newest(self, session: str) -> int:
        again = Again(PATIENCE)
        while True:
            try:
                return self.snapshot(session, last=1).last_event_seq
            except Unreachable as error:
                time.sleep(again.after(error, unheard))
