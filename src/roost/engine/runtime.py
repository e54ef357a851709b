"""An agent made ready for one session: its team, its model, and its toolsets, open."""

import hashlib
import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from roost.core import descriptions
from roost.core.agents import Agent, Team
from roost.core.errors import AgentNotFound, BadModel, RoostError, ToolsetFailed
from roost.core.events import Event, Teammate, TeamShown, ToolReturned
from roost.core.history import History
from roost.core.ids import LogId, SessionId
from roost.core.limits import Limits
from roost.core.messages import Definition, Result
from roost.core.session import Head, Turn
from roost.engine.prompt import Guidance, today
from roost.ports import (
    Agents,
    Clock,
    Driver,
    EventStore,
    Hatch,
    Models,
    Place,
    Provider,
    Runs,
    Sandbox,
    Surroundings,
    Tool,
    Toolset,
    Toolsets,
    Use,
    Worktrees,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Makers:
    """Whatever the engine needs of the world, behind its contracts."""

    store: EventStore
    agents: Agents
    models: Models
    toolsets: Toolsets
    surroundings: Surroundings
    clock: Clock
    env: Mapping[str, str] = field(default_factory=dict)  # what slash commands may read
    drivers: Mapping[str, Driver] = field(default_factory=dict)  # agent CLIs, by provider name
    runs: Runs | None = None  # None: this server starts no programs of its own
    sandbox: Sandbox | None = None  # the one that works on this machine
    worktrees: Worktrees | None = None
    hatch: Hatch | None = None  # None: no CLI is given tools of ours
    limits: Limits = Limits()
    home: Path = Path()  # ROOST_HOME: what belongs to sessions and is no fact
    walled: bool = False  # nothing runs outside of a sandbox, whatever a turn that began earlier says

    def confines(self, turn: Turn) -> bool:
        """Whether all that a turn starts has to be in a sandbox."""
        return self.walled or turn.confined


@dataclass(slots=True)
class Runtime:
    """What a turn runs with.  `key` says when another one is needed."""

    key: tuple[str, ...]
    team: Team
    agent: Agent
    provider: Provider
    toolsets: Sequence[Toolset]
    warnings: list[str]
    guidance: Guidance
    tools: dict[str, Tool] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)  # tool name -> digest
    shown: set[str] = field(default_factory=set)  # digests that the log knows

    @property
    def busy(self) -> bool:
        """Whether work goes on between turns."""
        return any(toolset.busy for toolset in self.toolsets)

    async def refresh(self) -> Sequence[str]:
        """Ask the toolsets what they have now; warnings that are new.  Of two tools with one name the first wins."""
        tools: dict[str, Tool] = {}
        new: list[str] = []
        for toolset in self.toolsets:
            try:
                for tool in await toolset.tools():
                    tools.setdefault(tool.definition.name, self._told(tool))
            except ToolsetFailed as error:
                new.append(f"tools are missing: {error}")
        new = [warning for warning in new if warning not in self.warnings]
        self.warnings += new
        self.tools = tools if self.provider.takes_tools else {}
        self.digests = {name: digest(tool.definition) for name, tool in self.tools.items()}
        return new

    def _told(self, tool: Tool) -> Tool:
        return Described(tool) if self.agent.add_description_parameter else tool

    def definitions(self) -> list[Definition]:
        """What the model is offered."""
        return [tool.definition for tool in self.tools.values()]

    def team_shown(self, providers: Mapping[str, Provider]) -> TeamShown:
        """The team as clients see it."""
        return team_shown(self.team, self.agent.name, providers)


class Described:
    """A tool that is also told what it is used for (`add_description_parameter`)."""

    def __init__(self, tool: Tool) -> None:
        self.definition = descriptions.described(tool.definition)
        self._tool = tool

    async def run(self, arguments: dict[str, Any], use: Use) -> Result:
        """Run the tool without the argument that it does not have."""
        return await self._tool.run(descriptions.undescribed(self._tool.definition, arguments), use)


Opening = AbstractAsyncContextManager[Runtime]


def providers(models: Models, team: Team, head: Head) -> dict[str, Provider]:
    """The agents of a team whose models can be used, with what they would run on in this session."""
    found = {}
    for agent in team.agents:
        if agent.harness is not None:
            continue
        with suppress(RoostError):  # it is shown as the file has it, and an error only when it is to run
            found[agent.name] = choose(models, team, head, agent, [])
    return found


def team_shown(team: Team, current: str, providers: Mapping[str, Provider]) -> TeamShown:
    """A team as clients see it."""
    return TeamShown(tuple(_teammate(agent, team, providers.get(agent.name)) for agent in team.agents), current)


def _teammate(agent: Agent, team: Team, provider: Provider | None) -> Teammate:
    if (cli := agent.harness) is not None:
        return Teammate(agent.name, agent.description, cli.driver, cli.model, agent.commands)
    spec = provider.spec if provider else team.models.get(agent.model)
    name, model = (spec.provider, spec.model) if spec else agent.model.partition("/")[::2]
    return Teammate(agent.name, agent.description, name, model, agent.commands)


def digest(definition: Definition) -> str:
    """The name under which a log keeps a tool definition."""
    return hashlib.sha256(msgspec.json.encode(definition)).hexdigest()[:16]


def model_ref(head: Head, agent: Agent) -> str:
    """The session's choice for this agent, else the file's."""
    return head.model_overrides.get(agent.name) or agent.model


def key(head: Head, turn: Turn, team: Team) -> tuple[str, ...]:
    """What a runtime was built from; another key asks for another runtime."""
    where = (turn.working_dir, "confined" if turn.confined else "")
    return (turn.source, team.hash, turn.agent, *where, head.model_overrides.get(turn.agent, ""))


@asynccontextmanager
async def open_runtime(
    makers: Makers, head: Head, turn: Turn, team: Team, events: Sequence[Event]
) -> AsyncIterator[Runtime]:
    """Build what the turn needs.  A toolset that does not start becomes a warning.

    Raises:
        AgentNotFound: the file has no such agent.
        BadModel: its model can't be used, and neither can the session's choice.
    """
    agent = team.agent(turn.agent)
    if agent is None:
        raise AgentNotFound(turn.agent, tuple(a.name for a in team.agents))
    warnings = list(team.warnings)
    provider = choose(makers.models, team, head, agent, warnings)
    recalled = await _recollect(makers.store, LogId(head.id), events)
    confined = makers.confines(turn)
    place = Place(SessionId(head.id), agent.name, turn.working_dir, recalled.get, head.root, confined)
    async with AsyncExitStack() as stack:
        toolsets = []
        for spec in agent.toolsets:
            try:
                toolsets.append(await stack.enter_async_context(makers.toolsets.open(spec, place)))
            except ToolsetFailed as error:
                warnings.append(f"toolset {spec.type!r} is not available: {error}")
        guidance = await guided(makers, agent, turn.working_dir, toolsets, confined=confined)
        runtime = Runtime(key(head, turn, team), team, agent, provider, toolsets, warnings, guidance)
        await runtime.refresh()
        if toolsets and not provider.takes_tools:
            warnings.append(f"the model {provider.spec.ref} takes no tools; the agent answers without them")
        yield runtime


def choose(models: Models, team: Team, head: Head, agent: Agent, warnings: list[str]) -> Provider:
    """The model that an agent runs on: the session's choice, or the file's where that can't be used.

    Raises:
        BadModel: neither can be.
    """
    chosen = model_ref(head, agent)
    try:
        return models.provider(team, chosen)
    except BadModel as error:
        if chosen == agent.model:
            raise
        warnings.append(f"the model chosen for this session can't be used, so the agent's own is: {error}")
        return models.provider(team, agent.model)


async def guided(
    makers: Makers, agent: Agent, working_dir: str, toolsets: Iterable[Toolset] = (), *, confined: bool
) -> Guidance:
    """What an agent is told besides its instruction."""
    around, names = makers.surroundings, agent.add_prompt_files
    return Guidance(
        toolsets=tuple(toolset.instructions for toolset in toolsets if toolset.instructions),
        date=today(makers.clock.now()) if agent.add_date else "",
        environment=await around.describe(working_dir) if agent.add_environment_info else "",
        files=tuple(await around.prompt_files(working_dir, names, firm=confined)) if names else (),
    )


async def _recollect(store: EventStore, log_id: LogId, events: Sequence[Event]) -> dict[str, Mapping[str, Any]]:
    """The newest `meta` that each category of tools left in the log."""
    newest: dict[str, Mapping[str, Any]] = {}
    for event in events:
        fact = event.fact
        if isinstance(fact, ToolReturned) and fact.result.meta is not None and fact.definition:
            newest.pop(fact.definition, None)  # so that the order is that of the newest results
            newest[fact.definition] = fact.result.meta
    recalled: dict[str, Mapping[str, Any]] = {}
    for known, meta in newest.items():
        if definition := await store.definition(log_id, known):
            recalled[definition.category] = meta
    return recalled


async def unknown_definitions(store: EventStore, log_id: LogId, runtime: Runtime) -> dict[str, Definition]:
    """The definitions that the log has not shown yet."""
    new: dict[str, Definition] = {}
    for name, tool in runtime.tools.items():
        known = runtime.digests[name]
        if known in runtime.shown:
            continue
        if await store.definition(log_id, known) is None:
            new[known] = tool.definition
        else:
            runtime.shown.add(known)
    return new


async def read_history(store: EventStore, log_id: LogId, history: History) -> Sequence[Event]:
    """Bring a history up to date, and return what was new."""
    events = await store.messages(log_id, since=history.last_seq)
    history.extend(events)
    return events
