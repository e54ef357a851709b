"""Values to the JSON of the wire, byte for byte as the API's first server wrote it."""

import math
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec

from roost.core.ids import Micros

_ZERO_TIME = "0001-01-01T00:00:00Z"
_ESCAPES = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)  # these bytes occur inside strings only, so they can be replaced anywhere

_sorted = msgspec.json.Encoder(order="deterministic")
_as_given = msgspec.json.Encoder()

Number = msgspec.Raw | int


def encode(value: Any) -> bytes:
    """Compact JSON; free-form maps have their keys sorted."""
    return escaped(_sorted.encode(value))


def encode_raw(value: Any) -> bytes:
    """The same without escapes, for what is put together first; `escaped` does the rest."""
    return _sorted.encode(value)


def encode_ordered(value: Any) -> bytes:
    """The same, for data whose maps are in the order in which they are to be shown."""
    return escaped(_as_given.encode(value))


def body(value: Any) -> bytes:
    """A response body: ends with a newline."""
    return encode(value) + b"\n"


def escaped(raw: bytes) -> bytes:
    """JSON without the characters that HTML could trip over."""
    for plain, escape in _ESCAPES:
        if plain in raw:
            raw = raw.replace(plain, escape)
    return raw


def number(value: float) -> Number:
    """A float in its shortest form: no trailing `.0`, no exponent from 1e-6 up to 1e21."""
    if value == 0 or not math.isfinite(value):
        return 0
    size = abs(value)
    if size < 1e-6 or size >= 1e21:
        digits, _, exponent = f"{value!r}".partition("e")
        sign, power = exponent[0], exponent[1:].lstrip("0")
        return msgspec.Raw(f"{digits}e{sign}{power}".encode())
    text = f"{Decimal(repr(value)):f}"
    return msgspec.Raw(text.removesuffix(".0").encode())


def free(value: Any) -> Any:
    """Free-form data with its floats in their shortest form."""
    match value:
        case float():
            return number(value)
        case dict():
            return {key: free(item) for key, item in value.items()}
        case list() | tuple():
            return [free(item) for item in value]
        case _:
            return value


def ordered(value: Any) -> msgspec.Raw | None:
    """Free-form data whose maps stay in the order in which they are to be shown, wherever it is put."""
    return None if value is None else msgspec.Raw(_as_given.encode(free(value)))


@lru_cache(maxsize=64)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")


def moment(at: Micros) -> str:
    """RFC 3339 in UTC, with as many digits of the fraction as it has."""
    if not at:
        return _ZERO_TIME
    second, micros = divmod(at, 1_000_000)
    return f"{_second(second)}.{f'{micros:06d}'.rstrip('0')}Z" if micros else f"{_second(second)}Z"


def rfc3339(at: Micros) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return f"{_second(at // 1_000_000)}Z" if at else _ZERO_TIME
