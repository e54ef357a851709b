"""The terminal UI over a server in this process, or elsewhere."""

import asyncio
import gc
from typing import TYPE_CHECKING

from roost.cli.indoors import Room

if TYPE_CHECKING:
    from roost.tui.app import RoostApp

GARBAGE = 10_000  # objects between two looks for garbage: it stays small, and so does each look


async def show(room: Room) -> int:
    """Show a room until somebody leaves; the exit code."""
    # A third of a second, and nobody else needs it.
    from roost.tui.app import RoostApp

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


async def played(app: "RoostApp", stop: asyncio.Event) -> int:
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
