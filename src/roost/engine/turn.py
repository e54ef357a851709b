"""One turn, from where its log stands to its end.

What comes next is read from the log: calls without a result are played, an answer without calls is
a natural stop, anything else is sent to the model.  A resumed turn therefore takes the same way as
a fresh one.
"""

import logging

import anyio

from roost.core import events as e
from roost.core.errors import MessagesWait, ModelFailed, NotOwner, RoostError, StoreFull
from roost.core.history import Item
from roost.core.ids import WaitId, fresh
from roost.core.messages import Message
from roost.core.session import Head, Queued
from roost.engine import prompt
from roost.engine.calls import Calls
from roost.engine.endings import ending
from roost.engine.runtime import unknown_definitions
from roost.engine.stage import Stage
from roost.engine.waiting import Park

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
                await _play(stage)
            except (Park, NotOwner, StoreFull):
                raise
            except Exception as error:
                await _fail(stage, error)
    if canceled.cancelled_caught:
        await _cancel(stage)


async def _play(stage: Stage) -> None:
    await stage.catch_up()
    if _declined(stage):
        await _cancel(stage)
        return
    if not await stage.makers.surroundings.exists(stage.turn.working_dir):
        raise RoostError(f"the working directory {stage.turn.working_dir!r} no longer exists")
    stage.runtime = await stage.prepare(stage)
    if not stage.turn.started:
        await _begin(stage)
    while True:
        await stage.catch_up()
        newest = stage.newest()
        if stage.turn.calls:
            await Calls(stage, _answer(stage).calls).play()
        elif newest is not None and newest.role == "assistant":
            if not await _goes_on(stage):
                return
        elif _spent(stage):
            if not await _more(stage):
                return
        else:
            await _take(stage, "steer")
            if not await _ask(stage) and not await _goes_on(stage):
                return


def _declined(stage: Stage) -> bool:
    """Whether a person was asked if the turn may go on after a restart, and said no."""
    asked = [a for a in stage.turn.answers if a.kind == "question" and not a.call]
    return bool(asked) and asked[-1].answer.action != "accept"


def _answer(stage: Stage) -> Message:
    """The newest answer of the model: the one whose calls are open."""
    for item in reversed(stage.history.items):
        if item.message is not None and item.message.role == "assistant":
            return item.message
    raise RuntimeError("calls are open, but no answer asked for them")


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
    facts.append(runtime.team_shown({runtime.agent.name: provider}))
    facts += [e.Warned(warning, runtime.agent.name) for warning in runtime.warnings]
    facts.append(await _tools_shown(stage))
    posted = [(n, i) for n, i in enumerate(stage.history.items) if i.message and i.seq > stage.turn.opened]
    facts += [_said(*posted[-1])] if posted else []
    facts.append(e.TurnStarted(runtime.agent.name))
    await stage.journal.write(*facts)


def _said(position: int, item: Item) -> e.UserSaid:
    assert item.message is not None
    return e.UserSaid(item.message.content, position, item.message.parts)


async def _tools_shown(stage: Stage) -> e.ToolsShown:
    new = await unknown_definitions(stage.makers.store, stage.log, stage.ready)
    return e.ToolsShown(stage.ready.agent.name, len(stage.ready.tools), definitions=new)


# -- the model ----------------------------------------------------------------------------------


async def _ask(stage: Stage) -> bool:
    """One answer of the model; whether it is in the history."""
    runtime = stage.ready
    await runtime.refresh()
    await stage.catch_up()
    spec = runtime.provider.spec
    request = prompt.request(
        runtime.agent, runtime.guidance, stage.history, runtime.definitions(), images=spec.images is not False
    )
    shown = await _tools_shown(stage)
    if stage.stopping:
        await anyio.sleep_forever()
    message = await stage.asking.ask(runtime.provider, request, runtime.agent.name, runtime.digests, shown)
    if message is None:
        note = "the model answered with no text"
        await stage.journal.write(e.Warned(note, runtime.agent.name))
    return message is not None


# -- natural stops ------------------------------------------------------------------------------


async def _goes_on(stage: Stage) -> bool:
    """At a natural stop: take what people have sent meanwhile, else end the turn."""
    while True:
        if await _take(stage, "steer") or await _take(stage, "followup"):
            return True
        try:
            end = e.TurnEnded(stage.turn.id, "normal", stage.turn.agent)
            await stage.journal.write(end, only_if=_nothing_waits)
        except MessagesWait:
            await stage.journal.refresh()
        else:
            return False


def _nothing_waits(head: Head) -> None:
    if head.queue:
        raise MessagesWait


async def _take(stage: Stage, queue: e.Queue) -> bool:
    """Messages of a queue enter the history: all that steer, or one follow-up."""
    waiting = [queued for queued in stage.journal.head.queue if queued.queue == queue]
    taken = waiting if queue == "steer" else waiting[:1]
    if not taken:
        return False
    messages = [await _queued(stage, queued) for queued in taken]

    def facts(head: Head) -> list[e.Fact]:
        return [
            e.MessageTaken(queued.seq, queued.index, message, head.items + place, queue)
            for place, (queued, message) in enumerate(zip(taken, messages, strict=True))
        ]

    await stage.journal.compose(facts)
    return True


async def _queued(stage: Stage, queued: Queued) -> Message:
    """A queued message, from the fact that brought it."""
    (event,) = await stage.makers.store.page(stage.log, after=queued.seq - 1, limit=1)
    assert isinstance(event.fact, e.MessageQueued)
    return event.fact.messages[queued.index]


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
        await stage.journal.write(e.WaitOpened(wait, "limit", turn.agent, max_iterations=limit))
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
    if head.turn is None:
        log.exception("a turn failed after its end", extra={"action": "turn_failed"})
        return
    if head.turn.canceled or head.deleted:
        await _cancel(stage)
        return
    if isinstance(error, ModelFailed):
        met = e.ErrorMet(str(error), CODES.get(error.kind, "model_error"), head.turn.agent)
    elif isinstance(error, RoostError):
        met = e.ErrorMet(str(error), error.code, head.turn.agent)
    else:
        log.error("turn of %s failed", stage.log, exc_info=error, extra={"action": "turn_failed"})
        met = e.ErrorMet("internal error; the server's log has the details", "internal", head.turn.agent)
    await stage.catch_up()
    await stage.journal.write(*ending(stage.journal.head, stage.history, "error", error=met))


async def _cancel(stage: Stage) -> None:
    """End the turn because somebody asked for it; what the model has said so far is kept."""
    with anyio.CancelScope(shield=True):
        head = await stage.journal.refresh()
        if head.turn is None:
            return
        draft, at = stage.asking.draft, stage.makers.clock.now()
        model = stage.runtime.provider.spec.ref if stage.runtime else ""
        partial = draft.message(at=at, model=model, partial=True) if draft else None
        await stage.catch_up()
        await stage.journal.write(*ending(head, stage.history, "canceled", partial=partial))
