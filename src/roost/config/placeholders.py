"""Placeholders of an agent file that are replaced when it loads; those of toolsets wait until these are opened."""

import re
from collections.abc import Mapping
from typing import Any

from roost.config.mentions import section
from roost.config.shapes import Notes, where
from roost.config.yaml import Path
from roost.core.redaction import Veiled
from roost.core.templates import expand

Data = dict[str, Any]

_SHELL = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")


def filled(data: Data, env: Mapping[str, str] | None, notes: Notes) -> Data:
    """The file with its placeholders replaced, or as it is where there is no environment.

    Complains of variables that are not set where a shell would.
    """
    if env is None:
        return data
    slots = _Slots(env, notes)
    return data | {
        "agents": {name: slots.agent(entry) for name, entry in data["agents"].items()},
        "models": {name: slots.model(entry, ("models", name)) for name, entry in section(data, "models").items()},
        "providers": {
            name: slots.model(entry, ("providers", name)) for name, entry in section(data, "providers").items()
        },
    }


class _Slots:
    """The places of a file where placeholders may stand."""

    def __init__(self, env: Mapping[str, str], notes: Notes) -> None:
        self._env = env
        self._shown = Veiled(env)
        self._notes = notes

    def agent(self, entry: Data) -> Data:
        """Texts that people and models read: what is undefined leaves nothing.

        Clients are shown no secrets; models are told what the file wants them to know.
        """
        ways = {"description": self._told, "welcome_message": self._told, "instruction": self._text}
        texts = {key: fill(entry[key]) for key, fill in ways.items() if key in entry}
        commands = {name: self._command(command) for name, command in entry.get("commands", {}).items()}
        cache = entry.get("cache")
        return (
            entry
            | texts
            | ({"commands": commands} if commands else {})
            | ({"cache": cache | {"path": self._text(cache["path"])}} if cache and cache.get("path") else {})
        )

    def _command(self, command: Data) -> Data:
        """Its instruction is evaluated when it is used."""
        return command | {"description": self._told(command["description"])} if "description" in command else command

    def model(self, entry: Data, path: Path) -> Data:
        """What leads to a model: a variable that is not set is a mistake."""
        keys = ("model", "base_url") if path[0] == "models" else ("base_url",)
        return entry | {key: self._address(entry[key], (*path, key)) for key in keys if key in entry}

    def _told(self, text: str) -> str:
        return expand(text, self._shown) if "${" in text else text

    def _text(self, text: str) -> str:
        return expand(text, self._env) if "${" in text else text

    def _address(self, text: str, path: Path) -> str:
        def value(match: re.Match[str]) -> str:
            name = match[1] or match[2]
            found = self._env.get(name)
            if found is None:
                self._notes.bad(path, f"{where(path)}: the environment variable {name} is not set")
            return found or ""

        pieces = re.split(r"(\$\{env\b[^}]*\})", text)
        return "".join(self._text(piece) if piece.startswith("${env") else _SHELL.sub(value, piece) for piece in pieces)
