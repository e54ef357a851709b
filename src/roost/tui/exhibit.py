"""The call that a person is asked about, as it is to be looked at: a command, a diff, or arguments."""

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from roost.core import toolkinds
from roost.tui.choices import parsed
from roost.tui.parts import Wait

Ink = Literal["", "command", "add", "remove", "place", "name", "faint"]

MOST = 400  # lines that are shown
WIDEST = 2000  # characters of a line

_BEFORE = ("oldText", "old_string", "old_str", "old_text", "old")
_AFTER = ("newText", "new_string", "new_str", "new_text", "new")
_WHY = {"tool_guard": "a hook wants you asked", "lost": "a crash cut it off: it may have run already"}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of it, and how it is drawn."""

    text: str
    ink: Ink = ""


def of(wait: Wait) -> list[Line]:
    """What exactly would run."""
    given = parsed(wait.arguments)
    if not given:
        whole = wait.arguments.strip()
        return _bounded([Line(line) for line in whole.splitlines()] if whole not in ("", "{}") else [])
    command = next((given[name] for name in ("cmd", "command", "script") if name in given), None)
    if isinstance(command, str | list):
        return _bounded([*_command(command), *_named(given, ("cmd", "command", "script"))])
    if diff := _diff(given):
        return _bounded(diff)
    if toolkinds.kind(wait.tool) == "file_write" and isinstance(given.get("content"), str):
        rest = _named(given, ("content",))
        return _bounded([*rest, *(Line(f"+ {line}", "add") for line in given["content"].splitlines())])
    return _bounded(_named(given, ()))


def why(wait: Wait) -> str:
    """Why it asks, as far as the server says."""
    known = wait.metadata
    label, radius = str(known.get("safety_label") or ""), str(known.get("blast_radius") or "")
    said = [f"{label} ({radius} impact)" if label and radius else label, str(known.get("reason") or "")]
    if known.get("tools"):
        said.append(f"the script names {known['tools']}")
    return ": ".join(part for part in said if part)


def alarming(wait: Wait) -> bool:
    """Whether the call is judged to destroy something."""
    return wait.metadata.get("safety_label") == "destructive"


def host(url: str) -> str:
    """Where an address leads: what stands between `//` and the path, behind any name and password."""
    _, _, rest = url.partition("://")
    place = rest.replace("\\", "/").split("/")[0].split("?")[0].split("#")[0]
    return place.rpartition("@")[2]


def _command(command: str | list[Any]) -> list[Line]:
    text = command if isinstance(command, str) else " ".join(str(word) for word in command)
    lines = text.splitlines() or [""]
    return [Line(f"$ {lines[0]}", "command"), *(Line(f"  {line}", "command") for line in lines[1:])]


def _diff(given: Mapping[str, Any]) -> list[Line]:
    """What an edit takes away and puts there."""
    edits = given.get("edits")
    found = [one for one in edits if isinstance(one, Mapping)] if isinstance(edits, list) else [given]
    pairs = [(_first(one, _BEFORE), _first(one, _AFTER)) for one in found]
    pairs = [pair for pair in pairs if any(pair)]
    if not pairs:
        return _patch(given)
    path = _first(given, ("path", "file_path", "file"))
    lines = [Line(path, "place")] if path else []
    for number, (before, after) in enumerate(pairs):
        if number:
            lines.append(Line("⋯", "faint"))
        lines += _changes(before, after)
    return lines


def _first(given: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((value for name in names if isinstance(value := given.get(name), str)), "")


def _changes(before: str, after: str) -> Iterator[Line]:
    inks: Mapping[str, Ink] = {"+": "add", "-": "remove", "@": "faint"}
    found = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2)
    for line in list(found)[3:]:
        yield Line(f"{line[0]} {line[1:]}" if line[0] in "+- " else "⋯", inks.get(line[0], ""))


def _patch(given: Mapping[str, Any]) -> list[Line]:
    text = _first(given, ("patch", "diff", "unified_diff"))
    inks: Mapping[str, Ink] = {"+": "add", "-": "remove", "@": "faint"}
    return [
        Line(line, "place" if line.startswith(("+++", "---", "***")) else inks.get(line[:1], ""))
        for line in text.splitlines()
    ]


def _named(given: Mapping[str, Any], without: tuple[str, ...]) -> list[Line]:
    """Arguments, one under the other; long ones below their names."""
    lines: list[Line] = []
    for name, value in given.items():
        if name in without:
            continue
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
        first, *rest = text.splitlines() or [""]
        if not rest:
            lines.append(Line(f"{name}: {first}", "name"))
        else:
            lines += [Line(f"{name}:", "name"), *(Line(f"  {line}") for line in (first, *rest))]
    return lines


def _bounded(lines: list[Line]) -> list[Line]:
    shown = [Line(clean(line.text), line.ink) for line in lines[:MOST]]
    if len(lines) > MOST:
        shown.append(Line(f"… {len(lines) - MOST} more lines", "faint"))
    return shown


def clean(text: str) -> str:
    """What a terminal can't take for orders: control characters as their pictures."""
    cut = text if len(text) <= WIDEST else f"{text[:WIDEST]}… ({len(text) - WIDEST} more characters)"
    drawn = cut.expandtabs(4)
    return "".join(_picture(char) for char in drawn)


def _picture(char: str) -> str:
    code = ord(char)
    if code < 32:
        return chr(0x2400 + code)
    if (
        code == 127
        or 128 <= code < 160
        or code in (0x200E, 0x200F)
        or 0x202A <= code <= 0x202E
        or 0x2066 <= code <= 0x2069
    ):
        return "\N{REPLACEMENT CHARACTER}"
    return char
