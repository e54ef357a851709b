"""A clock to wind by hand."""

import anyio
import anyio.lowlevel

from roost.core.ids import Micros

START = 1_780_000_000_000_000  # microseconds since 1970


class HandClock:
    """`ports.Clock` whose time passes when somebody says so."""

    def __init__(self) -> None:
        self._passed = 0.0
        self._sleepers: list[tuple[float, anyio.Event]] = []

    def now(self) -> Micros:
        """The moment."""
        return Micros(START + round(self._passed * 1e6))

    def monotonic(self) -> float:
        """Seconds since it was made."""
        return self._passed

    async def sleep(self, seconds: float) -> None:
        """Wait until it has been wound so far."""
        due, bell = self._passed + seconds, anyio.Event()
        if seconds <= 0:
            await anyio.lowlevel.checkpoint()
            return
        self._sleepers.append((due, bell))
        try:
            await bell.wait()
        finally:
            self._sleepers.remove((due, bell))

    @property
    def asleep(self) -> list[float]:
        """For how long each sleeper still sleeps."""
        return sorted(due - self._passed for due, _ in self._sleepers)

    def wind(self, seconds: float) -> None:
        """Let time pass."""
        self._passed += seconds
        for due, bell in self._sleepers:
            if due <= self._passed + 1e-9:
                bell.set()
