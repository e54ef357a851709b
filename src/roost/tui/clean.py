"""Text of models and tools as a terminal may have it: no control sequences, no half characters, known widths."""

import re
from functools import lru_cache

from rich.cells import get_character_cell_size

TAB = 4
MARKS = 4  # combining marks on one character

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]?|[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|[ -/]*[0-~]?)"
    r"|\x9b[0-?]*[ -/]*[@-~]?|[\x90\x98\x9d-\x9f][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_HALF = re.compile(r"[\ud800-\udfff]")
_UNSEEN = re.compile(
    "[\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
    "\U0001d173-\U0001d17a\U0001f3fb-\U0001f3ff\U000e0000-\U000e0fff]"
)
"""What has no width of its own, turns the direction, or is drawn as wide as each terminal likes."""
_COMBINING = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_PILES = re.compile(f"({_COMBINING}{{{MARKS}}}){_COMBINING}+")


def clean(text: str) -> str:
    """What of a text can be drawn, on as many lines as it has."""
    if text.isascii() and text.isprintable():
        return text
    text = text.replace("\r\n", "\n")
    if "\x1b" in text or not text.isascii():
        text = _ESCAPES.sub("", text)
    return _drawn(text)


def _drawn(text: str) -> str:
    if "\r" in text:
        text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    if "\x08" in text:
        text = _struck(text)
    if "\t" in text:
        text = text.expandtabs(TAB)
    text = _CONTROLS.sub("", text)
    if not text.isascii():
        text = _PILES.sub(r"\1", _UNSEEN.sub("", _HALF.sub("\ufffd", text)))
    return text


def _struck(text: str) -> str:
    """A text after its backspaces."""
    left: list[str] = []
    for character in text:
        if character != "\x08":
            left.append(character)
        elif left and left[-1] != "\n":
            left.pop()
    return "".join(left)


def plain_line(text: str, limit: int = 400) -> str:
    """The beginning of a text on one line."""
    return " ".join(clean(text[: limit * 2]).split())[:limit]


_size = lru_cache(maxsize=1 << 14)(get_character_cell_size)


def width(text: str) -> int:
    """How many cells a clean text takes."""
    return len(text) if text.isascii() else sum(map(_size, text))


def fit(text: str, cells: int) -> str:
    """As much of a clean text as there is room for; "…" stands for the rest."""
    if width(text) <= cells:
        return text
    return cut(text, cells - 1) + "…" if cells > 0 else ""


def cut(text: str, cells: int) -> str:
    """As much of the beginning of a clean text as there is room for."""
    if text.isascii():
        return text[: max(0, cells)]
    taken = 0
    for at, character in enumerate(text):
        taken += _size(character)
        if taken > cells:
            return text[:at]
    return text


def breaks(text: str, cells: int) -> list[tuple[int, int]]:
    """Where to break a clean line: from and to of each piece that fits; between words where that is possible."""
    cells = max(cells, 1)
    if width(text) <= cells:
        return [(0, len(text))]
    return _ascii_breaks(text, cells) if text.isascii() else _wide_breaks(text, cells)


def _ascii_breaks(text: str, cells: int) -> list[tuple[int, int]]:
    found, start, end = [], 0, len(text)
    while end - start > cells:
        space = text.rfind(" ", start + 1, start + cells + 1)
        if space <= start or not text[start:space].strip():
            found.append((start, start + cells))
            start += cells
            continue
        found.append((start, space))
        start = space + 1
    return [*found, (start, end)]


def _wide_breaks(text: str, cells: int) -> list[tuple[int, int]]:
    found, start, taken, last, at = [], 0, 0, 0, 0
    while at < len(text):
        size = _size(text[at])
        if taken + size > cells and at > start:
            if text[at] == " ":
                found.append((start, at))
                start = at = at + 1
            elif last > start:
                found.append((start, last - 1 if text[last - 1] == " " else last))
                start = at = last
            else:
                found.append((start, at))
                start = at
            taken = last = 0
            continue
        taken += size
        at += 1
        if text[at - 1] == " " or size == 2:
            last = at
    return [*found, (start, len(text))]
