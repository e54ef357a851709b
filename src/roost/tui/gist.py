"""What a tool call is about, in a few words: the argument that tells most, and whether it changes a file."""

import json
import re
from collections.abc import Mapping
from typing import Any

from roost.core.toolkinds import kind
from roost.tui.clean import plain_line
from roost.tui.rows import Call

TELLING = (
    "command",
    "cmd",
    "file_path",
    "path",
    "filename",
    "file",
    "paths",
    "pattern",
    "query",
    "q",
    "url",
    "urls",
    "task",
    "prompt",
    "question",
    "message",
    "description",
    "thought",
    "text",
    "name",
)
"""Arguments, the one that tells most first."""

_PIECE = re.compile(r'"([A-Za-z_][\w-]*)"\s*:\s*"((?:[^"\\]|\\.)*)')
Arguments = Mapping[str, Any]


def arguments(text: str) -> Arguments:
    """A call's arguments; of a draft, the texts that are there already."""
    if not text.strip():
        return {}
    try:
        found = json.loads(text)
        return found if isinstance(found, dict) else {"": found}
    except (ValueError, RecursionError):
        return {name: _unescaped(value) for name, value in _PIECE.findall(text[:20_000])}


def _unescaped(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text


def label(call: Call) -> str:
    """Its tool, by the name that people know."""
    name = call.name
    if name.startswith("mcp__"):
        _, server, name = [*name.split("__", 2), ""][:3]
        return plain_line(f"{server} · {name}" if name else server, 60)
    return plain_line(name or call.title or "tool", 60)


def shell(call: Call) -> str:
    """The command that it runs, "" where it runs none."""
    if kind(call.name) != "shell" and call.category != "shell":
        return ""
    given = arguments(call.arguments)
    for name in ("command", "cmd", "script"):
        value = given.get(name)
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, list) and all(isinstance(word, str) for word in value):
            return " ".join(value[2:] if len(value) > 2 and value[1] in ("-c", "-lc") else value)
    return ""


def gist(call: Call, given: Arguments | None = None) -> str:
    """The argument that tells most, on one line."""
    given = arguments(call.arguments) if given is None else given
    if "agent" in given and "task" in given:
        return plain_line(f"{given['agent']}: {given['task']}")
    for name in TELLING:
        if (text := _text(given.get(name))) and text.strip():
            return plain_line(text)
    rest = [f"{name}: {_text(value)}" if name else _text(value) for name, value in given.items() if _text(value)]
    return plain_line(", ".join(rest))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(_text(one) for one in value[:5]) + (" …" if len(value) > 5 else "")
    return "" if value is None or isinstance(value, dict) else json.dumps(value)
