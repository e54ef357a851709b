"""Runs the commands of hooks, and those that come with the house (`ports.HookRunner`)."""

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread
from msgspec.structs import replace

from roost import process
from roost.core.agents import Hook
from roost.core.ids import CallId
from roost.core.redaction import Redactor, secrets_of
from roost.ports import Clock, Place, Ran, Surroundings
from roost.process import Ended, Output
from roost.tools import stock
from roost.tools.cell import Cells, outward
from roost.tools.paths import Paths
from roost.tools.tool import Refused

LARGEST = 1 << 20  # bytes of each of its outputs
SHELL = "/bin/sh"


class Runner:
    """Runs hooks of the types `command` and `builtin`; `env` is what their programs find in their environment."""

    def __init__(self, env: Mapping[str, str], cells: Cells, surroundings: Surroundings, clock: Clock) -> None:
        self._env = env
        self._cells = cells
        self._surroundings = surroundings
        self._clock = clock
        self._redactor = Redactor(secrets_of(env))

    async def run(self, hook: Hook, given: Mapping[str, Any], place: Place) -> Ran:
        """Run one with `given` as JSON on its stdin, in `place`; its whole tree ends with its time.

        What can't be run, or is not built, is told in `Ran.error`.
        """
        start = self._clock.monotonic()
        try:
            ran = await self._answer(hook, given, place)
        except (Refused, stock.Failed, OSError, ValueError) as error:
            ran = Ran(error=str(error))
        return replace(ran, duration=self._clock.monotonic() - start)

    async def _answer(self, hook: Hook, given: Mapping[str, Any], place: Place) -> Ran:
        if hook.type == "command":
            feed = json.dumps(given, ensure_ascii=False, default=str).encode(errors="replace")
            return await self._program((SHELL, "-c", _line(hook)), hook, place, feed)
        if hook.type == "builtin":
            with anyio.move_on_after(hook.timeout):
                return await self._builtin(hook, given, place)
            return Ran(error=_late(hook))
        return Ran(error=f"hooks of the type {hook.type!r} are not built")

    async def _builtin(self, hook: Hook, given: Mapping[str, Any], place: Place) -> Ran:
        async def git(*args: str) -> Ran:
            return await self._program(("git", *stock.HARMLESS, *args), hook, place, b"")

        work = stock.find(hook.command)
        errand = stock.Errand(
            hook.command, hook.args, given, place, git, self._surroundings, self._clock.now(), self._redactor
        )
        answer = await work(errand)
        return Ran(code=0, stdout=json.dumps(answer) if answer else "")

    async def _program(self, argv: Sequence[str], hook: Hook, place: Place, feed: bytes) -> Ran:
        """Run a program where the hook belongs; what it leaves running ends, too."""
        name = f"hook-{secrets.token_hex(8)}"
        mark = process.mark(place.session, name)
        out, err = Output(2 * LARGEST), Output(LARGEST)
        folder = self._folder(hook, place)
        env = {**outward(self._env, place), **hook.env}
        async with self._cells.open(place, CallId(name), argv, cwd=folder, env=env) as launch:
            try:
                ended = await process.run(
                    launch.argv,
                    cwd=launch.cwd,
                    env=launch.env,
                    mark=mark,
                    output=out,
                    errors=err,
                    timeout=hook.timeout,
                    feed=feed,
                )
            finally:
                with anyio.CancelScope(shield=True):
                    await to_thread.run_sync(process.sweep, mark)
        return _told(hook, ended, out, err)

    def _folder(self, hook: Hook, place: Place) -> str:
        folder = Paths(place.working_dir, self._env, confined=place.confined).find(hook.working_dir or ".").real
        if not Path(folder).is_dir():
            raise Refused(f"the working directory does not exist: {folder}")
        return folder


def _line(hook: Hook) -> str:
    if "\0" in hook.command:
        raise Refused("the command holds a NUL byte")
    return hook.command


def _told(hook: Hook, ended: Ended, out: Output, err: Output) -> Ran:
    stderr = err.text()
    if ended.timed_out:
        return Ran(error=_late(hook), stderr=stderr)
    if ended.code is None or ended.code < 0:
        return Ran(error=f"a signal ended it: {-(ended.code or 0)}", stderr=stderr)
    if out.total > LARGEST:
        return Ran(error=f"it printed more than {LARGEST} bytes", stderr=stderr)
    return Ran(code=ended.code, stdout=out.text(), stderr=stderr)


def _late(hook: Hook) -> str:
    return f"it did not end within {hook.timeout:g}s"
