"""A whole server in this process for one person: open, settle, listen where that is asked for, show, resume, let go."""

import asyncio
import os
import secrets
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import anyio
import click
from msgspec import Struct
from msgspec.structs import replace

from roost.cli import alone, host, logs, plane, progress, show
from roost.cli.inprocess import InProcess
from roost.cli.plane import Plane
from roost.cli.terminal import Terminal
from roost.cli.turn import Request, Turn
from roost.client.client import Client
from roost.compose import Running, open_server
from roost.config.settings import Settings, home_of
from roost.config.values import Secret
from roost.core.errors import BadValue, SessionNotFound
from roost.core.events import Template
from roost.core.session import Head
from roost.doors.listen import bound, parse
from roost.doors.server import until_told
from roost.engine.recovery import nobody
from roost.service.accounts import OPERATOR

LAST = ("last", "latest", "-1")


class Wish(Struct, frozen=True):
    """What `roost run` was told, beside the settings."""

    agent: str  # as it was typed
    agent_name: str = ""  # of its team
    prompt: str = ""
    session: str = ""  # that it goes on with: an id, the beginning of one, or `last`
    model: str = ""
    safety: str = ""  # of new sessions, where the file's is not wanted
    listen: bool = False
    headless: bool = False
    raw: bool = False
    hide_results: bool = False
    theme: str = ""


@dataclass(slots=True)
class Room:
    """What a face is given to show."""

    wish: Wish
    running: Running
    client: Client
    source: str
    settings: Settings
    stop: asyncio.Event
    out: TextIO
    err: TextIO
    cwd: Path = field(default_factory=Path.cwd)
    plane: Plane | None = None
    shown: list[str] = field(default_factory=list)  # the sessions that were shown here; the newest is the last

    @property
    def session(self) -> str:
        """The one that is shown."""
        return self.shown[-1]

    async def attach(self, session: str) -> None:
        """The terminal shows this session: what is sent to it is as good as typed, and the record names it."""
        agent = self.wish.agent_name
        await self.running.service.seats.attach(OPERATOR, session, self.source, agent=agent)
        self.shown = [*(one for one in self.shown if one != session), session]
        if self.plane is not None:
            self.plane.show(session)


Face = Callable[[Room], Awaitable[int]]
"""Shows a room until somebody leaves; what it returns is the exit code."""


def defaults(flags: Mapping[str, Any], env: Mapping[str, str], *, headless: bool) -> dict[str, Any]:
    """Settings of a run at a terminal: those of a lone turn, and a log that is kept off the screen."""
    found = alone.defaults(flags, env)
    if not (headless or env.get("ROOST_LOG_FILE")):
        found["log_file"] = str(_log(home_of(flags, env)))
    return found


def _log(home: Path) -> Path:
    return home / "logs" / "run.log"


def run(settings: Settings, wish: Wish, face: Face) -> int:
    """Show a session until somebody leaves.

    Raises:
        RoostError: it can't start; the message says why.
    """
    ours = settings.log_file == _log(settings.home)  # a line for each of the screen's requests would fill it
    logs.set_up(debug=settings.debug, file=settings.log_file, quiet=(wish.headless or ours) and not settings.debug)
    if wish.headless and not settings.debug:
        logs.hush("roost.config.reading")  # the turn itself says what is wrong with an agent file,
        logs.hush("roost.tools.mcp.life")  # and which tool servers are not there
    settings = replace(settings, session_db=settings.session_db.absolute())
    if settings.working_dir:
        os.chdir(settings.working_dir)
    return anyio.run(_run, settings, wish, face, backend_options={"use_uvloop": sys.platform != "win32"})


async def _run(settings: Settings, wish: Wish, face: Face) -> int:
    key = settings.auth_token.reveal() or secrets.token_hex(32)  # a database with accounts asks even us who we are
    inner = replace(settings, auth_token=Secret(key))
    out, err = sys.stdout, sys.stderr  # as they are before anything moves on them
    async with AsyncExitStack() as stack:
        sockets = stack.enter_context(bound([parse(settings.listen)] if wish.listen else []))
        stop = stack.enter_context(until_told(signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        running = await stack.enter_async_context(open_server(inner, host.environment(inner), adopts=nobody))
        client = await stack.enter_async_context(Client(transport=InProcess(running.app), token=key))
        bars = await stack.enter_async_context(AsyncExitStack())
        await bars.enter_async_context(progress.shown(running.jobs))
        source = await alone.source(client, settings.agents[0])
        session = await _meant(running, wish, source)
        running.recovery.adopts = await _ours(running, source, session)
        if count := await running.settle():
            show.note(f"{count} turn{'s' * (count > 1)} of this agent that {_were(count)} cut off will go on")
        made = "" if session else await _made(running, wish)
        room = Room(wish, running, client, source, settings, stop, out, err)
        if sockets:
            room.plane = await stack.enter_async_context(plane.listening(running, sockets[0], settings, source))
        await room.attach(session or made)
        for line in room.plane.lines() if room.plane else ():
            click.echo(line, err=True)
        if not wish.headless:
            await bars.aclose()  # the screen is somebody else's now
        async with _beside(host.resume(running)):
            code = await face(room)
        await _leave(room, made)
        return code


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work, name="resume")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# -- which session ------------------------------------------------------------------------------


async def _meant(running: Running, wish: Wish, source: str) -> str:
    """The id of the session that is to go on; "" for a new one.

    Raises:
        BadValue: there is none like that, or there are several.
    """
    if not wish.session:
        return ""
    fleet = running.service.fleet
    if wish.session not in LAST:
        try:
            return (await fleet.find(OPERATOR, wish.session)).id
        except SessionNotFound:
            raise BadValue(f"no session begins with {wish.session!r} in this database") from None
    of_agent = [head for head in await fleet.heads(OPERATOR) if head.source == source and not head.deleted]
    if not of_agent:
        raise BadValue(f"no session of {wish.agent} is there yet: leave --session out")
    return max(of_agent, key=lambda head: head.active_at).id


async def _ours(running: Running, source: str, session: str) -> Callable[[Head], bool]:
    """Which cut-off turns go on here: that of the session, and those of this agent as it is, or in this folder."""
    team = await running.service.desk.makers.agents.team(source)
    here = str(Path.cwd())

    def ours(head: Head) -> bool:
        turn = head.turn
        if head.id == session or turn is None:
            return head.id == session
        return turn.source == team.source and (turn.source_hash == team.hash or turn.working_dir == here)

    return ours


async def _made(running: Running, wish: Wish) -> str:
    """A new session."""
    template = Template(working_dir=str(Path.cwd()), safety=wish.safety, hide_tool_results=wish.hide_results)
    return (await running.service.sessions.create(OPERATOR, template)).id


# -- the end ------------------------------------------------------------------------------------


async def _leave(room: Room, made: str) -> None:
    """Take away the session that nobody used, and say how those that have been used go on."""
    sessions = room.running.service.sessions
    for session in room.shown:
        with suppress(SessionNotFound):
            head = await sessions.head(OPERATOR, session)
            if session == made and not head.turns and not head.messages and not head.queue:
                await sessions.delete(OPERATOR, session)
            elif head.turn is not None:
                show.note(f"A turn is under way; it goes on with:\n\n    {_again(room, session)}\n")
            elif session == room.session and not room.wish.headless:
                show.note(f"To go on with this session:\n\n    {_again(room, session)}\n")


def _again(room: Room, session: str) -> str:
    return shlex.join(["roost", "run", room.wish.agent, "--session", session])


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


# -- without a screen ---------------------------------------------------------------------------


async def headless(room: Room) -> int:
    """One turn, printed; without a prompt, all turns that others ask for until somebody stops the process."""
    elsewhere = f"answer it with `roost approve --run {os.getpid()}`" if room.plane else ""
    turn = Turn(
        room.client,
        Terminal(),
        out=room.out,
        err=room.err,
        raw=room.wish.raw,
        quiet=room.wish.hide_results,
        elsewhere=elsewhere,
    )
    if not room.wish.prompt:
        return await _follow(room, turn)
    request = Request(
        room.source,
        room.wish.prompt,
        model=room.wish.model,
        session=room.session,
        agent_name=room.wish.agent_name,
    )
    return await alone.until(room.stop, turn, request)


async def _follow(room: Room, turn: Turn) -> int:
    session = room.session
    head = await room.running.service.sessions.head(OPERATOR, session)
    since = head.turn.opened - 1 if head.turn else head.last_seq
    following = asyncio.ensure_future(turn.follow(session, since))
    stopping = asyncio.ensure_future(room.stop.wait())
    await asyncio.wait([following, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if following.done():
        following.result()
        return 0
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    return 0
