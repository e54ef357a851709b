"""A request body to a checked value: strict UTF-8, bounded depth, every failure one error."""

import json
import re
from collections.abc import Hashable, Sequence
from functools import cache
from typing import Any, NoReturn, TypeVar, cast

import msgspec
from msgspec import inspect

T = TypeVar("T")

DEPTH = 200
_SMALLEST, _LARGEST = -(1 << 63), (1 << 63) - 1
_BLANKS = " \t\r\n"
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_UNFIT_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_UNFIT = re.compile("[\0\ud800-\udfff]")


class BadBody(ValueError):
    """The body can't be read; the message says why."""


def read(raw: bytes, kind: type[T], *, depth: int = DEPTH) -> T:
    """The first JSON value of `raw` as a `kind`; text after it is ignored.

    Keys match the fields of structs whatever their case, the last one wins; unknown ones are
    ignored, and `null` leaves a field at its default.

    Raises:
        BadBody: it is no such value.
    """
    return shape(parse(raw, depth=depth), kind)


def parse(raw: bytes, *, depth: int = DEPTH, whole: bool = False) -> Any:
    """The first JSON value of `raw`; objects are lists of their pairs, in order (`Pairs`).

    With `whole`, nothing but blanks may come after it.

    Raises:
        BadBody: there is none, or it has what no store could keep: half a surrogate pair, a NUL, an
            integer of more than 64 bits.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadBody(f"invalid UTF-8 at byte {error.start}") from None
    _check_depth(raw, depth)
    start = len(text) - len(text.lstrip(_BLANKS))
    if start == len(text):
        raise BadBody("EOF")
    try:
        value, end = _decoder.raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        raise BadBody(f"invalid JSON: {error}") from None
    if whole and text[end:].strip(_BLANKS):
        raise BadBody("invalid JSON: more text after the value")
    if _UNFIT_ESCAPE.search(text, start, end):
        _check_strings(value)
    return value


def shape(value: Any, kind: type[T]) -> T:
    """A parsed value as a `kind`.

    Raises:
        BadBody: it is of another shape.
    """
    try:
        return msgspec.convert(_folded(value, _described(cast(Hashable, kind))), kind)
    except msgspec.ValidationError as error:
        raise BadBody(str(error)) from None


# -- syntax -------------------------------------------------------------------------------------


class Pairs(list[tuple[str, Any]]):
    """An object as it was written."""


def _integer(digits: str) -> int:
    value = int(digits) if len(digits) < 21 else _LARGEST + 1
    if not _SMALLEST <= value <= _LARGEST:
        raise ValueError(f"integer out of range: {digits[:24]}")
    return value


def _float(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"number out of range: {digits[:24]}")
    return value


def _constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


_decoder = json.JSONDecoder(
    object_pairs_hook=Pairs, parse_int=_integer, parse_float=_float, parse_constant=_constant, strict=True
)


def _check_depth(raw: bytes, limit: int) -> None:
    if raw.count(b"[") + raw.count(b"{") <= limit:
        return
    depth = 0
    for match in _TOKEN.finditer(raw):
        first = match[0][:1]
        if first in b"[{":
            depth += 1
            if depth > limit:
                raise BadBody(f"nested more than {limit} levels deep")
        elif first in b"]}":
            depth -= 1
            if depth <= 0:
                return


def _check_strings(value: Any) -> None:
    match value:
        case str():
            if found := _UNFIT.search(value):
                raise BadBody(f"a string holds the character U+{ord(found[0]):04X}, which can't be kept")
        case Pairs():
            for key, item in value:
                _check_strings(key)
                _check_strings(item)
        case list():
            for item in value:
                _check_strings(item)


# -- shape --------------------------------------------------------------------------------------


@cache
def _described(kind: Hashable) -> inspect.Type:
    return inspect.type_info(kind)


@cache
def _fields(kind: type) -> dict[str, inspect.Field]:
    described = _described(kind)
    assert isinstance(described, inspect.StructType)
    return {field.encode_name.lower(): field for field in described.fields}


def _folded(value: Any, kind: inspect.Type) -> Any:
    """The value with the names of struct fields as they are declared, without nulls, and objects as dicts."""
    kind = _alternative(value, kind)
    if value is None:
        return _zero(kind)
    match value, kind:
        case Pairs(), inspect.StructType(cls=cls):
            fields = _fields(cls)
            known = ((fields.get(key.lower()), item) for key, item in value)
            return {f.encode_name: _folded(item, f.type) for f, item in known if f is not None and item is not None}
        case Pairs(), inspect.DictType(value_type=inner):
            return {key: _folded(item, inner) for key, item in value}
        case list(), inspect.ListType(item_type=inner) | inspect.VarTupleType(item_type=inner) if not isinstance(
            value, Pairs
        ):
            return [_folded(item, inner) for item in value]
        case _:
            return plain(value)


def _alternative(value: Any, kind: inspect.Type) -> inspect.Type:
    """The member of a union that a value of this JSON type belongs to."""
    if not isinstance(kind, inspect.UnionType):
        return kind
    wanted: Sequence[type[inspect.Type]] = ()
    if isinstance(value, Pairs):
        wanted = (inspect.StructType, inspect.DictType)
    elif isinstance(value, list):
        wanted = (inspect.ListType, inspect.VarTupleType)
    return next((member for member in kind.types if isinstance(member, tuple(wanted))), kind)


def _zero(kind: inspect.Type) -> Any:
    """What `null` stands for in a list or a map."""
    match kind:
        case inspect.StructType() | inspect.DictType():
            return {}
        case inspect.StrType():
            return ""
        case inspect.ListType() | inspect.VarTupleType():
            return []
        case _:
            return None


def plain(value: Any) -> Any:
    """A parsed value as ordinary data."""
    match value:
        case Pairs():
            return {key: plain(item) for key, item in value}
        case list():
            return [plain(item) for item in value]
        case _:
            return value
