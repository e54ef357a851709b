"""What a user's own settings say of every agent's tools: permissions, and hooks with the files of `hooks.d`."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roost.config.complaints import render
from roost.config.hooks import HOOKS, check, hooks
from roost.config.schema import PERMISSIONS
from roost.config.settings import Settings
from roost.config.shapes import BAD, Notes
from roost.config.yaml import Document, Unreadable, read
from roost.core import patterns
from roost.core.agents import Matcher
from roost.core.errors import BadValue
from roost.core.events import Permissions
from roost.core.hooks import joined

log = logging.getLogger(__name__)

FOLDER = "hooks.d"
LISTS = ("allow", "ask", "deny")

Hooks = dict[str, tuple[Matcher, ...]]


def user_rules(home: Path, settings: Settings) -> tuple[Permissions, Hooks]:
    """The permissions and hooks that hold for every agent: those of the settings, then those of `hooks.d`, by name.

    Raises:
        BadValue: something can't be used; the message lists all of it.  What guards tools is never left out.
    """
    errors: list[str] = []
    rules = _permissions(settings.permissions, errors)
    found = [_checked(Document({"hooks": settings.hooks}), ("hooks",), settings.hooks, "settings", "", errors)]
    found += [_drop_in(path, errors) for path in _files(home / FOLDER, errors)]
    if errors:
        raise BadValue("\n".join(errors))
    return rules, joined(*found)


def _permissions(table: Mapping[str, Any], errors: list[str]) -> Permissions:
    notes = Notes(Document({"permissions": table}))
    lists = PERMISSIONS.check(dict(table), ("permissions",), notes)
    errors += [f"settings: {complaint.message}" for complaint in notes.complaints]
    if notes.complaints or lists is BAD:
        return Permissions()
    for pattern in (pattern for name in LISTS for pattern in lists.get(name, ())):
        try:
            patterns.check(pattern)
        except BadValue as error:
            errors.append(f"settings: permissions: {error}")
    return Permissions(*(tuple(lists.get(name, ())) for name in LISTS))


def _files(folder: Path, errors: list[str]) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if p.suffix in (".yaml", ".yml") and not p.name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        errors.append(f"{folder}: {error.strerror}")
        return []


def _drop_in(path: Path, errors: list[str]) -> Hooks:
    """The hooks of a file: as under `hooks` of an agent, with or without that key above."""
    try:
        raw = path.read_bytes()
        document = read(raw) if _says_something(raw) else Document(None)
    except OSError as error:
        errors.append(f"{path}: {error.strerror}")
        return {}
    except Unreadable as error:
        errors.append(render(str(path), error.complaints, ""))
        return {}
    data: Any = document.data
    above: tuple[str, ...] = ()
    if isinstance(data, dict) and list(data) == ["hooks"]:
        data, above = data["hooks"], ("hooks",)
    if data is None:
        return {}
    return _checked(document, above, data, str(path), raw.decode("utf-8", "replace"), errors)


def _says_something(raw: bytes) -> bool:
    """Whether there is more than comments."""
    return any(line.strip() and not line.lstrip().startswith(b"#") for line in raw.splitlines())


def _checked(document: Document, above: tuple[str, ...], data: Any, name: str, source: str, errors: list[str]) -> Hooks:
    notes = Notes(document)
    entries = HOOKS.check(data, above, notes)
    if entries is not BAD:
        check(entries, above, notes)
    if notes.complaints or entries is BAD:
        told = render(name, notes.complaints, source.removeprefix("\ufeff"))
        errors.append(told if source else "\n".join(f"{name}: {complaint.message}" for complaint in notes.complaints))
        return {}
    for warning in notes.warnings:
        log.warning("%s", warning.heading(name), extra={"action": "hook_ignored"})
    return hooks(entries)
