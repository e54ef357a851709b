"""The maker of built-in toolsets: an entry of an agent file in, an open toolset out."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from anyio import to_thread
from msgspec.structs import replace

from roost import process
from roost.core.agents import ToolsetSpec
from roost.core.errors import ToolsetFailed
from roost.core.ids import CallId
from roost.ports import Place, Sandbox, Toolset
from roost.tools.api import open_api
from roost.tools.ask import open_user_prompt
from roost.tools.cell import Cells
from roost.tools.context import open_session_context
from roost.tools.delegation import open_handoff, open_transfer_task
from roost.tools.errands import open_background_agents
from roost.tools.fetch import open_fetch
from roost.tools.filesystem import open_filesystem
from roost.tools.git import open_git
from roost.tools.house import House
from roost.tools.memory import open_memory
from roost.tools.openapi import open_openapi
from roost.tools.picker import open_model_picker
from roost.tools.plan import open_plan
from roost.tools.script import open_script
from roost.tools.shell import open_shell
from roost.tools.tasks import open_tasks
from roost.tools.think import open_think
from roost.tools.todo import open_todo
from roost.tools.tool import Kit

ORIGINAL = "{ORIGINAL_INSTRUCTIONS}"

Open = Callable[[ToolsetSpec, Place, House], AbstractAsyncContextManager[Kit]]

TYPES: Mapping[str, Open] = {
    "filesystem": open_filesystem,
    "file": open_filesystem,
    "shell": open_shell,
    "background_jobs": open_shell,
    "think": open_think,
    "todo": open_todo,
    "user_prompt": open_user_prompt,
    "script": open_script,
    "memory": open_memory,
    "tasks": open_tasks,
    "fetch": open_fetch,
    "api": open_api,
    "openapi": open_openapi,
    "git": open_git,
    "plan": open_plan,
    "session_plan": open_plan,
    "session_context": open_session_context,
    "model_picker": open_model_picker,
    "transfer_task": open_transfer_task,
    "handoff": open_handoff,
    "background_agents": open_background_agents,
}


class Builtin:
    """Makes the toolsets that need no other server.

    `env` is what their programs find in their environment.  Those of a confined session run in
    `sandbox`, and reach over HTTP only `endpoints` (`host:port`).  `state` is the server's own folder: what
    sandboxes need lies there, and memories and plans.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        sandbox: Sandbox | None = None,
        state: Path | None = None,
        endpoints: Collection[str] = (),
    ) -> None:
        home = state or Path("~/.roost").expanduser()
        self._house = House(env, Cells(sandbox, home), home, endpoints)

    @property
    def cells(self) -> Cells:
        """Where the programs of confined sessions run."""
        return self._house.cells

    @property
    def types(self) -> frozenset[str]:
        """The types that can be built."""
        return frozenset(TYPES)

    @asynccontextmanager
    async def open(self, spec: ToolsetSpec, place: Place) -> AsyncIterator[Toolset]:
        """Build and start it; leaving the block stops all that it started."""
        if spec.type not in TYPES:
            known = ", ".join(sorted(TYPES))
            raise ToolsetFailed(f"toolset type {spec.type!r} is not built (there are: {known})")
        if not Path(place.working_dir).is_absolute():
            raise ToolsetFailed(f"the working directory is not absolute: {place.working_dir!r}")
        async with TYPES[spec.type](spec, place, self._house) as kit:
            yield _narrowed(kit, spec)

    async def end(self, call: CallId) -> None:
        """End the processes that a lost call left behind: those whose server is dead."""
        await to_thread.run_sync(process.sweep_lost, call)
        await self._house.cells.end(call)


def _narrowed(kit: Kit, spec: ToolsetSpec) -> Kit:
    """What the entry leaves of the tools, and what it makes of the guidance."""
    members = kit.members
    if spec.tools:
        members = tuple(tool for tool in members if tool.definition.name in spec.tools)
    if spec.options.get("readonly"):
        members = tuple(tool for tool in members if tool.definition.annotations.read_only)
    instructions = spec.instruction.replace(ORIGINAL, kit.instructions, 1) if spec.instruction else kit.instructions
    return replace(kit, members=members, instructions=instructions)
