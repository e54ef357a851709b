"""One answer of a model: which model is asked, with what, and who hears of it."""

from collections.abc import Sequence
from contextlib import suppress

import anyio
from msgspec import structs, to_builtins

from roost.core import events as e
from roost.core import transcript
from roost.core.errors import (
    BadModel,
    BadValue,
    ModelFailed,
)
from roost.core.messages import Message
from roost.engine import compaction, prompt
from roost.engine.answer import Make
from roost.engine.cast import choose_model, tools_shown
from roost.engine.chain import chain
from roost.engine.endings import newest_answer
from roost.engine.firing import heed, listens, warn
from roost.engine.recall import recalled
from roost.engine.stage import Stage
from roost.ports import ModelRequest, Provider


async def ask(stage: Stage) -> bool:
    """One answer of the model; whether it is in the history."""
    runtime = stage.ready
    iteration = stage.turn.iterations + 1
    opening = await stage.fire("turn_start", iteration=iteration)
    await warn(stage, *await runtime.refresh())
    await stage.catch_up()
    if iteration == 1 and await recalled(stage):
        return True
    links, doubts = _links(stage)
    await warn(stage, *runtime.unsaid(doubts))
    before: list[e.Fact] = [await tools_shown(stage)]
    if stage.shown != (runtime.agent.name, links[0].spec.ref):
        stage.shown = (runtime.agent.name, links[0].spec.ref)
        limit = links[0].context_limit
        before.append(e.AgentShown(runtime.agent.name, links[0].spec.ref, runtime.agent.description, "", limit))
    if stage.stopping:
        await anyio.sleep_forever()  # the server is on its way out; the turn goes on after the restart

    def make(provider: Provider) -> ModelRequest:
        return _request(stage, provider, opening.contexts)

    left = await compaction.ahead(stage, links[0], make, before)
    try:
        said, by = await _answer(stage, links, make, left)
    except ModelFailed as error:
        if error.kind != "overflow" or not await compaction.relieved(stage, links[0], make, error):
            raise
        said, by = await _answer(stage, links, make, ())
    _remember(stage, links, by)
    await _told_of(stage, said, by)
    if said is None or not said.calls:
        await round_over(stage)
    return said is not None


async def _answer(
    stage: Stage, links: Sequence[Provider], make: Make, before: Sequence[e.Fact]
) -> tuple[Message | None, Provider]:
    """Ask the models, once hooks have looked the messages over."""
    ready = stage.ready
    rewritten = await _looked_over(stage, make(links[0]), stage.turn.iterations + 1, links[0])

    def made(provider: Provider) -> ModelRequest:
        return make(provider) if rewritten is None else structs.replace(make(provider), messages=rewritten)

    stage.asking.threshold = compaction.threshold(ready.agent, links[0])
    tries = max(ready.agent.fallback.retries, 0)
    with stage.ear.at_thought():
        return await stage.asking.ask(links, made, ready.agent.name, ready.digests, *before, tries=tries)


def _request(stage: Stage, provider: Provider, contexts: Sequence[str]) -> ModelRequest:
    ready, spec = stage.ready, provider.spec
    request = prompt.request(
        ready.agent,
        ready.guidance,
        stage.history,
        ready.definitions(),
        images=spec.images is not False,
        pdf=spec.pdf is not False,
        head=stage.journal.head,
        contexts=contexts,
    )
    if not ready.agent.redact_secrets:
        return request
    clean = tuple(prompt.redacted(message, stage.makers.redactor) for message in request.messages)
    return structs.replace(request, messages=clean)


async def _looked_over(
    stage: Stage, request: ModelRequest, iteration: int, provider: Provider
) -> tuple[Message, ...] | None:
    """What hooks make of the messages of a request; None where they leave them alone.

    Raises:
        HookStopped: a hook does not want it sent.
    """
    if not listens(stage, "before_llm_call"):
        return None
    shown = transcript.shown(request.messages)
    verdict = await heed(stage, "before_llm_call", iteration=iteration, model_id=provider.spec.ref, messages=shown)
    if verdict.updated_messages is None:
        return None
    try:
        return transcript.taken(verdict.updated_messages, request.messages)
    except BadValue as error:
        await warn(stage, f"a hook's messages can't be used: {error}")
        return None


async def _told_of(stage: Stage, said: Message | None, provider: Provider) -> None:
    """Hooks hear of an answer."""
    if said is not None and listens(stage, "after_llm_call"):
        usage = to_builtins(said.usage) if said.usage is not None else {}
        response = {"stop_response": said.content} if not said.calls else {}
        await stage.fire("after_llm_call", model_id=provider.spec.ref, usage=usage, cost=said.cost, **response)


def _links(stage: Stage) -> tuple[Sequence[Provider], Sequence[str]]:
    """The models for the next answer: what a tool's results want, or the agent's own, as its rules choose."""
    runtime, makers = stage.ready, stage.makers
    warnings = list(choose_model(stage))
    if ref := _after_tools(stage):
        try:
            return [makers.models.provider(runtime.team, ref)], warnings
        except BadModel as error:
            warnings.append(f"the model {ref!r} for results of tools can't be used: {error}")
    routed = runtime.provider.route(stage.history.last_said())
    links, doubts = chain(makers.models, runtime.team, runtime.agent, routed, stage.sticky, makers.clock.monotonic())
    return links, [*warnings, *doubts]


def _after_tools(stage: Stage) -> str:
    """The model that the toolset of the newest answer's calls wants for what follows; "" where none does."""
    newest = stage.newest()
    answer = newest_answer(stage.history)
    if newest is None or newest[1].role != "tool" or answer is None:
        return ""
    wanted = (stage.ready.models.get(call.name, "") for call in answer.calls)
    return next((ref for ref in wanted if ref), "")


def _remember(stage: Stage, links: Sequence[Provider], by: Provider) -> None:
    """Which model has helped stays the first for a while."""
    if by is links[0]:
        return
    agent = stage.ready.agent
    for ref in agent.fallback.models:
        with suppress(BadModel):
            if stage.makers.models.provider(stage.ready.team, ref) is by:
                until = stage.makers.clock.monotonic() + agent.fallback.cooldown
                stage.sticky.stay(agent.name, ref, until)


async def round_over(stage: Stage) -> None:
    """An answer, and the calls that it asked for, are through."""
    await stage.fire("turn_end", iteration=stage.turn.iterations)
