"""Old spellings, brought to today's: what an agent file of an older version means in the newest one."""

from typing import Any

from roost.config.mentions import section
from roost.config.shapes import Notes, where
from roost.config.yaml import Path

Data = dict[str, Any]


def migrate(data: Data, notes: Notes) -> Data:
    """The checked file in today's spelling; groups are put where they are used.

    Old spellings are warned of in files that name no version: in others they are those of their version.
    """
    models = {name: _model(name, model, notes) for name, model in section(data, "models").items()}
    agents = {name: _agent(name, agent, data, notes) for name, agent in section(data, "agents").items()}
    return data | ({"models": models} if models else {}) | {"agents": agents}


def _model(name: str, model: Data, notes: Notes) -> Data:
    if "type" not in model:
        return model
    _warn(("models", name, "type"), "write provider", notes)
    rest = {key: value for key, value in model.items() if key != "type"}
    return {"provider": model["type"]} | rest


def _warn(path: Path, advice: str, notes: Notes) -> None:
    if notes.version is None:
        notes.warn(path, f"{where(path)} is an old spelling; {advice}")


def _agent(name: str, agent: Data, data: Data, notes: Notes) -> Data:
    toolsets = [
        *_shortcuts(name, agent, notes),
        *agent.get("toolsets", ()),
        *_sources(name, agent, notes),
        *_used(agent, data),
    ]
    old = ("todo", "think", "memory", "rag", "use_toolsets")
    today = {key: value for key, value in agent.items() if key not in old}
    if toolsets:
        today["toolsets"] = toolsets
    if commands := commands_of(agent, data):
        today["commands"] = commands
    else:
        today.pop("commands", None)  # an empty list is one, too
    return today


def _shortcuts(name: str, agent: Data, notes: Notes) -> list[Data]:
    """`todo`, `think` and `memory` of version 0, in this order."""
    found: list[Data] = []
    for key in ("todo", "think", "memory"):
        value = agent.get(key)
        if value is None or value is False:
            continue
        _warn(("agents", name, key), f"write it as a toolset: - type: {key}", notes)
        found.append({"type": key} | (value if isinstance(value, dict) else {}))
    return found


def _sources(name: str, agent: Data, notes: Notes) -> list[Data]:
    """`rag: [name]` of versions 2 to 7."""
    if not agent.get("rag"):
        return []
    _warn(("agents", name, "rag"), "write toolsets of type 'rag' with ref", notes)
    return [{"type": "rag", "ref": ref} for ref in agent["rag"]]


def _used(agent: Data, data: Data) -> list[Data]:
    groups = [section(data, "toolsets").get(group, ()) for group in agent.get("use_toolsets", ())]
    return [entry for group in groups for entry in ([group] if isinstance(group, dict) else group)]


def commands_of(agent: Data, data: Data) -> dict[str, Data]:
    """The commands of an agent by name: those of its groups, then its own, which win."""
    groups = [section(data, "commands").get(group) for group in agent.get("use_commands", ())]
    found: dict[str, Data] = {}
    for group in [*groups, agent.get("commands")]:
        entries = group if isinstance(group, list) else [group or {}]
        for entry in entries:
            found |= {name: _command(command) for name, command in entry.items()}
    return found


def _command(command: str | Data) -> Data:
    return {"description": command, "instruction": command} if isinstance(command, str) else command
