"""How dangerous a call is judged to be."""

from typing import Literal

from msgspec import Struct

LONGEST = 300  # characters of a reason


class Label(Struct, frozen=True, omit_defaults=True):
    """What a call is judged to be.  `blast_radius` of a destructive one is low, medium or high."""

    label: Literal["safe", "destructive", "unknown"]
    blast_radius: str = ""
    category: str = ""
    reason: str = ""

    @property
    def metadata(self) -> dict[str, str]:
        """As clients are shown it beside a question."""
        values = {"blast_radius": self.blast_radius, "category": self.category, "reason": self.reason}
        return {"safety_label": self.label, **{key: value for key, value in values.items() if value}}


def unknown(reason: str) -> Label:
    """What can't be told."""
    return Label("unknown", reason=reason if len(reason) <= LONGEST else f"{reason[: LONGEST - 1]}…")


def destructive(category: str, radius: str, reason: str) -> Label:
    """What destroys something."""
    return Label("destructive", radius, category, reason)
