"""A terminal's screen as a picture: SVG in its colours, each row a line of text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape, unescape
from itertools import groupby

from rich.cells import cell_len
from rich.color import Color
from rich.style import Style
from rich.text import Text

CELL, ROW, EDGE, SIZE = 8.4, 19, 16, 14  # pixels
BLACK, WHITE = "#121212", "#e0e0e0"  # what a terminal has where nothing is said
FONT = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"


Cell = tuple[str, Style]


@dataclass(frozen=True)
class Piece:
    """Some cells of a row in one style."""

    at: int
    text: str
    ink: str
    ground: str
    weight: str = ""

    @property
    def width(self) -> int:
        return cell_len(self.text)


def draw(painted: str) -> str:
    """The picture of a screen as tmux captures it with its escapes."""
    lines = [list(_cells(line)) for line in Text.from_ansi(painted.rstrip("\n")).split("\n", allow_blank=True)]
    ground = _colours(lines[-1][0][1])[1] if lines[-1] else BLACK
    rows = [list(_pieces(line, ground)) for line in lines]
    width = max((piece.at + piece.width for row in rows for piece in row), default=0) * CELL + 2 * EDGE
    height = len(rows) * ROW + 2 * EDGE
    body = [element for number, row in enumerate(rows) for element in _row(number, row)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" font-size="{SIZE}"'
            f' font-family="{FONT}">',
            "<style>.b{font-weight:bold}.i{font-style:italic}.u{text-decoration:underline}</style>",
            f'<rect width="100%" height="100%" rx="8" fill="{ground}"/>',
            *body,
            "</svg>\n",
        ]
    )


def text(drawing: str) -> str:
    """What stands in a picture, as a screen."""
    rows: dict[int, str] = {}
    for place, y, words in re.findall(r'<text x="([\d.]+)" y="(\d+)"[^>]*>([^<]*)</text>', drawing):
        number, at = (int(y) - EDGE) // ROW, round((float(place) - EDGE) / CELL)
        before = rows.get(number, "")
        rows[number] = before + " " * (at - cell_len(before)) + unescape(words)
    return "\n".join(rows.get(number, "").rstrip() for number in range(max(rows, default=-1) + 1))


def _row(number: int, row: list[Piece]) -> Iterator[str]:
    top = EDGE + number * ROW
    for piece in row:
        if piece.ground:
            yield (
                f'<rect x="{_x(piece.at)}" y="{top}" width="{piece.width * CELL:.1f}" height="{ROW}"'
                f' fill="{piece.ground}"/>'
            )
    for piece in row:
        style = f' class="{piece.weight}"' if piece.weight else ""
        for found in re.finditer(r"\S+(?: \S+)*", piece.text):  # several blanks would be drawn as one
            words, at = found[0], piece.at + cell_len(piece.text[: found.start()])
            yield (
                f'<text x="{_x(at)}" y="{top + SIZE}" textLength="{cell_len(words) * CELL:.1f}"'
                f' fill="{piece.ink}"{style}>{escape(words, quote=False)}</text>'
            )


def _x(at: int) -> str:
    return f"{EDGE + at * CELL:.1f}"


def _pieces(line: list[Cell], everywhere: str) -> Iterator[Piece]:
    at = 0
    for style, cells in groupby(line, key=lambda cell: cell[1]):
        words = "".join(character for character, _ in cells)
        ink, ground = _colours(style)
        weight = " ".join(name for name, on in (("b", style.bold), ("i", style.italic), ("u", style.underline)) if on)
        yield Piece(at, words, ink, "" if ground == everywhere else ground, weight)
        at += cell_len(words)


def _cells(row: Text) -> Iterator[Cell]:
    styles = [Style.null()] * len(row.plain)
    for span in row.spans:
        for at in range(span.start, min(span.end, len(styles))):
            styles[at] += Style.parse(span.style) if isinstance(span.style, str) else span.style
    yield from zip(row.plain, styles, strict=True)


def _colours(style: Style) -> tuple[str, str]:
    ink, ground = _hex(style.color, WHITE), _hex(style.bgcolor, BLACK)
    if style.reverse:
        ink, ground = ground, ink
    return (_between(ink, ground) if style.dim else ink), ground


def _hex(color: Color | None, otherwise: str) -> str:
    return otherwise if color is None or color.is_default else color.get_truecolor().hex


def _between(ink: str, ground: str) -> str:
    pairs = zip(bytes.fromhex(ink[1:]), bytes.fromhex(ground[1:]), strict=True)
    return "#" + "".join(f"{(2 * one + other) // 3:02x}" for one, other in pairs)
