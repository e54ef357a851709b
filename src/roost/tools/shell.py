"""Run commands: the toolsets `shell` and `background_jobs`."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread

from roost import process
from roost.core.agents import ToolsetSpec
from roost.core.errors import ToolsetFailed
from roost.core.events import MessageQueued
from roost.core.messages import Annotations, Message, Result
from roost.ports import Launch, Place, Use
from roost.process import Ended, Output
from roost.tools.cell import outward
from roost.tools.house import House, shell_of
from roost.tools.jobs import SHOWN, Job, Jobs
from roost.tools.paths import Paths
from roost.tools.tool import Kit, Native, Refused, failed, reads, schema, string

CATEGORY = "shell"
PATIENCE = 30  # seconds
RECALLED = 4_000  # characters of output that the agent is told at once

_INSTRUCTIONS = """\
Each command runs in a shell of its own: a change of directory or a variable ends with it; use `cwd` instead.
Commands have no input: nothing that asks, pages or edits on a terminal works.
A command that takes longer than its timeout is stopped. Servers, watchers and long builds are background jobs.
"""


_RECALLED = "You are told when a background job has ended: there is no need to look again and again.\n"


@asynccontextmanager
async def open_shell(spec: ToolsetSpec, place: Place, house: House) -> AsyncIterator[Kit]:
    """`shell` with the tools of background jobs, unless these are a toolset of their own; or those alone."""
    if spec.options.get("sudo_askpass"):
        raise ToolsetFailed(f"the option `sudo_askpass` of the toolset {spec.type} is not built")
    shell = _Shell(spec, place, house)
    tools = [_foreground(shell)] if spec.type == "shell" else []
    if spec.type == "background_jobs" or not _split(place):
        tools += _background(shell)
    guidance = _INSTRUCTIONS + (_RECALLED if spec.options.get("recall") else "")
    try:
        yield Kit(tuple(tools), guidance, shell.busy)
    finally:
        with anyio.CancelScope(shield=True):
            await shell.close()


def _split(place: Place) -> bool:
    agent = place.team.agent(place.agent) if place.team is not None else None
    return agent is not None and any(toolset.type == "background_jobs" for toolset in agent.toolsets)


_COMMAND = string("The command line, as for a shell")
_FOLDER = {"type": "string", "description": "The directory to run in; the working directory where it is left out"}
_JOB = schema(("job_id",), job_id=string("The id of the job"))


def _foreground(shell: "_Shell") -> Native:
    return Native(
        "shell",
        CATEGORY,
        "Run a command and wait for its end. Its output and its errors come back together.",
        schema(
            ("cmd",),
            cmd=_COMMAND,
            cwd=_FOLDER,
            timeout={
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": 86400,
                "description": f"Seconds until it is stopped; {PATIENCE} where it is left out",
            },
        ),
        shell.run,
        annotations=Annotations(title="Shell"),
        effect="ask",
    )


def _background(shell: "_Shell") -> list[Native]:
    return [
        Native(
            "run_background_job",
            CATEGORY,
            "Start a command in the background, and get the id of its job.",
            schema(("cmd",), cmd=_COMMAND, cwd=_FOLDER),
            shell.start,
            annotations=Annotations(title="Run Background Job"),
            effect="ask",
        ),
        Native(
            "list_background_jobs",
            CATEGORY,
            "List the background jobs and how they go.",
            schema(),
            shell.listing,
            annotations=reads("List Background Jobs"),
        ),
        Native(
            "view_background_job",
            CATEGORY,
            "Show how a background job goes, and its output so far.",
            _JOB,
            shell.view,
            annotations=reads("View Background Job Output"),
        ),
        Native(
            "wait_background_job",
            CATEGORY,
            "Wait until a background job has ended, and show its output.",
            schema(
                ("job_id",),
                job_id=string("The id of the job"),
                timeout={
                    "type": "number",
                    "minimum": 0,
                    "maximum": 86400,
                    "description": "Seconds to wait at most; 60 where it is left out",
                },
            ),
            shell.wait,
            annotations=reads("Wait for Background Job"),
        ),
        Native(
            "stop_background_job",
            CATEGORY,
            "Stop a background job and all that it has started.",
            _JOB,
            shell.stop,
            annotations=Annotations(title="Stop Background Job", idempotent=True),
        ),
    ]


class _Shell:
    """The work of these tools.  `close` ends whatever they left running."""

    def __init__(self, spec: ToolsetSpec, place: Place, house: House) -> None:
        own = {name: house.expand(str(value), f"env.{name}") for name, value in spec.options.get("env", {}).items()}
        self._env = {**outward(house.env, place), **own}
        self._program = shell_of({} if place.confined else house.env)
        self._paths = Paths(place.working_dir, house.env, confined=place.confined)
        self._place = place
        self._cells = house.cells
        self._jobs = Jobs(self._recall if spec.options.get("recall") and place.tell is not None else None)
        self._marks: set[str] = set()

    async def run(self, arguments: dict[str, Any], use: Use) -> Result:
        timeout = arguments.get("timeout", PATIENCE)
        output = Output()
        async with self._cell(_command(arguments), self._folder(arguments), use) as launch:
            ended = await process.run(
                launch.argv,
                cwd=launch.cwd,
                env=launch.env,
                mark=self._mark(use),
                output=output,
                timeout=timeout,
                show=use.output,
            )
        return _told(ended, output, timeout)

    def _cell(self, command: str, folder: str, use: Use) -> AbstractAsyncContextManager[Launch]:
        return self._cells.open(self._place, use.call, (self._program, "-c", command), cwd=folder, env=self._env)

    async def start(self, arguments: dict[str, Any], use: Use) -> Result:
        command, folder, mark = _command(arguments), self._folder(arguments), self._mark(use)

        async def start(output: Output) -> Ended:
            try:
                async with self._cell(command, folder, use) as launch:
                    return await process.run(launch.argv, cwd=launch.cwd, env=launch.env, mark=mark, output=output)
            except Refused as refused:
                raise OSError(refused) from None

        job = self._jobs.start(command, folder, start)
        return Result(
            f"Background job started with ID: {job.id}\nCommand: {command}\nWorking Directory: {folder}",
            meta={"job_id": job.id},
        )

    async def listing(self, arguments: dict[str, Any], use: Use) -> Result:
        return Result("\n\n".join(job.head() for job in self._jobs.all()) or "No background jobs.")

    async def view(self, arguments: dict[str, Any], use: Use) -> Result:
        return Result(self._jobs.find(arguments["job_id"]).view())

    async def wait(self, arguments: dict[str, Any], use: Use) -> Result:
        job = self._jobs.find(arguments["job_id"])
        timeout = arguments.get("timeout", 60)
        with anyio.move_on_after(timeout) as patience, job.watched():
            await job.done.wait()
        note = f"\n\nJob {job.id} is still running after {timeout:g}s." if patience.cancelled_caught else ""
        return Result(job.view() + note)

    async def stop(self, arguments: dict[str, Any], use: Use) -> Result:
        job = self._jobs.find(arguments["job_id"])
        await self._jobs.stop(job)
        return Result(f"Job {job.id} stopped successfully")

    async def _recall(self, job: Job) -> None:
        """Let the agent know that a job has ended, as soon as it has ears."""
        assert self._place.tell is not None
        text = f"A background job has ended.\n\n{job.view(RECALLED)}"
        await self._place.tell(MessageQueued("steer", (Message("user", text, implicit=True),)))

    def busy(self) -> bool:
        return self._jobs.busy

    async def close(self) -> None:
        await self._jobs.close()
        if self._marks:
            await to_thread.run_sync(process.sweep, *self._marks)

    def _folder(self, arguments: dict[str, Any]) -> str:
        folder = self._paths.find(arguments.get("cwd") or ".").real
        if not Path(folder).is_dir():
            raise Refused(f"the working directory does not exist: {folder}")
        return folder

    def _mark(self, use: Use) -> str:
        mark = process.mark(self._place.session, use.call)
        self._marks.add(mark)
        return mark


def _command(arguments: dict[str, Any]) -> str:
    """The whole command: one with a NUL byte would be run as far as that, and was not judged so."""
    command: str = arguments["cmd"]
    if "\0" in command:
        raise Refused("the command holds a NUL byte")
    return command


def _told(ended: Ended, output: Output, timeout: float) -> Result:
    text = output.text(SHOWN).strip()
    if ended.timed_out:
        return failed(f"Command timed out after {timeout:g}s\nOutput: {text}")
    if ended.code:
        how = f"exit status {ended.code}" if ended.code > 0 else f"signal: {-ended.code}"
        return failed(f"Error executing command: {how}\nOutput: {text}")
    return Result(text or "<no output>")
