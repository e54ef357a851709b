"""One answer of a model: ask, write down what comes, and ask again where that may help."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Protocol

from roost.core import events as e
from roost.core import retries
from roost.core.errors import ModelFailed
from roost.core.ids import AnswerId, fresh
from roost.core.messages import Message
from roost.core.session import Head
from roost.core.usage import Usage, cost
from roost.engine.draft import LARGEST, MOST_CALLS, Draft
from roost.engine.journal import Journal
from roost.ports import Clock, Finished, ModelRequest, Provider

SILENT = "the model answered with no text"
TOO_MANY = "the model called {} tools in one answer: only the first {} are run"

Make = Callable[[Provider], ModelRequest]
"""Makes the request for a model: not all of them take the same."""


class Pass(Protocol):
    """Leave to ask a model, once, for what that may cost at most."""

    def settle(self, cost: float, tokens: int, *, priced: bool) -> None:
        """What it has cost in truth: said before it is written down."""
        ...


Gate = Callable[[Provider, ModelRequest], AbstractAsyncContextManager[Pass | None]]
"""Who wants to ask a model has to get past it: budgets wait here."""


class Guard(Protocol):
    """What stands between a turn and the models that it asks."""

    def gate(self, provider: Provider, request: ModelRequest) -> AbstractAsyncContextManager[Pass | None]:
        """Wait for leave, where a person has to give it."""
        ...

    def quiet(self, provider: Provider, request: ModelRequest) -> AbstractAsyncContextManager[Pass | None]:
        """Leave for what nobody waits for.

        Raises:
            BudgetExceeded: there is none now.
        """
        ...

    async def admit(self) -> None:
        """Return when the turn may spend something, as far as is known."""
        ...

    async def broke(self) -> bool:
        """Whether it may not."""
        ...

    async def show(self) -> None:
        """Write down what has been spent of the budgets that hold here, if any do."""
        ...


@asynccontextmanager
async def no_gate(provider: Provider, request: ModelRequest) -> AsyncIterator[Pass | None]:
    """Nothing is counted."""
    yield None


def settle(leave: Pass | None, provider: Provider, usage: Usage | None) -> None:
    """Tell the gate what a request has cost, where one was passed."""
    if leave is not None:
        used = usage or Usage()
        leave.settle(cost(used, provider.price), used.context + used.output, priced=provider.price is not None)


class Asking:
    """A request under way.  `draft` is what has come of it, for whoever has to end the turn."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self.draft: Draft | None = None
        self.gate: Gate = no_gate
        self.threshold = 0.0  # share of the context past which the conversation is summed up
        self._journal = journal
        self._clock = clock

    async def ask(
        self,
        links: Sequence[Provider],
        make: Make,
        agent: str,
        digests: dict[str, str],
        *before: e.Fact,
        tries: int = retries.RETRIES,
    ) -> tuple[Message | None, Provider]:
        """The answer's message, committed with its usage (None where the model said nothing), and who gave it.

        The models are tried in order; `before` goes into the log together with the first ModelAsked.

        Raises:
            ModelFailed: no try has helped.  Deltas of the last one have been dropped.
        """
        first: tuple[e.Fact, ...] = before
        for place, provider in enumerate(links, 1):
            try:
                alone = len(links) == 1
                return await self._tried(provider, make(provider), agent, digests, first, tries, alone=alone), provider
            except ModelFailed as error:
                if error.kind == "overflow" or place == len(links):
                    raise
                following = links[place]
                fell = e.FellBack(provider.spec.ref, following.spec.ref, str(error), place, len(links) - 1, agent)
                shown = e.AgentShown(agent, following.spec.ref, context_limit=following.context_limit)
                first = (fell, shown)
        raise RuntimeError("there is no model to ask")

    async def _tried(
        self,
        provider: Provider,
        request: ModelRequest,
        agent: str,
        digests: dict[str, str],
        before: Sequence[e.Fact],
        tries: int,
        *,
        alone: bool,
    ) -> Message | None:
        attempt = 1
        while True:
            async with self.gate(provider, request) as leave:
                answer = AnswerId(fresh())
                asked = e.ModelAsked(answer, agent, provider.spec.ref, attempt)
                await self._journal.write(*(before if attempt == 1 else ()), asked)
                self.draft = Draft(answer, agent, digests)
                try:
                    done = await self._listen(provider, request, self.draft)
                except ModelFailed as error:
                    await self._drop(self.draft, error)
                    verdict = retries.decide(error, attempt, retries=tries, alone=alone)
                else:
                    return await self._keep(provider, self.draft, done, leave)
            if isinstance(verdict, retries.GiveUp):
                raise verdict.error
            await self._clock.sleep(verdict.after)
            attempt += 1

    async def _listen(self, provider: Provider, request: ModelRequest, draft: Draft) -> Finished:
        async with aclosing(provider.stream(request)) as pieces:
            async for piece in pieces:
                if delta := draft.feed(piece):
                    await self._journal.post(delta)
                if draft.too_large:
                    raise ModelFailed(f"the model's answer is longer than {LARGEST} characters", kind="client")
        if draft.finished is None:
            raise ModelFailed("the model's answer ended before its end", kind="retryable")
        return draft.finished

    async def _drop(self, draft: Draft, error: ModelFailed) -> None:
        """Take back what was shown of an answer that failed."""
        if draft.posted:
            why = f"the answer was cut off: {error}"
            await self._journal.write(e.AnswerDropped(draft.answer, self._journal.turn.asked, why, draft.agent))
        self.draft = None

    async def _keep(self, provider: Provider, draft: Draft, done: Finished, leave: Pass | None) -> Message | None:
        price = cost(done.usage or Usage(), provider.price)
        message = draft.message(at=self._clock.now(), model=provider.spec.ref, cost=price)
        settle(leave, provider, done.usage)
        asked = self._journal.turn.asked
        kept: e.Fact = e.AnswerDropped(draft.answer, asked, SILENT, draft.agent)
        if message is not None:
            kept = e.MessageAdded(message, answer=draft.answer, agent=draft.agent)
        left = [e.Warned(TOO_MANY.format(draft.asked, MOST_CALLS), draft.agent)] if draft.asked > MOST_CALLS else []

        def facts(head: Head) -> list[e.Fact]:
            return [kept, used(head, provider, done, draft.agent, price, self.threshold), *left]

        await self._journal.compose(facts)
        self.draft = None
        return message


def used(
    head: Head, provider: Provider, done: Finished, agent: str, price: float, threshold: float = 0.0
) -> e.UsageAdded:
    """What an answer used, and what that makes for the session."""
    usage = done.usage or Usage()
    return e.UsageAdded(
        usage=usage,
        model=provider.spec.ref,
        agent=agent,
        cost=price,
        total_cost=head.cost + price,
        input_tokens=usage.context if done.usage else head.input_tokens,
        output_tokens=usage.output if done.usage else head.output_tokens,
        context_limit=provider.context_limit,
        finish=done.reason,
        threshold=threshold,
        unpriced=provider.price is None and done.usage is not None,
    )
