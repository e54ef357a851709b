"""An agent made ready for one session: its team, its model, and its toolsets, open."""

import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from roost.core.agents import Agent, Matcher, Team
from roost.core.errors import AgentNotFound, BadModel, RoostError
from roost.core.events import Answer, Base, Command, Event, Fact, Permissions, Teammate, TeamShown, ToolReturned
from roost.core.history import History
from roost.core.ids import LogId, SessionId, TurnId
from roost.core.limits import Limits
from roost.core.messages import Definition, Result, ToolCall
from roost.core.redaction import Redactor
from roost.core.session import Head, Turn
from roost.engine.cached import Answers
from roost.engine.codemode import Check, Work
from roost.engine.deferred import CATEGORY, Deferred
from roost.engine.prompt import Guidance, today
from roost.engine.toolbox import Asked, Found, Opened, Toolbox, digest, gathered, offered, unheard
from roost.ports import (
    Agents,
    Ask,
    Clock,
    Driver,
    EventStore,
    Hatch,
    HookRunner,
    Logins,
    Models,
    Place,
    Progress,
    Provider,
    Runs,
    Sandbox,
    Scripts,
    Surroundings,
    Tool,
    Toolsets,
    Untold,
    Worktrees,
)

log = logging.getLogger(__name__)

TEAM, SKILLS = ("transfer_task", "handoff"), ("skills",)
"""The types of toolsets whose guidance has a place of its own in the prompt."""

_HEADERS = re.compile(r"\$\{[^}]*\bheaders\b")

SERVERS = ("mcp", "lsp")
"""The types of toolsets that start servers, and may take their time."""


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
    hooks: HookRunner | None = None
    scripts: Scripts | None = None
    logins: Logins | None = None
    permissions: Permissions = Permissions()  # of the person who runs this server
    safety: str = ""  # the mode of new sessions where nobody says otherwise; "" is the agent file's
    rules: Mapping[str, tuple[Matcher, ...]] = field(default_factory=dict)  # hooks of that person, by event
    redactor: Redactor = Redactor()
    answers: Answers = field(default_factory=Answers)  # that are kept, where agents want that
    progress: Progress = field(default_factory=Untold)
    code_mode: bool = False  # for every agent
    commands: bool = True  # whether `/name` in what people say is a command
    trust_hints: bool = True  # whether a tool's own word that it only reads counts

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
    toolbox: Toolbox
    warnings: list[str]  # that each turn begins with
    guidance: Guidance
    place: Place
    deferred: Deferred
    scripts: Scripts | None = None  # where the agent works in code mode
    check: Check | None = None  # does each call that a script makes
    only: tuple[str, ...] = ()  # names of tools that are offered; () is all
    fresh: bool = True  # nobody has asked the toolsets yet
    models: dict[str, str] = field(default_factory=dict)  # tool name -> the model for the answer after it
    toon: dict[str, tuple[str, ...]] = field(default_factory=dict)  # tool name -> patterns of its toolset
    tools: dict[str, Tool] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)  # tool name -> digest
    shown: set[str] = field(default_factory=set)  # digests that the log knows
    turn: TurnId | None = None  # that plays now
    told: set[str] = field(default_factory=set)  # the warnings that people had in it

    @property
    def toolsets(self) -> Sequence[Opened]:
        """Those that are open."""
        return self.toolbox.opened

    @property
    def busy(self) -> bool:
        """Whether work goes on between turns."""
        return any(opened.toolset.busy for opened in self.toolsets)

    @property
    def servers(self) -> bool:
        """Whether tool servers are among the toolsets."""
        return bool(self.starting)

    @property
    def starting(self) -> int:
        """How many there are."""
        return sum(1 for opened in self.toolsets if opened.spec.type in SERVERS)

    def begin(self, turn: TurnId) -> Sequence[str]:
        """What people should know once a turn has this runtime, and have not been told in it."""
        if turn != self.turn:
            self.turn, self.told = turn, set()
        return self.unsaid([*self.warnings, *self.toolbox.failures])

    async def refresh(self, told: Asked = unheard) -> Sequence[str]:
        """Ask the toolsets what they have now, each of which is `told` when it has answered; new warnings."""
        tools, new = await gathered(self.toolsets, told)
        self.fresh = False
        self.guidance = guided_by(self.guidance, self.toolsets)
        self.models = {name: spec.model for name, (_, spec) in tools.items() if spec.model}
        self.toon = {name: spec.toon for name, (_, spec) in tools.items() if spec.toon}
        self.tools = {t.definition.name: t for t in self._offered(tools)} if self.provider.takes_tools else {}
        self.digests = {name: digest(tool.definition) for name, tool in self.tools.items()}
        return self.unsaid(new)

    def _offered(self, tools: Found) -> Sequence[Tool]:
        return offered(self.agent, tools, self.deferred, only=self.only, scripts=self.scripts, check=self._checked)

    async def _checked(self, call: ToolCall, definition: Definition, work: Work) -> Result:
        if self.check is None:
            return Result("nobody can permit it", is_error=True)
        return await self.check(call, definition, work)

    def unsaid(self, warnings: Sequence[str]) -> Sequence[str]:
        """Those that people have not been told in this turn; from now on they have."""
        new = [warning for warning in dict.fromkeys(warnings) if warning not in self.told]
        self.told.update(new)
        return new

    def definitions(self) -> list[Definition]:
        """What the model is offered."""
        return [tool.definition for tool in self.tools.values()]

    def team_shown(self, providers: Mapping[str, Provider]) -> TeamShown:
        """The team as clients see it; what toolsets have to say is known of the agent at work alone."""
        shown = team_shown(self.team, self.agent.name, providers)
        said = [command for command, _ in self.toolbox.speakers]
        return replace(
            shown, agents=tuple(_with(said, one) if one.name == self.agent.name else one for one in shown.agents)
        )


Opening = AbstractAsyncContextManager[Runtime]


async def served(makers: Makers, turn: Turn) -> bool:
    """Whether this server has the agent of a turn: one that does not load is there, and will say why."""
    if turn.driver:
        return True
    try:
        await makers.agents.team(turn.source, turn.source_hash)
    except AgentNotFound:
        return False
    except RoostError:
        return True
    return True


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


def _with(more: Sequence[Command], one: Teammate) -> Teammate:
    known = {command.name for command in one.commands}
    return replace(one, commands=(*one.commands, *(command for command in more if command.name not in known)))


def model_ref(head: Head, agent: Agent) -> str:
    """The session's choice for this agent, else the file's."""
    return head.model_overrides.get(agent.name) or agent.model


def key(head: Head, turn: Turn, team: Team) -> tuple[str, ...]:
    """What a runtime was built from; another key asks for another runtime."""
    where = (turn.working_dir, "confined" if turn.confined else "", "unattended" if turn.unattended else "")
    return (turn.source, team.hash, turn.agent, *where, *turn.tools, "", *turn.toolsets)


def named(agent: Agent | None, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of a request that an agent's toolsets name: other ones ask for other toolsets."""
    told = repr([spec.options for spec in agent.toolsets]).lower() if agent is not None and headers else ""
    if not _HEADERS.search(told):
        return {}
    return {name: value for name, value in headers.items() if name.lower() in told.replace("_", "-")}


class Touch(Struct, frozen=True):
    """How toolsets reach people and the log, and what the request that opened the turn brought along."""

    ask: Callable[[Ask], Awaitable[Answer]] | None = None
    tell: Callable[[Fact], Awaitable[None]] | None = None
    headers: Mapping[str, str] = {}


@asynccontextmanager
async def open_runtime(
    makers: Makers, log_id: LogId, head: Head, turn: Turn, team: Team, events: Sequence[Event], touch: Touch
) -> AsyncIterator[Runtime]:
    """Build what the turn needs; its tools are found by `refresh`.  A toolset that does not start becomes a warning.

    Raises:
        AgentNotFound: the file has no such agent.
        BadModel: its model can't be used, and neither can the session's choice.
    """
    agent = team.agent(turn.agent)
    if agent is None:
        raise AgentNotFound(turn.agent, tuple(a.name for a in team.agents))
    warnings = list(team.warnings)
    provider = choose(makers.models, team, head, agent, warnings)
    recalled = await _recollect(makers.store, log_id, _own(events, head, log_id))
    confined = makers.confines(turn)
    place = Place(
        SessionId(head.id),
        agent.name,
        turn.working_dir,
        recalled.get,
        head.root,
        confined,
        team=team,
        owner=head.owner,
        ask=None if turn.unattended else touch.ask,
        tell=touch.tell,
        headers=touch.headers,
    )
    async with AsyncExitStack() as stack:
        more = [spec for name in turn.toolsets for spec in team.groups.get(name, ())]
        toolbox = Toolbox(makers.toolsets, (*agent.toolsets, *more), place, stack)
        await toolbox.open()
        guidance = await guided(makers, agent, turn.working_dir, confined=confined)
        this = key(head, turn, team)
        hidden = Deferred(recalled.get(CATEGORY))
        scripts = makers.scripts if agent.code_mode or makers.code_mode else None
        if scripts is None and agent.code_mode:
            warnings.append("this server runs no scripts: the agent works without code mode")
        runtime = Runtime(this, team, agent, provider, toolbox, warnings, guidance, place, hidden, scripts)
        runtime.only = turn.tools
        if agent.toolsets and not provider.takes_tools:
            warnings.append(f"the model {provider.spec.ref} takes no tools; the agent answers without them")
        yield runtime


def _own(events: Sequence[Event], head: Head, log_id: LogId) -> Sequence[Event]:
    """The events of one session of a log."""
    sub = "" if LogId(head.id) == log_id else head.id
    return [event for event in events if isinstance(event.fact, Base) and event.fact.sub == sub]


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


def guided_by(guidance: Guidance, toolsets: Sequence[Opened]) -> Guidance:
    """The same, with what the toolsets say now: that of a tool server comes with its tools."""
    told = {"toolsets": _told(toolsets, ()), "team": _told(toolsets, TEAM), "skills": _told(toolsets, SKILLS)}
    return replace(guidance, **told)


async def guided(makers: Makers, agent: Agent, working_dir: str, *, confined: bool) -> Guidance:
    """What an agent is told besides its instruction."""
    around, names = makers.surroundings, agent.add_prompt_files
    return Guidance(
        date=today(makers.clock.now()) if agent.add_date else "",
        environment=await around.describe(working_dir) if agent.add_environment_info else "",
        files=tuple(await around.prompt_files(working_dir, names, firm=confined, depth=agent.add_prompt_files_depth))
        if names
        else (),
    )


def _told(toolsets: Iterable[Opened], types: tuple[str, ...]) -> tuple[str, ...]:
    """The guidance of toolsets of some types; of none of the special ones, where no type is named."""
    wanted = [one for one in toolsets if (one.spec.type in types if types else one.spec.type not in (*TEAM, *SKILLS))]
    return tuple(one.toolset.instructions for one in wanted if one.toolset.instructions)


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
