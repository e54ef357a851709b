"""What a CLI has written, line by line, each with the offset after it."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from msgspec import Struct

from roost.core import events as e
from roost.ports import Output

MOST_SKIPPED = 1000  # lines of one run that nobody understands, and that clients are shown


class Line(Struct, frozen=True):
    """A line; `end` is the offset after it in its own stream."""

    text: bytes
    end: int
    error: bool = False  # it came on stderr
    cut: bool = False  # it was longer than 16 MiB, and has lost its rest


def lines(output: Output, out: int, err: int) -> Iterator[Line]:
    """The lines of what was read from these offsets on: those of stdout, then those of stderr."""
    long = output.cut and len(output.lines) == 1  # a line that was cut comes alone
    yield from _lines(output.lines, out, output.out, error=False, cut=long)
    yield from _lines(output.errors, err, output.err, error=True, cut=output.cut and not long)


def _lines(texts: Sequence[bytes], at: int, end: int, *, error: bool, cut: bool) -> Iterator[Line]:
    for text in texts[:-1]:
        at += len(text) + 1
        yield Line(text, at, error)
    for text in texts[-1:]:  # without a newline, or cut: where it ends, only its reader knows
        yield Line(text, end, error, cut)


def batched(some: Iterable[Line], size: int) -> Iterator[list[Line]]:
    """Lines in lists of at most this size."""
    rest = iter(some)
    while batch := list(islice(rest, size)):
        yield batch


class Skipped:
    """Counts the lines that nobody understands: of a flood of them, clients see the beginning."""

    def __init__(self) -> None:
        self._seen = 0

    def thinned(self, facts: Sequence[e.Fact]) -> list[e.Fact]:
        """The facts without the lines that are too many."""
        kept: list[e.Fact] = []
        for fact in facts:
            if isinstance(fact, e.LineSkipped):
                self._seen += 1
                if self._seen > MOST_SKIPPED:
                    continue
                if self._seen == MOST_SKIPPED:
                    kept.append(e.LineSkipped(f"{fact.message}; further lines like it are left out", fact.raw))
                    continue
            kept.append(fact)
        return kept
