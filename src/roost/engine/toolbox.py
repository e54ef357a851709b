"""The toolsets of an agent, open for one session, and what a model is offered of them."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import msgspec

from roost.core import descriptions
from roost.core.agents import Agent, ToolsetSpec
from roost.core.errors import ToolsetFailed
from roost.core.events import Command
from roost.core.messages import Definition, Result
from roost.engine.bulkhead import open_group
from roost.engine.codemode import Check, wrapped
from roost.engine.deferred import Deferred
from roost.engine.structured import Form, handed_in
from roost.ports import Place, Scripts, Speaker, Tool, Toolset, Toolsets, Use

Found = Mapping[str, tuple[Tool, ToolsetSpec]]
"""Tools by name, and the entries that they come of."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A toolset that is open, and the entry that it was made from."""

    spec: ToolsetSpec
    toolset: Toolset


class Toolbox:
    """The toolsets that could be opened, in the order of the file.

    What was opened in a task is closed there, too: only the one that made it may `open`.
    """

    def __init__(self, makers: Toolsets, specs: Sequence[ToolsetSpec], place: Place, stack: AsyncExitStack) -> None:
        self.failures: list[str] = []  # why the others could not be
        self._makers = makers
        self._specs = specs
        self._place = place
        self._stack = stack
        self._opened: dict[int, Opened] = {}

    async def open(self) -> None:
        """Open those that are not, as far as they can be."""
        self.failures = []
        for number, spec in enumerate(self._specs):
            if number in self._opened:
                continue
            try:
                toolset = await self._stack.enter_async_context(self._makers.open(spec, self._place))
            except ToolsetFailed as error:
                self.failures.append(f"toolset {spec.type!r} is not available: {error}")
            else:
                self._opened[number] = Opened(spec, toolset)

    @property
    def opened(self) -> Sequence[Opened]:
        """Those that are open."""
        return [self._opened[number] for number in sorted(self._opened)]

    @property
    def speakers(self) -> Sequence[tuple[Command, Speaker]]:
        """What people may say by a slash and a name, and who knows what it stands for; of one name the first."""
        found: dict[str, tuple[Command, Speaker]] = {}
        for one in self.opened:
            if isinstance(speaker := one.toolset, Speaker):
                for command in speaker.commands:
                    found.setdefault(command.name, (command, speaker))
        return list(found.values())


Asked = Callable[[Opened], None]
"""Is told of each toolset that has said what it has, or that it can't."""


def unheard(_: Opened) -> None:
    """For whoever does not want to be told."""


async def gathered(opened: Sequence[Opened], told: Asked = unheard) -> tuple[Found, list[str]]:
    """The tools that toolsets have now, and what people should know.  Of two with one name the first wins."""
    found: list[tuple[Tool, ToolsetSpec]] = []
    missing: list[str] = []
    for some, failure in await _all(opened, told):
        found += some
        missing += [f"tools are missing: {failure}"] if failure else []
    tools, doubled = first(found)
    return tools, [*missing, *(f"the tool {name!r} is there twice: the first one is used" for name in doubled)]


async def _all(opened: Sequence[Opened], told: Asked) -> Sequence[tuple[Sequence[tuple[Tool, ToolsetSpec]], str]]:
    """The tools of each toolset, or why it has none; they are asked at the same time."""
    found: list[tuple[Sequence[tuple[Tool, ToolsetSpec]], str]] = [((), "")] * len(opened)

    async def ask(index: int, one: Opened) -> None:
        try:
            found[index] = ([(tool, one.spec) for tool in await one.toolset.tools()], "")
        except ToolsetFailed as error:
            found[index] = ((), str(error))
        told(one)

    async with open_group() as tasks:
        for index, one in enumerate(opened):
            tasks.start_soon(ask, index, one)
    return found


def first(found: Iterable[tuple[Tool, ToolsetSpec]]) -> tuple[Found, list[str]]:
    """Tools by name, and the names that several have."""
    tools: dict[str, tuple[Tool, ToolsetSpec]] = {}
    doubled: dict[str, None] = {}
    for tool, spec in found:
        name = tool.definition.name
        if name in tools:
            doubled[name] = None
        else:
            tools[name] = (tool, spec)
    return tools, list(doubled)


def offered(
    agent: Agent,
    tools: Found,
    deferred: Deferred,
    *,
    only: Sequence[str] = (),
    scripts: Scripts | None = None,
    check: Check | None = None,
) -> list[Tool]:
    """What the model gets of them: those it may have, those it has looked for, or one script for all.

    With `scripts` the agent works in code mode, and `check` does each call that a script makes.
    """
    may = [_told(agent, tool) for name, (tool, _) in tools.items() if not only or name in only]
    hidden = [name for name, (_, spec) in tools.items() if defers(spec, name)]
    found = deferred.offered(may, hidden)
    if scripts is not None:
        found = wrapped(found, scripts, check or _unchecked)
    if (form := handed_in(agent)) is not None:
        found = [*found, Form(form)]
    return found


async def _unchecked(call: object, definition: object, work: object) -> Result:
    return Result("nobody can permit it", is_error=True)


def _told(agent: Agent, tool: Tool) -> Tool:
    return Described(tool) if agent.add_description_parameter else tool


def defers(spec: ToolsetSpec, name: str) -> bool:
    """Whether an entry hides a tool until it is looked for; the prefix that the entry gives may be left out."""
    own = name.removeprefix(f"{spec.name}_") if spec.name else name
    return spec.defer if isinstance(spec.defer, bool) else name in spec.defer or own in spec.defer


class Described:
    """A tool that is also told what it is used for (`add_description_parameter`)."""

    def __init__(self, tool: Tool) -> None:
        self.definition = descriptions.described(tool.definition)
        self._tool = tool

    async def run(self, arguments: dict[str, Any], use: Use) -> Result:
        """Run the tool without the argument that it does not have."""
        return await self._tool.run(descriptions.undescribed(self._tool.definition, arguments), use)


def digest(definition: Definition) -> str:
    """The name under which a log keeps a tool definition."""
    return hashlib.sha256(msgspec.json.encode(definition)).hexdigest()[:16]
