"""The call that a person is asked about, as it is to be looked at: a command, a diff, or arguments."""

import difflib
import json
import shlex
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from roost.core import toolkinds
from roost.tui.choices import parsed
from roost.tui.parts import Wait

Ink = Literal["", "command", "add", "remove", "place", "name", "faint"]

MOST = 2000  # lines that are shown
WIDEST = 1000  # characters of a line: what is left of it stands on the next

_BEFORE = ("oldText", "old_string", "old_str", "old_text", "old")
_AFTER = ("newText", "new_string", "new_str", "new_text", "new")
_PATHS = ("path", "file_path", "file")
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp", "Zs"})
_BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_JOINERS = "\u200d\ufe0f"
_WHY = {"tool_guard": "a hook wants you asked", "lost": "a crash cut it off: it may have run already"}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of it, and how it is drawn."""

    text: str
    ink: Ink = ""


def of(wait: Wait) -> list[Line]:
    """What exactly would run: of the arguments none is left out, whatever else they look like."""
    given = parsed(wait.arguments)
    if not given:
        whole = wait.arguments.strip()
        return _bounded([Line(line) for line in whole.split("\n")] if whole not in ("", "{}") else [])
    named = next((name for name in ("cmd", "command", "script") if isinstance(given.get(name), str | list)), None)
    if named is not None:
        return _bounded([*_command(given[named]), *_named(given, (named,))])
    lines, shown = _diff(given)
    if lines:
        return _bounded([*lines, *_named(given, shown)])
    if toolkinds.kind(wait.tool) == "file_write" and isinstance(given.get("content"), str):
        rest = _named(given, ("content",))
        return _bounded([*rest, *(Line(f"+ {line}", "add") for line in _lines(given["content"]))])
    return _bounded(_named(given, ()))


def why(wait: Wait) -> str:
    """Why it asks, as far as the server says."""
    known = wait.metadata
    if known.get("lost"):  # what the call may have done counts, not what it is judged to do
        return str(known.get("reason") or "")
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
    text = command if isinstance(command, str) else shlex.join(str(word) for word in command)
    first, *rest = text.split("\n")
    return [Line(f"$ {first}", "command"), *(Line(f"  {line}", "command") for line in rest)]


def _diff(given: Mapping[str, Any]) -> tuple[list[Line], tuple[str, ...]]:
    """What an edit takes away and puts there, and the arguments that this shows whole."""
    edits = given.get("edits")
    listed = isinstance(edits, list) and bool(edits) and all(isinstance(one, Mapping) for one in edits)
    found: Sequence[Mapping[str, Any]] = edits if listed and edits else [given]
    pairs = [(_first(one, _BEFORE), _first(one, _AFTER)) for one in found]
    if not any(before or after for before, after in pairs):
        return _patch(given)
    path = _first(given, _PATHS)
    lines = [Line(given[path], "place")] if path else []
    lines += _parts(found, pairs)
    if not listed:
        return lines, (path, *pairs[0])
    whole = all(set(one) <= set(pair) for one, pair in zip(found, pairs, strict=True))
    return lines, (path, "edits") if whole else (path,)


def _parts(edits: Sequence[Mapping[str, Any]], pairs: Sequence[tuple[str, str]]) -> Iterator[Line]:
    for number, (one, (before, after)) in enumerate(zip(edits, pairs, strict=True)):
        if number:
            yield Line("⋯", "faint")
        yield from _changes(one[before] if before else "", one[after] if after else "")


def _first(given: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """The first of these arguments that is a text; "" where none is."""
    return next((name for name in names if isinstance(given.get(name), str)), "")


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _changes(before: str, after: str) -> Iterator[Line]:
    inks: Mapping[str, Ink] = {"+": "add", "-": "remove", "@": "faint"}
    found = difflib.unified_diff(_lines(before), _lines(after), lineterm="", n=2)
    for line in list(found)[3:]:
        yield Line(f"{line[0]} {line[1:]}" if line[0] in "+- " else "⋯", inks.get(line[0], ""))


def _patch(given: Mapping[str, Any]) -> tuple[list[Line], tuple[str, ...]]:
    name = _first(given, ("patch", "diff", "unified_diff"))
    if not name:
        return [], ()
    inks: Mapping[str, Ink] = {"+": "add", "-": "remove", "@": "faint"}
    lines = [
        Line(line, "place" if line.startswith(("+++", "---", "***")) else inks.get(line[:1], ""))
        for line in _lines(given[name])
    ]
    return lines, (name,)


def _named(given: Mapping[str, Any], without: tuple[str, ...]) -> list[Line]:
    """Arguments, one under the other; long ones below their names."""
    lines: list[Line] = []
    for name, value in given.items():
        if name in without:
            continue
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
        first, *rest = text.split("\n")
        if not rest:
            lines.append(Line(f"{name}: {first}", "name"))
        else:
            lines += [Line(f"{name}:", "name"), *(Line(f"  {line}") for line in (first, *rest))]
    return lines


def _bounded(lines: list[Line]) -> list[Line]:
    pieces = [piece for line in lines[:MOST] for piece in _pieces(line)]
    shown = [Line(clean(piece.text), piece.ink) for piece in pieces[:MOST]]
    if left := max(len(lines), len(pieces)) - len(shown):
        shown.append(Line(f"⚠ {left} more lines are not shown: `roost approvals --json` has them", "remove"))
    return shown


def _pieces(line: Line) -> Iterator[Line]:
    for start in range(0, max(len(line.text), 1), WIDEST):
        yield Line(line.text[start : start + WIDEST], line.ink)


def clean(text: str) -> str:
    """A line as it is, and nothing in it unseen: what has no picture is there by its number."""
    if text.isascii() and text.isprintable():
        return text
    drawn = text.expandtabs(4)
    return "".join(_picture(char, before) for before, char in zip("\0" + drawn, drawn, strict=False))


def _picture(char: str, before: str) -> str:
    code = ord(char)
    if code < 32 or code == 127:
        return chr(0x2400 + code) if code < 32 else "\N{SYMBOL FOR DELETE}"
    if code < 127 or (char in _JOINERS and ord(before) >= 0x2000):
        return char  # a joiner behind a picture makes another picture
    odd = (
        char in _BLANKS
        or 0xFE00 <= code <= 0xFE0F
        or 0xE0000 <= code <= 0xE0FFF
        or unicodedata.category(char) in _UNSEEN
    )
    return f"⟨U+{code:04X}⟩" if odd else char
