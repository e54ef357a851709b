"""Moments as lines of CLIs write them."""

from datetime import UTC, datetime
from typing import Any

from roost.core.ids import Micros

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(text: Any) -> Micros | None:
    """The moment of an RFC 3339 text; None where it is none."""
    if not isinstance(text, str):
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        return None
    return Micros((at - _EPOCH) // (_EPOCH.resolution))
