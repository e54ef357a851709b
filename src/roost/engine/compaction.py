"""Long conversations: when one is summed up, and how that goes.

Rules of the runtime specification, 3.11.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from roost.core import compaction, estimates
from roost.core import events as e
from roost.core.agents import Agent
from roost.core.compaction import Plan
from roost.core.errors import BadModel, BudgetExceeded, HookStopped, ModelFailed
from roost.core.history import History
from roost.core.hooks import Verdict
from roost.core.messages import Message
from roost.core.session import Head
from roost.engine.answer import Make
from roost.engine.chain import chain
from roost.engine.ear import Park
from roost.engine.firing import STOPPED, notify, warn, warned
from roost.engine.prompt import SUMMARY
from roost.engine.stage import Stage
from roost.engine.summary import LONGEST, PATIENCE, Summing
from roost.ports import ModelRequest, Provider

Why = Literal["threshold", "overflow", "manual"]
Outcome = Literal["applied", "skipped", "failed"]

STRETCH = 8.0  # tokens in truth that one of our estimates is taken for at most
ALL = 1_000_000_000  # tokens: no limit


class Measure(Struct, frozen=True):
    """How long a conversation is, and what it has to go into; tokens.

    `stretch` is how many of them, in truth, one of our estimates is.
    """

    limit: int  # of the model's window; 0 where nobody knows
    size: int
    stretch: float

    def __call__(self, share: float, of: int) -> int:
        """A share of so many tokens, in estimated ones."""
        return int(share * of / self.stretch)


def threshold(agent: Agent, provider: Provider) -> float:
    """The share of the model's window past which a conversation is summed up unasked; 0 is never."""
    if not agent.compaction.automatic or provider.context_limit <= 0:
        return 0.0
    return agent.compaction.threshold or provider.spec.compaction_threshold or compaction.THRESHOLD


async def ahead(stage: Stage, provider: Provider, make: Make, before: Sequence[e.Fact]) -> Sequence[e.Fact]:
    """Before a request: sum the conversation up where that is asked for or due; what of `before` is left to write."""
    why = _due(stage, provider, make)
    if why is None or await compact(stage, why, provider, make, *before) is None:
        return before
    return ()


async def relieved(stage: Stage, provider: Provider, make: Make, error: ModelFailed) -> bool:
    """After a request that was too long: sum the conversation up; whether it is shorter now."""
    told = f"the conversation is too long for the model {provider.spec.ref}, and is summed up: {error}"
    done = await compact(stage, "overflow", provider, make, *warned([told], stage.turn.agent))
    if done is not None:
        await notify(stage, "warning", told)
    return done == "applied"


async def compact(stage: Stage, why: Why, provider: Provider, make: Make, *before: e.Fact) -> Outcome | None:
    """Sum the conversation up.  None, and nothing written, where there is nothing to sum up and nobody has asked.

    `provider` is the model that the conversation is meant for, and `make` makes its request.

    Raises:
        Park: the turn sleeps until a person answers; the wish stays.
        BudgetExceeded: there is no money for it.
    """
    measure = _measured(stage.history, provider, make(provider), why)
    plan = _planned(stage.history, measure, why)
    if plan is None and why != "manual":
        return None
    agent = stage.turn.agent
    instruction = await _instruction(stage) if why == "manual" else ""
    await stage.journal.write(*before, e.CompactionStarted(agent, why))
    if plan is None:
        return await _not_done(stage, "skipped", "there is nothing to sum up in this conversation yet")
    try:
        outcome = await _carried_out(stage, why, plan, provider, measure, instruction)
    except Park:
        await stage.journal.write(e.CompactionEnded("failed", agent, again=True))
        raise
    stage.weary = stage.weary or outcome != "applied"
    await stage.catch_up()
    return outcome


def filled(history: History, request: Callable[[], ModelRequest]) -> int:
    """The tokens of a conversation: what the provider counted at the newest answer, and an estimate of what came since.

    Where nobody has counted since the newest summary, all of the request is estimated.
    """
    since: list[Message] = []
    for item in reversed(history.items):
        if item.summary is not None:
            break
        message = item.message
        if message is None or message.role == "system":
            continue
        if message.role == "assistant" and (usage := message.usage) is not None and usage.context:
            return usage.context + usage.output + estimates.of_messages(since)
        since.append(message)
    return estimated(request())


def estimated(request: ModelRequest) -> int:
    """The tokens of a request, by our estimate."""
    return estimates.of_messages(request.messages) + estimates.of_definitions(request.tools)


# -- when ---------------------------------------------------------------------------------------


def _due(stage: Stage, provider: Provider, make: Make) -> Why | None:
    if stage.journal.head.compaction:
        return "manual"
    share = threshold(stage.ready.agent, provider)
    if not share or stage.weary:
        return None
    size = filled(stage.history, lambda: make(provider))
    return "threshold" if size > share * provider.context_limit else None


def _measured(history: History, provider: Provider, request: ModelRequest, why: Why) -> Measure:
    guess, size = max(estimated(request), 1), filled(history, lambda: request)
    if why == "overflow":
        size = max(size, provider.context_limit)
    return Measure(provider.context_limit, size, min(max(size / guess, 1.0), STRETCH))


def _planned(history: History, measure: Measure, why: Why) -> Plan | None:
    window = measure.limit or (measure.size if why == "overflow" else 0)
    keep = measure(compaction.KEPT, min(measure.limit or measure.size, measure.size))
    unseen = measure(compaction.UNSEEN, window) if window else ALL
    plan = compaction.plan(history, keep, unseen)
    if why == "overflow":
        return plan or compaction.plan(history, 0, 0)
    if why == "threshold" and plan is not None and plan.tokens < measure(compaction.GAIN, measure.limit):
        return None  # what fills the window is not the conversation
    return plan


# -- how ----------------------------------------------------------------------------------------


async def _carried_out(
    stage: Stage, why: Why, plan: Plan, provider: Provider, measure: Measure, instruction: str
) -> Outcome:
    verdict, agent = await _consulted(stage, why, measure.limit), stage.turn.agent
    if verdict.blocked is not None:
        return await _not_done(
            stage, "skipped", f"a hook does not let the conversation be summed up: {verdict.blocked}"
        )
    window = measure.size // 2 if why == "overflow" else 0  # a model that knows no limit may be the one that refused
    summing = Summing(stage, plan, instruction=instruction, stretch=measure.stretch, window=window)
    try:
        text = await _text(stage, verdict, summing, provider)
    except (ModelFailed, TimeoutError) as error:
        what = f"it took longer than {PATIENCE:.0f} seconds" if isinstance(error, TimeoutError) else str(error)
        why_not = f"the conversation could not be summed up, and stays as it is: {what}"
        return await _not_done(stage, "failed", why_not, lambda head: _in_vain(head, summing, provider, agent))
    except (Park, BudgetExceeded):
        if summing.model:
            await stage.journal.compose(lambda head: _in_vain(head, summing, provider, agent))
        raise
    await stage.journal.compose(lambda head: _applied(head, plan, text, summing, provider, stage.ready.agent))
    await stage.fire("after_compaction", compaction_reason=why, context_limit=measure.limit, summary=text)
    return "applied"


async def _not_done(
    stage: Stage, outcome: Outcome, why: str, spent: Callable[[Head], Sequence[e.Fact]] = lambda _: ()
) -> Outcome:
    agent = stage.turn.agent
    shown, ended = warned([why], agent), e.CompactionEnded(outcome, agent)
    await stage.journal.compose(lambda head: [*shown, *spent(head), ended])
    await notify(stage, "warning", why)
    return outcome


async def _text(stage: Stage, verdict: Verdict, summing: Summing, provider: Provider) -> str:
    """The summary: a hook's, else a model's."""
    if verdict.summary:
        return estimates.shortened(verdict.summary, LONGEST)
    links, warnings = _links(stage, provider)
    await warn(stage, *stage.ready.unsaid(warnings))
    with stage.ear.at_thought():
        return estimates.shortened(await summing.run(links), LONGEST)


async def _consulted(stage: Stage, why: Why, limit: int) -> Verdict:
    """What hooks say to it: a veto, or a summary of their own.

    Raises:
        HookStopped: one ends the run.
    """
    said = Verdict()
    for event in ("pre_compact", "before_compaction"):
        verdict = await stage.fire(event, compaction_reason=why, context_limit=limit)
        if verdict.stop:
            raise HookStopped(verdict.stop_reason or STOPPED)
        said = replace(verdict, summary=verdict.summary or said.summary)
        if said.blocked is not None:
            break
    return said


async def _instruction(stage: Stage) -> str:
    """What whoever asked for it wants the summary to heed."""
    seq = stage.journal.head.compaction
    (event,) = await stage.makers.store.page(stage.log, after=seq - 1, limit=1)
    return event.fact.instruction if isinstance(event.fact, e.CompactionAsked) else ""


def _links(stage: Stage, own: Provider) -> tuple[Sequence[Provider], Sequence[str]]:
    """The models to ask for the summary: the one that the file names for it, then the agent's, then its fallbacks."""
    makers, ready = stage.makers, stage.ready
    links, warnings = chain(makers.models, ready.team, ready.agent, own, stage.sticky, makers.clock.monotonic())
    found, doubts = list(links), list(warnings)
    if ref := ready.agent.compaction.model or own.spec.compaction_model:
        try:
            found.insert(0, makers.models.provider(ready.team, ref))
        except BadModel as error:
            doubts.append(f"the model {ref!r} for summaries can't be used: {error}")
    return [link for place, link in enumerate(found) if link not in found[:place]], doubts


def _applied(head: Head, plan: Plan, text: str, summing: Summing, provider: Provider, agent: Agent) -> Sequence[e.Fact]:
    """The summary, the counters after it, and the end: one append, so that no reader finds one without the other."""
    usage = summing.usage if summing.model else None
    used = e.UsageAdded(
        usage=summing.usage,
        model=summing.model,
        agent=agent.name,
        cost=summing.cost,
        total_cost=head.cost + summing.cost,
        input_tokens=plan.kept + estimates.of_message(Message("user", f"{SUMMARY}{text}")),
        output_tokens=0,
        context_limit=provider.context_limit,
        why="compaction",
        unpriced=summing.unpriced,
        threshold=threshold(agent, provider),
    )
    summary = e.SummaryAdded(text, plan.first_kept, summing.cost, summing.model, usage)
    return [summary, e.CompactionEnded("applied", agent.name), used]


def _in_vain(head: Head, summing: Summing, provider: Provider, agent: str) -> Sequence[e.Fact]:
    """What was spent on a summary that did not come."""
    if not summing.model:
        return ()
    used = e.UsageAdded(
        usage=summing.usage,
        model=summing.model,
        agent=agent,
        cost=summing.cost,
        total_cost=head.cost + summing.cost,
        input_tokens=head.input_tokens,
        output_tokens=head.output_tokens,
        context_limit=provider.context_limit,
        why="vain",
        unpriced=summing.unpriced,
    )
    return [used]
