"""A request, as a value: which method, path, query and body, and what comes back."""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from msgspec import Struct

from roost.core.errors import BadValue

Answer = TypeVar("Answer")
Table = dict[str, Any]

_REPEATABLE = frozenset({"GET", "PATCH", "DELETE"})


class Request(Struct, Generic[Answer], frozen=True):
    """What to send, and the type of the answer; a patient one may take hours."""

    method: str
    path: str
    answer: type[Answer]
    query: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, Any] | None = None
    patient: bool = False
    public: bool = False  # goes without a token
    key: str = ""  # by which the server knows a second one for the first

    @property
    def repeatable(self) -> bool:
        """Whether it does no more when it is carried out twice."""
        return self.method in _REPEATABLE or bool(self.key)


class Stream(Struct, frozen=True):
    """What to open for a stream of events."""

    path: str
    query: tuple[tuple[str, str], ...] = ()

    @property
    def method(self) -> str:
        """As a request has it."""
        return "GET"


def path(base: str, *segments: str) -> str:
    """An address below another."""
    return "/".join([base, *map(_quoted, segments)])


def query_of(fields: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Those of them that are not None, as a query has them."""
    return tuple((name, _word(value)) for name, value in fields.items() if value is not None)


def given(fields: Mapping[str, Any]) -> Table:
    """Those of them that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def _quoted(segment: str) -> str:
    if not isinstance(segment, str):
        raise BadValue(f"an id is a text, and {type(segment).__name__} is none: its own is in one of its fields")
    return quote(segment, safe="")


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
