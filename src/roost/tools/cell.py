"""Where the programs of a session run: on this machine, or, where it is confined, in a sandbox."""

import re
import secrets
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio import to_thread

from roost import process
from roost.core.errors import NoSandbox
from roost.core.ids import CallId
from roost.ports import Confinement, Launch, Place, Sandbox
from roost.tools.tool import Refused

_HARMLESS = re.compile(r"PATH|LANG|LANGUAGE|LC_\w+|TZ|TERM|NO_COLOR|COLUMNS|LINES")
"""Variables of the server that a confined program may have: none that could be a key."""


class Cells:
    """Makes a sandbox for each program of a confined session; `state` is the server's own folder."""

    def __init__(self, sandbox: Sandbox | None, state: Path) -> None:
        self._sandbox = sandbox
        self._state = state

    @asynccontextmanager
    async def open(
        self, place: Place, call: CallId, argv: Sequence[str], *, cwd: str, env: Mapping[str, str]
    ) -> AsyncIterator[Launch]:
        """How to start a program; leaving the block removes what was made for it.

        Raises:
            Refused: it has to be confined, and can't be.
        """
        launch = Launch(argv=tuple(argv), cwd=cwd, env=dict(env))
        if not place.confined:
            yield launch
            return
        if self._sandbox is None or (trouble := await self._sandbox.trouble()):
            why = "there is none on this server" if self._sandbox is None else trouble
            raise Refused(f"this session may run nothing outside of a sandbox, and no sandbox works: {why}")
        name = f"{_prefix(call)}{process.owner()}-{secrets.token_hex(8)}"
        try:
            launch = await self._confined(self._sandbox, launch, place, name)
            yield launch
        except NoSandbox as error:
            raise Refused(str(error)) from None
        finally:
            with anyio.CancelScope(shield=True):
                await self._clear(self._sandbox, name)

    async def end(self, call: CallId) -> None:
        """Remove what a lost call left behind: that whose server is dead."""
        folders = [path.name for path in (self._state / "cells").glob("roost-*")]
        named = await self._sandbox.names() if self._sandbox is not None else ()
        for name in {*folders, *named}:
            if name.startswith(_prefix(call)) and not process.lives(_owner(call, name)):
                await self._clear(self._sandbox, name)

    async def _confined(self, sandbox: Sandbox, launch: Launch, place: Place, name: str) -> Launch:
        home, folder = self._state / "homes" / place.session, self._state / "cells" / name
        await sandbox.furnish(str(home), ())
        confined = sandbox.confine(
            launch, Confinement(name=name, home=str(home), writable=(place.working_dir,), folder=str(folder))
        )
        await to_thread.run_sync(_lay_out, folder, confined.files)
        return confined

    async def _clear(self, sandbox: Sandbox | None, name: str) -> None:
        if sandbox is not None:
            await sandbox.remove(name)
        await to_thread.run_sync(lambda: shutil.rmtree(self._state / "cells" / name, ignore_errors=True))


def outward(env: Mapping[str, str], place: Place) -> dict[str, str]:
    """What a session's programs find of the server's environment."""
    return {name: value for name, value in env.items() if not place.confined or _HARMLESS.fullmatch(name)}


def _prefix(call: CallId) -> str:
    return f"roost-call-{re.sub('[^A-Za-z0-9_.-]', '-', call)[:64]}-"


def _owner(call: CallId, name: str) -> str:
    """The server that made it, as `process.owner` has it."""
    return "-".join(name.removeprefix(_prefix(call)).split("-")[:2])


def _lay_out(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir(mode=0o700, parents=True)
    for name, text in files.items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(text)
