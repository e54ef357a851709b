"""What an agent file mentions: its sections, its toolsets, and every model that it refers to, with their places."""

from collections.abc import Iterator
from typing import Any

from roost.config import hooks
from roost.config.shapes import BAD, Notes
from roost.config.yaml import Path

Data = dict[str, Any]


def section(data: Data, name: str) -> Data:
    """A mapping of the file, empty where it has none."""
    found = data.get(name)
    return found if isinstance(found, dict) else {}


def named(data: Data, name: str, notes: Notes) -> Iterator[tuple[str, Data]]:
    """The entries of a mapping that have the form of one; the others have been complained of."""
    raw = notes.document.data.get(name)
    for key, entry in section(data, name).items():
        if isinstance(raw, dict) and isinstance(raw.get(key), dict | None):
            yield key, entry


def listed(entry: Data, *keys: str) -> Iterator[tuple[int, Any]]:
    """The items of a list, with their places; those that have been complained of are left out."""
    found: Any = entry
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return ((i, item) for i, item in enumerate(found if isinstance(found, list) else ()) if item is not BAD)


def toolsets(data: Data) -> Iterator[tuple[Path, Data]]:
    """Every toolset of the file, with its path."""
    for name, agent in section(data, "agents").items():
        for index, entry in listed(agent, "toolsets"):
            yield ("agents", name, "toolsets", index), entry
    for name, group in section(data, "toolsets").items():
        if isinstance(group, dict):
            yield ("toolsets", name), group
        else:
            yield from ((("toolsets", name, index), entry) for index, entry in listed({"": group}, ""))


def references(data: Data) -> Iterator[tuple[Path, str]]:
    """Every reference to models of the file, with its path."""
    for name, agent in section(data, "agents").items():
        path: Path = ("agents", name)
        yield from _texts(agent, path, "model", "compaction_model")
        for index, ref in listed(agent, "fallback", "models"):
            yield (*path, "fallback", "models", index), ref
        for at, hook in hooks.every(agent.get("hooks", {}), (*path, "hooks")):
            yield from _texts(hook, at, "model")
        yield from _of_skills(agent.get("skills"), (*path, "skills"))
    for path, entry in toolsets(data):
        yield from _texts(entry, path, "model")
        yield from (((*path, "models", index), ref) for index, ref in listed(entry, "models"))
        yield from _of_source(entry.get("rag_config", {}), (*path, "rag_config"))
    for name, group in section(data, "skills").items():
        yield from _of_skills(group, ("skills", name))
    for kind, read in (("mcps", _of_server), ("rag", _of_source), ("models", _of_model), ("providers", _of_model)):
        for name, entry in section(data, kind).items():
            yield from read(entry, (kind, name))


def _texts(entry: Data, path: Path, *keys: str) -> Iterator[tuple[Path, str]]:
    return (((*path, key), entry[key]) for key in keys if entry.get(key))


def _of_server(server: Data, path: Path) -> Iterator[tuple[Path, str]]:
    return _texts(server, path, "model")


def _of_model(model: Data, path: Path) -> Iterator[tuple[Path, str]]:
    yield from _texts(model, path, "title_model", "compaction_model")
    yield from (((*path, "first_available", index), ref) for index, ref in listed(model, "first_available"))
    for index, route in listed(model, "routing"):
        yield from _texts(route, (*path, "routing", index), "model")
    if not model.get("provider") and not model.get("type") and "," in model.get("model", ""):
        yield (*path, "model"), model["model"]


def _of_source(source: Data, path: Path) -> Iterator[tuple[Path, str]]:
    for index, strategy in listed(source, "strategies"):
        yield from _texts(strategy, (*path, "strategies", index), "embedding_model", "model")


def _of_skills(skills: Any, path: Path) -> Iterator[tuple[Path, str]]:
    for index, skill in listed({"": skills}, ""):
        if isinstance(skill, dict):
            yield from _texts(skill, (*path, index), "model")
