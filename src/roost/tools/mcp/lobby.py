"""The logins that wait for a browser to come back (`ports.Logins`): each state is taken once."""

from collections.abc import Iterator
from contextlib import contextmanager

import anyio
from msgspec import Struct


class Arrival(Struct, frozen=True, omit_defaults=True):
    """What a browser brought: a code, or why there is none."""

    code: str = ""
    error: str = ""
    description: str = ""


class Seat:
    """A login that waits."""

    def __init__(self) -> None:
        self._came = anyio.Event()
        self._arrival = Arrival()

    async def arrival(self) -> Arrival:
        """Wait for it."""
        await self._came.wait()
        return self._arrival

    def take(self, arrival: Arrival) -> None:
        """It has come."""
        self._arrival = arrival
        self._came.set()


class Lobby:
    """Where logins wait, in memory: a login does not outlive the server that began it."""

    def __init__(self) -> None:
        self._seats: dict[str, Seat] = {}

    @contextmanager
    def wait(self, state: str) -> Iterator[Seat]:
        """Wait for a state, for as long as the block lasts."""
        seat = self._seats[state] = Seat()
        try:
            yield seat
        finally:
            self._seats.pop(state, None)

    def deliver(self, state: str, *, code: str = "", error: str = "", description: str = "") -> bool:
        """Hand over what a browser brought; False where no login waits for this state."""
        seat = self._seats.pop(state, None)
        if seat is None:
            return False
        seat.take(Arrival(code, error, description))
        return True
