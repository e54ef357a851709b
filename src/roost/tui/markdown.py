"""Markdown as lines for a screen: what models write, in the colours of a palette."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from urllib.parse import quote

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.style import Style

from roost.tui import code
from roost.tui.clean import clean, fit, width
from roost.tui.ink import Line, Run, length, split, wrap
from roost.tui.palette import Palette

DEEPEST = 8  # levels of lists and quotes that are indented
WIDEST = 24  # columns of a table
_SAFE = re.compile(r"^(?:https?://|mailto:)", re.I)
_LOOKS = {"strong_open": Style(bold=True), "em_open": Style(italic=True), "s_open": Style(strike=True)}
_parser = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable(["table", "strikethrough"])
BULLETS = ("•", "◦", "▪")


def lines(text: str, cells: int, palette: Palette) -> list[Line]:
    """A text as lines that fit; text as such where it can't be read as Markdown."""
    try:
        tokens = _parser.parse(clean(text))
    except (ValueError, RecursionError, IndexError):
        return [line for piece in split([(clean(text), palette.text)]) for line in wrap(piece, cells)]
    return _Page(palette, max(cells, 8)).blocks(tokens)


class _Page:
    """Lays blocks one below the other."""

    def __init__(self, palette: Palette, cells: int) -> None:
        self.palette = palette
        self.cells = cells
        self.out: list[Line] = []
        self.marks: list[tuple[Line, Line]] = []  # before the first line of what comes, and before each further one
        self.lists: list[int | None] = []  # of each list that is open: the number of its next item, None for bullets

    def blocks(self, tokens: Sequence[Token]) -> list[Line]:
        at = 0
        while at < len(tokens):
            token = tokens[at]
            match token.type:
                case "heading_open":
                    self._gap()
                    self._put(self._spans(tokens[at + 1], self.palette.heading))
                case "paragraph_open":
                    self._gap(tight=token.hidden)
                    self._put(self._spans(tokens[at + 1], self.palette.text))
                case "fence" | "code_block":
                    self._gap()
                    self._code(token)
                case "hr":
                    self._gap()
                    self._put([("─" * min(self._room(), 40), self.palette.faint)])
                case "table_open":
                    end = next(i for i in range(at, len(tokens)) if tokens[i].type == "table_close")
                    self._gap()
                    self._table(tokens[at:end])
                    at = end
                case "html_block":
                    self._gap()
                    self._put([(clean(token.content.rstrip()), self.palette.text)])
                case _:
                    self._nest(token)
            at += 1
        return self.out

    def _nest(self, token: Token) -> None:
        """Lists and quotes: what is inside is indented behind a mark."""
        palette = self.palette
        match token.type:
            case "bullet_list_open" | "ordered_list_open":
                self._gap(tight=bool(self.lists))
                start = token.attrGet("start")
                self.lists.append(None if token.type.startswith("bullet") else int(start) if start is not None else 1)
            case "bullet_list_close" | "ordered_list_close":
                self.lists.pop()
            case "list_item_open":
                number = self.lists[-1]
                if number is not None:
                    self.lists[-1] = number + 1
                bullet = f"{number}. " if number is not None else f"{BULLETS[(len(self.lists) - 1) % 3]} "
                self._push([(bullet, palette.muted)], [(" " * width(bullet), palette.text)])
            case "blockquote_open":
                self._gap()
                self._push([("▏ ", palette.faint)], [("▏ ", palette.faint)])
            case "list_item_close" | "blockquote_close":
                if self._begins():
                    self.out.append(self._lead())
                self.marks.pop()

    def _push(self, first: Line, rest: Line) -> None:
        deep = len(self.marks) >= DEEPEST
        self.marks.append(([], []) if deep else (first, rest))

    def _gap(self, *, tight: bool = False) -> None:
        if self.out and not tight and not self._begins():
            self.out.append([run for _, rest in self.marks for run in rest])

    def _begins(self) -> bool:
        """Whether nothing stands behind the newest mark yet."""
        return bool(self.marks) and self.marks[-1][0] is not self.marks[-1][1] and bool(self.marks[-1][0])

    def _lead(self) -> Line:
        """What stands before the next line; the mark of an item stands before its first line alone."""
        found: Line = []
        for at, (first, rest) in enumerate(self.marks):
            found += first
            self.marks[at] = (rest, rest)
        return found

    def _room(self) -> int:
        return max(8, self.cells - sum(length(rest) for _, rest in self.marks))

    def _put(self, runs: Iterable[Run]) -> None:
        room = self._room()
        for piece in split(runs):
            for line in wrap(piece, room) if piece else [[]]:
                self.out.append([*self._lead(), *line])

    def _code(self, token: Token) -> None:
        language = token.info.strip().split(" ")[0] if token.info else ""
        room = self._room()
        for line in code.block(token.content.rstrip("\n"), language, room, self.palette):
            self.out.append([*self._lead(), *line])

    # -- text -----------------------------------------------------------------------------------

    def _spans(self, token: Token, base: Style) -> list[Run]:
        palette, stack, runs = self.palette, [base], list[Run]()
        href: list[str] = []
        for child in token.children or ():
            match child.type:
                case "code_inline":
                    runs.append((clean(child.content), stack[-1] + palette.code))
                case "softbreak":
                    runs.append((" ", stack[-1]))
                case "hardbreak":
                    runs.append(("\n", stack[-1]))
                case "strong_open" | "em_open" | "s_open":
                    stack.append(stack[-1] + _LOOKS[child.type])
                case "link_open":
                    href.append(str(child.attrGet("href") or ""))
                    stack.append(stack[-1] + linked(href[-1], palette))
                case "link_close":
                    stack.pop()
                    runs += _address(href.pop(), runs, palette)
                case "strong_close" | "em_close" | "s_close":
                    stack.pop()
                case "image":
                    source = str(child.attrGet("src") or "")
                    runs.append((f"[{clean(child.content) or 'image'}]", stack[-1] + linked(source, palette)))
                case _:
                    runs.append((clean(child.content), stack[-1]))
        return runs

    # -- tables ---------------------------------------------------------------------------------

    def _table(self, tokens: Sequence[Token]) -> None:
        rows = list(_rows(tokens))
        if not rows:
            return
        palette, count = self.palette, min(max(len(row) for row in rows), WIDEST)
        cells = [
            [self._spans(token, palette.strong if at == 0 else palette.text) for token in row[:count]]
            for at, row in enumerate(rows)
        ]
        widths = _widths(cells, count, self._room())
        for at, row in enumerate(cells):
            self._row(row, widths)
            if at == 0:
                rule = "─┼─".join("─" * wide for wide in widths)
                self.out.append([*self._lead(), (rule, palette.faint)])

    def _row(self, row: list[list[Run]], widths: Sequence[int]) -> None:
        wrapped = [
            [line for piece in split(cell) for line in wrap(piece, wide)]
            for cell, wide in zip([*row, *[[]] * (len(widths) - len(row))], widths, strict=True)
        ]
        for at in range(max(map(len, wrapped), default=0)):
            line = self._lead()
            for column, (cell, wide) in enumerate(zip(wrapped, widths, strict=True)):
                if column:
                    line.append((" │ ", self.palette.faint))
                piece = cell[at] if at < len(cell) else []
                line += [*piece, (" " * (wide - length(piece)), self.palette.text)]
            self.out.append(line)


def _rows(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    row: list[Token] = []
    for token in tokens:
        if token.type == "tr_open":
            row = []
        elif token.type == "inline":
            row.append(token)
        elif token.type == "tr_close":
            yield row


def _widths(rows: Sequence[Sequence[Sequence[Run]]], count: int, room: int) -> list[int]:
    """As wide as the cells want, as long as there is room; then the widest give way."""
    wanted = [max((length(row[at]) for row in rows if at < len(row)), default=1) or 1 for at in range(count)]
    room = max(count * 3, room - 3 * (count - 1))
    while sum(wanted) > room:
        widest = max(wanted)
        second = max((wide for wide in wanted if wide < widest), default=3)
        share = [at for at, wide in enumerate(wanted) if wide == widest]
        over = sum(wanted) - room
        target = max(3, second, widest - -(-over // len(share)))
        if target >= widest:
            break
        for at in share:
            wanted[at] = target
    return wanted


def linked(url: str, palette: Palette) -> Style:
    """The style of a link; only addresses that a browser may open lead anywhere."""
    return palette.link + Style(link=address(url)) if _SAFE.match(url) else palette.link


@lru_cache(maxsize=512)
def address(url: str) -> str:
    """An address that holds nothing but what an address may."""
    return quote(url[:2000], safe="%/:?#[]@!$&'()*+,;=-._~")


def _address(url: str, runs: Sequence[Run], palette: Palette) -> list[Run]:
    """Where a link leads, unless its text says so."""
    shown = runs[-1][0] if runs else ""
    bare = re.sub(r"^(https?://|mailto:)", "", url).rstrip("/")
    if not bare or bare in shown or shown.rstrip("/") in url:
        return []
    return [(f" ({fit(clean(url), 60)})", palette.faint)]


# -- what grows -----------------------------------------------------------------------------------

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_REFERENCE = re.compile(r"^ {0,3}\[[^\]\n]+\]:", re.M)


def pieces(text: str) -> tuple[list[str], str, bool]:
    """A text that still grows: the blocks that are whole, the rest, and whether that is within a block of code."""
    done: list[str] = []
    start = at = 0
    fence, blank = "", False
    while (end := text.find("\n", at)) >= 0:
        line = text[at:end]
        if blank and not fence and line.strip() and not line.startswith((" ", "\t")):
            done.append(text[start:at])
            start = at
        fence = _fenced(line, fence)
        blank = not line.strip() and not fence
        at = end + 1
    last = text[at:]
    if blank and not fence and last.strip() and not last.startswith((" ", "\t")):
        done.append(text[start:at])
        start = at
    return done, text[start:], bool(fence)


def _fenced(line: str, fence: str) -> str:
    """The fence of the block of code that goes on after a line; "" for none."""
    if (match := _FENCE.match(line)) is None:
        return fence
    mark = match[1]
    if not fence:
        return mark
    return "" if mark[0] == fence[0] and len(mark) >= len(fence) and not line.strip(" " + mark[0]) else fence


def whole(text: str) -> bool:
    """Whether a text must be read in one piece, since some of it says where links of other parts lead."""
    return bool(_REFERENCE.search(text))
