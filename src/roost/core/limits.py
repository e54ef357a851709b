"""Usage limits of providers: when a turn that has met one may go on."""

from msgspec import Struct

from roost.core.events import LimitHit
from roost.core.ids import Micros

SECOND = 1_000_000  # microseconds


class Limits(Struct, frozen=True):
    """How the server waits for limits to pass; the table `[usage_limits]` of the settings."""

    enabled: bool = True
    resume_message: str = "Continue"
    max_wait: float = 86_400.0  # seconds
    fallback: float = 3_600.0  # seconds, where nobody says when
    jitter: float = 30.0  # seconds, added
    max_attempts: int = 12  # in one turn; 0 is no cap
    messages: dict[str, str] = {}  # provider -> another message
    fallbacks: dict[str, float] = {}  # provider -> other seconds
    disabled: tuple[str, ...] = ()  # providers that are left alone

    def message(self, provider: str) -> str:
        """What is said to the CLI when the time has come."""
        return self.messages.get(provider) or self.resume_message


def resumes_at(hit: LimitHit, limits: Limits, *, now: Micros, before: int) -> tuple[Micros, bool] | None:
    """When to go on, and whether nobody had said when; None where the turn ends instead.

    `before` is how many limits the turn has met before this one.
    """
    capped = limits.max_attempts and before >= limits.max_attempts
    if not limits.enabled or hit.provider in limits.disabled or capped:
        return None
    unknown = hit.reset_at is None
    wait = limits.fallbacks.get(hit.provider, limits.fallback) * SECOND
    reset = now + wait if hit.reset_at is None else max(hit.reset_at, now)
    return Micros(int(min(reset + limits.jitter * SECOND, now + limits.max_wait * SECOND))), unknown
