"""How long a tool server is waited for, and when it is started again (`lifecycle` of an agent file)."""

import random
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from roost.core.errors import ToolsetFailed
from roost.wire import durations

STARTUP = 10.0  # seconds until a server has to have told its tools
CALL = 600.0  # seconds in which a call has to end, or to tell of progress
TRIES = 5


class Rules(Struct, frozen=True):
    """The `lifecycle` of one server.  Times are seconds."""

    required: bool = False
    startup: float = STARTUP
    call: float = CALL  # 0 waits for ever
    restart: str = "on_failure"  # never, on_failure or always
    again: bool = True  # whether a server that did not start is tried again
    tries: int = TRIES  # restarts in a row; -1 knows no end
    initial: float = 1.0
    longest: float = 32.0
    multiplier: float = 2.0
    jitter: float = 0.0

    def delay(self, failures: int) -> float:
        """How long to wait once it has failed so many times in a row."""
        wait: float = min(self.initial * self.multiplier ** min(max(failures - 1, 0), 60), self.longest)
        return wait * (1 + random.uniform(-self.jitter, self.jitter))  # noqa: S311  it only spreads restarts

    def restarts(self, *, clean: bool, failures: int) -> bool:
        """Whether a server that has ended is started again before anyone asks for it."""
        if self.restart == "never" or 0 <= self.tries < failures:
            return False
        return self.restart == "always" or not clean


def rules(lifecycle: Mapping[str, Any]) -> Rules:
    """What the entry says, over what its profile means.

    Raises:
        ToolsetFailed: a duration can't be read.
    """
    profile = lifecycle.get("profile") or "resilient"
    restart = lifecycle.get("restart") or ("on_failure" if profile == "resilient" else "never")
    backoff = lifecycle.get("backoff") or {}
    return Rules(
        required=bool(lifecycle.get("required", profile == "strict")),
        startup=_seconds(lifecycle.get("startup_timeout"), "startup_timeout", STARTUP) or STARTUP,
        call=_seconds(lifecycle.get("call_timeout"), "call_timeout", CALL),
        restart=restart,
        again=profile != "strict",
        tries=lifecycle.get("max_restarts") or TRIES,
        initial=_seconds(backoff.get("initial"), "backoff.initial", 1.0),
        longest=_seconds(backoff.get("max"), "backoff.max", 32.0),
        multiplier=float(backoff.get("multiplier") or 2.0),
        jitter=float(backoff.get("jitter") or 0.0),
    )


def _seconds(text: Any, what: str, usual: float) -> float:
    if text in (None, ""):
        return usual
    if str(text) == "0":
        return 0.0
    try:
        return durations.seconds(str(text))
    except ValueError as error:
        raise ToolsetFailed(f"lifecycle.{what}: {error}") from None
