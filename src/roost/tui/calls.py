"""A tool call as lines: one that says what it does, and below it what came of it."""

import json
from collections.abc import Sequence

from rich.style import Style

from roost.core.toolkinds import kind
from roost.tui import ansi, edits, excerpt, gist
from roost.tui.clean import clean, fit, plain_line
from roost.tui.ink import Line, Run, clip, length, split, wrap
from roost.tui.palette import Palette
from roost.tui.past import DELEGATING
from roost.tui.rows import Call

PREVIEW = 4  # lines of output that are shown folded
CHANGES = 12  # lines of a diff
OPENED = 600  # lines of anything, opened
WORDS = 60  # lines of an argument, opened

SIGNS = {
    "draft": ("○", "faint"),
    "called": ("○", "muted"),
    "waiting": ("◆", "warn"),
    "running": ("●", "accent"),
    "done": ("✓", "good"),
    "failed": ("✗", "bad"),
    "denied": ("⊘", "bad"),
    "canceled": ("■", "warn"),
    "lost": ("?", "warn"),
}


_TOLD_OTHERWISE = ("failed", "denied", "waiting")
"""In these states there is no diff below a call: it came to nothing, or a card has it."""

QUIET = frozenset({"file_read", "search", "web", "sub_agent"})


def quiet(row: Call) -> bool:
    """Whether what it returns is for the model; people are told how much it is."""
    return kind(row.name) in QUIET or row.name in DELEGATING or row.name in ("think", "thought")


def lines(row: Call, cells: int, palette: Palette, *, opened: bool, results: bool = True) -> list[Line]:
    """A call as lines that fit; without `results` what came of it is shown where it is opened, and nowhere else."""
    found = [clip(line, cells) for line in _head(row, cells, palette)]
    inner = cells - 2
    changes = edits.diff(row) if row.state not in _TOLD_OTHERWISE or opened else []
    if opened:
        body = _opened(row, inner, palette, changes)
    elif changes:
        body = _diff(changes, inner, palette, CHANGES)
    else:
        body = _preview(row, inner, palette) if results else []
    return [*found, *([("  ", palette.text), *line] for line in body)]


# -- what it does -------------------------------------------------------------------------------


def _head(row: Call, cells: int, palette: Palette) -> list[Line]:
    sign, tone = SIGNS[row.state]
    style: Style = getattr(palette, tone)
    mark = (sign, style)
    tail = _tail(row, palette)
    command = gist.shell(row)
    if command:
        return _command(command, mark, tail, cells, palette)
    name = gist.label(row)
    about = gist.gist(row)
    room = cells - 3 - length([(name, palette.text), *tail])
    return [[mark, (" ", style), (name, palette.strong), (fit(f" {about}", max(0, room)), palette.muted), *tail]]


def _command(command: str, mark: Run, tail: Line, cells: int, palette: Palette) -> list[Line]:
    shown = excerpt.head(command.strip("\n"), PREVIEW)
    pieces = [piece for line in shown.lines for piece in wrap([(clean(line), palette.strong)], cells - 4)]
    found: list[Line] = [[mark, (" $ ", palette.muted), *pieces[0]]]
    found += [[("    ", palette.text), *piece] for piece in pieces[1 : PREVIEW + 2]]
    if shown.told or len(pieces) > PREVIEW + 2:
        found.append([("    … ", palette.faint), (shown.told, palette.faint)])
    if length(found[-1]) + length(tail) <= cells:
        found[-1] = [*found[-1], *tail]
    elif tail:
        found.append([("   ", palette.text), *tail])
    return found


def _tail(row: Call, palette: Palette) -> Line:
    """What stands behind it: how many lines changed or came, and what a person had to say."""
    told = _size(row, palette)
    if row.state == "waiting":
        told.append(("  needs your approval", palette.warn))
    if row.state == "lost":
        told.append(("  lost in a crash: nobody knows how it ended", palette.warn))
    elif row.lost:
        told.append(("  lost in a crash before", palette.warn))
    if row.state == "canceled":
        told.append(("  canceled", palette.warn))
    if row.changed:
        told.append(("  changed by a hook", palette.warn))
    if row.verdict:
        told.append((f"  {plain_line(row.verdict, 80)}", palette.faint))
    return told


def _size(row: Call, palette: Palette) -> Line:
    plus, minus = edits.counts(edits.diff(row)) if row.state not in ("failed", "denied") else (0, 0)
    if plus or minus:
        added: Line = [(f"+{plus}", palette.good)] if plus else []
        removed: Line = [(f"{' ' if plus else ''}−{minus}", palette.bad)] if minus else []
        return [("  ", palette.muted), *added, *removed]
    if row.state == "done" and quiet(row) and row.result and row.name not in DELEGATING:
        count = row.result.strip("\n").count("\n") + 1
        return [(f"  {count} line{'s' if count != 1 else ''}", palette.faint)]
    return []


# -- what came of it ----------------------------------------------------------------------------


def _preview(row: Call, cells: int, palette: Palette) -> list[Line]:
    if row.state in ("denied", "canceled", "lost"):
        return []
    text = row.output if row.state == "running" else row.result
    if row.state == "failed":
        shown = excerpt.head(text.strip("\n"), PREVIEW)
        return _told(_output(shown.lines, cells, palette.bad)[: PREVIEW + 2], shown, palette)
    if quiet(row) or row.name == "user_prompt":  # what was answered stands below it
        return []
    shown = excerpt.tail(text.rstrip("\n"), PREVIEW) if text.strip() else excerpt.Excerpt([], 0)
    body = _output(shown.lines, cells, palette.muted)[-(PREVIEW + 2) :]
    pictures: list[Line] = [[(f"▣ {plain_line(picture.name, 60)}", palette.muted)] for picture in row.pictures]
    return [*([[(f"… {shown.told}", palette.faint)]] if shown.told else []), *body, *pictures]


def _told(body: list[Line], shown: excerpt.Excerpt, palette: Palette) -> list[Line]:
    return [*body, *([[(f"… {shown.told}", palette.faint)]] if shown.told else [])]


def _output(texts: Sequence[str], cells: int, style: Style) -> list[Line]:
    """Output of a program, its own colours kept."""
    if not texts:
        return []
    runs = ansi.runs("\n".join(texts), style)
    return [piece for line in split(runs) for piece in (wrap(line, cells) if line else [[]])]


def _diff(changes: Sequence[edits.Changed], cells: int, palette: Palette, most: int) -> list[Line]:
    grounds = {"+": palette.added, "-": palette.removed, " ": palette.muted}
    found: list[Line] = []
    for sign, text in changes[:most]:
        if sign == "@":
            found.append([(fit(f"⋯ {clean(text[:400])}".rstrip(), cells), palette.faint)])
            continue
        style = grounds[sign]
        for at, piece in enumerate(wrap([(clean(text[: excerpt.LINE]), style)], cells - 2)):
            mark = {"+": "+ ", "-": "− "}.get(sign, "  ") if at == 0 else "  "
            filled = " " * (cells - 2 - length(piece)) if sign != " " else ""
            found.append([(mark, style), *piece, (filled, style)])
    if len(changes) > most:
        found.append([(f"… {len(changes) - most:,} more lines", palette.faint)])
    return found


def _opened(row: Call, cells: int, palette: Palette, changes: Sequence[edits.Changed]) -> list[Line]:
    found = _diff(changes, cells, palette, OPENED) if changes else _arguments(row, cells, palette)
    text = row.output if row.state == "running" else row.result
    if text.strip():
        shown = excerpt.head(text.rstrip("\n"), OPENED)
        style = palette.bad if row.state == "failed" else palette.text
        found.append([("─ " + ("so far" if row.state == "running" else "result"), palette.faint)])
        found += _told(_output(_pretty(shown, text), cells, style), shown, palette)
    found += [[(f"▣ {plain_line(picture.name, 60)}", palette.muted)] for picture in row.pictures]
    return found


def _pretty(shown: excerpt.Excerpt, text: str) -> Sequence[str]:
    """JSON on one line is spread over several."""
    if len(shown.lines) == 1 and not shown.left and text[:1] in "{[" and len(text) < 20_000:
        try:
            return json.dumps(json.loads(text), indent=2, ensure_ascii=False).split("\n")
        except (ValueError, RecursionError):
            pass
    return shown.lines


def _arguments(row: Call, cells: int, palette: Palette) -> list[Line]:
    given = gist.arguments(row.arguments)
    found: list[Line] = []
    for name, value in given.items():
        text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
        text = text.rstrip("\n")
        shown = excerpt.head(text, WORDS)
        head: Line = [(f"{plain_line(name, 60)}: " if name else "", palette.muted)]
        if len(shown.lines) == 1 and length([*head, (clean(text), palette.text)]) <= cells:
            found.append([*head, (clean(text), palette.text)])
            continue
        found.append(head)
        body = [piece for line in shown.lines for piece in wrap([(clean(line), palette.text)], cells - 2)]
        found += [[("  ", palette.text), *piece] for piece in _told(body, shown, palette)]
    return found
