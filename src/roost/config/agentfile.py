"""An agent file, from bytes to a Team, with line and column in every complaint."""

import hashlib
from typing import Any

from roost.config import harnesses, models
from roost.config.checks import check, section
from roost.config.complaints import Complaint, did_you_mean, quoted, render
from roost.config.migrations import migrate
from roost.config.schema import FILE
from roost.config.shapes import BAD, NEWEST, Notes
from roost.config.shown import show
from roost.config.toolsets import BUILT, KEYS
from roost.config.yaml import Document, Unreadable, read
from roost.core.agents import Agent, Team, ToolsetSpec
from roost.core.errors import AgentBroken
from roost.core.events import Command, Permissions

Data = dict[str, Any]

_SHARED = ("type", "tools", "instruction", "name", "toon", "defer", "model")


def load(source_id: str, raw: bytes, *, name: str) -> Team:
    """The team that a file describes; `name` is what complaints call the file.

    Raises:
        AgentBroken: the file does not load; the message lists all that is wrong with it, by line.
    """
    text = raw.decode("utf-8", "replace").removeprefix("\ufeff")
    try:
        document = read(raw)
    except Unreadable as error:
        raise AgentBroken(render(name, error.complaints, text)) from None
    notes = Notes(document)
    notes.version = _version(document, notes)
    data = FILE.check(document.data, (), notes)
    if data is not BAD:
        check(data, notes)
    if notes.complaints:
        raise AgentBroken(render(name, notes.complaints, text))
    today = migrate(data, notes)
    return Team(
        source=source_id,
        hash=hashlib.sha256(raw).hexdigest(),
        agents=tuple(_agent(agent, entry) for agent, entry in today["agents"].items()),
        models=models.models(today),
        providers=models.providers(today),
        permissions=_permissions(today),
        safety=section(today, "runtime").get("safety", ""),
        warnings=tuple(_headings(name, notes.warnings)),
        config=show(today),
    )


def _version(document: Document, notes: Notes) -> int | None:
    """The version that the file names, or None."""
    data = document.data
    if not isinstance(data, dict) or data.get("version") in (None, ""):
        return None
    text = document.texts.get(("version",), str(data["version"])).strip()
    number = text.removesuffix(".0")
    if number.isascii() and number.isdecimal() and len(number) <= 4 and int(number) <= NEWEST:
        return int(number)
    known = [str(version) for version in range(NEWEST + 1)]
    hint = f" (0 to {NEWEST} are known){did_you_mean(number, known)}"
    notes.bad(("version",), f"unsupported config version: {quoted(text)}{hint}")
    return None


def _headings(name: str, warnings: list[Complaint]) -> list[str]:
    return [warning.heading(name) for warning in sorted(set(warnings))]


def _agent(name: str, entry: Data) -> Agent:
    return Agent(
        name=name,
        model=entry.get("model") or "auto",
        description=entry.get("description", ""),
        instruction=entry.get("instruction", ""),
        welcome=entry.get("welcome_message", ""),
        toolsets=() if entry.get("harness") else _toolsets(entry),
        commands=tuple(_command(command, fields) for command, fields in entry.get("commands", {}).items()),
        add_date=entry.get("add_date", False),
        add_environment_info=entry.get("add_environment_info", False),
        add_description_parameter=entry.get("add_description_parameter", False),
        add_prompt_files=tuple(entry.get("add_prompt_files", ())),
        max_iterations=entry.get("max_iterations", 0),
        num_history_items=entry.get("num_history_items", 0),
        safety=entry.get("safety", ""),
        harness=harnesses.harness(entry),
    )


def _command(name: str, fields: Data) -> Command:
    return Command(
        name=name,
        description=fields.get("description", ""),
        instruction=fields.get("instruction", ""),
        agent=fields.get("agent", ""),
    )


def _toolsets(agent: Data) -> tuple[ToolsetSpec, ...]:
    """Those that are built; `readonly` of the agent holds for each of them."""
    narrow = {"readonly": True} if agent.get("readonly") else {}
    return tuple(_toolset(entry | narrow) for entry in agent.get("toolsets", ()) if entry["type"] in BUILT)


def _toolset(entry: Data) -> ToolsetSpec:
    """What is built of an entry; keys that are ignored do not reach the toolset."""
    options = {key: value for key, value in entry.items() if key not in _SHARED and KEYS[key].mark == "built"}
    return ToolsetSpec(
        type=entry["type"],
        tools=tuple(entry.get("tools", ())),
        instruction=entry.get("instruction", ""),
        name=entry.get("name", ""),
        options=options,
    )


def _permissions(data: Data) -> Permissions:
    lists = section(data, "permissions")
    return Permissions(*(tuple(lists.get(key, ())) for key in ("allow", "ask", "deny")))
