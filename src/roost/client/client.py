"""A client for asyncio: as many requests and streams at once as there are to ask."""

import time
from asyncio import AbstractEventLoop
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import ExitStack, aclosing, asynccontextmanager
from types import TracebackType
from typing import Any, TypeVar

import anyio
import httpx2
from anyio.lowlevel import current_token

from roost.client import currents, dial, here, talk
from roost.client.again import PATIENCE, Again, Told, unheard
from roost.client.answers import Answer, Turn
from roost.client.board import Asking, News
from roost.client.errors import Cut, Refused, Unreachable, Untrusted
from roost.client.exchange import ANSWER_SECONDS, Tries, Watch, content, decode, headers, refused, target
from roost.client.fleet import Event
from roost.client.following import SILENCE, Following, Frame
from roost.client.happenings import Happening
from roost.client.request import Request
from roost.client.server import Server, named
from roost.client.shapes import Waiting
from roost.client.start import CHECKS, Start
from roost.client.table import Table
from roost.client.talk import Said
from roost.client.trust import Trust, trusting
from roost.core.errors import BadValue

T = TypeVar("T")

IN_PROCESS = "http://127.0.0.1"


class Client(Table):
    """Asks one server, which is checked as `Server` says before it is shown the token.  It may be used in several event
    loops, one after the other or each in a thread of its own.

    A `transport` of one's own takes the requests elsewhere: into an app of this process, say.
    """

    def __init__(
        self,
        server: Server | str = "",
        *,
        token: str = "",
        fingerprint: str | None = None,
        ca: str | None = None,
        insecure: bool = False,
        timeout: float = ANSWER_SECONDS,
        transport: httpx2.AsyncBaseTransport | None = None,
        watch: Watch | None = None,
    ) -> None:
        where = server or (IN_PROCESS if transport else "")
        self.server = named(where, token=token, fingerprint=fingerprint, ca=ca, insecure=insecure)
        self._base = IN_PROCESS if transport else _base(self.server)
        self._transport = transport
        self._timeout = timeout
        self._watch = watch
        self._trust: Trust | None = None
        self._held = ExitStack()
        self._loops: dict[object, _Loop] = {}
        self._heard = transport is not None  # whether the server has ever answered

    @classmethod
    def here(cls, env: Mapping[str, str] | None = None) -> "Client":
        """A client of the server that commands of this machine go to.

        Raises:
            Nowhere: there is none; none is started.
        """
        return cls(here.find(env))

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Hang up: all that was asked of this event loop."""
        loop = self._loops.pop(current_token(), None)
        try:
            if loop is not None and loop.http is not None:
                await loop.http.aclose()
        finally:
            self._held.close()

    # -- one request ----------------------------------------------------------------------------

    async def ask(self, request: Request[T], *, timeout: float | None = None) -> T:
        """The answer.

        What may be sent twice is, where the line was cut or a busy server has said when to come again.

        Raises:
            Refused: the server said no.
            Unreachable: it did not answer; `Cut` where it may have done what was asked.
            Untrusted: it is not the one that it should be.
            Garbled: it answered with what is no answer.
        """
        return decode(request, await self.raw(request, timeout=timeout))

    async def raw(self, request: Request[Any], *, timeout: float | None = None) -> bytes:
        """The answer's bytes; else as `ask`."""
        limit = timeout or (None if request.patient else self._timeout)
        tries = Tries(request, timeout)
        while True:
            try:
                return await self._once(request, limit)
            except (Refused, Cut) as error:
                await anyio.sleep(tries.again(error))

    # -- turns and events -----------------------------------------------------------------------

    async def start(
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
        before = (await self.snapshot(session, last=1)).last_event_seq if since is None else since
        start = Start(session, before)
        try:
            async with self._opened(talk.turn(session, agent, messages, agent_name=agent_name, model=model)):
                return before
        except Cut as error:
            await self._accepted(start, error)
            return before

    async def run(
        self,
        session: str,
        agent: str,
        messages: Said,
        *,
        agent_name: str = "",
        model: str = "",
        told: Told = unheard,
        patience: float = PATIENCE,
    ) -> AsyncGenerator[Happening, None]:
        """Open a turn, and yield what happens in it to its end; whoever stops before does not end it (`cancel` does).

        Raises:
            Refused, Unreachable: as of `start` and `follow`.
        """
        since, turn = await self.start(session, agent, messages, agent_name=agent_name, model=model), Turn(session)
        async with aclosing(self.frames(session, since, told=told, patience=patience)) as frames:
            async for frame in frames:
                yield frame.happening
                turn.take(frame.happening)
                if turn.over:
                    return

    async def say(self, session: str, agent: str, messages: Said, *, agent_name: str = "", model: str = "") -> Answer:
        """Run a turn to its end; what waits for a person in it is for others to answer.

        Raises:
            Refused, Unreachable: as of `run`.
        """
        turn = Turn(session)
        async for happening in self.run(session, agent, messages, agent_name=agent_name, model=model):
            turn.take(happening)
        return turn.answer()

    async def follow(
        self, session: str, since: int = 0, *, told: Told = unheard, patience: float = PATIENCE
    ) -> AsyncGenerator[Happening, None]:
        """All that happens in a session past a number of its log, until the session is no more.

        A line that was cut, or that has been silent for too long, is opened anew: nothing is lost, nothing doubled.
        A `Gap` says that the log does not begin where it should: take a snapshot.

        Raises:
            Refused: the server said no.
            Unreachable: it was gone for longer than `patience`.
            Garbled: what came is no event.
        """
        async with aclosing(self.frames(session, since, told=told, patience=patience)) as frames:
            async for frame in frames:
                yield frame.happening

    async def frames(
        self,
        session: str,
        since: int = 0,
        *,
        told: Told = unheard,
        patience: float = PATIENCE,
        until: int | None = None,
    ) -> AsyncGenerator[Frame, None]:
        """The same, each with the text that it came as; `until` is the number to end at."""
        following = Following(session, since, patience=patience, told=told, until=until)
        while not following.over:
            try:
                async with self._opened(following.request(), SILENCE) as response:
                    following.opened(response.headers.get("content-type", ""))
                    async for chunk in response.aiter_bytes():
                        for frame in following.feed(chunk):
                            yield frame
                        if following.over:
                            return
                    raise Unreachable(self.server.url, "the stream ended")
            except (Unreachable, Refused) as error:
                delay = following.cut(error)
                if delay is None:
                    yield following.gone()
                else:
                    await anyio.sleep(delay)

    # -- streams of /api/v1 -----------------------------------------------------------------------

    async def stream(
        self,
        session: str,
        *,
        types: Iterable[str] = (),
        after: int = 0,
        schema: str | None = None,
        told: Told = unheard,
        patience: float = PATIENCE,
    ) -> AsyncGenerator[Event, None]:
        """A session's log events of `/api/v1` past `after`, until it ends; else as `follow`."""
        found = currents.follow(
            self, await self._trusting(), session, types=types, after=after, schema=schema, told=told, patience=patience
        )
        async with aclosing(found) as frames:
            async for one in frames:
                yield one.event

    async def subscribe(
        self,
        *,
        tag: str | None = None,
        types: Iterable[str] = (),
        told: Told = unheard,
        patience: float = PATIENCE,
    ) -> AsyncGenerator[Event, None]:
        """Every session's log events of `/api/v1` from now on; after a cut, what was missed comes first."""
        found = currents.subscribe(self, await self._trusting(), tag=tag, types=types, told=told, patience=patience)
        async with aclosing(found) as frames:
            async for one in frames:
                yield one.event

    # -- the whole server -------------------------------------------------------------------------

    async def watch(self, *, told: Told = unheard, patience: float = PATIENCE) -> AsyncGenerator[News, None]:
        """What there is on the server, then what changes: lines of sessions, and what waits for a person.

        Raises:
            Refused, Unreachable: as of `follow`.
        """
        found = currents.watch(self, await self._trusting(), told=told, patience=patience)
        async with aclosing(found) as news:
            async for one in news:
                yield one

    async def asks(self, *, told: Told = unheard, patience: float = PATIENCE) -> AsyncGenerator[Waiting, None]:
        """What waits for a person anywhere on the server, now and from now on, each once.

        Raises:
            Refused, Unreachable: as of `follow`.
        """
        asking = Asking()
        found = currents.watch(self, await self._trusting(), rows=False, told=told, patience=patience)
        async with aclosing(found) as news:
            async for one in news:
                for waiting in asking.new(one):
                    yield waiting

    # -- below ----------------------------------------------------------------------------------

    async def _once(self, request: Request[Any], limit: float | None) -> bytes:
        started = time.monotonic()
        http = await self._ready()
        async with self._translated(limit):
            with anyio.fail_after(limit):
                response = await http.send(self._built(http, request, limit))
                self._heard = True
        if self._watch:
            self._watch(request.method, request.path, response.status_code, time.monotonic() - started)
        if not response.is_success:
            raise refused(request, response.status_code, response.content, response.headers.get)
        return response.content

    @asynccontextmanager
    async def _opened(self, request: Request[Any], silence: float | None = None) -> AsyncIterator[httpx2.Response]:
        """The answer to a request, unread; between its pieces at most `silence` seconds may pass."""
        http = await self._ready()
        async with self._translated(silence):
            response = await http.send(self._built(http, request, silence), stream=True)
            self._heard = True
            try:
                if not response.is_success:
                    raise refused(request, response.status_code, await response.aread(), response.headers.get)
                yield response
            finally:
                with anyio.CancelScope(shield=True):
                    await response.aclose()

    def _built(self, http: httpx2.AsyncClient, request: Request[Any], limit: float | None) -> httpx2.Request:
        timeout = httpx2.Timeout(limit, connect=min(dial.CONNECT_SECONDS, limit or dial.CONNECT_SECONDS))
        carried = {**headers(self.server, request), "Accept-Encoding": "identity"}
        return http.build_request(
            request.method, self._base + target(request), content=content(request), headers=carried, timeout=timeout
        )

    @asynccontextmanager
    async def _translated(self, limit: float | None) -> AsyncIterator[None]:
        """Errors of the library become ours."""
        try:
            yield
        except TimeoutError:
            raise Unreachable(self.server.url, f"no answer within {limit:g} s") from None
        except httpx2.TransportError as error:
            raise await anyio.to_thread.run_sync(self._meant, error, limit) from None

    def _meant(self, error: httpx2.TransportError, limit: float | None) -> Unreachable | Untrusted:
        trust = self._trust or Trust(self.server, None, "")
        meant = trust.meant(error, limit)
        return dial.unheard(self.server, meant) if isinstance(meant, Cut) and not self._heard else meant

    async def _ready(self) -> httpx2.AsyncClient:
        """The client of the library for this event loop, once it is known whom it may trust."""
        loop = self._loop()
        async with loop.opening:
            if loop.http is None:
                transport = self._transport or (await self._trusting()).transport()
                loop.http = httpx2.AsyncClient(transport=transport, trust_env=False)
            return loop.http

    def _loop(self) -> "_Loop":
        here = current_token()
        if here not in self._loops:
            for other in [one for one in list(self._loops) if isinstance(one, AbstractEventLoop) and one.is_closed()]:
                self._loops.pop(other, None)
        return self._loops.setdefault(here, _Loop())

    async def _trusting(self) -> Trust:
        if self._transport is not None:
            raise BadValue("a WebSocket needs a server's address: over a transport of one's own, use `follow`")
        if self._trust is None:
            self._trust = await anyio.to_thread.run_sync(trusting, self.server, self._held)
        return self._trust

    async def _accepted(self, start: Start, error: Cut) -> None:
        """Return if the turn is in the log.

        Raises:
            Cut: it is not.
        """
        for pause in CHECKS:
            await anyio.sleep(pause)
            last = await self._newest(start.session)
            if last <= start.before:
                continue
            async with aclosing(self.frames(start.session, start.before, until=last)) as frames:
                async for frame in frames:
                    if start.found(frame.happening):
                        return
        raise error

    async def _newest(self, session: str) -> int:
        again = Again(PATIENCE)
        while True:
            try:
                return (await self.snapshot(session, last=1)).last_event_seq
            except Unreachable as error:
                await anyio.sleep(again.after(error, unheard))


class _Loop:
    """What belongs to one event loop: connections can't be taken to another."""

    def __init__(self) -> None:
        self.http: httpx2.AsyncClient | None = None
        self.opening = anyio.Lock()


def _base(server: Server) -> str:
    place = server.place
    return f"{place.scheme}://{place.authority}{place.prefix}"
