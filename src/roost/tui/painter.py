"""Rows as lines: who speaks, what is done, what came of it."""

import re
from collections.abc import Sequence
from functools import lru_cache

from rich.style import Style

from roost.tui import calls, code, excerpt, markdown
from roost.tui.clean import clean, fit, plain_line
from roost.tui.ink import Line, clip, length, wrap
from roost.tui.palette import Palette
from roost.tui.rows import UNTITLED, Answer, Call, Failure, Nest, Note, Picture, Reasoning, Row, Summary, User

SAID = 40  # lines of a person's message that are shown folded
MOST = 5_000  # lines that are shown of anything
LONGEST = 200_000  # characters at either end of a text that are shown
SOON = 3_000  # characters of a block that still grows up to which its marks are read
THOUGHT = 3  # lines of reasoning that are shown while it comes

_UNDERLINE = re.compile(r"\n[-=]+\s*\Z")  # perhaps a heading's, more likely a list that begins
_BARE = re.compile(r"[*`#]+|(?<!\w)_+|_+(?!\w)")

NOTES = {
    "agent": "⇄",
    "answer": "✎",
    "budget": "$",
    "compaction": "≡",
    "index": "◌",
    "limit": "◷",
    "login": "⚿",
    "model": "◇",
    "plan": "☰",
    "run": "▷",
    "safety": "◈",
    "status": "◌",
    "turn": "■",
    "warning": "▲",
}


class Painter:
    """Paints rows in the colours of a palette."""

    def __init__(self, palette: Palette, *, results: bool = True) -> None:
        self.palette = palette
        self.results = results  # whether calls show what they returned

    def lines(self, row: Row, cells: int, *, opened: bool = False, named: bool = False, hidden: int = 0) -> list[Line]:
        """A row as lines that fit into `cells`.

        `opened` shows what is folded else, `named` says who speaks, `hidden` is how many rows are folded into it.
        """
        cells = max(cells, 12)
        match row:
            case User():
                return self._user(row, cells, opened=opened)
            case Answer():
                return self._named(row, named, cells) + self._answer(row, cells)
            case Reasoning():
                return self._named(row, named, cells) + self._reasoning(row, cells, opened=opened)
            case Call():
                return self._named(row, named, cells) + self._call(row, cells, opened=opened)
            case Nest():
                return [clip(self._nest(row, cells, hidden, opened=opened), cells)]
            case Note():
                return self._note(row, cells, opened=opened)
            case Failure():
                return self._failure(row, cells)
            case Summary():
                return self._summary(row, cells, opened=opened)
        return []

    def _call(self, row: Call, cells: int, *, opened: bool) -> list[Line]:
        return calls.lines(row, cells, self.palette, opened=opened, results=self.results)

    # -- people ---------------------------------------------------------------------------------

    def _user(self, row: User, cells: int, *, opened: bool) -> list[Line]:
        palette = self.palette
        waits = row.state in ("queued", "sent")
        bar = palette.faint if waits else palette.accent
        ground = Style(bgcolor=palette.said.bgcolor)
        words = palette.muted + ground if waits or row.state == "dropped" else palette.said
        shown = excerpt.head(row.words, MOST if opened else SAID)
        lines: list[Line] = []
        for line in shown.lines if row.words or not row.pictures else ():
            lines += wrap([(clean(line), words)], cells - 3)
        lines += [[(self._picture(picture), palette.muted + ground)] for picture in row.pictures]
        for told in filter(None, (f"… {shown.told}" if shown.told else "", _waits(row))):
            lines.append([(fit(told, cells - 3), palette.muted + ground)])
        filled = [[*line, (" " * (cells - 2 - length(line)), ground)] for line in lines or [[]]]
        return [[("▌", bar), (" ", ground), *line] for line in filled]

    def _picture(self, picture: Picture) -> str:
        size = f" · {_bytes(picture.size)}" if picture.size else ""
        return f"▣ {plain_line(picture.name, 80)}{size}"

    # -- models ---------------------------------------------------------------------------------

    def _named(self, row: Row, named: bool, cells: int) -> list[Line]:
        if not named or not row.agent:
            return []
        return [
            [
                ("● ", self.palette.hue(row.agent)),
                (fit(plain_line(row.agent, 60), cells - 2), _bold(self.palette.hue(row.agent))),
            ]
        ]

    def _answer(self, row: Answer, cells: int) -> list[Line]:
        lines = prose(row.words, cells, self.palette, growing=row.streaming)
        if row.partial:
            lines.append([("■ cut off here", self.palette.warn)])
        return lines

    def _reasoning(self, row: Reasoning, cells: int, *, opened: bool) -> list[Line]:
        palette = self.palette
        words = palette.muted + Style(italic=True)
        if opened:
            body = prose(row.words, cells - 2, palette, growing=row.streaming)
            return [
                [("✻ ", palette.faint), ("Thinking …" if row.streaming else "Thought", palette.muted)],
                *([("│ ", palette.faint), *((text, style + words) for text, style in line)] for line in body),
            ]
        if row.streaming:
            lines = [
                piece
                for line in excerpt.tail(row.words.rstrip(), THOUGHT).lines
                for piece in _wrapped(line, words, cells - 2)
            ]
            return [
                [
                    (
                        "✻ ",
                        palette.accent,
                    ),
                    ("Thinking …", palette.muted),
                ],
                *([("  ", words), *line] for line in lines[-THOUGHT:]),
            ]
        first = plain_line(_BARE.sub("", row.words.strip().partition("\n")[0]), cells)
        return [
            [
                ("✻ ", palette.faint),
                ("Thought ", palette.muted),
                (fit(first, max(0, cells - 10)), palette.faint + Style(italic=True)),
            ]
        ]

    # -- what is between ------------------------------------------------------------------------

    def _nest(self, row: Nest, cells: int, hidden: int, *, opened: bool) -> Line:
        palette, hue = self.palette, self.palette.hue(row.agent)
        sign, style = _STATES.get(row.state, ("", ""))
        title = "" if row.title in ("", UNTITLED) else f" · {plain_line(row.title, 200)}"
        folded = f"  {hidden} folded" if hidden else ""
        name = plain_line(row.agent or "sub-agent", 40)
        room = cells - length([("╭ ", hue), (name, hue), (folded, hue)]) - 3
        return [
            ("▸ " if hidden else "╭ ", hue),
            (name, _bold(hue)),
            (fit(title, room), palette.muted),
            (f" {sign}" if sign else "", getattr(palette, style) if style else palette.muted),
            (folded, palette.faint),
        ]

    def _note(self, row: Note, cells: int, *, opened: bool) -> list[Line]:
        palette = self.palette
        tone = {"warn": palette.warn, "error": palette.bad, "debug": palette.faint}.get(row.level, palette.muted)
        sign = NOTES.get(row.kind, {"warn": "▲", "error": "✗"}.get(row.level, "·"))
        if row.kind == "plan":
            body = prose(row.words, cells - 2, palette)
            return [
                [(f"{sign} ", palette.accent), ("Plan", palette.strong)],
                *([("  ", palette.text), *line] for line in body),
            ]
        if row.kind == "stderr":
            shown = excerpt.tail(row.words, MOST if opened else 4)
            lines = [piece for line in shown.lines for piece in _wrapped(line, palette.muted, cells - 2)]
            told: list[Line] = [[(f"… {shown.told} of stderr", palette.faint)]] if shown.told else []
            return [[("╎ ", palette.faint), *line] for line in [*told, *lines]]
        shown = excerpt.head(row.words, MOST if opened else 6)
        lines = [piece for line in shown.lines for piece in _wrapped(line, tone, cells - 2)]
        lines += [[(f"… {shown.told}", palette.faint)]] if shown.told else []
        return [[(f"{sign} " if at == 0 else "  ", tone), *line] for at, line in enumerate(lines)]

    def _failure(self, row: Failure, cells: int) -> list[Line]:
        palette = self.palette
        shown = excerpt.head(row.words, 60)
        lines = [piece for line in shown.lines for piece in _wrapped(line, palette.text, cells - 3)]
        lines += [[(f"… {shown.told}", palette.faint)]] if shown.told else []
        code_ = [(f"  {plain_line(row.code, 60)}", palette.faint)] if row.code else []
        head: Line = [("It failed", _bold(palette.bad)), *code_]
        return [[("▌ ", palette.bad), *line] for line in [clip(head, cells - 2), *lines]]

    def _summary(self, row: Summary, cells: int, *, opened: bool) -> list[Line]:
        palette = self.palette
        head: Line = [("≡ ", palette.faint), ("Summary of what was before", palette.muted)]
        if not opened:
            first = plain_line(row.words, cells)
            return [[*head, (fit(f" · {first}", max(0, cells - length(head))), palette.faint)]]
        return [head, *([("│ ", palette.faint), *line] for line in prose(row.words, cells - 2, palette))]


_STATES = {
    "running": ("…", "accent"),
    "waiting": ("◆ waits", "warn"),
    "idle": ("✓", "good"),
    "failed": ("✗ failed", "bad"),
    "canceled": ("■ canceled", "warn"),
}


def _waits(row: User) -> str:
    """What there is to say of a message that is not simply there."""
    match row.state:
        case "sent":
            return "sending …"
        case "queued":
            return "queued · " + ("for the middle of this turn" if row.queue == "steer" else "for after this turn")
        case "dropped":
            return f"not taken: {plain_line(row.why, 200)}"
        case "taken" if row.queue == "steer":
            return "steered"
    return ""


def _bold(style: Style) -> Style:
    return style + Style(bold=True)


def _wrapped(line: str, style: Style, cells: int) -> list[Line]:
    return wrap([(clean(line), style)], cells)


def _bytes(size: int) -> str:
    return f"{size} B" if size < 1000 else f"{size / 1000:.0f} kB" if size < 1_000_000 else f"{size / 1e6:.1f} MB"


# -- prose ----------------------------------------------------------------------------------------

_BLANK: Line = []
_ITEM = ("- ", "* ", "+ ")


@lru_cache(maxsize=256)
def _piece(text: str, cells: int, palette: Palette) -> list[Line]:
    return markdown.lines(text, cells, palette)


def prose(text: str, cells: int, palette: Palette, *, growing: bool = False) -> list[Line]:
    """Markdown, block by block, so that what is drawn once stays; what grows is read anew while it is short."""
    text = _bounded(text)
    if not growing and markdown.whole(text):
        return _piece(text, cells, palette)
    done, rest, fenced = markdown.pieces(text)
    lines: list[Line] = []
    for piece in done if growing else [*done, rest]:
        _add(lines, piece, _piece(piece, cells, palette))
    if growing and rest.strip():
        _add(lines, rest, _growing(rest, cells, palette, fenced=fenced))
    return lines


def _bounded(text: str) -> str:
    if len(text) > 2 * LONGEST:
        text = f"{text[:LONGEST]}\n\n… {len(text) - 2 * LONGEST:,} characters are left out …\n\n{text[-LONGEST:]}"
    if text.count("\n") > 2 * MOST:
        first, last = excerpt.head(text, MOST), excerpt.tail(text, MOST)
        text = "\n".join([*first.lines, "", f"… {first.left - MOST:,} lines are left out …", "", *last.lines])
    return text


def _add(lines: list[Line], text: str, more: list[Line]) -> None:
    if lines and more and not (_listed(text) and _listed_before(lines)):
        lines.append(_BLANK)
    lines += more


def _listed(text: str) -> bool:
    return text.startswith(_ITEM) or text[:4].partition(".")[0].isdigit()


def _listed_before(lines: Sequence[Line]) -> bool:
    """Whether what is drawn above is a list too."""
    first = next((line[0][0] for line in reversed(lines) if line and line[0][0].strip()), "")
    return first.startswith(markdown.BULLETS) or first.strip().rstrip(".").isdigit()


def _growing(text: str, cells: int, palette: Palette, *, fenced: bool) -> list[Line]:
    """A block that is not whole yet."""
    if fenced:
        before, _, inside = _opened(text)
        head = plain(before, cells, palette.text) if before.strip() else []
        return head + [line for text in inside.rstrip("\n").split("\n") for line in _code_line(text, cells, palette)]
    if len(text) > SOON:
        return plain(text.rstrip("\n"), cells, palette.text)
    return markdown.lines(_UNDERLINE.sub("", text), cells, palette)


@lru_cache(maxsize=4096)
def _code_line(text: str, cells: int, palette: Palette) -> list[Line]:
    return code.block(text, "", cells, palette)


def _opened(text: str) -> tuple[str, str, str]:
    """What stands before a fence, the fence, and what stands in it."""
    at = next((text.index(mark) for mark in ("```", "~~~") if mark in text), 0)
    end = text.find("\n", at)
    return text[:at], text[at : end + 1], text[end + 1 :] if end >= 0 else ""


@lru_cache(maxsize=4096)
def _plain_line(text: str, cells: int, style: Style) -> list[Line]:
    return wrap([(clean(text), style)], cells)


def plain(text: str, cells: int, style: Style) -> list[Line]:
    """Text as it is, line by line."""
    return [line for piece in text.split("\n") for line in _plain_line(piece, cells, style)]
