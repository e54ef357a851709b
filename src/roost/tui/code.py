"""Program text in colours."""

from functools import lru_cache
from typing import Any

from rich.style import Style
from rich.syntax import Syntax, SyntaxTheme

from roost.tui.clean import clean
from roost.tui.ink import Line, Run, length, split, wrap
from roost.tui.palette import Palette

LONGEST = 20_000  # characters that are coloured
ALIASES = {"sh": "bash", "shell": "bash", "console": "bash", "py": "python", "js": "javascript", "ts": "typescript"}


class _Colours(SyntaxTheme):
    """A palette, asked by kinds of words."""

    def __init__(self, palette: Palette) -> None:
        self._palette = palette
        self._ground = Style(bgcolor=palette.block.bgcolor)

    def get_style_for_token(self, token_type: Any) -> Style:
        parts = str(token_type).removeprefix("Token.").split(".")
        while parts:
            if (found := self._palette.syntax.get(".".join(parts))) is not None:
                return found
            parts.pop()
        return self._palette.text

    def get_background_style(self) -> Style:
        return self._ground


def runs(text: str, language: str, palette: Palette) -> list[Run]:
    """Clean text of a language, in colours where it is known."""
    if not language or len(text) > LONGEST:
        return [(text, palette.text)]
    return _coloured(text, ALIASES.get(language.lower(), language.lower()), palette)


@lru_cache(maxsize=256)
def _coloured(text: str, language: str, palette: Palette) -> list[Run]:
    syntax = Syntax(text, language, theme=_Colours(palette))
    if syntax.lexer is None:
        return [(text, palette.text)]
    shown = syntax.highlight(text)
    plain = shown.plain.rstrip("\n")
    found, at = list[Run](), 0
    for span in sorted(shown.spans, key=lambda span: span.start):
        if span.start < at or not isinstance(span.style, Style):
            continue
        if span.start > at:
            found.append((plain[at : span.start], palette.text))
        found.append((plain[span.start : span.end], span.style))
        at = span.end
    found.append((plain[at:], palette.text))
    return [run for run in found if run[0]]


def block(text: str, language: str, cells: int, palette: Palette) -> list[Line]:
    """A block of code on its own ground, as wide as there is room; long lines go on in the next one."""
    ground = Style(bgcolor=palette.block.bgcolor)
    inner, found = max(1, cells - 2), list[Line]()
    for line in split(runs(clean(text), language, palette)):
        for piece in wrap(line, inner) if line else [[]]:
            left = inner - length(piece) + 1
            found.append([(" ", ground), *((part, style + ground) for part, style in piece), (" " * left, ground)])
    return found
