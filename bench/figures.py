"""Numbers to what people read: quantiles, tables, and whether an aim is met."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all are not above."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else float("nan")


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """The median of some rounds, and how far apart they were."""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}…{max(values):.{digits}f})"


@dataclass
class Table:
    """Rows under a title, printed as Markdown."""

    title: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        rows = [self.columns, *self.rows]
        widths = [max(len(row[place]) for row in rows) for place in range(len(self.columns))]
        lines = [
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
        ]
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        notes = [f"\n{note}" for note in self.notes]
        return "\n".join([f"### {self.title}", "", *lines, *notes]) + "\n"


@dataclass
class Aim:
    """What a figure should be at most."""

    what: str
    value: float
    limit: float
    unit: str = ""

    @property
    def met(self) -> bool:
        return self.value <= self.limit

    def row(self) -> tuple[str, str, str, str]:
        over = f"missed by {self.value - self.limit:.2f} {self.unit}".rstrip()
        return self.what, f"≤ {self.limit:g} {self.unit}".rstrip(), f"{self.value:.2f}", "met" if self.met else over


@dataclass
class Report:
    """What one measurement has found."""

    tables: list[Table] = field(default_factory=list)
    aims: list[Aim] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)  # for results.json


def verdicts(aims: Sequence[Aim]) -> Table:
    return Table("Aims", ("aim", "wanted", "measured", ""), [aim.row() for aim in aims])
