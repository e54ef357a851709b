"""One turn, from where its log stands to its end.

What comes next is read from the log: calls without a result are played, an answer without calls is
a natural stop, anything else is sent to the model.  A resumed turn therefore takes the same way as
a fresh one.
"""

import logging

import anyio

from roost.core import events as e
from roost.core.errors import MessagesWait, ModelFailed, NotOwner, RoostError, StoreFull
from roost.core.ids import WaitId, fresh
from roost.core.messages import Message
from roost.core.orders import Order
from roost.engine import commission, mailbox, prompt
from roost.engine.calls import Calls
from roost.engine.ear import Park
from roost.engine.endings import ending, newest_answer
from roost.engine.runtime import providers, unknown_definitions
from roost.engine.stage import Stage

log = logging.getLogger(__name__)

MORE_ITERATIONS = 10
CODES = {"rate_limit": "rate_limited", "overflow": "context_exceeded"}


async def run_turn(stage: Stage) -> None:
    """Play the turn; however it ends, the log says so.

    Raises:
        Park: it goes to sleep until a person answers.
        NotOwner: another server has it.
        StoreFull: its end could not be written.
    """
    with anyio.CancelScope() as canceled:
        async with stage.ear.open(canceled):
            try:
                order = await commission.ordered(stage)
                async with commission.in_time(stage, order):
                    await _play(stage, order)
            except (Park, NotOwner, StoreFull):
                raise
            except Exception as error:
                await _fail(stage, error)
    if canceled.cancelled_caught:
        await _cancel(stage)


async def _play(stage: Stage, order: Order | None) -> None:
    await stage.catch_up()
    if not await _may_go_on(stage):
        return
    await commission.wait(stage, order)
    if not await stage.makers.surroundings.exists(stage.turn.working_dir):
        raise RoostError(f"the working directory {stage.turn.working_dir!r} no longer exists")
    stage.runtime = await stage.prepare(stage)
    stage.built.set()
    if not stage.turn.started:
        await _begin(stage)
    await commission.tell(stage, order)
    while True:
        await stage.catch_up()
        newest = stage.newest()
        if stage.turn.calls:
            if (answer := newest_answer(stage.history)) is None:
                raise RuntimeError("calls are open, but no answer asked for them")
            await Calls(stage, answer.calls).play()
        elif newest is not None and newest[1].role == "assistant":
            if not await _goes_on(stage):
                return
        elif newest is None and stage.turn.interactive:
            await _goes_on(stage)  # nobody has said anything yet
        elif _spent(stage):
            if not await _more(stage):
                return
        else:
            await mailbox.take(stage, "steer")
            if not await _ask(stage) and not await _goes_on(stage):
                return


async def _may_go_on(stage: Stage) -> bool:
    """Whether the turn goes on.  Where a person was asked that after a restart, the answer is acted on."""
    if stage.turn.canceled or stage.journal.head.deleted:
        await _cancel(stage)
        return False
    asked = [a.answer.action for a in stage.turn.answers if a.kind == "question" and not a.call]
    if not asked:
        return True
    if asked[-1] == "accept":
        await stage.journal.write(e.TurnResumed(stage.turn.id, stage.turn.resumes + 1))
        return True
    await _cancel(stage)
    return False


# -- the beginning ------------------------------------------------------------------------------


async def _begin(stage: Stage) -> None:
    """Show what clients want to know first; then the turn is under way."""
    runtime, head = stage.ready, stage.journal.head
    provider = runtime.provider
    facts: list[e.Fact] = [e.TitleShown(head.title)] if head.title else []
    facts.append(
        e.AgentShown(
            runtime.agent.name,
            provider.spec.ref,
            runtime.agent.description,
            runtime.agent.welcome,
            provider.context_limit,
        )
    )
    cast = providers(stage.makers.models, runtime.team, head)
    facts.append(runtime.team_shown(cast | {runtime.agent.name: provider}))
    facts += [e.Warned(warning, runtime.agent.name) for warning in runtime.warnings]
    facts.append(await _tools_shown(stage))
    if posted := stage.newest():
        facts.append(_said(*posted))
    facts.append(e.TurnStarted(runtime.agent.name))
    await stage.journal.write(*facts)


def _said(position: int, message: Message) -> e.UserSaid:
    return e.UserSaid(message.content, position, message.parts)


async def _tools_shown(stage: Stage) -> e.ToolsShown:
    new = await unknown_definitions(stage.makers.store, stage.log, stage.ready)
    return e.ToolsShown(stage.ready.agent.name, len(stage.ready.tools), definitions=new)


# -- the model ----------------------------------------------------------------------------------


async def _ask(stage: Stage) -> bool:
    """One answer of the model; whether it is in the history."""
    runtime = stage.ready
    before: list[e.Fact] = [e.Warned(warning, runtime.agent.name) for warning in await runtime.refresh()]
    await stage.catch_up()
    images = runtime.provider.spec.images is not False
    request = prompt.request(runtime.agent, runtime.guidance, stage.history, runtime.definitions(), images=images)
    before.append(await _tools_shown(stage))
    if stage.stopping:
        await anyio.sleep_forever()  # the server is on its way out; the turn goes on after the restart
    agent = runtime.agent.name
    return await stage.asking.ask(runtime.provider, request, agent, runtime.digests, *before) is not None


# -- natural stops ------------------------------------------------------------------------------


async def _goes_on(stage: Stage) -> bool:
    """At a natural stop: take what people have sent meanwhile, else end the turn (or, interactive, wait for more)."""
    while True:
        changed = stage.ear.changed
        if await mailbox.take(stage, "steer") or await mailbox.take(stage, "followup"):
            return True
        if stage.turn.interactive:
            await changed.wait()
            continue
        try:
            end = e.TurnEnded(stage.turn.id, "normal", stage.turn.agent)
            await stage.journal.write(end, only_if=mailbox.empty)
        except MessagesWait:
            await stage.journal.refresh()
        else:
            return False


# -- the iteration limit ------------------------------------------------------------------------


def _spent(stage: Stage) -> bool:
    return 0 < stage.turn.max_iterations <= stage.turn.iterations


async def _more(stage: Stage) -> bool:
    """Ask a person for more iterations; without them the turn has ended."""
    turn, limit = stage.turn, stage.turn.max_iterations
    known = [w.id for w in stage.journal.head.waits if w.kind == "limit"]
    known += [a.id for a in turn.answers if a.kind == "limit"]
    wait = known[0] if known else WaitId(fresh())
    if not known:
        opened = e.WaitOpened(wait, "limit", turn.agent, max_iterations=limit)
        await stage.journal.write(await _tools_shown(stage), opened)
    answer = await stage.ear.answer(wait)
    if answer.action == "approve":
        await stage.journal.write(e.LimitRaised(limit + MORE_ITERATIONS))
        return True
    text = f"Execution stopped after reaching the configured max_iterations limit ({limit})."
    message = Message("assistant", text, agent=turn.agent, at=stage.makers.clock.now())
    await stage.journal.write(e.MessageAdded(message, agent=turn.agent), e.TurnEnded(turn.id, "normal", turn.agent))
    return False


# -- ends before their time ---------------------------------------------------------------------


async def _fail(stage: Stage, error: Exception) -> None:
    """Write what went wrong, and end the turn."""
    head = await stage.journal.refresh()
    turn = stage.journal.open
    if turn is None:
        log.error("%s failed after its turn", stage.log, exc_info=error, extra={"action": "turn_failed"})
        return
    if turn.canceled or head.deleted:
        await _cancel(stage)
        return
    if isinstance(error, ModelFailed):
        met = e.ErrorMet(str(error), CODES.get(error.kind, "model_error"), turn.agent)
    elif isinstance(error, RoostError):
        met = e.ErrorMet(str(error), error.code, turn.agent)
    else:
        log.error("turn of %s failed", stage.log, exc_info=error, extra={"action": "turn_failed"})
        met = e.ErrorMet("internal error; the server's log has the details", "internal", turn.agent)
    await stage.catch_up()
    draft = stage.asking.draft
    shown = draft is not None and draft.posted
    await stage.journal.write(*ending(stage.journal.head, stage.history, "error", error=met, shown=shown))


async def _cancel(stage: Stage) -> None:
    """End the turn because somebody asked for it; what the model has said so far is kept."""
    with anyio.CancelScope(shield=True):
        await stage.journal.refresh()
        await stage.catch_up()
        if stage.journal.open is None:
            return
        draft, at = stage.asking.draft, stage.makers.clock.now()
        model = stage.runtime.provider.spec.ref if stage.runtime else ""
        partial = draft.message(at=at, model=model, partial=True) if draft else None
        shown = draft is not None and draft.posted
        head = stage.journal.head
        await stage.journal.write(*ending(head, stage.history, "canceled", partial=partial, shown=shown))
