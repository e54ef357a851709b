"""What commands print: for a person at a terminal, for a pipe, or as JSON."""

import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from roost.cli.columns import GAP, Column, fitted

LONG_AGO = 30 * 86400.0  # seconds
STATUS = {
    "running": "cyan",
    "waiting": "yellow",
    "queued": "yellow",
    "idle": "yellow",
    "completed": "green",
    "sent": "green",
    "exited": "green",
    "failed": "red",
    "error": "red",
    "dead": "red",
    "killed": "red",
    "canceled": "bright_black",
    "new": "bright_black",
    "unknown": "bright_black",
}


def terminal() -> bool:
    """Whether somebody reads along, rather than a program."""
    return sys.stdout.isatty()


def colored() -> bool:
    """Whether stdout shows colours."""
    return terminal() and not os.environ.get("NO_COLOR")


def line(text: str, *, style: str | None = None, bold: bool = False) -> None:
    """A line on stdout."""
    click.echo(click.style(text, fg=style, bold=bold or None) if colored() and (style or bold) else text)


def note(text: str) -> None:
    """A line on stderr, unless `--quiet` was said."""
    if not _said("quiet"):
        aside(text)


def aside(text: str, *, dim: bool = False) -> None:
    """A line on stderr."""
    shown = tame(text) if sys.stderr.isatty() else text
    click.echo(click.style(shown, dim=True) if dim else shown, err=True)


def quiet() -> bool:
    """Whether `--quiet` was said."""
    return _said("quiet")


def verbose() -> bool:
    """Whether `--verbose` or `--debug` was said."""
    return _said("verbose") or _said("debug")


def _said(flag: str) -> bool:
    ctx = click.get_current_context(silent=True)
    return bool(ctx and ctx.find_root().params.get(flag))


def tame(text: str) -> str:
    """Text without what a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)


def clean(text: str) -> str:
    """The same for stdout: elsewhere than on a terminal it stays as it is."""
    return tame(text) if terminal() else text


def short(text: Any, width: int = 60) -> str:
    """One line of it."""
    whole = clean(" ".join(str(text).split()))
    return whole if len(whole) <= width else whole[: width - 1] + "…"


def text(answer: str) -> None:
    """A text as it is, its last line ended."""
    click.echo(clean(answer), nl=not answer.endswith("\n"), color=True)


# -- JSON ---------------------------------------------------------------------------------------


def document(raw: bytes | Any) -> None:
    """One JSON value, over several lines."""
    body = raw if isinstance(raw, bytes) else msgspec.json.encode(raw)
    click.echo(clean(msgspec.json.format(body, indent=2).decode()))


def lines(raw: bytes) -> None:
    """The items of a JSON list, a line each."""
    for item in msgspec.json.decode(raw, type=list[msgspec.Raw]):
        click.echo(clean(msgspec.json.format(bytes(item), indent=0).decode()))


# -- tables -------------------------------------------------------------------------------------


def table(columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> None:
    """Rows under their names: as wide as a terminal, elsewhere whole, with two spaces or more between two columns."""
    cells = [[_cell(value) for value in row] for row in rows]
    if terminal():
        _fitted(columns, cells)
    else:
        _plain(columns, cells)


def fields(pairs: Sequence[tuple[str, Any]]) -> None:
    """Names and what they are, a line each; what is empty is left out."""
    shown = [(name, value) for name, value in pairs if value not in (None, "", (), [])]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        words = clean(_word(value))
        style = STATUS.get(words) if name in ("status", "live status") else None
        head = click.style(f"{name:{width}}", dim=True) if colored() else f"{name:{width}}"
        click.echo(f"{head}  {click.style(words, fg=style) if style and colored() else words}")


def nothing(what: str) -> None:
    """Say on stderr that a list is empty."""
    note(f"no {what}")


def _cell(value: Any) -> str:
    return clean(" ".join(_word(value).split()))


def _word(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(map(str, value))
        case _:
            return str(value)


def _plain(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> None:
    head = [column.name.upper() for column in columns]
    grid = [head, *([cell or "-" for cell in row] for row in cells)]
    widths = [max(len(row[at]) for row in grid) for at in range(len(columns))]
    for row in grid:
        padded = (
            f"{cell:>{width}}" if column.right else f"{cell:{width}}"
            for column, cell, width in zip(columns, row, widths, strict=True)
        )
        click.echo("  ".join(padded).rstrip())


def _fitted(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    shown, grid = fitted(columns, rows, shutil.get_terminal_size().columns)
    for number, (*row, last) in enumerate(grid):
        cells = zip(shown, [*row, last.rstrip()], strict=True)
        click.echo((" " * GAP).join(_styled(column, cell, head=not number) for column, cell in cells), color=True)


def _styled(column: Column, cell: str, *, head: bool) -> str:
    if not colored():
        return cell
    if head:
        return click.style(cell, dim=True)
    style = STATUS.get(cell.strip()) if column.name == "status" else None
    return click.style(cell, fg=style) if style else cell


# -- time ---------------------------------------------------------------------------------------


def moment(at: str | None) -> str:
    """A moment: on a terminal how long ago, or the day of what is long ago; elsewhere in UTC, to the second."""
    if not at:
        return ""
    try:
        then = datetime.fromisoformat(at)
    except ValueError:
        return at
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    if not terminal():
        return f"{then.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    seconds = (datetime.now(UTC) - then).total_seconds()
    return f"{span(seconds, units=1)} ago" if seconds < LONG_AGO else f"{then.astimezone():%Y-%m-%d}"


def instant(at: str | None) -> str:
    """A moment by itself: on a terminal the time of day here, too."""
    shown = moment(at)
    if not at or not terminal() or shown == at:
        return shown
    then = datetime.fromisoformat(at)
    here = (then if then.tzinfo else then.replace(tzinfo=UTC)).astimezone()
    return f"{here:%Y-%m-%d %H:%M:%S}" + (f" ({shown})" if shown.endswith("ago") else "")


def folder(path: str | None) -> str:
    """A folder: on a terminal from home on."""
    home = os.environ.get("HOME", "").rstrip("/")
    if path and home and terminal() and (path == home or path.startswith(home + "/")):
        return "~" + path[len(home) :]
    return path or ""


def span(seconds: float, *, units: int = 2) -> str:
    """A length of time in its two largest units, or in the largest alone."""
    whole = max(0, round(seconds))
    for size, unit, less, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            rest = whole % size // less if units > 1 else 0
            return f"{whole // size}{unit}{rest}{smaller}" if rest else f"{whole // size}{unit}"
    return f"{whole}s"


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Something that moves on stderr while the block takes its time; only on a terminal."""
    if not sys.stderr.isatty() or _said("quiet"):
        yield
        return
    # Only a terminal pays for it.
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True
    ) as progress:
        progress.add_task(what, total=None)
        yield


def elapsed(since: float) -> str:
    """How long it took since this reading of the clock."""
    return span(time.monotonic() - since)
