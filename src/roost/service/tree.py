"""Sessions and those that they have started, in numbers."""

from msgspec import Struct

from roost.core.session import Head
from roost.engine.kin import below
from roost.ports import EventStore


class Tree(Struct, frozen=True):
    """A session and all below it, in numbers; what its sub-sessions used is among them."""

    sessions: int
    running: int
    cost: float
    input_tokens: int
    output_tokens: int


async def measure(store: EventStore, head: Head) -> Tree:
    """A session and all below it, in numbers."""
    heads = [head, *await below(store, head.id)]
    return Tree(
        sessions=len(heads),
        running=sum(one.turn is not None for one in heads),
        cost=sum(one.cost + one.below for one in heads),
        input_tokens=sum(one.used.input + one.used_below.input for one in heads),
        output_tokens=sum(one.used.output + one.used_below.output for one in heads),
    )
