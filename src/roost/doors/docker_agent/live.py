"""One WebSocket for a whole screen: the sessions that it follows, the list as it changes, and what waits."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from functools import partial
from typing import Annotated

import anyio
import msgspec
from anyio.abc import TaskGroup
from msgspec import Meta, Struct

from roost.core import events as e
from roost.core.errors import BadValue, RoostError, SessionNotFound, TooManyFollowed
from roost.core.ids import LogId
from roost.core.principals import Principal
from roost.doors.docker_agent.jobs import Jobs
from roost.doors.docker_agent.overview import Overview, Show
from roost.doors.outbox import SHARE, Lane, Outbox
from roost.doors.rings import Rings
from roost.doors.routes import Answer, Call, Receive, Scope, Send
from roost.service.service import Service
from roost.wire.json import encode_ordered, encode_raw

log = logging.getLogger(__name__)

MANY = 64  # sessions that one screen follows at once
LONGEST = 64 * 1024  # bytes of a message from the client
SHOWN = 128  # characters of an id that is sent back
BEAT = 10.0  # seconds between two signs of life

STOPPED, TOO_LARGE, FAILED = 1001, 1009, 1011

Board = Callable[[Principal, Show], Awaitable[None]]
"""Shows a caller something that all screens have, as long as the screen is open."""


class Told(Struct, frozen=True):
    """What a client wants: to follow a session past a number, or no longer."""

    follow: str | None = None
    unfollow: str | None = None
    since: Annotated[int, Meta(ge=0)] = 0


_decode = msgspec.json.Decoder(Told).decode


class Live:
    """Opens screens; all of them end when `closing` is set."""

    def __init__(
        self,
        service: Service,
        rings: Rings[bytes | None],
        closing: anyio.Event,
        *,
        version: str,
        host: str,
        beat: float = BEAT,
    ) -> None:
        self.sessions = service.sessions
        self.turns = service.turns
        self.rings = rings
        self.closing = closing
        self.beat = beat
        self._service = service
        self._about = {"version": version, "host": host}
        self.boards: tuple[Board, ...] = (Overview(service, host).show, Jobs(service).show)

    async def open(self, call: Call) -> Answer:
        """WS /api/live."""
        hello = encode_ordered({"hello": self._about | {"server": self._service.desk.store.server}})
        return Screen(self, call.principal, hello)


class Screen:
    """One line to one screen.

    However it ends, a close frame says so: 1001 when the server stops, 1009 where the client sends too much at once,
    1011 where something fails.  One that does not read is cut by the server.
    """

    status = 101

    def __init__(self, live: Live, principal: Principal, hello: bytes) -> None:
        self._live = live
        self._principal = principal
        self._hello = hello
        self._outbox = Outbox()
        self._followed: dict[str, Followed] = {}
        self._end: tuple[int, str] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Accept it, and send until the client leaves, or the server stops."""
        with suppress(OSError):  # the client is gone
            await send({"type": "websocket.accept"})
            await self._run(receive, send)
            if self._end is not None:
                code, reason = self._end
                await send({"type": "websocket.close", "code": code, "reason": reason})

    async def _run(self, receive: Receive, send: Send) -> None:
        await self._outbox.say(self._hello)
        async with anyio.create_task_group() as tasks:

            async def until(work: Callable[[], Awaitable[None]]) -> None:
                """Whoever is done ends the line."""
                try:
                    await work()
                except OSError:
                    pass
                except Exception:
                    log.exception("a live line failed", extra={"action": "live_failed"})
                    self._finish(FAILED, "internal server error")
                tasks.cancel_scope.cancel()

            tasks.start_soon(until, lambda: self._hear(receive, tasks))
            tasks.start_soon(until, lambda: self._write(send))
            tasks.start_soon(until, self._stop)
            tasks.start_soon(until, self._beat)
            for board in self._live.boards:
                tasks.start_soon(until, partial(board, self._principal, self._show))

    async def _write(self, send: Send) -> None:
        while True:
            message = await self._outbox.message()
            await send({"type": "websocket.send", "text": message.decode()})
            await anyio.lowlevel.checkpoint()  # a `send` to somebody who keeps up gives nobody else a turn

    async def _stop(self) -> None:
        await self._live.closing.wait()
        self._finish(STOPPED, "the server stops")

    async def _beat(self) -> None:
        while True:
            await anyio.sleep(self._live.beat)
            self._outbox.show("beat", b'{"beat":true}')

    def _show(self, name: str, item: bytes) -> None:
        """Show an item; that a session is gone is told at its end, where it is followed, unless that has been told."""
        kind, _, session = name.partition(" ")
        followed = self._followed.get(session) if kind == "gone" else None
        if followed is None or followed.over:
            self._outbox.show(name, item)

    def _finish(self, code: int, reason: str) -> None:
        self._end = self._end or (code, reason)

    # -- what the client wants ------------------------------------------------------------------

    async def _hear(self, receive: Receive, tasks: TaskGroup) -> None:
        while (message := await receive())["type"] != "websocket.disconnect":
            if message["type"] != "websocket.receive":
                continue
            raw = message.get("bytes") or (message.get("text") or "").encode()
            if len(raw) > LONGEST:
                self._finish(TOO_LARGE, f"a message of more than {LONGEST} bytes")
                return
            try:
                told = _decode(raw)
                if (told.follow is None) == (told.unfollow is None):
                    raise BadValue("send follow or unfollow, with the id of a session")
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                await self._refuse("", BadValue(f"not understood: {error}"))
            except BadValue as error:
                await self._refuse("", error)
            else:
                await self._obey(told, tasks)

    async def _obey(self, told: Told, tasks: TaskGroup) -> None:
        session = told.follow if told.follow is not None else told.unfollow or ""
        if (before := self._followed.pop(session, None)) is not None:
            before.stop()
        if told.follow is None:
            return
        if len(self._followed) >= MANY:
            await self._refuse(session, TooManyFollowed(MANY))
            return
        followed = self._followed[session] = Followed(self._live, self._principal, session, self._outbox)
        tasks.start_soon(self._follow, followed, told.since)

    async def _follow(self, followed: "Followed", since: int) -> None:
        """A bulkhead: what goes wrong with one session leaves the others alone."""
        try:
            with followed.scope:
                await followed.run(since)
        except RoostError as error:
            await self._refuse(followed.session, error)
        except Exception:
            log.exception("following %s failed", followed.session[:SHOWN], extra={"action": "follow_failed"})
            await self._refuse(followed.session, RoostError("internal server error"))
        if self._followed.get(followed.session) is followed:
            del self._followed[followed.session]

    async def _refuse(self, session: str, error: RoostError) -> None:
        await self._outbox.say(
            encode_ordered({"refused": session[:SHOWN], "code": error.code, "message": error.message})
        )


class Followed:
    """A session that a screen follows."""

    def __init__(self, live: Live, principal: Principal, session: str, outbox: Outbox) -> None:
        self.session = session
        self.scope = anyio.CancelScope()
        self.over = False  # whether its end has been told
        self._live = live
        self._principal = principal
        self._outbox = outbox
        self._lane: Lane = outbox.lane()

    async def run(self, since: int) -> None:
        """Send what stands past `since`, then what comes, until the session is gone.

        Raises:
            RoostError: there is no such session, or it can't go on.
        """
        head = await self._live.sessions.head(self._principal, self.session)
        await self._lane.put(encode_ordered({"following": self.session, "since": since}))
        if since > head.last_seq or since + 1 < head.first_seq:
            await self._lane.put(encode_ordered({"gap": self.session}))
            since = head.first_seq - 1
        batches = self._live.turns.follow(self._principal, self.session, after=since)
        with self._live.rings.read(LogId(self.session)) as reader:
            async with aclosing(batches):
                try:
                    async for batch in batches:
                        for piece in await reader.made(batch, "items", items):
                            await self._lane.put(piece)
                        if isinstance(batch[-1].fact, e.SessionExited):
                            break
                    else:
                        return  # the server stops
                except SessionNotFound:
                    pass  # its rows are gone
        await self._lane.put(encode_ordered({"gone": self.session}))
        self.over = True

    def stop(self) -> None:
        """Send no more of it."""
        self.scope.cancel()
        self._outbox.drop(self._lane)


def items(batch: Sequence[e.Event], frames: Sequence[bytes | None]) -> tuple[bytes, ...]:
    """The frames of a batch as items, in pieces that fit into a message; if the last fact has none, a cursor for it."""
    head = b'{"session":%b,"id":' % encode_raw(batch[0].log)
    pieces: list[bytes] = []
    piece: list[bytes] = []
    size = 0
    for event, data in zip(batch, frames, strict=True):
        if data is None and event is not batch[-1]:
            continue
        item = b'%b%d,"event":%b}' % (head, event.seq, data or b"null")
        if piece and size + len(item) > SHARE:
            pieces.append(b",".join(piece))
            piece, size = [], 0
        piece.append(item)
        size += len(item) + 1
    return (*pieces, b",".join(piece))
