"""TOON (Token-Oriented Object Notation): JSON written with fewer tokens, for models to read.

Version 3 of its specification, with commas and two blanks to a level.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

STEP: Final = "  "
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_SPECIAL = re.compile(r'[:"\\\[\]{},\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]')
_ESCAPED = re.compile(r'["\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]')
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def wants(patterns: Sequence[str], tool: str) -> bool:
    """Whether one of these regular expressions is found in a tool's name; one that is none matches nothing."""
    return any((found := _compiled(pattern)) is not None and found.search(tool) is not None for pattern in patterns)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except re.error:
        return None


def toon(text: str) -> str:
    """JSON of an object as TOON; any other text as it is."""
    if not text.lstrip().startswith("{"):
        return text
    try:
        value = json.loads(text, parse_constant=_refuse)
        return encode(value)
    except (ValueError, RecursionError):
        return text


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def encode(value: dict[str, Any]) -> str:
    """An object as TOON; the empty one is an empty text."""
    return "\n".join(_fields(value, 0))


def _fields(value: dict[str, Any], depth: int) -> Iterator[str]:
    for key, inner in value.items():
        yield from _field(_quoted_key(key), inner, depth)


def _field(key: str, value: Any, depth: int) -> Iterator[str]:
    """The lines of one field; its first one may come to stand behind a hyphen."""
    indent = STEP * depth
    match value:
        case dict():
            yield f"{indent}{key}:"
            yield from _fields(value, depth + 1)
        case list():
            yield from _array(indent + key, value, depth)
        case _:
            yield f"{indent}{key}: {_primitive(value)}"


def _array(start: str, value: list[Any], depth: int) -> Iterator[str]:
    """A list under a header that begins with `start`: in the header's line, as a table, or item by item."""
    header = f"{start}[{len(value)}]"
    if not value:
        yield f"{header}:"
    elif not any(isinstance(item, dict | list) for item in value):
        yield f"{header}: {','.join(map(_primitive, value))}"
    elif columns := _columns(value):
        yield f"{header}{{{','.join(map(_quoted_key, columns))}}}:"
        for row in value:
            yield STEP * (depth + 1) + ",".join(_primitive(row[column]) for column in columns)
    else:
        yield f"{header}:"
        for item in value:
            yield from _item(item, depth + 1)


def _columns(rows: list[Any]) -> tuple[str, ...]:
    """The keys of a table; none where the rows make none."""
    first = rows[0]
    if not isinstance(first, dict):
        return ()
    uniform = all(isinstance(row, dict) and row.keys() == first.keys() for row in rows)
    plain = uniform and not any(isinstance(cell, dict | list) for row in rows for cell in row.values())
    return tuple(first) if plain else ()


def _item(item: Any, depth: int) -> Iterator[str]:
    """An item of a list: an object's first field stands behind the hyphen, the others below it."""
    indent = STEP * depth
    match item:
        case dict() if item:
            lines = _fields(item, depth + 1)
            yield f"{indent}- {next(lines).lstrip(' ')}"
            yield from lines
        case dict():
            yield f"{indent}-"
        case list() if any(isinstance(inner, dict | list) for inner in item):
            yield f"{indent}- [{len(item)}]:"
            for inner in item:
                yield from _item(inner, depth + 1)
        case list():
            yield from _array(f"{indent}- ", item, depth)
        case _:
            yield f"{indent}- {_primitive(item)}"


def _primitive(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return _number(value)
        case _:
            return _string(str(value))


def _number(value: float) -> str:
    """Without an exponent, and without zeros that say nothing."""
    if not math.isfinite(value):
        return "null"
    text = format(Decimal(repr(value)), "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _string(text: str) -> str:
    plain = (
        text
        and text == text.strip()
        and text[0] != "-"
        and text not in ("true", "false", "null")
        and not _NUMBER.fullmatch(text)
        and not _SPECIAL.search(text)
    )
    return text if plain else _quoted(text)


def _quoted_key(key: str) -> str:
    return key if _KEY.fullmatch(key) else _quoted(key)


def _quoted(text: str) -> str:
    return f'"{_ESCAPED.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[0]) or f"\\u{ord(match[0]):04x}"
