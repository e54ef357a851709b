"""The time, and waiting."""

from typing import Protocol

from roost.core.ids import Micros


class Clock(Protocol):
    """The time, so that tests can wind it."""

    def now(self) -> Micros:
        """The moment, in microseconds since 1970 (UTC)."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...
