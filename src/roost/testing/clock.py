"""A clock to wind by hand."""

import anyio
import anyio.lowlevel

from roost.core.ids import Micros

PATIENCE = 20.0  # seconds of real time after which a test has failed
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
        return sorted(round(due - self._passed, 6) for due, _ in self._sleepers)

    async def until_asleep(self, shortest: float = 0.0, longest: float = 1e9) -> None:
        """Return when somebody sleeps for a time within these bounds."""
        with anyio.fail_after(PATIENCE):
            while not any(shortest <= left <= longest for left in self.asleep):
                await anyio.lowlevel.checkpoint()

    def wind(self, seconds: float) -> None:
        """Let time pass, and wake whoever has slept enough."""
        self._passed += seconds
        for due, bell in self._sleepers:
            if due <= self._passed + 1e-9:
                bell.set()
