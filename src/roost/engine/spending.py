"""Requests to models that tools make: within the budgets, counted, and no part of the conversation."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from msgspec.structs import replace

from roost.core import events as e
from roost.core.session import Head
from roost.core.usage import Usage, cost
from roost.engine.answer import settle, used
from roost.engine.stage import Stage
from roost.ports import Finished, ModelRequest, Provider


@asynccontextmanager
async def spending(
    stage: Stage, provider: Provider, request: ModelRequest
) -> AsyncIterator[Callable[[Finished], None]]:
    """Leave for one request; what is given the end of its answer counts it.

    Raises:
        BudgetExceeded: there is no money for it.  Nobody is asked.
    """
    ends: list[Finished] = []
    async with stage.guard.quiet(provider, request) as leave:
        yield ends.append
        for done in ends:
            price = cost(done.usage or Usage(), provider.price)
            await stage.journal.compose(partial(_counted, provider, done, price))
            settle(leave, provider, done.usage)


def _counted(provider: Provider, done: Finished, price: float, head: Head) -> list[e.Fact]:
    fact = used(head, provider, done, head.agent, price)
    held = {"input_tokens": head.input_tokens, "output_tokens": head.output_tokens}
    return [replace(fact, why="tool", finish="", **held)]
