"""The entries of `toolsets` to ToolsetSpecs: references followed, and what belongs together in one."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from roost.config import rag
from roost.config.mentions import section
from roost.config.skills import groups as named
from roost.config.skills import skills
from roost.config.toolsets import BUILT, KEYS
from roost.core.agents import ToolsetSpec

Data = dict[str, Any]

SHARED: Final = ("type", "tools", "instruction", "name", "toon", "defer", "model")
"""Keys that are fields of a ToolsetSpec; the others are its options."""


def specs(agent: Data, data: Data, folder: Path | None) -> tuple[ToolsetSpec, ...]:
    """The toolsets of an agent that are built, and its skills; `readonly` of the agent holds for each toolset."""
    narrow = {"readonly": True} if agent.get("readonly") else {}
    entries = [entry | narrow for entry in agent.get("toolsets", ()) if entry["type"] in BUILT]
    found = _gathered([_spec(_resolved(entry, data, folder)) for entry in entries])
    listed = skills(agent, data)
    return (*found, *([listed] if listed is not None else []))


def groups(data: Data, folder: Path | None) -> dict[str, tuple[ToolsetSpec, ...]]:
    """The named groups of toolsets that skills run with."""
    found = {name: section(data, "toolsets").get(name, ()) for name in named(data)}
    lists = {name: [group] if isinstance(group, dict) else group for name, group in found.items()}
    return {name: specs({"toolsets": list(entries)}, data, folder) for name, entries in lists.items()}


def _spec(entry: Data) -> ToolsetSpec:
    """One entry; keys that are ignored do not reach the toolset."""
    defer = entry.get("defer", False)
    return ToolsetSpec(
        type=entry["type"],
        tools=tuple(entry.get("tools", ())),
        instruction=entry.get("instruction", ""),
        name=entry.get("name", ""),
        options={key: value for key, value in entry.items() if key not in SHARED and _passed(entry["type"], key)},
        toon=patterns(entry.get("toon", "")),
        defer=defer if isinstance(defer, bool) else tuple(defer),
        model=entry.get("model", ""),
    )


def _passed(kind: str, key: str) -> bool:
    return kind == "rag" or key not in KEYS or KEYS[key].mark == "built"


def patterns(text: str) -> tuple[str, ...]:
    """The regular expressions of `toon`."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _resolved(entry: Data, data: Data, folder: Path | None) -> Data:
    """An entry with what it refers to; its own values win."""
    ref = entry.get("ref", "")
    if entry["type"] == "mcp" and ref in section(data, "mcps"):
        return _merged(section(data, "mcps")[ref], entry)
    if entry["type"] == "rag":
        source = entry.get("rag_config") or section(data, "rag").get(ref, {})
        return _searched(source, entry, ref, folder)
    return entry


def _merged(definition: Data, entry: Data) -> Data:
    own = {key: value for key, value in entry.items() if key != "ref"}
    env = definition.get("env", {}) | own.get("env", {})
    return definition | own | ({"env": env} if env else {})


def _searched(source: Data, entry: Data, ref: str, folder: Path | None) -> Data:
    """A toolset that searches documents: all of its source, under a name."""
    shared = {key: source[key] for key in ("instruction", "tools", "defer") if key in source}
    own = {key: value for key, value in entry.items() if key not in ("ref", "rag_config")}
    name = entry.get("name") or source.get("name") or ref or source.get("tool", {}).get("name") or "rag"
    return rag.resolved(source, folder) | shared | own | {"name": name}


def _gathered(found: Sequence[ToolsetSpec]) -> list[ToolsetSpec]:
    """The same, where all language servers are one toolset, in the place of the first; sources keep their name."""
    servers = [spec for spec in found if spec.type == "lsp"]
    gathered: list[ToolsetSpec] = []
    for spec in found:
        if spec.type == "rag":
            gathered.append(replace(spec, options=spec.options | {"name": spec.name}))
        elif spec.type != "lsp":
            gathered.append(spec)
        elif spec is servers[0]:
            gathered.append(_servers(servers))
    return gathered


def _servers(specs: Sequence[ToolsetSpec]) -> ToolsetSpec:
    """Several language servers as one toolset; a restriction of tools holds where each of them has one."""
    narrow = {"readonly": True} if any(spec.options.get("readonly") for spec in specs) else {}
    servers = [{key: value for key, value in spec.options.items() if key != "readonly"} for spec in specs]
    defers = [spec.defer for spec in specs]
    return ToolsetSpec(
        "lsp",
        tools=_united(spec.tools for spec in specs) if all(spec.tools for spec in specs) else (),
        instruction=next((spec.instruction for spec in specs if spec.instruction), ""),
        options={"servers": servers} | narrow,
        toon=_united(spec.toon for spec in specs),
        defer=True if True in defers else _united(names for names in defers if isinstance(names, tuple)) or False,
        model=next((spec.model for spec in specs if spec.model), ""),
    )


def _united(lists: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for items in lists for item in items))
