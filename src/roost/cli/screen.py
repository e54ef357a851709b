"""The terminal UI over a server in this process, or elsewhere."""

import asyncio
import gc
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from roost.cli import logs, reach
from roost.cli.show import note
from roost.client.client import Client
from roost.client.server import Server
from roost.core.errors import ServerFailed
from roost.doors.server import until_told
from roost.tui.app import RoostApp

if TYPE_CHECKING:
    from roost.cli.indoors import Room

GARBAGE = 10_000  # objects between two looks for garbage: it stays small, and so does each look


async def show(room: "Room") -> int:
    """Show a room until somebody leaves; the exit code."""
    wish = room.wish
    app = RoostApp(
        room.client,
        room.session,
        room.source,
        agent_name=wish.agent_name,
        model=wish.model,
        prompt=wish.prompt,
        theme=wish.theme,
        safety=wish.safety,
        working_dir=str(room.cwd),
        results=not wish.hide_results,
        listening=room.plane.shown if room.plane else "",
        home=room.settings.home,
        opened=room.attach,
    )
    return await played(app, room.stop)


def look(
    server: Server,
    session: str,
    agent: str,
    *,
    here: bool,
    prompt: str = "",
    model: str = "",
    name: str = "",
    theme: str = "",
    safety: str = "",
    results: bool = True,
) -> int:
    """Show a session until somebody leaves; the exit code."""
    logs.set_up(file=reach.home() / "logs" / "run.log", quiet=True)
    return anyio.run(_look, server, session, agent, here, prompt, model, name, theme, safety, results)


async def _look(
    server: Server,
    session: str,
    agent: str,
    here: bool,
    prompt: str,
    model: str,
    name: str,
    theme: str,
    safety: str,
    results: bool,
) -> int:
    with until_told(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as stop:
        async with Client(server) as client:
            app = RoostApp(
                client,
                session,
                agent,
                agent_name=name,
                model=model,
                prompt=prompt,
                theme=theme,
                safety=safety,
                attached=True,
                local=here,
                working_dir=str(Path.cwd()) if here else "",
                results=results,
                home=reach.home(),
            )
            code = await played(app, stop)
            session = app.session or session
            if await _unused(client, session):
                return code
    note(f"The session goes on; to open it again:\n\n    roost attach {session}\n")
    return code


async def _unused(client: Client, session: str) -> bool:
    """Whether nobody has said anything there; then it is gone now."""
    with suppress(ServerFailed):
        now = await client.snapshot(session, last=1)
        if now.state == "new" and not now.messages and not now.queue:
            await client.delete(session)
            return True
    return False


async def played(app: RoostApp, stop: asyncio.Event) -> int:
    """The app, until somebody leaves it or the process is told to stop; the exit code."""

    async def ended() -> None:
        await stop.wait()
        app.exit()

    gc.set_threshold(GARBAGE)
    ending = asyncio.create_task(ended(), name="end of the screen")
    try:
        code = await app.run_async()
    finally:
        ending.cancel()
    return code or app.return_code or 0
