"""A server from its settings to its end: bind, open, settle, listen, say so, resume."""

import asyncio
import gc
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import click
from msgspec.structs import replace

from roost.cli import invite, lazy, logs, progress
from roost.compose import Running, open_server
from roost.config.settings import Settings, env_files
from roost.doors.listen import bound, exposed, host, parse, shown
from roost.doors.server import serve, until_told
from roost.stores import migrations

log = logging.getLogger(__name__)

DEFAULT_DB = Path("session.db")

Then = Callable[[str, asyncio.Event], Awaitable[None]]
"""What to do once the server listens: it is given the address, and the event that stops the server."""


def run(settings: Settings, *, then: Then | None = None) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        RoostError: it can't start; the message says why.
    """
    logs.set_up(debug=settings.debug, file=settings.log_file)
    by_default = settings.session_db == DEFAULT_DB
    settings = replace(settings, session_db=settings.session_db.absolute())  # as seen from where we were started
    if by_default:
        settings = beside(settings)
    if settings.working_dir:
        os.chdir(settings.working_dir)
    gc.freeze()  # what has been loaded stays
    anyio.run(_run, settings, then, backend_options={"use_uvloop": sys.platform != "win32"})


def beside(settings: Settings) -> Settings:
    """The same settings, with a database of another name where the default one is another program's."""
    path = settings.session_db
    if migrations.ours(path):
        return settings
    other = path.with_name("roost.db")
    click.echo(f"{path} belongs to another program and is left as it is; using {other}", err=True)
    return replace(settings, session_db=other)


def environment(settings: Settings) -> dict[str, str]:
    """The variables that agents and models are given: those of the process, and over them those of `--env-from-file`.

    Raises:
        BadValue: such a file can't be read.
    """
    return {**os.environ, **env_files(settings.env_from_file)}


async def _run(settings: Settings, then: Then | None) -> None:
    addresses = [parse(address) for address in (settings.listen, settings.pprof_addr) if address]
    env = environment(settings)
    with bound(addresses) as sockets, until_told() as stop:
        async with open_server(settings, env) as running, progress.shown(running.jobs):
            for note in running.notes:
                click.echo(note, err=True)
            if count := await running.settle():
                click.echo(f"Settled {count} turn{'s' * (count > 1)} that an earlier server left unfinished", err=True)
            async with profiling(sockets[1:], stop):
                await _serve(running, sockets[0], stop, settings, then)


async def _serve(
    running: Running, sock: socket.socket, stop: asyncio.Event, settings: Settings, then: Then | None
) -> None:
    beside: list[asyncio.Task[None]] = []

    def listening() -> None:
        running.service.notices.place = invite.where(settings, sock, secure=False)
        click.echo(f"Listening on {shown(sock)}")
        gc.freeze()  # what is there now stays: no use in looking through it for garbage
        beside.append(asyncio.create_task(resume(running), name="resume"))
        told = greet() if then is None else _then(then, shown(sock), stop)
        beside.append(asyncio.create_task(told, name="then"))

    async def greet() -> None:
        await _greet(running, shown(sock))
        await invite.show(running, settings, sock, secure=False)

    try:
        await serve(running.app, [sock], stop=stop, on_start=listening, on_stop=running.stop)
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)


async def resume(running: Running) -> None:
    """Let the turns go on that a crash cut off; where that fails, the server stays."""
    try:
        await running.resume()
    except Exception:
        log.exception("not all cut-off turns could be resumed", extra={"action": "resume_failed"})


async def _greet(running: Running, address: str) -> None:
    """What somebody at a terminal wants to know next."""
    click.echo(f"Agents: {await running.roll()}", err=True)
    if "://" not in address:
        near = address.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - an address to open, not to bind
        click.echo(f"Its page: http://{near}/ and its API: http://{near}/docs", err=True)


async def _then(then: Then, address: str, stop: asyncio.Event) -> None:
    try:
        await then(address, stop)
    except Exception as error:
        click.echo(f"roost: {error}", err=True)
        stop.set()


@asynccontextmanager
async def profiling(sockets: list[socket.socket], stop: asyncio.Event) -> AsyncIterator[None]:
    """The profiling server beside the real one, where one is asked for."""
    if not sockets:
        yield
        return
    where = shown(sockets[0])
    if exposed(parse(where)):
        log.warning(
            "the profiling server can be reached from other machines, and asks for no token: %s",
            where,
            extra={"action": "pprof_exposed"},
        )
    app = lazy.pprof.make_app(host(parse(where)))
    task = asyncio.create_task(serve(app, sockets, stop=stop, grace=1), name="pprof")
    try:
        yield
    finally:
        stop.set()
        await task
