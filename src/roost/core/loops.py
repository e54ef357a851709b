"""An agent that goes round in circles: the same calls, batch after batch."""

import json
from collections.abc import Sequence

from msgspec import Struct

from roost.core.messages import ToolCall

LIMIT = 5

POLLING = frozenset(
    {
        "view_background_agent",
        "list_background_agents",
        "view_background_job",
        "list_background_jobs",
        "wait_background_job",
    }
)
"""Tools that are called again and again with the same arguments, since what they tell of changes."""


class Streak(Struct, frozen=True, omit_defaults=True):
    """The newest batch of calls, and how many times in a row it has come."""

    batch: tuple[tuple[str, str], ...] = ()
    count: int = 0


def after(streak: Streak, calls: Sequence[ToolCall]) -> Streak:
    """The streak after one more batch; one that only polls ends it."""
    if all(call.name in POLLING for call in calls):
        return Streak()
    batch = tuple((call.name, _canonical(call.arguments)) for call in calls)
    return Streak(batch, streak.count + 1 if batch == streak.batch else 1)


def complaint(streak: Streak, limit: int = 0) -> str:
    """What ends the run, once a batch has come so many times (0 is the usual 5); "" as long as it has not."""
    if not streak.count or streak.count < (limit if limit > 0 else LIMIT):
        return ""
    names = ", ".join(dict.fromkeys(name for name, _ in streak.batch))
    return f"loop detected: the same call of {names} came {streak.count} times in a row"


def _canonical(arguments: str) -> str:
    """The arguments, however they are spelled."""
    try:
        return json.dumps(json.loads(arguments or "{}"), sort_keys=True)
    except (ValueError, RecursionError):
        return arguments
