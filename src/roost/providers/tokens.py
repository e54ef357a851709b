"""Tokens that do not last: fetched when they are needed, and anew before they end."""

import time
from collections.abc import Awaitable, Callable

import anyio
from msgspec import Struct

from roost.core.errors import ModelFailed
from roost.providers.http import Timeouts, open_http

PATIENCE = Timeouts(connect=10.0, first_byte=30.0, idle=10.0)
MARGIN = 60.0  # seconds before its end in which a token is not used any more


class Token(Struct, frozen=True):
    """A token, and for how many seconds it is good."""

    value: str
    seconds: float


class Tokens:
    """The newest token of one source, for all who ask at once."""

    def __init__(self, fetch: Callable[[], Awaitable[Token]], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = anyio.Lock()
        self._value = ""
        self._until = 0.0

    async def get(self) -> str:
        """A token that is good for a while.

        Raises:
            ModelFailed: there is none to be had.
        """
        async with self._lock:
            if not self._value or self._clock() >= self._until:
                token = await self._fetch()
                self._value, self._until = token.value, self._clock() + max(token.seconds - MARGIN, 1.0)
            return self._value


async def post(url: str, headers: dict[str, str], body: bytes, *, who: str) -> bytes:
    """Ask for a token, on a line of its own: no cassette hears it.

    Raises:
        ModelFailed: it is refused; nothing that was sent is told.
    """
    try:
        async with open_http(timeouts=PATIENCE) as http:
            return await http.post(url, headers, body)
    except ModelFailed as error:
        kind = error.kind if error.kind in ("retryable", "rate_limit") else "auth"
        told = f"{who} gave no token: status {error.status}" if error.status else f"{who} gave no token: {error}"
        told += f" ({error.provider_code})" if error.provider_code else ""
        raise ModelFailed(told, kind=kind, status=error.status, retry_after=error.retry_after) from error


async def get(url: str, headers: dict[str, str]) -> bytes:
    """What stands at an address, on a line of its own."""
    async with open_http(timeouts=PATIENCE) as http:
        return await http.get(url, headers)
