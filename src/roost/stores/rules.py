"""What a write must keep to, whichever store it goes to: plain functions over values."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from roost.core import events as e
from roost.core.errors import BadValue, Duplicate, NotOwner, SessionBusy, SessionNotFound
from roost.core.ids import Epoch, LogId, Micros, WaitId
from roost.core.session import Head
from roost.ports import Condition

KEYS_KEPT = 256  # idempotency keys of a log that are remembered


class Write(Struct, frozen=True):
    """Facts on their way into a log."""

    kind: Literal["post", "append", "put", "take"]
    log: LogId
    facts: tuple[e.Fact, ...]
    at: Micros
    epoch: Epoch | None = None
    only_if: Condition | None = None
    force: bool = False

    @property
    def creates(self) -> bool:
        """Whether this makes the log."""
        return self.kind == "put" and bool(self.facts) and _birth(self.facts[0])


class Place(Protocol):
    """A log as it is when a write reaches it."""

    @property
    def epoch(self) -> Epoch:
        """Whoever writes as its owner must name this one."""
        ...

    @property
    def owner(self) -> str | None:
        """The server it belongs to."""
        ...

    @property
    def deleted(self) -> bool:
        """Whether somebody has deleted it."""
        ...

    @property
    def exited(self) -> bool:
        """Whether it has come to its end."""
        ...

    def head(self) -> Head:
        """Its head."""
        ...

    def remembers(self, key: str) -> bool:
        """Whether an idempotency key is among those kept."""
        ...


def check(write: Write, place: Place | None, *, server: str, alive: Callable[[str], bool]) -> None:
    """Look at a write before anything of it is done.

    Raises:
        RoostError: it is refused; `ports.EventStore` says with which.
    """
    if write.creates:
        if place is not None:
            raise BadValue(f"a session with the id {write.log!r} exists already, or has existed")
        _check_births(write.facts[1:])
        _check_keys(write.facts, None)
        return
    if place is None or place.exited:
        raise SessionNotFound(write.log)
    if write.epoch is not None and write.epoch != place.epoch:
        raise NotOwner(write.log)
    if write.kind == "post":
        return
    if place.deleted and (write.kind == "put" or any(isinstance(fact, e.TurnOpened) for fact in write.facts)):
        raise SessionNotFound(write.log)
    _check_births(write.facts)
    _check_keys(write.facts, place)
    if write.kind == "take" and not write.force:
        _check_free(place, server, alive)
    if write.only_if is not None:
        write.only_if(place.head())


def _check_free(place: Place, server: str, alive: Callable[[str], bool]) -> None:
    owner, head = place.owner, place.head()
    if head.turn is not None and owner is not None and owner != server and alive(owner):
        raise SessionBusy(head.id)


def _check_births(facts: Sequence[e.Fact]) -> None:
    if any(_birth(fact) for fact in facts):
        raise BadValue("SessionCreated can only be the first fact of a log")


def _check_keys(facts: Sequence[e.Fact], place: Place | None) -> None:
    seen: set[str] = set()
    for key in keys(facts):
        if key in seen or (place is not None and place.remembers(key)):
            raise Duplicate(key)
        seen.add(key)


def _birth(fact: e.Fact) -> bool:
    return isinstance(fact, e.SessionCreated) and not fact.sub


def keys(facts: Sequence[e.Fact]) -> Iterator[str]:
    """The idempotency keys that facts bring."""
    return (fact.key for fact in facts if isinstance(fact, e.MessageQueued) and fact.key)


def number(write: Write, *, last_seq: int, last_at: Micros) -> tuple[e.Event, ...]:
    """The write's facts as events, after those that are there.  Time never runs backwards in a log."""
    at = max(write.at, last_at)
    return tuple(e.Event(write.log, seq, at, fact) for seq, fact in enumerate(write.facts, last_seq + 1))


def closed_waits(before: Head | None, event: e.Event, after: Head) -> Iterator[tuple[WaitId, e.Answer | None]]:
    """The waits that an event closed, each with its answer, or with None where it was voided."""
    if before is None or before.waits is after.waits:
        return
    fact, left = event.fact, {wait.id for wait in after.waits}
    for wait in before.waits:
        if wait.id not in left:
            yield wait.id, fact.answer if isinstance(fact, e.WaitAnswered) and fact.wait == wait.id else None
