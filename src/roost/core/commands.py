"""Slash commands: what a message `/name rest` stands for.

Resolving is pure.  Where a command's text calls tools, `resolve` says which; whoever runs them, under
the rules for tool calls, resolves again with what they returned, until nothing is asked for.
"""

import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from roost.core.events import Command
from roost.core.expressions import Expression, Failed, Scope, as_text, evaluate, parse

_MESSAGE = re.compile(r"/(\S+)(?:\s(.*))?", re.DOTALL)
_BANG = re.compile(r"!([A-Za-z_][\w-]*)\(")
_ARGUMENT = re.compile(
    r"""\s*(?P<name>[A-Za-z_][\w-]*)\s*=\s*(?P<value>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^,)]*?)\s*(?P<end>[,)])""",
    re.DOTALL,
)
_EMPTY = re.compile(r"\s*\)")
_TEMPLATES = re.compile(r"\$\{")
_STARTS = re.compile(r"\$\{|![A-Za-z_]")
MOST: Final = 16  # calls that one command may make


class Request(Struct, frozen=True):
    """A tool that a command's text calls; `arguments` is JSON, as models write it."""

    tool: str
    arguments: str


class Resolved(Struct, frozen=True):
    """What a command stands for.

    `text` is the message for the model, complete when `requests` is empty; `agent` the agent to
    switch to first, or "".
    """

    text: str
    agent: str = ""
    requests: tuple[Request, ...] = ()


def find(text: str, commands: Sequence[Command]) -> tuple[Command, str] | None:
    """The command that a message names, and the rest of the message; None for any other text."""
    match = _MESSAGE.fullmatch(text)
    if match is None:
        return None
    command = next((command for command in commands if command.name == match[1]), None)
    return (command, (match[2] or "").strip()) if command is not None else None


def resolve(
    text: str,
    commands: Sequence[Command],
    *,
    env: Mapping[str, str],
    tools: Collection[str] = (),
    results: Mapping[Request, str] | None = None,
) -> Resolved | None:
    """What a message stands for, or None where it names none of the commands.

    `tools` are the names that the text may call, `results` what such calls returned.  A template that
    can't be evaluated stays as it is.  What comes out of a template or a tool is not read again, so
    that nobody's words become a call.
    """
    found = find(text, commands)
    if found is None or not (found[0].instruction or found[0].agent):
        return None
    command, rest = found
    work = _Work(rest, env, tools, results or {})
    filled = work.fill(command.instruction)
    if rest and not work.used_arguments:
        filled = f"{filled.rstrip()} {rest}" if filled.strip() else rest
    return Resolved(filled, command.agent, tuple(work.requests))


class _Pending(Exception):
    """A tool has to run first."""


class _Work:
    """One pass over a command's text."""

    def __init__(
        self, rest: str, env: Mapping[str, str], tools: Collection[str], results: Mapping[Request, str]
    ) -> None:
        self._tools = tools
        self._results = results
        self._scope = Scope({"env": env, "args": split(rest)}, self._call)
        self.requests: list[Request] = []
        self.used_arguments = False

    def fill(self, text: str, *, bangs: bool = True) -> str:
        """The text with its templates, and its calls of the older form, replaced."""
        parts, position = [], 0
        for start in [match.start() for match in (_STARTS if bangs else _TEMPLATES).finditer(text)]:
            if start < position:
                continue
            try:
                value, end = self._template(text, start) if text[start] == "$" else self._bang(text, start)
            except Failed:
                continue
            parts += [text[position:start], value]
            position = end
        return "".join([*parts, text[position:]])

    def _template(self, text: str, start: int) -> tuple[str, int]:
        expression, end = parse(text, start + 2)
        self.used_arguments = self.used_arguments or mentions(expression, "args")
        try:
            return as_text(evaluate(expression, self._scope)), end
        except _Pending:
            return "", end
        except Failed:
            return text[start:end], end

    def _bang(self, text: str, start: int) -> tuple[str, int]:
        """`!tool(name=value, …)`; values may be quoted, and may hold templates."""
        match = _BANG.match(text, start)
        if match is None or match[1] not in self._tools:
            raise Failed("no call")
        arguments: dict[str, Any] = {}
        position = match.end()
        if empty := _EMPTY.match(text, position):
            return self._answer(match[1], {}), empty.end()
        while argument := _ARGUMENT.match(text, position):
            arguments[argument["name"]] = self._value(argument["value"])
            position = argument.end()
            if argument["end"] == ")":
                return self._answer(match[1], arguments), position
        raise Failed("no call")

    def _value(self, value: str) -> str:
        if len(value) >= 2 and value[0] in "\"'" and value[-1] == value[0]:
            value = re.sub(r"\\(.)", r"\1", value[1:-1], flags=re.DOTALL)
        return self.fill(value, bangs=False)

    def _answer(self, tool: str, arguments: Mapping[str, Any]) -> str:
        try:
            return self._call(tool, arguments)
        except _Pending:
            return ""

    def _call(self, tool: str, arguments: Mapping[str, Any]) -> str:
        """What a tool returned."""
        if tool not in self._tools:
            raise Failed(f"{tool} is not defined")
        request = Request(tool, as_json(arguments))
        if request in self._results:
            return self._results[request]
        if len(self._results) + len(self.requests) >= MOST:
            raise Failed("too many calls")
        if request not in self.requests:
            self.requests.append(request)
        raise _Pending


def as_json(arguments: Mapping[str, Any]) -> str:
    """Arguments as models write them."""
    return msgspec.json.encode(dict(arguments)).decode()


def split(text: str) -> list[str]:
    """Words as a shell splits them; where quotes do not match, at blanks."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def mentions(expression: Expression, name: str) -> bool:
    """Whether an expression uses a name anywhere."""
    if expression == ("name", name):
        return True
    return any(mentions(part, name) for part in expression if isinstance(part, tuple)) or any(
        mentions(tuple(part), name) for part in expression if isinstance(part, list)
    )
