"""Moments as `/api/v1` writes them: RFC 3339 with `+00:00`."""

from datetime import UTC, datetime

from roost.core.ids import Micros


def moment(at: Micros) -> str:
    """A moment, with microseconds."""
    return datetime.fromtimestamp(at / 1_000_000, UTC).isoformat(timespec="microseconds")
