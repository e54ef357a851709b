"""Every fact, the Event that gives it a place in the log, and facts as the JSON that the store keeps."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from roost.core.events import answers, calls, runs, sessions, turns, waits
from roost.core.events.answers import CallDrafted, ReasoningAdded, TextAdded
from roost.core.events.base import Unknown
from roost.core.events.calls import OutputAdded
from roost.core.ids import LogId, Micros

Known = sessions.Facts | waits.Facts | turns.Facts | answers.Facts | calls.Facts | runs.Facts
Fact = Known | Unknown

DELTAS = (TextAdded, ReasoningAdded, CallDrafted, OutputAdded)
"""Facts that leave a session's head and history alone.  Only these may be posted without waiting."""


class Event(Struct, frozen=True):
    """A fact with its place: the log, its number there (1, 2, 3 … without holes), and the moment."""

    log: LogId
    seq: int
    at: Micros
    fact: Fact


_decoder: msgspec.json.Decoder[Known] = msgspec.json.Decoder(Known)
_encoder = msgspec.json.Encoder()
_TYPES = frozenset(member.__name__ for member in Known.__args__)


class _Peek(Struct):
    type: str


_peek = msgspec.json.Decoder(_Peek)


def encode(fact: Fact) -> bytes:
    """A fact as the JSON that the store keeps."""
    return bytes(fact.raw) if isinstance(fact, Unknown) else _encoder.encode(fact)


def decode(raw: bytes) -> Fact:
    """The fact that `raw` holds.

    Raises:
        msgspec.DecodeError: it holds none, or one of a known type that is malformed.
    """
    try:
        return _decoder.decode(raw)
    except msgspec.ValidationError:
        kind = _peek.decode(raw).type
        if kind in _TYPES:
            raise
        return Unknown(kind, msgspec.Raw(raw))


def kind(fact: Fact) -> str:
    """The name a fact is stored under."""
    return fact.type if isinstance(fact, Unknown) else type(fact).__name__


def is_delta(fact: Fact) -> bool:
    """Whether a fact may be posted: its loss in a crash is only a part of an answer to be written anew."""
    return isinstance(fact, DELTAS)


def all_deltas(facts: Sequence[Fact]) -> bool:
    """Whether none of `facts` changes a session's head."""
    return all(isinstance(fact, DELTAS) for fact in facts)
