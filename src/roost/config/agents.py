"""The entries of `agents` to Agents, and what these know of each other."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from roost.config import harnesses
from roost.config.externals import external, placed
from roost.config.hooks import hooks
from roost.config.specs import specs
from roost.config.values import as_seconds
from roost.core.agents import Agent, Cache, Compaction, Fallback, Schema, ToolsetSpec
from roost.core.events import Command

Data = dict[str, Any]


def agents(data: Data, folder: Path | None) -> tuple[Agent, ...]:
    """The agents of a file, in its order.  Its relative paths begin in `folder`."""
    return acquainted(_agent(name, entry, data, folder) for name, entry in data["agents"].items())


def externals(data: Data, folder: Path | None) -> dict[str, str]:
    """The agents of other files that a file names: where the file is, by the name that the agent has here."""
    entries = [text for agent in data["agents"].values() for text in _mates(agent)]
    found = [reference for text in entries if text not in data["agents"] and (reference := external(text))]
    return {ref.name: placed(ref.target, folder) for ref in found if ref.name not in data["agents"]}


def _mates(agent: Data) -> list[str]:
    """All that an agent calls agents."""
    forced = [agent["force_handoff"]] if agent.get("force_handoff") else []
    return [*agent.get("sub_agents", ()), *agent.get("handoffs", ()), *forced]


def _mate(text: str, known: Data) -> str:
    """The name in the team of an agent that another one names; one of the file wins."""
    reference = None if text in known else external(text)
    return reference.name if reference is not None else text


def acquainted(agents: Iterable[Agent]) -> tuple[Agent, ...]:
    """The agents, with tools to call each other: each of these lists whom it may call, and what they are for."""
    found = tuple(agents)
    about = {agent.name: agent.description for agent in found}

    def listed(names: Iterable[str]) -> dict[str, Any]:
        return {"agents": [{"name": name, "description": about.get(name, "")} for name in names]}

    def knowing(agent: Agent) -> Agent:
        own = [spec for spec in agent.toolsets if spec.type not in ("transfer_task", "handoff")]
        toolsets = [
            replace(spec, options=spec.options | listed(agent.sub_agents)) if spec.type == "background_agents" else spec
            for spec in own
        ]
        if agent.sub_agents:
            toolsets.append(ToolsetSpec("transfer_task", options=listed(agent.sub_agents)))
        if agent.handoffs:
            toolsets.append(ToolsetSpec("handoff", options=listed(agent.handoffs)))
        return replace(agent, toolsets=tuple(toolsets))

    return tuple(agent if agent.harness is not None else knowing(agent) for agent in found)


def _agent(name: str, entry: Data, data: Data, folder: Path | None) -> Agent:
    known = data["agents"]
    return Agent(
        name=name,
        model=entry.get("model") or "auto",
        description=entry.get("description", ""),
        instruction=entry.get("instruction", ""),
        welcome=entry.get("welcome_message", ""),
        toolsets=() if entry.get("harness") else specs(entry, data, folder),
        commands=tuple(_command(command, fields) for command, fields in entry.get("commands", {}).items()),
        add_date=entry.get("add_date", False),
        add_environment_info=entry.get("add_environment_info", False),
        add_description_parameter=entry.get("add_description_parameter", False),
        add_prompt_files=tuple(entry.get("add_prompt_files", ())),
        add_prompt_files_depth=entry.get("add_prompt_files_depth", 0),
        num_history_items=entry.get("num_history_items", 0),
        safety=entry.get("safety", ""),
        harness=harnesses.harness(entry),
        sub_agents=tuple(_mate(text, known) for text in entry.get("sub_agents", ())),
        handoffs=tuple(_mate(text, known) for text in entry.get("handoffs", ())),
        force_handoff=_mate(entry.get("force_handoff", ""), known),
        fallback=_fallback(entry.get("fallback", {})),
        structured_output=_schema(entry.get("structured_output")),
        code_mode=entry.get("code_mode_tools", False),
        hooks=hooks(entry.get("hooks", {})),
        budgets=tuple(entry.get("budgets", ())),
        cache=_cache(entry.get("cache")),
        compaction=_compaction(entry),
        redact_secrets=entry.get("redact_secrets", True),
        **{key: entry[key] for key in _LIMITS if key in entry},
    )


_LIMITS = ("max_iterations", "max_consecutive_tool_calls", "max_old_tool_call_tokens", "max_tool_result_tokens")


def _fallback(entry: Data) -> Fallback:
    return Fallback(
        models=tuple(entry.get("models", ())),
        retries=entry.get("retries", 2),
        cooldown=as_seconds(entry.get("cooldown", 60)),
    )


def _schema(entry: Data | None) -> Schema | None:
    if entry is None:
        return None
    return Schema(
        name=entry["name"],
        schema=entry["schema"],
        description=entry.get("description", ""),
        strict=entry.get("strict", False),
        mode=entry.get("mode", "native"),
    )


def _cache(entry: Data | None) -> Cache | None:
    if not entry or not entry.get("enabled"):
        return None
    return Cache(
        case_sensitive=entry.get("case_sensitive", False),
        trim_spaces=entry.get("trim_spaces", True),
        path=entry.get("path", ""),
    )


def _compaction(entry: Data) -> Compaction:
    return Compaction(
        automatic=entry.get("session_compaction", True),
        threshold=float(entry.get("compaction_threshold", 0)),
        model=entry.get("compaction_model", ""),
    )


def _command(name: str, fields: Data) -> Command:
    return Command(
        name=name,
        description=fields.get("description", ""),
        instruction=fields.get("instruction", ""),
        agent=fields.get("agent", ""),
        url=fields.get("url", ""),
    )
