"""Teams put together: what agents know of each other, and agents of other files that join."""

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from anyio import to_thread
from msgspec.structs import replace

from roost.config.agentfile import load
from roost.config.agents import acquainted
from roost.config.externals import is_file
from roost.config.yaml import LARGEST
from roost.core.agents import Agent, Compaction, Fallback, Hook, Matcher, ModelSpec, Route, Team, ToolsetSpec
from roost.core.errors import AgentBroken
from roost.core.events import Budget, Permissions

DEEPEST: Final = 8  # files that name files
MOST: Final = 64  # files of one team

T = TypeVar("T")

Read = Callable[[str], Awaitable[Team]]
"""Gives the team of a file in a registry or at an address, as `load` made it (with no folder)."""


async def whole(team: Team, read: Read, *, env: Mapping[str, str] | None = None) -> Team:
    """The team with all agents of other files that it names, and those that these name.

    Files of this machine are read here, all else by `read`.  A file that is named twice is read once.

    Raises:
        AgentBroken: one of the files does not load, or they name each other without end.
        AgentUnreachable: what `read` raises.
    """
    known: dict[str, Team] = {}

    async def completed(part: Team, within: tuple[str, ...]) -> Team:
        for target in part.externals.values():
            if target in within:
                ring = " → ".join((*within[within.index(target) :], target))
                raise AgentBroken(f"agents of other files name each other without end: {ring}")
            if len(within) >= DEEPEST:
                raise AgentBroken(f"agents of other files go deeper than {DEEPEST} files: {' → '.join(within)}")
            if target not in known:
                if len(known) >= MOST:
                    raise AgentBroken(f"a team of more than {MOST} files is not loaded")
                found = await (to_thread.run_sync(_local, target, env or {}) if is_file(target) else read(target))
                known[target] = await completed(found, (*within, target))
        return adopt(part, known)

    return await completed(team, ())


def _local(target: str, env: Mapping[str, str]) -> Team:
    path = Path(target)
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise AgentBroken(f"{target}: can't be read: {reason}") from None
    return load(target, raw, name=target, env=env, folder=path.parent)


def adopt(team: Team, others: Mapping[str, Team]) -> Team:
    """The team with the agents of the files that it names; `others` are these, whole, by target.

    A file's default agent takes the name that the team has for it, its other agents, its models, providers
    and budgets stand below that name.  What a file refuses or asks about, the whole team does; what it
    allows counts for nothing.
    """
    if not team.externals:
        return team
    parts = [_Part(name, others[target]) for name, target in team.externals.items()]
    agents = [*team.agents, *(agent for part in parts for agent in part.agents())]
    digest = hashlib.sha256(" ".join([team.hash, *(part.team.hash for part in parts)]).encode())
    return replace(
        team,
        hash=digest.hexdigest(),
        agents=acquainted(agents),
        models=_below(team.models, (part.models() for part in parts)),
        providers=_below(team.providers, (part.providers() for part in parts)),
        permissions=_stricter(team.permissions, [part.team.permissions for part in parts]),
        groups=_below(team.groups, (part.groups() for part in parts)),
        budgets=_below(team.budgets, (part.budgets() for part in parts)),
        needs=_united([team.needs, *(part.team.needs for part in parts)]),
        files=_united([team.files, *(part.team.files for part in parts)]),
        warnings=_united([team.warnings, *(part.team.warnings for part in parts)]),
        externals={},
    )


def _stricter(own: Permissions, others: Sequence[Permissions]) -> Permissions:
    rules = [own, *others]
    return Permissions(own.allow, _united(rule.ask for rule in rules), _united(rule.deny for rule in rules))


def _united(lists: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for items in lists for item in items))


def _below(own: Mapping[str, T], others: Iterable[Mapping[str, T]]) -> dict[str, T]:
    """What a team has under names, and below it what its parts have."""
    return {name: one for names in (own, *others) for name, one in names.items()}


class _Part:
    """The team of another file, under the name that its default agent gets."""

    def __init__(self, name: str, team: Team) -> None:
        self.name = name
        self.team = team
        self._default = team.default.name

    def below(self, name: str) -> str:
        """What a model or provider of the file is called."""
        return f"{self.name}/{name}"

    def agent(self, name: str) -> str:
        """What an agent of the file is called."""
        return self.name if name == self._default else self.below(name) if name else ""

    def budget(self, name: str) -> str:
        """What a budget of the file is called; the one for all its agents has the file's name."""
        return self.below(name) if name else self.name

    def ref(self, text: str) -> str:
        """A reference to models, or a list of them; what is no model of the file stays."""
        parts = [part.strip() for part in text.split(",")]
        if text.strip() in self.team.models:
            return self.below(text.strip())
        return ",".join(self.below(part) if part in self.team.models else part for part in parts)

    def models(self) -> dict[str, ModelSpec]:
        """Its models, under their new names."""
        return {self.below(name): self._model(spec) for name, spec in self.team.models.items()}

    def providers(self) -> dict[str, ModelSpec]:
        """Its providers, likewise."""
        return {self.below(name): spec for name, spec in self.team.providers.items()}

    def budgets(self) -> dict[str, Budget]:
        """Its budgets, likewise."""
        return {self.budget(name): replace(b, name=self.budget(name)) for name, b in self.team.budgets.items()}

    def _model(self, spec: ModelSpec) -> ModelSpec:
        return replace(
            spec,
            name=self.below(spec.name),
            model=self.ref(spec.model) if not spec.provider else spec.model,
            routing=tuple(Route(self.ref(route.model), route.examples) for route in spec.routing),
            candidates=tuple(map(self.ref, spec.candidates)),
            title_model=self.ref(spec.title_model),
            compaction_model=self.ref(spec.compaction_model),
        )

    def agents(self) -> list[Agent]:
        """Its agents, under their new names."""
        return [self._agent(agent) for agent in self.team.agents]

    def _agent(self, agent: Agent) -> Agent:
        everywhere = (self.name,) if "" in self.team.budgets else ()
        return replace(
            agent,
            name=self.agent(agent.name),
            model=self.ref(agent.model),
            sub_agents=tuple(map(self.agent, agent.sub_agents)),
            handoffs=tuple(map(self.agent, agent.handoffs)),
            force_handoff=self.agent(agent.force_handoff),
            commands=tuple(replace(command, agent=self.agent(command.agent)) for command in agent.commands),
            toolsets=tuple(map(self._toolset, agent.toolsets)),
            fallback=_fallback(agent.fallback, self.ref),
            compaction=_compaction(agent.compaction, self.ref),
            hooks={
                event: tuple(self._matcher(matcher) for matcher in matchers) for event, matchers in agent.hooks.items()
            },
            budgets=(*everywhere, *map(self.budget, agent.budgets)),
            safety=agent.safety or self.team.safety,
        )

    def _toolset(self, spec: ToolsetSpec) -> ToolsetSpec:
        return replace(spec, model=self.ref(spec.model), options=_options(spec, self.ref, self.below))

    def groups(self) -> dict[str, tuple[ToolsetSpec, ...]]:
        """Its groups of toolsets, under their new names."""
        return {self.below(name): tuple(map(self._toolset, specs)) for name, specs in self.team.groups.items()}

    def _matcher(self, matcher: Matcher) -> Matcher:
        def judged(hook: Hook) -> Hook:
            return replace(hook, model=self.ref(hook.model))

        return replace(matcher, hooks=tuple(map(judged, matcher.hooks)))


def _fallback(fallback: Fallback, ref: Callable[[str], str]) -> Fallback:
    return replace(fallback, models=tuple(map(ref, fallback.models)))


def _compaction(compaction: Compaction, ref: Callable[[str], str]) -> Compaction:
    return replace(compaction, model=ref(compaction.model))


def _options(spec: ToolsetSpec, ref: Callable[[str], str], below: Callable[[str], str]) -> dict[str, Any]:
    """The options of a toolset, with models, and groups of toolsets, under their new names."""
    match spec.type, spec.options:
        case "model_picker", {"models": list(models)}:
            return spec.options | {"models": [ref(model) for model in models]}
        case "skills", {"inline": list(skills)}:
            moved = [_judged(skill, ("model",), ref) for skill in skills]
            named = [
                {"toolsets": list(map(below, skill["toolsets"]))} if "toolsets" in skill else {} for skill in moved
            ]
            return spec.options | {"inline": [skill | own for skill, own in zip(moved, named, strict=True)]}
        case "rag", {"strategies": list(strategies)}:
            asked = ("embedding_model", "chat_model")
            return spec.options | {"strategies": [_judged(strategy, asked, ref) for strategy in strategies]}
    return spec.options


def _judged(entry: dict[str, Any], keys: tuple[str, ...], ref: Callable[[str], str]) -> dict[str, Any]:
    return entry | {key: ref(entry[key]) for key in keys if isinstance(entry.get(key), str)}
