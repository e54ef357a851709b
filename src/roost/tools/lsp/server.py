"""A language server of an agent file: started when it is first needed, and again after it has ended."""

import asyncio
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread
from msgspec import Struct

from roost import process
from roost.core.errors import ToolsetFailed
from roost.core.ids import CallId
from roost.core.templates import expand
from roost.ports import Place
from roost.process import Output
from roost.tools.cell import outward
from roost.tools.house import House
from roost.tools.lsp.documents import Documents
from roost.tools.lsp.lifecycle import STEADY, Lifecycle, lifecycle
from roost.tools.lsp.talk import Declined, Ended, Silent, Talk
from roost.tools.lsp.words import CAPABILITIES
from roost.tools.paths import Paths
from roost.tools.tool import Refused


class Entry(Struct, frozen=True):
    """One server as the agent file has it."""

    command: str
    args: tuple[str, ...]
    env: dict[str, str]
    file_types: tuple[str, ...]  # suffixes in lower case, with their dot; none are all files
    folder: str  # where it runs, and what it looks at
    life: Lifecycle


def entry(given: Mapping[str, Any], place: Place, house: House) -> Entry:
    """One of `servers`, checked.

    Raises:
        ToolsetFailed: its program is not there, or an option can't be used.
    """
    own = {name: house.expand(str(value), f"env.{name}") for name, value in (given.get("env") or {}).items()}
    env = {**outward(house.env, place), **own}
    command = expand(str(given.get("command") or ""), house.env)
    args = tuple(expand(str(arg), house.env) for arg in given.get("args") or ())
    if not command:
        raise ToolsetFailed("a language server needs a command")
    folder = _working_dir(given, place, house)
    if not folder.is_dir():
        raise ToolsetFailed(f"the working_dir of the language server {command} is no directory: {folder}")
    program = shutil.which(command, path=env.get("PATH")) if "/" not in command else str(folder / command)
    if program is None or not os.access(program, os.X_OK):
        raise ToolsetFailed(f"the language server {command!r} is not installed: there is no such program on the PATH")
    suffixes = ("." + str(kind).lower().lstrip("*.") for kind in given.get("file_types") or ())
    return Entry(program, args, env, tuple(suffixes), str(folder), lifecycle(given.get("lifecycle")))


def _working_dir(given: Mapping[str, Any], place: Place, house: House) -> Path:
    paths = Paths(os.path.realpath(place.working_dir), house.env, confined=place.confined)
    try:
        return Path(paths.find(house.expand(str(given.get("working_dir") or "."), "working_dir")).real)
    except Refused as refusal:
        raise ToolsetFailed(f"working_dir: {refusal}") from None


class Server:
    """A server with its runs.  `close` ends it."""

    def __init__(self, entry: Entry, place: Place, house: House) -> None:
        self.entry = entry
        self.name = Path(entry.command).name
        self.state = "stopped"  # stopped, starting, ready, restarting or failed
        self.why = ""  # it is not ready
        self._place = place
        self._cells = house.cells
        self._starting = anyio.Lock()
        self._ready: asyncio.Future[Documents] | None = None
        self._task: asyncio.Task[None] | None = None
        self._ends = 0
        self._pause_until = 0.0
        self._marks: set[str] = set()

    def takes(self, suffix: str) -> bool:
        """Whether it is for such files."""
        return not self.entry.file_types or suffix.lower() in self.entry.file_types

    async def documents(self, call: CallId) -> Documents:
        """What is open in it, in a run that goes on; it is started if need be.

        Raises:
            Refused: it can't be.
        """
        async with self._starting:
            if self._ready is None or (self._ready.done() and self._run_is_over(self._ready)):
                if self._task is not None:
                    await asyncio.wait([self._task])  # the end of the last run counts
                if self.state == "failed":
                    raise Refused(f"the language server {self.name} is not started again: {self.why}")
                self._ready = asyncio.get_running_loop().create_future()
                self._task = asyncio.create_task(self._run(call, self._ready), name=f"language server {self.name}")
            ready = self._ready
        try:
            return await asyncio.shield(ready)
        except Refused as refusal:  # a new one: several calls may wait
            raise Refused(str(refusal)) from None

    @staticmethod
    def _run_is_over(ready: "asyncio.Future[Documents]") -> bool:
        return ready.cancelled() or ready.exception() is not None or ready.result().talk.over.is_set()

    async def request(self, documents: Documents, method: str, params: Any) -> Any:
        """Ask it.

        Raises:
            Refused: with what went wrong.
        """
        try:
            return await documents.talk.request(method, params, self.entry.life.call)
        except (Ended, Silent, Declined) as error:
            raise Refused(f"the language server {self.name}: {error}") from None

    async def close(self) -> None:
        """End it and all that it has started."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._marks:
            await to_thread.run_sync(process.sweep, *self._marks)

    # -- one run --------------------------------------------------------------------------------

    async def _run(self, call: CallId, ready: "asyncio.Future[Documents]") -> None:
        if (wait := self._pause_until - time.monotonic()) > 0:
            self.state = "restarting"
            await anyio.sleep(wait)
        self.state, started, code = "starting", time.monotonic(), None
        try:
            self.why, code = await self._serve(call, ready)
        except (OSError, Refused, Ended, Silent, Declined) as error:
            self.why = str(error)
        except asyncio.CancelledError:
            self.state, self.why = "stopped", "it was stopped"
            ready.cancel()
            raise
        self._count(started, code)
        if not ready.done():
            ready.set_exception(Refused(f"the language server {self.name} can't be started: {self.why}"))
            with suppress(Refused):
                ready.exception()

    def _count(self, started: float, code: int | None) -> None:
        self._ends = 1 if time.monotonic() - started > STEADY else self._ends + 1
        again = self.entry.life.again(self._ends, code)
        self.state = "stopped" if again else "failed"
        self._pause_until = time.monotonic() + self.entry.life.pause(self._ends)

    async def _serve(self, call: CallId, ready: "asyncio.Future[Documents]") -> tuple[str, int | None]:
        """Start it and listen to it until it ends: why it has, and its status."""
        entry, complaints, mark = self.entry, Output(32 * 1024), process.mark(self._place.session, call)
        self._marks.add(mark)
        argv = (entry.command, *entry.args)
        async with (
            self._cells.open(self._place, call, argv, cwd=entry.folder, env=entry.env) as launch,
            process.attached(launch.argv, cwd=launch.cwd, env=launch.env, mark=mark, complaints=complaints) as program,
        ):
            talk = Talk(program, complaints, [_folder(entry.folder)])
            listening = asyncio.create_task(talk.listen(), name=f"listening to {self.name}")
            try:
                await self._greet(talk)
                if not ready.done():
                    ready.set_result(Documents(talk))
                self.state, self.why = "ready", ""
                return await asyncio.shield(listening), program.returncode
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)

    async def _greet(self, talk: Talk) -> None:
        folder = _folder(self.entry.folder)
        answer = await talk.request(
            "initialize",
            {
                "processId": None if self._place.confined else os.getpid(),
                "clientInfo": {"name": "roost"},
                "rootUri": folder["uri"],
                "workspaceFolders": [folder],
                "capabilities": CAPABILITIES,
            },
            self.entry.life.startup,
        )
        capabilities = answer.get("capabilities") if isinstance(answer, Mapping) else None
        talk.capabilities = capabilities if isinstance(capabilities, Mapping) else {}
        talk.notify("initialized", {})


def _folder(path: str) -> dict[str, str]:
    return {"uri": Path(path).as_uri(), "name": Path(path).name}
