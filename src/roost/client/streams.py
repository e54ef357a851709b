"""Streams of `/api/v1` that outlive their line: what was cut goes on behind the last event that came."""

import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING

from roost.client import requests, sockets, talk
from roost.client.again import PATIENCE, Again, Told, unheard
from roost.client.board import Board, News
from roost.client.dial import dial
from roost.client.errors import Missing, Overloaded, Unreachable
from roost.client.frames import Cursor, Frame, frame
from roost.client.request import Stream
from roost.client.server import Server

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

    from roost.client.blocking import Blocking


def follow(
    client: "Blocking",
    session: str,
    *,
    types: Iterable[str] = (),
    after: int = 0,
    schema: str | None = None,
    told: Told = unheard,
    patience: float = PATIENCE,
) -> Generator[Frame, None, None]:
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
            for place, found in enumerate(_frames(client.server, asked, newest, again)):
                if cursor.take(found) if schema is None else place >= came:
                    came += 1
                    yield found
            return
        except Unreachable as error:
            time.sleep(again.after(error, told))


def subscribe(
    client: "Blocking",
    *,
    tag: str | None = None,
    types: Iterable[str] = (),
    told: Told = unheard,
    patience: float = PATIENCE,
) -> Generator[Frame, None, None]:
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
                    since = sockets.moment(line.response.headers.get("Date") if line.response else None)
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
        except (Unreachable, Overloaded) as error:
            time.sleep(again.after(error, told))


def watch(
    client: "Blocking", *, rows: bool = True, told: Told = unheard, patience: float = PATIENCE
) -> Generator[News, None, None]:
    """What there is on the server, then what changes; on each new line the list is read, so that nothing is missed.

    Raises:
        Refused: the server said no.
        Unreachable: it was gone for longer than `patience`.
        Garbled: what came is not understood.
    """
    board, again = Board(), Again(patience)
    while True:
        try:
            with opened(client.server, talk.live(), 0) as line:
                if rows:
                    there = client.ask(talk.list_sessions())
                    yield from board.listed(there)
                for text in texts(line, client.server, again):
                    yield from board.read(text)
            return
        except (Unreachable, Overloaded) as error:
            time.sleep(again.after(error, told))


def missed(
    client: "Blocking", cursor: Cursor, since: datetime, *, tag: str | None, types: tuple[str, ...]
) -> list[Frame]:
    """What happened while nobody listened: of sessions that were read behind the last event, of others since then."""
    logs = []
    for session in client.ask(requests.sessions(tag=tag, everywhere=True)):
        behind = cursor.after(session.session_id)
        with suppress(Missing):  # it was deleted just now
            logs.append((behind, client.raw(requests.events(session.session_id, after_seq=behind or None))))
    return sockets.missed(logs, since, types)


@contextmanager
def opened(server: Server, stream: Stream, after: int) -> Iterator["ClientConnection"]:
    """A WebSocket, open.

    Raises:
        Refused: the server said no.
        Unreachable: it did not answer.
    """
    # A command that follows nothing does without: this is a tenth of a second.
    from websockets.exceptions import ConnectionClosed, InvalidHandshake
    from websockets.sync.client import connect

    with ExitStack() as stack:
        wire = stack.enter_context(dial(server))  # encrypted already, where it is to be: hence ws, not wss
        try:
            line = stack.enter_context(
                connect(sockets.address(server, stream, after), sock=wire, **sockets.options(server))
            )
        except (InvalidHandshake, ConnectionClosed, OSError, EOFError) as error:
            raise sockets.unopened(error, server, stream) from None
        yield line


def received(line: "ClientConnection", server: Server, again: Again) -> Generator[Frame, None, None]:
    """The events among them."""
    for text in texts(line, server, again):
        if found := frame(text):
            yield found


def texts(line: "ClientConnection", server: Server, again: Again) -> Generator[str | bytes, None, None]:
    """The messages of an open WebSocket up to the end of its stream.

    Raises:
        Unreachable: the line was cut before.
        Refused: the server sent us away.
    """
    from websockets.exceptions import ConnectionClosed

    while True:
        try:
            text = line.recv()
        except ConnectionClosed as closed:
            why = sockets.ended(closed.rcvd.code, closed.rcvd.reason, server) if closed.rcvd else _cut(server)
            if why is None:
                return
            raise why from None
        again.alive()
        yield text


def _cut(server: Server) -> Unreachable:
    return Unreachable(server.url, "the stream was cut")


def _frames(server: Server, stream: Stream, after: int, again: Again) -> Generator[Frame, None, None]:
    with opened(server, stream, after) as line:
        again.alive()
        yield from received(line, server, again)
