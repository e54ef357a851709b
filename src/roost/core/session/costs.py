"""What a session has used: tokens, money and time, by agent."""

from msgspec.structs import replace

from roost.core import events as e
from roost.core.session.changes import Changes
from roost.core.session.head import Head, Share, Turn
from roost.core.usage import plus

CHANGES = Changes[Head]()


@CHANGES.by(e.UsageAdded)
def _used(head: Head, event: e.Event, fact: e.UsageAdded) -> Head:
    shares = shared(head.shares, head, fact.agent, fact)
    head = replace(head, used=plus(head.used, fact.usage), shares=shares)
    cost = head.cost + (0 if fact.why == "compaction" else fact.cost)  # that one stands in its SummaryAdded
    if fact.why in ("title", "vain", "tool"):
        return replace(head, cost=cost)
    counters = {"input_tokens": fact.input_tokens, "output_tokens": fact.output_tokens}
    return replace(head, cost=cost, context_limit=fact.context_limit or head.context_limit, **counters)


def lasted(turn: Turn, event: e.Event) -> float:
    """The seconds of a turn that ends now."""
    return max(0, event.at - turn.at) / 1e6


def shared(
    shares: tuple[Share, ...], head: Head, agent: str, fact: e.UsageAdded | None = None, seconds: float = 0.0
) -> tuple[Share, ...]:
    """The shares after an agent has used something, or worked for some time."""
    source = head.turn.source if head.turn is not None else head.source
    known = next((s for s in shares if (s.source, s.agent) == (source, agent)), None)
    share = known or Share(source, agent)
    if fact is not None:
        tokens = share.tokens + fact.usage.context + fact.usage.output
        share = replace(share, cost=share.cost + fact.cost, tokens=tokens, unpriced=share.unpriced or fact.unpriced)
    share = replace(share, seconds=share.seconds + seconds)
    return (*shares, share) if known is None else tuple(share if s is known else s for s in shares)
