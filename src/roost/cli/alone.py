"""A whole server for one turn, in this process and on no address."""

import asyncio
import os
import secrets
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
from msgspec.structs import replace

from roost.cli import logs, progress
from roost.cli.host import environment
from roost.cli.inprocess import InProcess
from roost.cli.terminal import Terminal
from roost.cli.turn import Request, Turn
from roost.client.client import Client
from roost.compose import open_server
from roost.config.settings import Settings, home_of
from roost.config.values import Secret
from roost.core.errors import BadValue
from roost.doors.server import until_told
from roost.engine.recovery import nobody

END_SECONDS = 10.0  # for a cancelled turn to write its end


def defaults(flags: Mapping[str, Any], env: Mapping[str, str]) -> dict[str, Any]:
    """Settings of a lone turn: its own database, and no grace for a client that is this process."""
    home = home_of(flags, env)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = {} if env.get("ROOST_SESSION_DB") else {"session_db": str(home / "roost.db")}
    return {**database, "disconnect_grace": 0}


def run(settings: Settings, prompt: str, *, model: str, approved: bool, raw: bool) -> int:
    """Run one turn; the exit code says how it ended.

    Raises:
        RoostError: it could not even start.
    """
    logs.set_up(debug=settings.debug, file=settings.log_file, quiet=not settings.debug)
    if not settings.debug:
        logs.hush("roost.config.reading")  # what an agent file gets wrong is said by the turn itself,
        logs.hush("roost.tools.mcp.life")  # and so are tool servers that are not there
    if settings.working_dir:
        os.chdir(settings.working_dir)
    settings = replace(settings, pull_interval=0)  # one turn has no use for a second look
    request = Request("", prompt, model=model, working_dir=str(Path.cwd()), approved=approved)
    return anyio.run(_run, settings, request, raw, backend_options={"use_uvloop": sys.platform != "win32"})


async def _run(settings: Settings, request: Request, raw: bool) -> int:
    key = settings.auth_token.reveal() or secrets.token_hex(32)  # a database with accounts asks even us who we are
    settings = replace(settings, auth_token=Secret(key))
    out, err = sys.stdout, sys.stderr  # as they are before anything moves on them
    with until_told() as stop:
        async with (
            open_server(settings, environment(settings), adopts=nobody) as running,
            Client(transport=InProcess(running.app), token=key) as client,
            progress.shown(running.jobs),
        ):
            agent = await source(client, settings.agents[0])
            turn = Turn(client, Terminal(), out=out, err=err, raw=raw)
            return await until(stop, turn, replace(request, agent=agent))


async def until(stop: asyncio.Event, turn: Turn, request: Request) -> int:
    """The turn, or its end once somebody has pressed Ctrl-C."""
    running = asyncio.ensure_future(turn.run(request))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if running.done():
        return running.result()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    with suppress(TimeoutError):
        async with asyncio.timeout(END_SECONDS):
            await turn.cancel()
    turn.say("\ncancelled" if sys.stderr.isatty() else "cancelled")  # the ^C stands on a line of its own
    return 130


async def source(client: Client, agents: str) -> str:
    """The id of the one agent file that is served.

    Raises:
        BadValue: there are several.
        Refused: it does not load; the message says why.
    """
    ids = [agent.name for agent in await client.agents()]
    if len(ids) == 1:
        return ids[0]
    if ids:
        raise BadValue(f"{agents} holds several agents: name the file of one ({', '.join(ids)})")
    file = Path(agents)
    local = file.suffix.lower() in (".yaml", ".yml") and "://" not in agents
    name = file.stem if local else agents
    await client.agent(name)  # which waits longer than the list
    return name
