"""How long a language server is waited for, and how often it is started again."""

import random
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from roost.core.errors import ToolsetFailed
from roost.wire import durations

STARTUP = 60.0  # seconds
CALL = 30.0
MOST_RESTARTS = 5
STEADY = 60.0  # seconds that a server must have run for its earlier ends to be forgotten

_RESTARTS: Mapping[str, str] = {"resilient": "on_failure", "strict": "never", "best-effort": "on_failure"}


class Lifecycle(Struct, frozen=True):
    """The patience of one server, in seconds.  A program that has ended is started again by the next call."""

    startup: float = STARTUP
    call: float = CALL
    restart: str = "on_failure"  # never, on_failure or always
    most: int = MOST_RESTARTS  # -1 is no limit
    initial: float = 1.0
    longest: float = 32.0
    multiplier: float = 2.0
    jitter: float = 0.0

    def pause(self, ends: int) -> float:
        """The seconds between the n-th end in a row (1 is the first) and the next start."""
        wait = min(self.initial * self.multiplier ** min(ends - 1, 64), self.longest)
        return wait * (1 + random.uniform(-self.jitter, self.jitter))  # noqa: S311  no secret

    def again(self, ends: int, code: int | None) -> bool:
        """Whether to start it after so many ends in a row, the last of them with this status."""
        if self.restart == "never" or (self.restart == "on_failure" and code == 0):
            return False
        return self.most < 0 or ends <= self.most


def lifecycle(given: Mapping[str, Any] | None) -> Lifecycle:
    """The `lifecycle` of an agent file.

    Raises:
        ToolsetFailed: a duration can't be read.
    """
    given = given or {}
    backoff = given.get("backoff") or {}
    profile = str(given.get("profile") or "resilient")
    return Lifecycle(
        startup=_seconds(given, "startup_timeout", STARTUP),
        call=_seconds(given, "call_timeout", CALL),
        restart=str(given.get("restart") or _RESTARTS.get(profile, "on_failure")),
        most=int(given.get("max_restarts") or MOST_RESTARTS),
        initial=_seconds(backoff, "initial", 1.0),
        longest=_seconds(backoff, "max", 32.0),
        multiplier=max(float(backoff.get("multiplier") or 2.0), 1.0),
        jitter=min(float(backoff.get("jitter") or 0.0), 1.0),
    )


def _seconds(given: Mapping[str, Any], name: str, usual: float) -> float:
    text = str(given.get(name) or "")
    if text in ("", "0"):
        return usual
    try:
        return durations.seconds(text)
    except ValueError as error:
        raise ToolsetFailed(f"lifecycle.{name}: {error}") from None
