"""Tickets: what lets somebody who is in already open one stream, where a browser can send no header."""

import secrets
from collections import OrderedDict
from typing import Generic, TypeVar

from roost import ports
from roost.core.accounts import digest
from roost.core.ids import Micros

LIFETIME = 30.0  # seconds
KEPT = 4096  # that nobody has used yet; the oldest go first
SHARE = 256  # of them that one owner has: whoever asks for more loses his own, and nobody else's

P = TypeVar("P")


class Tickets(Generic[P]):
    """Each opens one stream, soon or never, for whoever it was given to.  A restart forgets them."""

    def __init__(self, clock: ports.Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, tuple[P, float, str]] = OrderedDict()

    def issue(self, whose: P, *, owner: str = "") -> tuple[str, Micros]:
        """A new one, and when it expires."""
        ticket = secrets.token_urlsafe(24)
        theirs = [known for known, (_, _, other) in self._kept.items() if other == owner]
        if len(theirs) >= SHARE:
            del self._kept[theirs[0]]
        self._kept[digest(ticket)] = (whose, self._clock.monotonic() + LIFETIME, owner)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return ticket, Micros(self._clock.now() + round(LIFETIME * 1_000_000))

    def redeem(self, ticket: str) -> P | None:
        """Whose it is, once; None where it opens nothing."""
        whose, due, _ = self._kept.pop(digest(ticket), (None, 0.0, ""))
        return whose if self._clock.monotonic() < due else None
