"""A clock to wind by hand (`ports.Clock`)."""

import anyio

from roost.core.ids import Micros

PATIENCE = 20.0  # seconds of real time after which a test has failed
START = 1_780_000_000_000_000  # microseconds since 1970


class FakeClock:
    """Time passes when a test says so."""

    def __init__(self) -> None:
        self._passed = 0.0
        self._sleepers: list[tuple[float, anyio.Event]] = []
        self.slept: list[float] = []  # what everybody has asked for

    def now(self) -> Micros:
        return Micros(START + round(self._passed * 1e6))

    def monotonic(self) -> float:
        return self._passed

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if seconds <= 0:
            await anyio.lowlevel.checkpoint()
            return
        sleeper = (self._passed + seconds, anyio.Event())
        self._sleepers.append(sleeper)
        try:
            await sleeper[1].wait()
        finally:
            self._sleepers.remove(sleeper)

    @property
    def asleep(self) -> list[float]:
        """For how long each sleeper still sleeps."""
        return sorted(round(due - self._passed, 6) for due, _ in self._sleepers)

    async def until_asleep(self, shortest: float = 0.0, longest: float = 1e9) -> None:
        """Return when somebody sleeps for a time within these bounds."""
        with anyio.fail_after(PATIENCE):
            while not any(shortest <= left <= longest for left in self.asleep):
                await anyio.sleep(0)

    def wind(self, seconds: float) -> None:
        """Let time pass, and wake whoever has slept enough."""
        self._passed += seconds
        for due, bell in self._sleepers:
            if due <= self._passed + 1e-9:
                bell.set()
