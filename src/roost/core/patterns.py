"""Patterns of tool calls: `tool[:argument=value…]`, with wildcards."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from msgspec import Struct

from roost.core.errors import BadValue

SHELL_SYNTAX = frozenset(";&|<>`$(){}\\\n\r\0#!")
"""Characters with which a shell does more than run the one command that is written there."""


class Pattern(Struct, frozen=True):
    """A pattern taken apart; of an argument that is named twice the last value counts."""

    tool: str
    conditions: dict[str, str]


@lru_cache(maxsize=1024)
def parse(pattern: str) -> Pattern:
    r"""Take a pattern apart.

    It is split at `:`.  The first part that looks like `argument=value` begins the conditions; parts
    before it belong to the tool's name, later ones that name no argument to the value before them.
    A backslash takes a character's meaning away.
    """
    name: list[str] = []
    conditions: dict[str, str] = {}
    last = ""
    for part in _parts(pattern):
        if condition := re.match(r"([\w.-]+)=(.*)", part, re.DOTALL):
            last, conditions[condition[1]] = condition.groups()
        elif last:
            conditions[last] += ":" + part
        else:
            name.append(part)
    return Pattern(":".join(name), conditions)


def _parts(pattern: str) -> list[str]:
    """What stands between colons that no backslash precedes."""
    parts = [""]
    for piece in re.findall(r"\\.|:|[^\\:]+|\\", pattern, re.DOTALL):
        if piece == ":":
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def matches(pattern: str, name: str, arguments: Mapping[str, Any]) -> bool:
    """Whether a call of the tool `name` is one of these: all conditions hold, in any case of letters."""
    wanted = parse(pattern)
    if not _expression(wanted.tool).fullmatch(name):
        return False
    return all(
        argument in arguments and _expression(value).fullmatch(as_text(arguments[argument])) is not None
        for argument, value in wanted.conditions.items()
    )


def names(pattern: str, name: str) -> bool:
    """Whether the pattern is about this tool at all."""
    return _expression(parse(pattern).tool).fullmatch(name) is not None


def grants(pattern: str, name: str, arguments: Mapping[str, Any]) -> bool:
    """`matches`, for a person's grant of shell commands: more careful than the letter.

    `git status*` covers `git status -s`, but not `git statusx`; a pattern with wildcards never covers
    a command with a shell's syntax in it.  A command is what `cmd` says, or `command`, as shells of others call it.
    """
    conditions = parse(pattern).conditions
    for argument in ("cmd", "command"):
        command = conditions.get(argument)
        if command is None or not re.search(r"(?<!\\)[*?\[]", command):
            continue
        value = as_text(arguments.get(argument, ""))
        if SHELL_SYNTAX & set(value) or not _expression(command, words=True).fullmatch(value):
            return False
    return matches(pattern, name, arguments)


def literal(text: str) -> str:
    """A pattern's part that matches this text alone."""
    return re.sub(r"([\\*?\[:=])", r"\\\1", text)


def check(pattern: str) -> str:
    """The pattern itself.

    Raises:
        BadValue: it names no tool.
    """
    if not parse(pattern).tool.strip():
        raise BadValue(f"invalid permission pattern: {json.dumps(pattern, ensure_ascii=False)} names no tool")
    return pattern


def as_text(value: object) -> str:
    """An argument as patterns see it."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@lru_cache(maxsize=1024)
def _expression(glob: str, *, words: bool = False) -> re.Pattern[str]:
    """A glob as a regular expression, to be matched in full.

    Between two `*` the first place that fits is taken, for good: it finds all that any other would,
    and keeps the time linear.  With `words` a last `*` begins at the end of a word.
    """
    pieces = [""]
    for piece in _tokens(glob):
        if piece == "*":
            pieces.append("")
        else:
            pieces[-1] += piece
    first, *rest = pieces
    if not rest:
        return re.compile(first, re.IGNORECASE | re.DOTALL)
    ending = r".*" + rest[-1]
    if words and not rest[-1]:
        ending = r"(?:(?<=\s).*|\s.*)?"
        if len(rest) > 1:
            ending = r".*" + rest[-2] + ending
            rest = rest[:-1]
    middle = "".join(f"(?>.*?{piece})" for piece in rest[:-1])
    return re.compile(first + middle + ending, re.IGNORECASE | re.DOTALL)


def _tokens(glob: str) -> Iterator[str]:
    at = 0
    while at < len(glob):
        char = glob[at]
        at += 1
        if char == "*":
            yield "*"
        elif char == "?":
            yield "."
        elif char == "\\" and at < len(glob):
            yield re.escape(glob[at])
            at += 1
        elif char == "[" and (end := glob.find("]", at + (2 if glob[at : at + 1] in ("!", "^") else 1))) > 0:
            yield _class(glob[at:end])
            at = end + 1
        else:
            yield re.escape(char)


def _class(body: str) -> str:
    """`[...]`, `[!...]`: a class that is no class (`[z-a]`) stands for its own characters."""
    negated = body[:1] in ("!", "^")
    inner = body[1:] if negated else body
    escaped = re.sub(r"([\\\[\]^&~|])", r"\\\1", inner)
    expression = f"[{'^' if negated else ''}{escaped}]"
    try:
        re.compile(expression)
    except re.error:
        return re.escape(f"[{body}]")
    return expression
