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
from roost.ports import Logins, Models, Place, Sandbox, Toolset
from roost.tools.a2a.toolset import open_a2a
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
from roost.tools.lsp.toolset import open_lsp
from roost.tools.mcp.toolset import open_mcp
from roost.tools.memory import open_memory
from roost.tools.openapi import open_openapi
from roost.tools.picker import open_model_picker
from roost.tools.plan import open_plan
from roost.tools.rag.toolset import open_rag
from roost.tools.script import open_script
from roost.tools.shell import open_shell
from roost.tools.skills.toolset import open_skills
from roost.tools.tasks import open_tasks
from roost.tools.think import open_think
from roost.tools.todo import open_todo
from roost.tools.tool import Kit

ORIGINAL = "{ORIGINAL_INSTRUCTIONS}"

Open = Callable[[ToolsetSpec, Place, House], AbstractAsyncContextManager[Toolset]]

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
    "a2a": open_a2a,
    "lsp": open_lsp,
    "rag": open_rag,
    "skills": open_skills,
    "mcp": open_mcp,
}


class Builtin:
    """Makes all toolsets.

    `env` is what their programs find in their environment.  Those of a confined session run in
    `sandbox`, and reach over HTTP only `endpoints` (`host:port`).  `state` is the server's own folder: what
    sandboxes need lies there, and memories, plans, indexes and logins.  `models` are for toolsets that ask one by
    themselves, and for tool servers that may; `redirect_uri` is where logins at these come back to.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        sandbox: Sandbox | None = None,
        state: Path | None = None,
        endpoints: Collection[str] = (),
        *,
        models: Models | None = None,
        redirect_uri: str = "",
    ) -> None:
        home = state or Path("~/.roost").expanduser()
        cells = Cells(sandbox, home)
        self._house = House(env, cells, home, endpoints, models, redirect_uri=redirect_uri)

    @property
    def cells(self) -> Cells:
        """Where the programs of confined sessions run."""
        return self._house.cells

    @property
    def logins(self) -> Logins:
        """The logins at tool servers that wait for a browser."""
        return self._house.lobby

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


def _narrowed(kit: Toolset, spec: ToolsetSpec) -> Toolset:
    """What the entry leaves of the tools, and what it makes of the guidance; others than kits see to it themselves."""
    if not isinstance(kit, Kit):
        return kit
    members = kit.members
    if spec.tools:
        wanted = set(spec.tools)
        members = tuple(
            tool for tool in members if {tool.definition.name, tool.definition.name.removeprefix(kit.prefix)} & wanted
        )
    if spec.options.get("readonly"):
        members = tuple(tool for tool in members if tool.definition.annotations.read_only)
    instructions = spec.instruction.replace(ORIGINAL, kit.instructions, 1) if spec.instruction else kit.instructions
    return replace(kit, members=members, instructions=instructions)
