"""What a person can say to something that waits: each choice has a key, and the words that the server takes."""

import json
import re
from dataclasses import dataclass
from typing import Any

from roost.core import patterns
from roost.tui.parts import Wait

_PLAIN_WORD = re.compile(r"[\w./@%+:,-]+")
_TWO_WORDS = frozenset(
    [
        "git",
        "npm",
        "pnpm",
        "yarn",
        "cargo",
        "go",
        "docker",
        "kubectl",
        "make",
        "pip",
        "uv",
        "poetry",
        "python",
        "python3",
        "node",
        "systemctl",
        "apt",
        "brew",
    ]
)
"""Programs of which the second word says what they do."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of them.  `asks` names what is to be typed first: "reason", "pattern" or ""."""

    key: str
    label: str
    word: str
    asks: str = ""
    detail: str = ""


def of_approval(wait: Wait) -> tuple[Choice, ...]:
    """May this call run?"""
    return (
        Choice("y", "yes, once", "approve"),
        Choice("s", "yes to all in this session", "approve-session"),
        Choice("t", "yes, always", "approve-tool", asks="pattern", detail=pattern(wait.tool, wait.arguments)),
        Choice("n", "no", "reject"),
        Choice("r", "no, because…", "reject", asks="reason"),
    )


def pattern(tool: str, arguments: str) -> str:
    """What "always" is proposed to mean: of a shell the command's beginning, of any other tool all its calls.

    A command in which a shell would see more than one program is meant to the letter.
    """
    name, found = patterns.literal(tool), parsed(arguments)
    command = found.get("cmd")
    if not isinstance(command, str) or not command.strip():
        other = found.get("command")  # what a CLI's own shell calls it
        return f"{name}:command={patterns.literal(other)}" if isinstance(other, str) and other else name
    words = command.split()
    if patterns.SHELL_SYNTAX & set(command) or not _PLAIN_WORD.fullmatch(words[0]):
        return f"{name}:cmd={patterns.literal(command)}"
    take = 2 if words[0] in _TWO_WORDS and len(words) > 1 and not words[1].startswith("-") else 1
    return f"{name}:cmd={patterns.literal(' '.join(words[:take]))}*"


def parsed(arguments: str) -> dict[str, Any]:
    """Arguments as an object; empty where they are none."""
    try:
        found = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
