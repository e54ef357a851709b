"""What a caller asks of a spawn, looked at from all sides before anything is stored: a Request becomes an Order."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from roost.core.durations import seconds
from roost.core.errors import AgentNotFound, BadModel, BadValue, SessionNotFound
from roost.core.orders import Order
from roost.core.principals import Principal
from roost.ports import Driver
from roost.service.desk import Desk
from roost.service.fleet import Fleet, check_label, merged

LONGEST_PROMPT = 4 << 20  # characters; it travels by stdin or a file
LONGEST_MODEL = 200
MOST_PATHS, MOST_DEPENDENCIES, MOST_VARIABLES = 64, 64, 256
LARGEST_ENV = 256 * 1024  # characters in all
MOST_TURNS = 1_000_000
DEFAULT = "claude"
MOCK = "mock"
TOOLLESS = frozenset({"ollama"})  # CLIs that take no tool servers

_SIZE = re.compile(r"[0-9]{1,6}(\.[0-9]{1,3})?[bBmM]?")
_ISOLATED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OURS = ("ROOST_", "ZAG_")
TELLING = ("PATH", "HOME", "BASH_ENV", "ENV", "IFS", "SHELL", "NODE_OPTIONS", "PYTHONPATH", "TMPDIR")
TELLING_OF = ("LD_", "DYLD_", "DOCKER_", "XDG_", "BASH_FUNC_", "GIT_")
"""Variables that decide what runs, and beside which files: nobody who is confined sets them."""


class Request(Struct, frozen=True, kw_only=True):
    """What a caller asks for.  None and "" are what the settings, or the provider, have."""

    prompt: str = ""
    provider: str = ""
    model: str = ""
    size: str = ""
    root: str = ""
    add_dirs: tuple[str, ...] = ()
    system_prompt: str | None = None
    auto_approve: bool | None = None
    max_turns: int | None = None
    timeout: str = ""
    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    inject_context: bool = False
    interactive: bool = False
    env: Mapping[str, str] = {}
    files: tuple[str, ...] = ()
    context: str = ""  # a session whose result comes before the prompt
    mcp: Mapping[str, Any] = {}
    json_schema: dict[str, Any] | None = None
    worktree: str | None = None  # its name; "" lets us find one
    sandbox: str | None = None
    parent: str = ""  # the session in whose environment the caller runs
    retried_from: str = ""
    command: str = "exec"
    roost_tools: bool = False  # it may start agents of its own


class Defaults(Struct, frozen=True):
    """What the settings say of requests that leave it open."""

    provider: str = ""
    model: str = ""
    models: Mapping[str, str] = {}  # provider -> model
    auto_approve: bool = False
    max_turns: int = 0
    system_prompt: str = ""
    size: str = ""  # Ollama's


class Orders:
    """Looks at requests."""

    def __init__(self, desk: Desk, fleet: Fleet) -> None:
        self._desk = desk
        self._fleet = fleet

    async def order(self, principal: Principal, asked: Request, defaults: Defaults) -> Order:
        """What is to be done, whole: paths absolute and permitted, models known, sessions found.

        Raises:
            BadValue: something can't be; the message says what.
            Denied: a path leads out of the caller's home.
            AgentBroken, AgentUnreachable: the agent file can't be used.
        """
        _bounds(asked)
        provider = self._provider(asked, defaults)
        driver = self._desk.makers.drivers.get(provider)
        size = asked.size or (defaults.size if provider == "ollama" else "")
        model = await self._model(provider, driver, asked.model, size, defaults)
        player = driver or await self._player(provider)
        if player is not None:
            _able(player, asked)
        else:
            _check_team(provider, asked)
        limit = defaults.max_turns if asked.max_turns is None else asked.max_turns
        approve = defaults.auto_approve if asked.auto_approve is None else asked.auto_approve
        system = defaults.system_prompt if asked.system_prompt is None else asked.system_prompt
        confined = self._desk.policy.must_sandbox(principal)
        return Order(
            provider=provider,
            prompt=asked.prompt,
            model=model,
            size=size,
            working_dir=self._root(principal, asked.root, real=confined or asked.sandbox is not None),
            add_dirs=self._folders(principal, asked.add_dirs),
            system_prompt=system,
            auto_approve=approve,
            max_turns=limit,
            timeout=asked.timeout.strip(),
            time_limit=seconds(asked.timeout) if asked.timeout.strip() else 0.0,
            name=asked.name,
            description=asked.description,
            tags=merged((), asked.tags),
            depends_on=await self._sessions(principal, asked.depends_on),
            inject_context=asked.inject_context,
            interactive=asked.interactive,
            env=variables(asked.env, confined=confined or asked.sandbox is not None),
            files=self._files(principal, asked.files),
            context="".join(await self._sessions(principal, [asked.context] if asked.context else [])),
            mcp=dict(asked.mcp),
            json_schema=asked.json_schema,
            worktree=asked.worktree,
            sandbox=asked.sandbox,
            confined=confined,
            retried_from=asked.retried_from,
            command=asked.command,
            roost_tools=asked.roost_tools,
        )

    async def _player(self, source: str) -> Driver | None:
        """The agent CLI that plays the first agent of a file, where one does."""
        team = await self._desk.makers.agents.team(source)
        cli = (team.agent(source) or team.default).harness
        return self._desk.makers.drivers.get(cli.driver) if cli is not None else None

    async def known(self, provider: str) -> bool:
        """Whether somebody plays sessions of this provider."""
        if provider in self._desk.makers.drivers:
            return True
        try:
            await self._desk.makers.agents.team(provider)
        except AgentNotFound:
            return False
        return True

    def _provider(self, asked: Request, defaults: Defaults) -> str:
        provider = asked.provider or defaults.provider or DEFAULT
        if provider == "auto":
            raise BadValue("the provider `auto` is not built: name the one that you want")
        if provider == MOCK and MOCK not in self._desk.makers.drivers:
            raise BadValue("the provider `mock` is for tests, and this server was started without it")
        return provider

    async def _model(self, provider: str, driver: Driver | None, asked: str, size: str, defaults: Defaults) -> str:
        """The model as it was asked for, once it is known to lead somewhere."""
        named = asked or defaults.models.get(provider, "")
        try:
            if driver is None:
                return await self._team_model(provider, named)
            if not named and defaults.model and not _unknown(driver, defaults.model, size):
                named = defaults.model
            if named or size:
                driver.model(named, size)
        except BadModel as error:
            raise BadValue(error.message) from None
        return named

    async def _team_model(self, provider: str, named: str) -> str:
        makers = self._desk.makers
        try:
            team = await makers.agents.team(provider)
        except AgentNotFound:
            sources = [source.id for source in await makers.agents.sources()]
            known = ", ".join([*sorted(makers.drivers), *sources]) or "none"
            raise BadValue(f"unknown provider {provider[:80]!r} (known: {known})") from None
        agent = team.agent(provider) or team.default
        if named and agent.harness is None:
            self._desk.policy.model(named, {*team.models, *(one.model for one in team.agents)})
            makers.models.provider(team, named)
        elif named and agent.harness is not None and (player := makers.drivers.get(agent.harness.driver)) is not None:
            player.model(named.removeprefix(f"{agent.harness.driver}/"))
        return named

    # -- paths and sessions ---------------------------------------------------------------------

    def _root(self, principal: Principal, root: str, *, real: bool) -> str:
        """Where it works; `real` is without links, which nobody in a sandbox may be able to exchange."""
        policy = self._desk.policy
        found = policy.working_dir(principal, root) or policy.home(principal)
        policy.check(principal, found)
        return os.path.realpath(found) if real else found

    def _folders(self, principal: Principal, folders: Iterable[str]) -> tuple[str, ...]:
        found = [self._desk.policy.confine(principal, folder) for folder in folders]
        for folder in found:
            if not Path(folder).is_dir():
                raise BadValue(f"the directory {folder!r} does not exist")
        return tuple(found)

    def _files(self, principal: Principal, files: Iterable[str]) -> tuple[str, ...]:
        found = [self._desk.policy.confine(principal, file) for file in files]
        for file in found:
            if not Path(file).is_file():
                raise BadValue(f"the file {file!r} does not exist")
        return tuple(found)

    async def _sessions(self, principal: Principal, names: Iterable[str]) -> tuple[str, ...]:
        """The ids of sessions that a request names."""
        found = []
        for name in names:
            try:
                found.append((await self._fleet.find(principal, name)).id)
            except SessionNotFound:
                raise BadValue(f"no session is called {name!r}") from None
        return tuple(dict.fromkeys(found))


def variables(env: Mapping[str, str], *, confined: bool) -> dict[str, str]:
    """The caller's own variables.

    Raises:
        BadValue: one can't be a variable, is ours, or (`confined`) would reach beyond the sandbox.
    """
    if len(env) > MOST_VARIABLES or sum(len(name) + len(value) for name, value in env.items()) > LARGEST_ENV:
        raise BadValue(f"there are more than {MOST_VARIABLES} variables, or they are too long")
    for name, value in env.items():
        if not _VARIABLE.fullmatch(name) or "\0" in value:
            raise BadValue(f"{name[:40]!r} can't be a variable of the environment")
        if name.startswith(OURS):
            raise BadValue(f"the variable {name} is set by the server")
        if confined and (name in TELLING or name.startswith(TELLING_OF)):
            raise BadValue(f"the variable {name} can't be set for a run in a sandbox")
    return dict(env)


def _check_team(provider: str, asked: Request) -> None:
    """Look for what only agent CLIs can be asked: an agent file says itself what its agents have.

    Raises:
        BadValue: there is some of it.
    """
    wanted = {
        "add_dirs": asked.add_dirs,
        "env": asked.env,
        "mcp_config": asked.mcp,
        "json_schema": asked.json_schema,
        "size": asked.size,
        "worktree": asked.worktree is not None,
        "roost_tools": asked.roost_tools,
    }
    if found := [name for name, value in wanted.items() if value]:
        raise BadValue(f"{provider} is an agent file, which can't be given {', '.join(found)}")


def _unknown(driver: Driver, model: str, size: str) -> bool:
    """Whether a default model, which is no provider's own, means nothing to this one."""
    try:
        driver.model(model, size)
    except BadModel:
        return True
    return False


def _able(player: Driver, asked: Request) -> None:
    """Look at what not every CLI can do.

    Raises:
        BadValue: this one can't.
    """
    capability = player.capability
    if asked.interactive and not capability.features["interactive"].supported:
        raise BadValue(f"{capability.provider} has no interactive sessions")
    if asked.roost_tools and capability.provider in TOOLLESS:
        raise BadValue(f"{capability.provider} takes no tool servers, so it can't be given Roost's own tools")


def _bounds(asked: Request) -> None:
    """Look at what needs nobody else.

    Raises:
        BadValue: something is missing, too long or malformed.
    """
    if not asked.prompt.strip() and not asked.interactive:
        raise BadValue("a prompt is required unless the session is interactive")
    for what, text in (("prompt", asked.prompt), ("system prompt", asked.system_prompt or "")):
        if len(text) > LONGEST_PROMPT or "\0" in text:
            raise BadValue(f"the {what} is longer than {LONGEST_PROMPT} characters, or holds a NUL")
    if len(asked.model) > LONGEST_MODEL:
        raise BadValue(f"the name of the model is longer than {LONGEST_MODEL} characters")
    if asked.size and not _SIZE.fullmatch(asked.size):
        raise BadValue(f"{asked.size[:40]!r} is no size of a model: write 9b, 0.8b or 35b")
    if asked.max_turns is not None and not 0 <= asked.max_turns <= MOST_TURNS:
        raise BadValue(f"max_turns must be between 0 and {MOST_TURNS}")
    check_label(asked.name, asked.description, asked.tags)
    _surroundings(asked)


def _surroundings(asked: Request) -> None:
    """Look at the names of what is around it: folders, other sessions, where it works.

    Raises:
        BadValue: there are too many, or one can't be.
    """
    if len(asked.add_dirs) + len(asked.files) > MOST_PATHS:
        raise BadValue(f"there are more than {MOST_PATHS} paths")
    if len(asked.depends_on) > MOST_DEPENDENCIES:
        raise BadValue(f"there are more than {MOST_DEPENDENCIES} dependencies")
    if asked.worktree is not None and asked.sandbox is not None:
        raise BadValue("a session has a worktree or a sandbox, not both")
    for what, name in (("worktree", asked.worktree), ("sandbox", asked.sandbox)):
        if name and not _ISOLATED.fullmatch(name):
            raise BadValue(f"{name[:40]!r} can't be the name of a {what}")
