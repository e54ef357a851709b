"""The time, as the machine has it."""

import time

import anyio

from roost.core.ids import Micros


class SystemClock:
    """The real clock (`ports.Clock`)."""

    def now(self) -> Micros:
        """Microseconds since 1970, UTC."""
        return Micros(time.time_ns() // 1000)

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await anyio.sleep(seconds)
