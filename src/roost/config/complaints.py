"""What is wrong with a file, each thing with its place, and how a person is told."""

import difflib
from collections.abc import Iterable, Sequence

from msgspec import Struct

MOST = 100  # complaints that are written out
WIDEST = 160  # characters of a source line that are shown


class Position(Struct, frozen=True, order=True):
    """A place in a file; both numbers start at 1."""

    line: int
    column: int


class Complaint(Struct, frozen=True, order=True):
    """One thing that is wrong, or worth a warning.  `upto` is how much of the source line may be shown; 0 is none."""

    at: Position
    message: str
    upto: int = WIDEST

    def heading(self, name: str) -> str:
        """The complaint on one line, as compilers write it."""
        return f"{name}:{self.at.line}:{self.at.column}: {self.message}"


def render(name: str, complaints: Iterable[Complaint], source: str) -> str:
    """All complaints, sorted by place, each with the line it is about and a caret."""
    ordered = sorted(set(complaints))
    lines = source.splitlines()
    shown = [text for complaint in ordered[:MOST] for text in _told(name, complaint, lines)]
    if len(ordered) > MOST:
        shown.append(f"{name}: … and {len(ordered) - MOST} more")
    return "\n".join(shown)


def _told(name: str, complaint: Complaint, lines: Sequence[str]) -> list[str]:
    row, column = complaint.at.line - 1, complaint.at.column - 1
    told = [complaint.heading(name)]
    if row >= len(lines) or complaint.upto <= column:
        return told
    line = "".join(" " if char == "\t" or not char.isprintable() else char for char in lines[row])
    if column >= WIDEST:
        return told
    text = line[: complaint.upto]
    return [*told, f"    {text}{' …' if len(text) < len(line) else ''}", f"    {' ' * column}^"]


def did_you_mean(word: str, legal: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or nothing where no legal word is near."""
    near = difflib.get_close_matches(word[:100], list(legal), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


def quoted(value: object) -> str:
    """A value as a complaint may show it: short, and on one line."""
    text = str(value)
    return repr(text if len(text) <= 60 else text[:57] + "…")
