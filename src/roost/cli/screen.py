"""The terminal UI over a server: in this process, or elsewhere."""

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from roost.cli.indoors import Room
from roost.cli.inprocess import InProcess
from roost.client.again import PATIENCE, Told, unheard
from roost.client.client import Client
from roost.client.following import Frame

if TYPE_CHECKING:
    from roost.tui.app import RoostApp


class Present(Client):
    """A client of the server in this process: a session that is followed through it is the one on the screen."""

    def __init__(self, room: Room) -> None:
        super().__init__(token=room.key, transport=InProcess(room.running.app))
        self._room = room

    async def frames(
        self,
        session: str,
        since: int = 0,
        *,
        told: Told = unheard,
        patience: float = PATIENCE,
        until: int | None = None,
    ) -> AsyncGenerator[Frame, None]:
        """See `Client.frames`."""
        if until is None and session != self._room.session:
            await self._room.attach(session)
        async for frame in super().frames(session, since, told=told, patience=patience, until=until):
            yield frame


async def show(room: Room) -> int:
    """Show a room until somebody leaves; the exit code."""
    # A third of a second, and nobody else needs it.
    from roost.tui.app import RoostApp

    wish = room.wish
    async with Present(room) as client:
        app = RoostApp(
            client,
            room.session,
            room.source,
            agent_name=wish.agent_name,
            model=wish.model,
            prompt=wish.prompt,
            theme=wish.theme,
            working_dir=str(room.cwd),
            listening=room.plane.shown if room.plane else "",
            home=room.settings.home,
        )
        return await played(app, room.stop)


async def played(app: "RoostApp", stop: asyncio.Event) -> int:
    """The app, until somebody leaves it or the process is told to stop; the exit code."""

    async def ended() -> None:
        await stop.wait()
        app.exit()

    ending = asyncio.create_task(ended(), name="end of the screen")
    try:
        code = await app.run_async()
    finally:
        ending.cancel()
    return code or app.return_code or 0
