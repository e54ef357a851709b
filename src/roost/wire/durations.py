"""Durations as query strings have them: `250ms`, `1m30s`."""

import re

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")
_LONGEST = 9_223_372_036.0  # seconds; what 64 bits of nanoseconds hold


def seconds(text: str) -> float:
    """How long `text` says, in seconds.

    Raises:
        ValueError: it is no duration, or not a positive one.
    """
    if not _WHOLE.fullmatch(text):
        raise ValueError(f'invalid duration "{text}": write 250ms, 10s or 1m30s')
    total = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if not 0 < total < _LONGEST:
        raise ValueError(f'duration "{text}" must be positive' if total == 0 else f'invalid duration "{text}"')
    return total
