"""Lines of a CLI's output as data, and lenient looks into it: a wrong type is as good as nothing."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

_NOTHING: Mapping[str, Any] = {}
LONGEST_DATA = 16_384


def parse(line: bytes) -> dict[str, Any] | None:
    """The JSON object that a line holds; None where it holds none.

    Halves of surrogate pairs and broken UTF-8, which some CLIs print where they cut an output, become
    replacement characters.
    """
    try:
        value = msgspec.json.decode(line)
    except RecursionError:
        return None
    except ValueError:
        value = _mended(line)
    return value if isinstance(value, dict) else None


def _mended(line: bytes) -> Any:
    try:
        value = json.loads(line.decode("utf-8", "replace"), parse_constant=lambda _: None)
        return _clean(value)
    except (ValueError, RecursionError):
        return None


def _clean(value: Any) -> Any:
    match value:
        case str():
            return readable(value)
        case list():
            return [_clean(item) for item in value]
        case dict():
            return {readable(key): _clean(item) for key, item in value.items()}
        case float() if not math.isfinite(value):
            return None
        case _:
            return value


def readable(text: str) -> str:
    """Text without halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode("utf-8", "replace")


def text(value: Any) -> str:
    """A string, or ""."""
    return value if isinstance(value, str) else ""


def mapping(value: Any) -> Mapping[str, Any]:
    """An object, or an empty one."""
    return value if isinstance(value, dict) else _NOTHING


def items(value: Any) -> Sequence[Any]:
    """A list, or an empty one."""
    return value if isinstance(value, list) else ()


def objects(value: Any) -> Sequence[Mapping[str, Any]]:
    """The objects of a list."""
    return [item for item in items(value) if isinstance(item, dict)]


def strings(value: Any) -> tuple[str, ...]:
    """The strings of a list."""
    return tuple(item for item in items(value) if isinstance(item, str))


def count(source: Any, *names: str) -> int:
    """The first of these fields that is a number, as tokens or milliseconds are; 0 where none is."""
    for name in names:
        value = mapping(source).get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53:
            return int(value)
    return 0


def money(value: Any) -> float:
    """An amount, or 0."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12
    return float(value) if good else 0.0


def encoded(value: Any) -> str:
    """A value as JSON text on one line."""
    try:
        return msgspec.json.encode(value).decode()
    except (ValueError, TypeError, RecursionError, OverflowError):
        return "null"


def data(value: Any, longest: int = LONGEST_DATA) -> Any:
    """A value that may go into a fact: None where it is too large."""
    return value if len(encoded(value)) <= longest else None


def shorter(given: str, longest: int) -> str:
    """Text cut to a length, with a sign that it was."""
    return given if len(given) <= longest else given[:longest] + " […]"
