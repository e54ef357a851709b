"""When to try again, and when to give up."""

import time
from collections.abc import Callable

PATIENCE = 60.0  # seconds in which a server must be back

Told = Callable[[str], None]


def unheard(text: str) -> None:
    """For whoever does not want to be told."""


class Again:
    """When to try again: soon at first, then slower; and when to give up: `patience` after the last sign of life."""

    def __init__(self, patience: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._patience = patience
        self.alive()

    def alive(self) -> None:
        """Something came."""
        self._delay = 0.05
        self._since: float | None = None
        self._said: set[str] = set()

    def news(self, text: str) -> bool:
        """Whether this has not been said since the last sign of life."""
        known = text in self._said
        self._said.add(text)
        return not known

    def delay(self) -> float | None:
        """How long to wait; None to give up."""
        now = self._clock()
        self._since = now if self._since is None else self._since
        if now - self._since >= self._patience:
            return None
        delay, self._delay = self._delay, min(self._delay * 2, 5.0)
        return delay

    def after(self, error: Exception, told: Told) -> float:
        """The same after an error, of which somebody is told once.

        Raises:
            Exception: the error, to give up.
        """
        delay = self.delay()
        if delay is None:
            raise error
        if self.news(str(error)):
            told(f"{error}; trying again")
        return delay
