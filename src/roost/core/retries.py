"""After a model request has failed: try again, and when, or give up."""

import random

from msgspec import Struct

from roost.core.errors import ModelFailed

RETRIES = 2  # per model, after the first try
LONGEST_WAIT = 60.0  # seconds that a Retry-After may ask for


class Again(Struct, frozen=True):
    """Ask the same model once more, after so many seconds."""

    after: float


class GiveUp(Struct, frozen=True):
    """No other try will help."""

    error: ModelFailed


def decide(
    error: ModelFailed,
    attempt: int,
    *,
    retries: int = RETRIES,
    alone: bool = True,
    dice: random.Random | None = None,
) -> Again | GiveUp:
    """Weigh a failure of the n-th attempt (1 is the first); `alone` says that no other model stands in for this one.

    Rules of the runtime specification 3.9: 5xx, overload, timeouts and cut lines are retried after
    200 ms × 2ⁿ (2 s at most, ±10 %); a rate limit after what the provider asks for, 60 s at most, or
    not at all where another model can be asked.
    """
    if attempt > retries or error.kind not in ("retryable", "rate_limit"):
        return GiveUp(error)
    if error.kind == "rate_limit" and not alone:
        return GiveUp(error)
    if error.kind == "rate_limit" and error.retry_after is not None:
        return Again(min(max(error.retry_after, 0.0), LONGEST_WAIT))
    wait = min(0.2 * 2 ** (attempt - 1), 2.0)
    return Again(wait * (dice or random).uniform(0.9, 1.1))
