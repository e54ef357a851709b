"""The streams of `/api/v1` for asyncio; what they promise stands in `streams`."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import anyio
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from roost.client import requests, sockets, talk
from roost.client.again import PATIENCE, Again, Told, unheard
from roost.client.board import Board, News
from roost.client.dial import CONNECT_SECONDS, reason
from roost.client.errors import Missing, Overloaded, Unreachable
from roost.client.frames import Cursor, Frame, frame
from roost.client.request import Stream
from roost.client.server import Server
from roost.client.trust import Trust

if TYPE_CHECKING:
    from roost.client.client import Client


async def follow(
    client: "Client",
    trust: Trust,
    session: str,
    *,
    types: Iterable[str] = (),
    after: int = 0,
    schema: str | None = None,
    told: Told = unheard,
    patience: float = PATIENCE,
) -> AsyncGenerator[Frame, None]:
    """A session's events past `after`, until it ends."""
    cursor, again, came = Cursor(), Again(patience), 0
    asked = requests.stream(session, types=tuple(types), schema=schema)
    while True:
        try:
            place = 0
            async with opened(client.server, trust, asked, max(cursor.newest, after)) as line:
                again.alive()
                async with aclosing(_received(line, client.server, again)) as frames:
                    async for found in frames:
                        if cursor.take(found) if schema is None else place >= came:
                            came += 1
                            yield found
                        place += 1
            return
        except Unreachable as error:
            await anyio.sleep(again.after(error, told))


async def subscribe(
    client: "Client",
    trust: Trust,
    *,
    tag: str | None = None,
    types: Iterable[str] = (),
    told: Told = unheard,
    patience: float = PATIENCE,
) -> AsyncGenerator[Frame, None]:
    """Every session's events from now on, for as long as the server stands."""
    cursor, again = Cursor(), Again(patience)
    wanted = tuple(types)
    asked = requests.subscribe(tag=tag, types=wanted)
    since: datetime | None = None
    while True:
        try:
            async with opened(client.server, trust, asked, 0) as line:
                found: Iterable[Frame] = ()
                if since is None:
                    since = sockets.moment(line.response.headers.get("Date") if line.response else None)
                else:
                    found = await _missed(client, cursor, since, tag=tag, types=wanted)
                again.alive()
                for one in filter(cursor.take, found):
                    yield one
                async with aclosing(_received(line, client.server, again)) as frames:
                    async for one in frames:
                        if cursor.take(one):
                            yield one
            return
        except (Unreachable, Overloaded) as error:
            await anyio.sleep(again.after(error, told))


async def watch(
    client: "Client", trust: Trust, *, rows: bool = True, told: Told = unheard, patience: float = PATIENCE
) -> AsyncGenerator[News, None]:
    """What there is on the server, then what changes."""
    board, again = Board(), Again(patience)
    while True:
        try:
            async with opened(client.server, trust, talk.live(), 0) as line:
                if rows:
                    there = await client.ask(talk.list_sessions())
                    for news in board.listed(there):
                        yield news
                async with aclosing(_texts(line, client.server, again)) as messages:
                    async for text in messages:
                        for news in board.read(text):
                            yield news
            return
        except (Unreachable, Overloaded) as error:
            await anyio.sleep(again.after(error, told))


async def _missed(
    client: "Client", cursor: Cursor, since: datetime, *, tag: str | None, types: tuple[str, ...]
) -> list[Frame]:
    logs = []
    for session in await client.ask(requests.sessions(tag=tag, everywhere=True)):
        behind = cursor.after(session.session_id)
        with suppress(Missing):  # it was deleted just now
            logs.append((behind, await client.raw(requests.events(session.session_id, after_seq=behind or None))))
    return sockets.missed(logs, since, types)


@asynccontextmanager
async def opened(server: Server, trust: Trust, stream: Stream, after: int) -> AsyncIterator[ClientConnection]:
    """A WebSocket, open.

    Raises:
        Refused: the server said no.
        Unreachable: it did not answer.
        Untrusted: it is not the one that it should be.
    """
    more: dict[str, Any] = {**sockets.options(server), "open_timeout": CONNECT_SECONDS}
    scheme = "wss" if server.place.tls else "ws"
    address = sockets.address(server, stream, after, scheme=scheme)
    if trust.context is not None:
        more["ssl"] = trust.context
    try:
        line = await (unix_connect(trust.socket, address, **more) if trust.socket else connect(address, **more))
    except TimeoutError:
        raise Unreachable(server.url, f"no connection within {CONNECT_SECONDS:g} s") from None
    except OSError as error:
        raise trust.meant(error) from None
    except (InvalidHandshake, ConnectionClosed, EOFError) as error:
        raise sockets.unopened(error, server, stream) from None
    async with line:
        yield line


async def _received(line: ClientConnection, server: Server, again: Again) -> AsyncGenerator[Frame, None]:
    async with aclosing(_texts(line, server, again)) as messages:
        async for text in messages:
            if found := frame(text):
                yield found


async def _texts(line: ClientConnection, server: Server, again: Again) -> AsyncGenerator[str | bytes, None]:
    while True:
        try:
            text = await line.recv()
        except ConnectionClosed as closed:
            cut = Unreachable(server.url, "the stream was cut")
            why = sockets.ended(closed.rcvd.code, closed.rcvd.reason, server) if closed.rcvd else cut
            if why is None:
                return
            raise why from None
        except OSError as error:
            raise Unreachable(server.url, reason(error)) from None
        again.alive()
        yield text
