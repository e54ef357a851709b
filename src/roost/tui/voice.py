"""What is typed, on its way: a command, a command of the shell, or a message with what goes along."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from roost.core.errors import RoostError
from roost.tui import attachments, clipboard, slash
from roost.tui.attachments import Attachment
from roost.tui.shell import Ran

if TYPE_CHECKING:
    from roost.tui.app import RoostApp


class Voice:
    """Carries it out, and brings back what did not go."""

    def __init__(self, app: "RoostApp") -> None:
        self._app = app
        self._taking = asyncio.Lock()  # a message that waits is taken back
        self._commands: list[asyncio.Task[Ran]] = []  # of the shell, that run

    async def say(self, text: str, attached: Sequence[Attachment] = (), *, steer: bool = False) -> None:
        """Whatever it is that was typed."""
        app = self._app
        try:
            if text.startswith("!") and text[1:].strip():
                await self._shell(text[1:].strip())
            elif typed := slash.parse(text, app.sitting.commands):
                await app.orders.carry_out(typed)
            else:
                app.transcript.go_end()
                await app.sitting.send(text, attached, steer=steer)
        except RoostError as error:
            app.complain(error)
            app.prompt.restore(text, attached)

    async def _shell(self, command: str) -> None:
        self._app.transcript.go_end()
        running = asyncio.create_task(self._app.sitting.shell(command), name=f"shell {command[:40]}")
        self._commands.append(running)
        try:
            await asyncio.wait([running])
        finally:
            self._commands.remove(running)
            running.cancel()
            await asyncio.wait([running])  # it ends what it has started first
        if not running.cancelled():
            self._app.prompt.attach(attachments.of_text(f"$ {command}", running.result().quoted()))

    @property
    def commanding(self) -> bool:
        """Whether a command of the shell runs."""
        return bool(self._commands)

    def stop(self) -> None:
        """End the newest of them."""
        self._commands[-1].cancel()

    async def take_back(self, number: int = 0) -> None:
        """Let a message that waits stand in the prompt again: the newest, or the one of that number."""
        app = self._app
        async with self._taking:
            if not number and (app.prompt.text or not app.sitting.view.queue):
                return  # a key that was held
            found = await app.sitting.take_back(number)
            if found is None:
                app.say("It has just been taken.")
                return
            app.prompt.restore(*found)
            app.prompt.begin()

    async def take_along(self, paths: Sequence[Path]) -> None:
        """Files that were dropped."""
        app = self._app
        for path in paths:
            made = await asyncio.to_thread(attachments.of_file, path, local=app.sitting.local, home=app.home)
            app.prompt.attach(made)

    async def paste(self) -> None:
        """What is on the clipboard: a picture, or else text."""
        app = self._app
        picture = await asyncio.to_thread(clipboard.picture)
        if picture:
            app.prompt.attach(attachments.of_bytes(picture, local=app.sitting.local, home=app.home))
            return
        text = await asyncio.to_thread(clipboard.text) or app.clipboard
        if text:
            app.prompt.editor.insert(text)
        else:
            app.say("There is nothing on the clipboard, or no program to ask for it (wl-paste, xclip, pbpaste).")
