"""Output of programs: their colours are kept, whatever else they send to a terminal is not."""

import re
from dataclasses import dataclass, replace

from rich.color import Color
from rich.style import Style

from roost.tui.clean import clean
from roost.tui.ink import Run

_COLOURS = re.compile(r"\x1b\[([0-9;:]*)m")
_FLAGS = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse", 9: "strike"}
_OFF = {22: ("bold", "dim"), 23: ("italic",), 24: ("underline",), 27: ("reverse",), 29: ("strike",)}


@dataclass(frozen=True, slots=True)
class _Pen:
    color: Color | None = None
    bgcolor: Color | None = None
    flags: frozenset[str] = frozenset()

    def style(self, base: Style) -> Style:
        if self == _PLAIN:
            return base
        return base + Style(color=self.color, bgcolor=self.bgcolor, **dict.fromkeys(self.flags, True))  # type: ignore[arg-type]


_PLAIN = _Pen()


def runs(text: str, base: Style) -> list[Run]:
    """A program's output as styled text; it may have line breaks."""
    if "\x1b" not in text:
        return [(clean(text), base)]
    if "\r" in text:
        text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    found, pen, at = list[Run](), _PLAIN, 0
    for match in _COLOURS.finditer(text):
        if piece := clean(text[at : match.start()]):
            found.append((piece, pen.style(base)))
        pen, at = _turned(pen, match[1]), match.end()
    if piece := clean(text[at:]):
        found.append((piece, pen.style(base)))
    return found


def _turned(pen: _Pen, codes: str) -> _Pen:
    numbers = [int(code) if code.isdecimal() and len(code) < 4 else 0 for code in re.split("[;:]", codes)]
    while numbers:
        code = numbers.pop(0)
        if code in (38, 48):
            colour = _extended(numbers)
            pen = replace(pen, color=colour) if code == 38 else replace(pen, bgcolor=colour)
        else:
            pen = _simple(pen, code)
    return pen


def _simple(pen: _Pen, code: int) -> _Pen:
    if code == 0:
        return _PLAIN
    if code in _FLAGS:
        return replace(pen, flags=pen.flags | {_FLAGS[code]})
    if code in _OFF:
        return replace(pen, flags=pen.flags.difference(_OFF[code]))
    for first, last, start in ((30, 37, 0), (90, 97, 8)):
        if first <= code <= last:
            return replace(pen, color=Color.from_ansi(code - first + start))
        if first + 10 <= code <= last + 10:
            return replace(pen, bgcolor=Color.from_ansi(code - first - 10 + start))
    if code == 39:
        return replace(pen, color=None)
    return replace(pen, bgcolor=None) if code == 49 else pen


def _extended(numbers: list[int]) -> Color | None:
    """The colour that 38 or 48 introduces; takes what it reads."""
    kind = numbers.pop(0) if numbers else 0
    if kind == 5 and numbers:
        return Color.from_ansi(min(numbers.pop(0), 255))
    if kind == 2 and len(numbers) >= 3:
        red, green, blue = (min(numbers.pop(0), 255) for _ in range(3))
        return Color.from_rgb(red, green, blue)
    return None
