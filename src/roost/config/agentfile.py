"""An agent file, from bytes to a Team, with line and column in every complaint."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roost.config import instructions, models
from roost.config.agents import agents, externals
from roost.config.checks import check
from roost.config.complaints import Complaint, did_you_mean, quoted, render
from roost.config.mentions import section
from roost.config.migrations import migrate
from roost.config.placeholders import filled
from roost.config.schema import FILE
from roost.config.shapes import BAD, NEWEST, Notes
from roost.config.shown import show
from roost.config.specs import groups
from roost.config.values import as_seconds
from roost.config.yaml import Document, Unreadable, read
from roost.core.agents import Team
from roost.core.errors import AgentBroken
from roost.core.events import Budget, Permissions

Data = dict[str, Any]


def load(
    source_id: str, raw: bytes, *, name: str, env: Mapping[str, str] | None = None, folder: Path | None = None
) -> Team:
    """The team that a file describes; `name` is what complaints call the file.

    `env` is what its placeholders are looked up in; `folder` is where the file lies, or None where it does
    not lie on this machine.  Agents of other files are only named, in `externals`: `teams.whole` brings them in.

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
    told = instructions.read(today, folder, notes)
    full = filled(told.data, env, notes)
    if notes.complaints:
        raise AgentBroken(render(name, notes.complaints, text))
    return Team(
        source=source_id,
        hash=hashlib.sha256(raw + told.bytes).hexdigest(),
        agents=agents(full, folder),
        models=models.models(full),
        providers=models.providers(full),
        permissions=_permissions(full),
        safety=section(full, "runtime").get("safety", ""),
        budgets=_budgets(full),
        groups=groups(full, folder),
        warnings=tuple(_headings(name, notes.warnings)),
        raw=raw,
        config=show(today),
        externals=externals(full, folder),
        files=told.files,
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


def _permissions(data: Data) -> Permissions:
    lists = section(data, "permissions")
    return Permissions(*(tuple(lists.get(key, ())) for key in ("allow", "ask", "deny")))


def _budgets(data: Data) -> dict[str, Budget]:
    """Those with names, and the one for every agent, whose name is empty."""
    entries = {"": data["budget"]} if data.get("budget") else {}
    return {
        name: Budget(
            name=name,
            max_cost=float(entry.get("max_cost", 0)),
            max_tokens=entry.get("max_tokens", 0),
            max_time=as_seconds(entry.get("max_time", 0)),
        )
        for name, entry in (entries | section(data, "budgets")).items()
    }
