"""Durations as the callers of agent CLIs write them: `90`, `30s`, `1h30m`, `1m30`."""

import re

from roost.core.errors import BadValue

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_WHOLE = re.compile(r"(?:[0-9]+[smhd])*(?:[0-9]+)?")
_PART = re.compile(r"([0-9]+)([smhd]?)")
_AGE = re.compile(r"([0-9]+)([dh])")
LONGEST = 10 * 365 * 86_400  # seconds
_DIGITS = 12


def seconds(text: str) -> float:
    """How long `text` says: numbers with `s`, `m`, `h` or `d`, the last of them may go without and is seconds.

    Raises:
        BadValue: it is no duration, or none that lasts.
    """
    trimmed = text.strip()
    if not trimmed or not _WHOLE.fullmatch(trimmed) or len(trimmed) > 4 * _DIGITS:
        raise BadValue(f"invalid duration {text[:40]!r}: write 90, 30s, 5m, 1h30m or 2d")
    total = sum(int(number[: _DIGITS + 1]) * _UNITS[unit] for number, unit in _PART.findall(trimmed))
    if not 0 < total <= LONGEST:
        raise BadValue(f"invalid duration {text[:40]!r}: it must be longer than nothing, and at most ten years")
    return float(total)


def age(text: str) -> float:
    """One number of days or hours, in seconds.

    Raises:
        BadValue: it is something else.
    """
    found = _AGE.fullmatch(text.strip())
    if found is None or len(found[1]) > _DIGITS:
        raise BadValue(f"invalid age {text[:40]!r}: write a number of days or hours, as 7d or 12h")
    return float(min(int(found[1]) * _UNITS[found[2]], LONGEST))
