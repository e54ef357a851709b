"""What is asked of agent CLIs unless a request says otherwise: `<home>/agents.toml`, by its keys."""

import os
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tomlkit
from msgspec import Struct

from roost.core.errors import BadValue
from roost.core.principals import Principal
from roost.service.desk import Desk
from roost.service.orders import MOST_TURNS, Defaults

FILE = "agents.toml"
LONGEST = 64 * 1024  # characters of a value
PROVIDERS = ("claude", "codex", "gemini", "copilot", "ollama", "mock")
SIZES = ("size", "size_small", "size_medium", "size_large")
FORMATS = ("text", "json", "rich-text")

Value = str | int | bool


def _text(value: str) -> Value:
    return value


def _flag(value: str) -> Value:
    word = value.strip().lower()
    if word in ("true", "1", "yes"):
        return True
    if word in ("false", "0", "no"):
        return False
    raise BadValue(f"{value[:40]!r} is neither true nor false")


def _count(value: str) -> Value:
    if value.isascii() and value.isdigit() and len(value) < 8 and int(value) <= MOST_TURNS:
        return int(value)
    raise BadValue(f"{value[:40]!r} is no number between 0 and {MOST_TURNS}")


def _format(value: str) -> Value:
    if value not in FORMATS:
        raise BadValue(f"{value[:40]!r} must be one of {', '.join(FORMATS)}")
    return value


KEYS: Mapping[str, tuple[str, str, Callable[[str], Value]]] = {
    "provider": ("defaults", "provider", _text),
    "model": ("defaults", "model", _text),
    "auto_approve": ("defaults", "auto_approve", _flag),
    "max_turns": ("defaults", "max_turns", _count),
    "system_prompt": ("defaults", "system_prompt", _text),
    **{f"model.{provider}": ("models", provider, _text) for provider in PROVIDERS},
    "auto.provider": ("auto", "provider", _text),
    "auto.model": ("auto", "model", _text),
    "ollama.model": ("ollama", "model", _text),
    **{f"ollama.{size}": ("ollama", size, _text) for size in SIZES},
    "listen.format": ("listen", "format", _format),
    "listen.timestamp_format": ("listen", "timestamp_format", _text),
}
"""Each key, with its table and its name there, and what makes a value of a text."""


class Config(Struct, frozen=True):
    """The file, whole."""

    path: str
    content: str | None


class Shelf:
    """Reads and writes the file.  Only the server's own token may, where there are accounts."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._path = desk.makers.home / FILE
        self._seen: tuple[int, int, int] | None = None
        self._known = Defaults()

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._path

    def defaults(self) -> Defaults:
        """What it says of spawns, read anew when it has changed.

        Raises:
            BadValue: it can't be read.
        """
        mark = _mark(self._path)
        if mark != self._seen:
            self._known = _defaults(_parsed(self._path))
            self._seen = mark
        return self._known

    def show(self, principal: Principal) -> Config:
        """Its text; None where there is none.

        Raises:
            Denied: the caller is an account.
        """
        self._desk.policy.admin(principal)
        try:
            return Config(str(self._path), self._path.read_text("utf-8"))
        except FileNotFoundError:
            return Config(str(self._path), None)

    def create(self, principal: Principal) -> bool:
        """Make an empty one where there is none; whether that was so."""
        self._desk.policy.admin(principal)
        if self._path.exists():
            return False
        write(self._path, "# What agent CLIs are asked for, unless a request says otherwise.\n")
        return True

    def reset(self, principal: Principal) -> None:
        """Go back to what is built in."""
        self._desk.policy.admin(principal)
        self._path.unlink(missing_ok=True)

    def values(self, principal: Principal) -> dict[str, str | None]:
        """All keys with what the file says of them."""
        self._desk.policy.admin(principal)
        parsed = _parsed(self._path)
        return {key: _shown(parsed, key) for key in KEYS}

    def value(self, principal: Principal, key: str) -> str | None:
        """What the file says of a key.

        Raises:
            BadValue: there is no such key.
        """
        self._desk.policy.admin(principal)
        return _shown(_parsed(self._path), _known(key))

    def set(self, principal: Principal, key: str, value: str) -> str:
        """Write a value; as it is from now on.

        Raises:
            BadValue: there is no such key, or the value can't be.
        """
        self._desk.policy.admin(principal)
        table, name, make = KEYS[_known(key)]
        if len(value) > LONGEST or "\0" in value:
            raise BadValue(f"the value is longer than {LONGEST} characters, or holds a NUL")
        made = make(value)
        document = self._document()
        document.setdefault(table, tomlkit.table())[name] = made
        write(self._path, tomlkit.dumps(document))
        return _word(made)

    def unset(self, principal: Principal, key: str) -> None:
        """Take a key out of the file.

        Raises:
            BadValue: there is no such key.
        """
        self._desk.policy.admin(principal)
        table, name, _ = KEYS[_known(key)]
        document = self._document()
        if name in document.get(table, {}):
            del document[table][name]
            write(self._path, tomlkit.dumps(document))

    def _document(self) -> tomlkit.TOMLDocument:
        _parsed(self._path)  # a broken file is not written over
        return tomlkit.parse(self._path.read_text("utf-8")) if self._path.exists() else tomlkit.document()


def write(path: Path, text: str) -> None:
    """Write a file whole, for its owner's eyes alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise BadValue(f"{path} can't be read: {error}") from None


def _known(key: str) -> str:
    if key not in KEYS:
        raise BadValue(f"unknown key {key[:60]!r} (known: {', '.join(KEYS)})")
    return key


def _shown(parsed: Mapping[str, Any], key: str) -> str | None:
    table, name, _ = KEYS[key]
    tables = parsed.get(table)
    found = tables.get(name) if isinstance(tables, dict) else None
    return None if found is None else _word(found)


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _defaults(parsed: Mapping[str, Any]) -> Defaults:
    """What the file says, as far as each value is of the right kind."""

    def said(key: str, fallback: Any) -> Any:
        shown = _shown(parsed, key)
        return fallback if shown is None else KEYS[key][2](shown)

    models = {provider: said(f"model.{provider}", "") for provider in PROVIDERS}
    models["ollama"] = models["ollama"] or said("ollama.model", "")
    return Defaults(
        provider=said("provider", ""),
        model=said("model", ""),
        models={provider: model for provider, model in models.items() if model},
        auto_approve=said("auto_approve", False),
        max_turns=said("max_turns", 0),
        system_prompt=said("system_prompt", ""),
        size=said("ollama.size", ""),
    )
