"""What must hold between the parts of an agent file: references lead somewhere, and choices exclude each other."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from roost.config import harnesses, hooks, rag, regulars
from roost.config.complaints import did_you_mean, quoted
from roost.config.externals import external
from roost.config.mentions import listed, named, references, section, toolsets
from roost.config.shapes import NEWER, Notes, where
from roost.config.yaml import Path
from roost.core.vendors import NOT_BUILT, VENDORS

Data = dict[str, Any]

MOST_HOPS: Final = 8  # selectors that choose selectors

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHELL_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")
_COMMAND_NAME = re.compile(r"[^\s/]+")


def check(data: Data, notes: Notes) -> None:
    """Complain about all that does not fit together in a file whose shape has been checked."""
    for path, ref in references(data):
        _reference(ref, path, data, notes)
    for rule in (_agents, _providers, _models, _tools, _commands, _groups):
        rule(data, notes)


# -- models -------------------------------------------------------------------------------------


def _known_providers(data: Data) -> list[str]:
    return [*section(data, "providers"), *VENDORS, *sorted(NOT_BUILT)]


def _provider(name: str, path: Path, data: Data, notes: Notes) -> None:
    known = _known_providers(data)
    if name in section(data, "providers") or name.lower() in VENDORS:
        return
    if name.lower() in NOT_BUILT:
        notes.warn(path, f"{where(path)}: provider {name!r} is not supported yet; its models can't be used")
    else:
        notes.bad(path, f"{where(path)}: unknown provider {quoted(name)}{notes.hint(name, known)}")


def _reference(ref: str, path: Path, data: Data, notes: Notes) -> None:
    """A name of `models`, `provider/model`, `auto`, or several of them with commas."""
    for part in ref.split(","):
        name = part.strip()
        if name == "auto" or name in section(data, "models") or name.lower() in ("local",):
            continue
        provider, slash, model = name.partition("/")
        if not slash or not model or not provider:
            hint = notes.hint(name, [*section(data, "models"), "auto"])
            says = f"model {quoted(name)} is neither in `models` nor a 'provider/model'{hint}"
            notes.bad(path, f"{where(path)}: {says}")
        else:
            _provider(provider, path, data, notes)


def _url(value: Any, path: Path, notes: Notes) -> None:
    if isinstance(value, str) and not re.match(r"https?://\S|\S*\$", value):
        notes.bad(path, f"{where(path)}: {quoted(value)} is not an http(s) address")


def _token_key(entry: Data, path: Path, notes: Notes) -> None:
    key = entry.get("token_key")
    if key is not None and not _VARIABLE.fullmatch(key):
        at = (*path, "token_key")
        notes.bad_key(at, f"{where(at)}: must be the name of an environment variable, not a key itself")


def _providers(data: Data, notes: Notes) -> None:
    for name, entry in named(data, "providers", notes):
        path: Path = ("providers", name)
        if not name or name != name.strip() or "/" in name:
            notes.bad_key(path, f"provider name {quoted(name)} must not be empty, have blanks around it, or hold '/'")
        kind = entry.get("provider")
        if kind is not None and kind.lower() not in VENDORS:
            _provider(kind, (*path, "provider"), {}, notes)
        if not entry.get("base_url") and (kind is None or (notes.version is not None and notes.version <= 7)):
            notes.bad(path, f"{where(path)}: base_url is missing")
        _url(entry.get("base_url"), (*path, "base_url"), notes)
        _token_key(entry, path, notes)


def _models(data: Data, notes: Notes) -> None:
    for name, entry in named(data, "models", notes):
        path: Path = ("models", name)
        if "first_available" in entry:
            _selector(entry, path, data, notes)
            continue
        provider, model = entry.get("provider") or entry.get("type") or "", entry.get("model") or ""
        if provider:
            _provider(provider, (*path, "provider" if entry.get("provider") else "type"), data, notes)
            if not model and provider.lower() not in ("local", "auto"):
                notes.bad(path, f"{where(path)}: model is missing")
        elif "," not in model and "provider" not in (
            notes.document.data["models"][name] or {}
        ):  # a bad one has been complained of
            notes.bad(path, f"{where(path)}: provider is missing")
        _url(entry.get("base_url"), (*path, "base_url"), notes)
        _token_key(entry, path, notes)
        _routes(entry, path, data, notes)


def _written(model: str, key: str, notes: Notes) -> bool:
    return key in (notes.document.data["models"][model] or {})


def _selector(entry: Data, path: Path, data: Data, notes: Notes) -> None:
    if _hops(str(path[-1]), section(data, "models")) > MOST_HOPS:
        notes.bad(path, f"{where(path)}: first_available leads back to itself, or on and on")
    for key in entry.keys() - {"first_available", "description"}:
        notes.bad_key((*path, key), f"{where(path)}: {key} can't stand beside first_available")


def _hops(name: str, models: Data) -> int:
    """How many selectors stand between a name and a model, counted a little past what is accepted."""
    hops = 0
    while hops <= MOST_HOPS and (candidates := models.get(name, {}).get("first_available")):
        name = candidates[0].strip() if isinstance(candidates[0], str) else ""
        hops += 1
    return hops


def _routes(entry: Data, path: Path, data: Data, notes: Notes) -> None:
    for index, route in listed(entry, "routing"):
        at = (*path, "routing", index, "model")
        target = route.get("model") or ""
        if section(data, "models").get(target, {}).get("routing"):
            notes.bad(at, f"{where(path)}: routes to {target!r}, which has routing itself")


# -- agents -------------------------------------------------------------------------------------


def _agents(data: Data, notes: Notes) -> None:
    agents = section(data, "agents")
    if not agents and isinstance(notes.document.data.get("agents"), dict) and not notes.document.data["agents"]:
        notes.bad(("agents",), "agents: needs at least one agent")
    for name, agent in agents.items():
        path: Path = ("agents", name)
        if not name.strip():
            notes.bad_key(path, "the name of an agent must not be empty")
        if agent.get("instruction") and agent.get("instruction_file"):
            notes.bad_key(
                (*path, "instruction_file"), f"{where(path)}: instruction and instruction_file exclude each other"
            )
        _team(name, agent, agents, notes)
        _skills(agent, path, notes)
        hooks.check(agent.get("hooks", {}), (*path, "hooks"), notes)
        harnesses.check(name, agent, notes)
    _outsiders(agents, notes)
    _rings(agents, notes)


def _team(name: str, agent: Data, agents: Data, notes: Notes) -> None:
    path: Path = ("agents", name)
    named = [((*path, key, index), "sub-agent", text) for key in ("sub_agents",) for index, text in listed(agent, key)]
    named += [((*path, "handoffs", index), "handoff", text) for index, text in listed(agent, "handoffs")]
    if agent.get("force_handoff"):
        named.append(((*path, "force_handoff"), "handoff", agent["force_handoff"]))
    for at, word, text in named:
        if text not in agents and external(text) is None:
            hint = notes.hint(text, agents)
            notes.bad(at, f"agent {quoted(name)} references non-existent {word} {quoted(text)}{hint}")


def _outsiders(agents: Data, notes: Notes) -> None:
    """Agents of different other files have different names."""
    targets: dict[str, str] = {}
    for name, agent in agents.items():
        for key in ("sub_agents", "handoffs"):
            for index, text in listed(agent, key):
                other = None if text in agents else external(text)
                if other is None or other.name in agents:
                    continue
                if targets.setdefault(other.name, other.target) != other.target:
                    both = f"{targets[other.name]} and {other.target} would both be called {other.name!r}"
                    says = f"{both}; give one of them a name: `other:{other.target}`"
                    notes.bad(("agents", name, key, index), says)


def _rings(agents: Mapping[str, Data], notes: Notes) -> None:
    """A forced handoff must come to an end."""
    settled: set[str] = set()
    for name in agents:
        walked: dict[str, int] = {}
        here = name
        while here in agents and here not in settled and here not in walked:
            walked[here] = len(walked)
            here = agents[here].get("force_handoff", "")
        if here in walked:
            ring = [*list(walked)[walked[here] :], here]
            says = f"agents.{here}: force_handoff never ends: {' → '.join(ring[:10])}"
            notes.bad(("agents", here, "force_handoff"), says)
        settled |= walked.keys()


def _skills(agent: Data, path: Path, notes: Notes) -> None:
    if notes.version is None or notes.version >= NEWER or not isinstance(agent.get("skills"), list):
        return
    for index, skill in listed(agent, "skills"):
        if not isinstance(skill, str) or (skill != "local" and not skill.startswith(("http://", "https://"))):
            at = (*path, "skills", index)
            notes.bad(at, f"{where(at)}: a skill source is 'local' or an http(s) address")


# -- toolsets, commands, hooks ------------------------------------------------------------------


def _tools(data: Data, notes: Notes) -> None:
    for path, entry in toolsets(data):
        _toon(entry, path, notes)
        rag.check(entry.get("rag_config", {}), (*path, "rag_config"), notes)
        ref = entry.get("ref", "")
        if ref and entry.get("type") == "mcp" and not ref.startswith("docker:"):
            _exists(ref, section(data, "mcps"), "`mcps`", (*path, "ref"), notes)
        if ref and entry.get("type") == "rag":
            _exists(ref, section(data, "rag"), "`rag`", (*path, "ref"), notes)
        for name, script in entry.get("shell", {}).items():
            _script(name, script, (*path, "shell", name), entry, notes)
    for name, source in named(data, "rag", notes):
        rag.check(source, ("rag", name), notes)
    for name, server in named(data, "mcps", notes):
        _toon(server, ("mcps", name), notes)
    for name, agent in section(data, "agents").items():
        for index, ref in listed(agent, "rag"):
            _exists(ref, section(data, "rag"), "`rag`", ("agents", name, "rag", index), notes)


def _toon(entry: Data, path: Path, notes: Notes) -> None:
    for pattern in entry.get("toon", "").split(","):
        regulars.check(pattern.strip(), (*path, "toon"), notes)


def _exists(name: str, known: Sequence[str] | Data, place: str, path: Path, notes: Notes) -> None:
    if name not in known:
        notes.bad(path, f"{where(path)}: {quoted(name)} is not in {place}{notes.hint(name, known)}")


def _script(name: str, script: Data, path: Path, entry: Data, notes: Notes) -> None:
    """What a command uses is declared, as far as that can be told: other names may be the environment's."""
    arguments = script.get("args", {})
    for index, word in listed(script, "required"):
        if word not in arguments:
            notes.bad((*path, "required", index), f"tool {name!r} requires {word!r}, which is not in its args")
    known = {*arguments, *script.get("env", {}), *entry.get("env", {})}
    used = {a or b for a, b in _SHELL_VARIABLE.findall(script.get("cmd", ""))}
    near = sorted(word for word in used - known if did_you_mean(word, arguments))
    if near:
        notes.bad((*path, "cmd"), f"tool {name!r} uses undefined args: {near}")


def _commands(data: Data, notes: Notes) -> None:
    agents = section(data, "agents")
    groups: list[tuple[Path, Any]] = [(("agents", name, "commands"), a.get("commands")) for name, a in agents.items()]
    groups += [(("commands", name), group) for name, group in section(data, "commands").items()]
    for path, group in groups:
        for at, name, command in _each(group, path):
            if not _COMMAND_NAME.fullmatch(name):
                notes.bad_key(at, f"{where(path)}: {quoted(name)} is not a name for a command: no blanks, no '/'")
            other = command.get("agent") if isinstance(command, dict) else None
            if other:
                _exists(other, agents, "`agents`", (*at, "agent"), notes)
    for path, group in groups:
        for index, entry in listed({"": group}, ""):
            if len(entry) != 1:
                notes.bad(
                    (*path, index), f"{where((*path, index))}: a command of a list has one name, this {len(entry)}"
                )


def _each(group: Any, path: Path) -> Iterator[tuple[Path, str, Any]]:
    """The commands of a group, in both of its forms."""
    if isinstance(group, dict):
        yield from (((*path, name), name, command) for name, command in group.items())
    for index, entry in listed({"": group}, ""):
        yield from (((*path, index, name), name, command) for name, command in entry.items())


def _groups(data: Data, notes: Notes) -> None:
    """Names of groups and budgets lead somewhere."""
    for name, agent in section(data, "agents").items():
        for key in ("toolsets", "commands", "skills"):
            for index, group in listed(agent, f"use_{key}"):
                _exists(group, section(data, key), f"`{key}`", ("agents", name, f"use_{key}", index), notes)
        _outfits(agent.get("skills"), ("agents", name, "skills"), data, notes)
        for index, budget in listed(agent, "budgets"):
            _exists(budget, section(data, "budgets"), "`budgets`", ("agents", name, "budgets", index), notes)
    for name, group in section(data, "skills").items():
        _outfits(group, ("skills", name), data, notes)


def _outfits(skills: Any, path: Path, data: Data, notes: Notes) -> None:
    """The groups of toolsets that skills run with lead somewhere."""
    for index, skill in listed({"": skills}, ""):
        for place, group in listed(skill if isinstance(skill, dict) else {}, "toolsets"):
            _exists(group, section(data, "toolsets"), "`toolsets`", (*path, index, "toolsets", place), notes)
