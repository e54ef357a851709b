"""What an agent file from elsewhere may do unasked: programs, permissions, the variables that it reads."""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from roost.core.agents import Agent, Team, ToolsetSpec

MOST: Final = 6  # of each kind that are named
_LONGEST: Final = 80  # characters of a name or a command
_VARIABLE = re.compile(rb"env(?:\.|\[['\"])([A-Za-z_]\w*)|token_key:\s*[\"']?([A-Za-z_]\w*)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def powers(source: str, team: Team, agents: Iterable[Agent], raw: Collection[bytes], *, whole: bool) -> str:
    """A sentence or two for whoever serves them; "" where there is nothing to say.

    `agents` are those that come from elsewhere, `raw` their files; `whole` says that it is all of the team, whose
    permissions are theirs, too.
    """
    found = list(agents)
    parts = [
        *_part("runs programs", (text for agent in found for text in _programs(agent))),
        *_part("lets tools run unasked", _leave(team, found, whole=whole)),
        *_part("reads the variables", (name for text in raw for name in _variables(text))),
    ]
    if not parts:
        return ""
    who = source if whole else f"{source}, by agents of other places ({', '.join(_few(a.name for a in found))}),"
    return f"{_plain(who)} comes from elsewhere. It {'; it '.join(parts)}. Serve it only if you would run it"


def _part(what: str, names: Iterable[str]) -> list[str]:
    listed = _few(names)
    return [f"{what}: {', '.join(listed)}"] if listed else []


def _few(names: Iterable[str]) -> list[str]:
    every = [_plain(name) for name in dict.fromkeys(names)]
    return every[:MOST] + ([f"and {len(every) - MOST} more"] if len(every) > MOST else [])


def _plain(text: str) -> str:
    """Words of a stranger, for a terminal."""
    shown = " ".join(_CONTROL.sub(" ", text).split())
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"


def _programs(agent: Agent) -> Iterator[str]:
    """Whatever starts without a call of a tool, and what tools are made of."""
    for event, matchers in agent.hooks.items():
        for matcher in matchers:
            yield from (f"hook {event} {hook.command!r}" for hook in matcher.hooks if hook.type == "command")
    for spec in agent.toolsets:
        yield from _started(spec)
    if agent.harness is not None:
        yield f"agent CLI {agent.harness.driver!r}"


def _started(spec: ToolsetSpec) -> Iterator[str]:
    options = spec.options
    for entry in [options, *(options.get("servers") or ())]:
        if spec.type in ("mcp", "lsp") and entry.get("command"):
            yield f"{spec.type} server {' '.join(map(str, (entry['command'], *(entry.get('args') or ()))))!r}"
    if spec.type == "mcp" and options.get("ref"):
        yield f"mcp server {options['ref']!r}"
    if spec.type == "script":
        yield from (f"script {name!r}" for name in options.get("shell") or ())


def _leave(team: Team, agents: Iterable[Agent], *, whole: bool) -> Iterator[str]:
    modes = [agent.safety for agent in agents]
    if whole:
        yield from team.permissions.allow
        modes.append(team.safety)
    yield from (f"safety {mode}" for mode in modes if mode in ("autonomous", "balanced", "restricted"))


def _variables(raw: bytes) -> Iterator[str]:
    yield from ((first or second).decode() for first, second in _VARIABLE.findall(raw))
