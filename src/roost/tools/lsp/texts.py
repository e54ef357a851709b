"""A file's text by lines: positions in it as people count them and as language servers do, and edits of it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from roost.tools.tool import Refused

_LINE_END = re.compile(r"\r\n|\n|\r")


class Text:
    """A text, for a server that counts characters in this encoding: utf-8, utf-16 or utf-32."""

    def __init__(self, text: str, encoding: str) -> None:
        self.text = text
        self._encoding = encoding
        ends = [(match.start(), match.end()) for match in _LINE_END.finditer(text)]
        self._starts = [0, *(end for _, end in ends)]
        self._stops = [*(start for start, _ in ends), len(text)]

    @property
    def count(self) -> int:
        """How many lines there are."""
        return len(self._starts)

    def line(self, number: int) -> str:
        """The line of this number, from 0, without its end; "" where there is none."""
        return self.text[self._starts[number] : self._stops[number]] if 0 <= number < self.count else ""

    def position(self, line: int, character: int) -> dict[str, int]:
        """The server's position for a line and a character, both from 1.

        Raises:
            Refused: there is no such line.
        """
        if line > self.count:
            raise Refused(f"there is no line {line}: the file has {self.count} lines")
        before = self.line(line - 1)[: character - 1]
        return {"line": line - 1, "character": _units(before, self._encoding)}

    def whole(self, first: int, last: int) -> dict[str, Any]:
        """The server's range of these lines, from 1."""
        end = min(last, self.count)
        stop = self.position(end, len(self.line(end - 1)) + 1)
        return {"start": self.position(min(first, end), 1), "end": stop}

    def shown(self, position: Any) -> tuple[int, int]:
        """Line and character, from 1, of the server's position."""
        line, units = _numbers(position)
        return line + 1, _points(self.line(line), units, self._encoding) + 1

    def offset(self, position: Any) -> int:
        """Where the server's position is in the text; past the end of a line is its end.

        Raises:
            Refused: there is no such line.
        """
        line, units = _numbers(position)
        if line == self.count and not units:
            return len(self.text)
        if line >= self.count:
            raise Refused(f"the language server wants to edit line {line + 1} of a file with {self.count} lines")
        return self._starts[line] + _points(self.line(line), units, self._encoding)

    def edited(self, edits: Sequence[Any]) -> str:
        """The text after TextEdits; they all mean the text as it is now.

        Raises:
            Refused: they overlap, or are none.
        """
        spans = []
        for edit in edits:
            if not isinstance(edit, Mapping) or not isinstance(edit.get("newText"), str):
                raise Refused("the language server sent an edit without its text")
            bounds = edit.get("range")
            start, end = (self.offset(bounds.get(side) if isinstance(bounds, Mapping) else None) for side in _SIDES)
            spans.append((start, end, edit["newText"]))
        parts, position = [], 0
        for start, end, new in sorted(spans, key=lambda span: span[:2]):
            if start < position or end < start:
                raise Refused("the language server sent edits that overlap")
            parts += [self.text[position:start], new]
            position = end
        return "".join([*parts, self.text[position:]])


_SIDES = ("start", "end")


def _numbers(position: Any) -> tuple[int, int]:
    if isinstance(position, Mapping):
        line, character = position.get("line"), position.get("character")
        if isinstance(line, int) and isinstance(character, int) and line >= 0 and character >= 0:
            return line, character
    raise Refused("the language server sent a position that is none")


def _units(text: str, encoding: str) -> int:
    if encoding == "utf-32" or text.isascii():
        return len(text)
    if encoding == "utf-8":
        return len(text.encode(errors="replace"))
    return len(text) + sum(ord(character) > 0xFFFF for character in text)


def _points(line: str, units: int, encoding: str) -> int:
    """How many characters of a line so many units are."""
    if encoding == "utf-32" or line.isascii():
        return min(units, len(line))
    taken = 0
    for number, character in enumerate(line):
        if taken >= units:
            return number
        taken += _units(character, encoding)
    return len(line)
