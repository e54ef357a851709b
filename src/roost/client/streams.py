"""Streams of events that outlive their line: what was cut goes on behind the last event that came."""

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from roost.client import requests
from roost.client.again import PATIENCE, Again, Told
from roost.client.blocking import Blocking
from roost.client.dial import dial
from roost.client.errors import Refused, Unreachable
from roost.client.exchange import headers, refused
from roost.client.frames import Cursor, Frame, frame, frames
from roost.client.request import Stream
from roost.client.server import Server

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

LARGEST = 64 * 1024 * 1024  # bytes of a frame
FINISHED = (1000, 1005)  # close codes of a stream that is at its end; 1005 is a close without one
_FORBIDDEN = 1008
_BUSY = (429, 502, 503, 504)


def follow(
    client: Blocking,
    session: str,
    *,
    types: Iterable[str] = (),
    after: int = 0,
    schema: str | None = None,
    told: Told = lambda _: None,
    patience: float = PATIENCE,
) -> Iterator[Frame]:
    """A session's events past `after`, until it ends; a cut line is opened anew, and nothing is lost or doubled.

    Events of another `schema` have no numbers: there a new line begins at the first, and as many are left out as came.

    Raises:
        Refused: the server said no.
        Unreachable: it was gone for longer than `patience`.
    """
    cursor, again, came = Cursor(), Again(patience), 0
    asked = requests.stream(session, types=tuple(types), schema=schema)
    while True:
        try:
            newest = max(cursor.newest, after)
            for at, found in enumerate(_frames(client.server, asked, newest, again)):
                if cursor.take(found) if schema is None else at >= came:
                    came += 1
                    yield found
            return
        except Unreachable as error:
            time.sleep(again.after(error, told))


def subscribe(
    client: Blocking,
    *,
    tag: str | None = None,
    types: Iterable[str] = (),
    told: Told = lambda _: None,
    patience: float = PATIENCE,
) -> Iterator[Frame]:
    """Every session's events from now on, for as long as the server stands; after a cut what was missed comes first.

    Raises:
        Refused: the server said no.
        Unreachable: it was gone for longer than `patience`.
    """
    cursor, again = Cursor(), Again(patience)
    wanted = tuple(types)
    asked = requests.subscribe(tag=tag, types=wanted)
    since: datetime | None = None
    while True:
        try:
            with opened(client.server, asked, 0) as line:
                found: Iterable[Frame] = ()
                if since is None:
                    since = _moment(line)
                else:
                    found = missed(client, cursor, since, tag=tag, types=wanted)
                again.alive()
                for one in found:
                    if cursor.take(one):
                        yield one
                for one in received(line, client.server, again):
                    if cursor.take(one):
                        yield one
            return
        except Unreachable as error:
            time.sleep(again.after(error, told))


def missed(
    client: Blocking, cursor: Cursor, since: datetime, *, tag: str | None, types: tuple[str, ...]
) -> list[Frame]:
    """What happened while nobody listened: of sessions that were read behind the last event, of others since then."""
    found: list[Frame] = []
    for session in client.ask(requests.sessions(tag=tag, everywhere=True)):
        name = session.session_id
        behind = cursor.after(name)
        body = client.raw(requests.events(name, after_seq=behind or None))
        found += [
            one
            for one in frames(body)
            if (not types or one.event.type in types) and (behind or _at(one.event.ts) >= since)
        ]
    return sorted(found, key=lambda one: (_at(one.event.ts), one.event.seq))


@contextmanager
def opened(server: Server, stream: Stream, after: int) -> Iterator["ClientConnection"]:
    """A WebSocket, open.

    Raises:
        Refused: the server said no.
        Unreachable: it did not answer.
    """
    # A command that follows nothing does without: this is a tenth of a second.
    from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
    from websockets.sync.client import connect

    carried = headers(server)
    with ExitStack() as stack:
        wire = stack.enter_context(dial(server))  # encrypted already, where it is to be: hence ws, not wss
        try:
            line = stack.enter_context(
                connect(
                    _address(server, stream, after),
                    sock=wire,
                    additional_headers={name: carried[name] for name in ("Authorization",) if name in carried},
                    user_agent_header=carried["User-Agent"],
                    max_size=LARGEST,
                    proxy=None,
                    compression=None,
                )
            )
        except InvalidStatus as error:
            status, body = error.response.status_code, bytes(error.response.body or b"")
            said = refused(status, body, error.response.headers.get("retry-after"))
            if status in _BUSY:
                raise Unreachable(server.url, str(said)) from None
            raise said from None
        except InvalidHandshake as error:
            raise Unreachable(server.url, f"no WebSocket there ({error})") from None
        except (ConnectionClosed, OSError, EOFError):
            raise Unreachable(server.url, "it closed the connection") from None
        yield line


def _address(server: Server, stream: Stream, after: int) -> str:
    query = (*stream.query, *((("after_seq", str(after)),) if after else ()))
    place = server.place
    return f"ws://{place.authority}{place.prefix}{stream.path}" + (f"?{urlencode(query)}" if query else "")


def received(line: "ClientConnection", server: Server, again: Again) -> Iterator[Frame]:
    """The frames of an open WebSocket up to the end of its stream.

    Raises:
        Unreachable: the line was cut before.
        Refused: the server sent us away.
    """
    from websockets.exceptions import ConnectionClosed

    while True:
        try:
            text = line.recv()
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else 0
            if code in FINISHED:
                return
            why = closed.rcvd.reason if closed.rcvd else ""
            if code == _FORBIDDEN:
                raise Refused(404, why) from None
            raise Unreachable(server.url, why or "the stream was cut") from None
        again.alive()
        if found := frame(text):
            yield found


def _frames(server: Server, stream: Stream, after: int, again: Again) -> Iterator[Frame]:
    with opened(server, stream, after) as line:
        again.alive()
        yield from received(line, server, again)


def _moment(line: "ClientConnection") -> datetime:
    """The server's time of day when it took us in, as it says it itself; it speaks in whole seconds."""
    said: Any = line.response.headers.get("Date") if line.response else None
    with suppress(TypeError, ValueError):
        return parsedate_to_datetime(said)
    return datetime.now(UTC)


def _at(ts: str) -> datetime:
    try:
        at = datetime.fromisoformat(ts)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
