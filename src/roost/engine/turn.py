"""One turn, from where its log stands to its end.

What comes next is read from the log: calls without a result are played, an answer without calls is
a natural stop, anything else is sent to the model.  A resumed turn therefore takes the same way as
a fresh one.
"""

import logging

import anyio
from msgspec import structs

from roost.core import events as e
from roost.core import loops
from roost.core.errors import (
    BadModel,
    HookStopped,
    LoopDetected,
    ModelFailed,
    NotOwner,
    RoostError,
    StoreFull,
)
from roost.core.messages import Message
from roost.core.orders import Order
from roost.core.utf8 import mended
from roost.engine import commission, mailbox, structured
from roost.engine.calls import Calls
from roost.engine.consult import ask, round_over
from roost.engine.draft import unasked
from roost.engine.driven import run_inner
from roost.engine.ear import Park
from roost.engine.endings import ending, newest_answer
from roost.engine.firing import notify
from roost.engine.opening import change, enter
from roost.engine.stage import Stage
from roost.engine.stops import goes_on, more, spent

log = logging.getLogger(__name__)

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
    await enter(stage)
    await commission.tell(stage, order)
    await _rounds(stage)


async def play_inner(stage: Stage) -> None:
    """Play the turn of a sub-session to its end, or until it has to sleep.

    Raises:
        Park, NotOwner, StoreFull: as `run_turn`.
    """
    if stage.turn.driver:
        await run_inner(stage)
        return
    try:
        await enter(stage)
        await _rounds(stage)
    except (Park, NotOwner, StoreFull):
        raise
    except Exception as error:
        await _fail(stage, error)


async def _rounds(stage: Stage) -> None:
    """Calls, people's messages and the model's answers, until nothing is left to do."""
    while await _round(stage):
        pass


async def _round(stage: Stage) -> bool:
    """What is to be done next; whether there is more after it."""
    await stage.catch_up()
    if stage.ready.agent.name != stage.turn.agent:
        await change(stage)
    newest = stage.newest()
    if stage.turn.calls:
        await _calls(stage)
        return True
    if newest is not None and newest[1].role == "assistant":
        return await goes_on(stage)
    if newest is None and stage.turn.interactive:
        await goes_on(stage)  # nobody has said anything yet
        return True
    if newest is None and (stage.journal.head.depth("followup") or await mailbox.opened_for(stage)):
        return await _begun(stage)
    if spent(stage):
        return await more(stage)
    await mailbox.take(stage, "steer")
    return await ask(stage) or await goes_on(stage)


async def _calls(stage: Stage) -> None:
    """Play the calls that the newest answer has asked for.

    Raises:
        HookStopped: a hook wants the turn to end.
    """
    if (answer := newest_answer(stage.history)) is None:
        raise RuntimeError("calls are open, but no answer asked for them")
    _circles(stage)
    calls = Calls(stage, answer.calls)
    await calls.play()
    if calls.stop:
        raise HookStopped(calls.stop)
    await round_over(stage)
    await _handed_in(stage)


async def _begun(stage: Stage) -> bool:
    """A turn that was opened for what waits begins with it.

    False where hooks refused it, or it was withdrawn, and the turn has ended.
    """
    if not await goes_on(stage):
        return False
    await stage.catch_up()
    stage.entitle()
    return True


def _circles(stage: Stage) -> None:
    """Look whether the model goes round in circles.

    Raises:
        LoopDetected: it does.
    """
    streak = loops.Streak()
    for item in stage.history.items:
        if item.seq <= stage.turn.opened or item.message is None:
            continue
        if item.message.role == "user" and not item.message.implicit:
            streak = loops.Streak()  # a person has had a word
        elif item.message.calls:
            streak = loops.after(streak, item.message.calls)
    limit = stage.journal.head.max_consecutive_tool_calls or stage.ready.agent.max_consecutive_tool_calls
    if complaint := loops.complaint(streak, limit):
        raise LoopDetected(complaint)


async def _handed_in(stage: Stage) -> None:
    """The answer that was handed in through the form's tool is the turn's last message."""
    if structured.handed_in(stage.ready.agent) is None:
        return
    await stage.catch_up()
    if (text := structured.given(stage.messages())) is not None:
        agent, at = stage.turn.agent, stage.makers.clock.now()
        message = Message("assistant", text, agent=agent, at=at, finish=structured.CATEGORY)
        await stage.journal.write(*unasked(message))


async def _may_go_on(stage: Stage) -> bool:
    """Whether the turn goes on.  Where a person was asked that after a restart, the answer is acted on."""
    if stage.turn.canceled or stage.journal.head.deleted:
        await _cancel(stage)
        return False
    asked = [a.answer.action for a in stage.answers if a.about == "resume"]
    if not asked:
        return True
    if asked[-1] == "accept":
        await stage.journal.write(e.TurnResumed(stage.turn.id, stage.turn.resumes + 1))
        return True
    await _cancel(stage)
    return False


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
    met = structs.replace(met, message=mended(met.message))
    await stage.catch_up()
    if isinstance(error, ModelFailed | BadModel):
        await stage.fire("on_error", error=met.message)
    await notify(stage, "error", met.message)
    draft = stage.asking.draft
    shown = draft is not None and draft.posted
    left = [e.WaitVoided(w.id, e.TURN_ENDED) for w in stage.waits if stage.outer is not None]  # its log has those
    await stage.journal.write(*left, *ending(stage.journal.head, stage.history, "error", error=met, shown=shown))


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
        inner = {sub: one.asking.draft for sub, one in stage.inners.items()}
        partials = {
            sub: draft.message(at=at, model=stage.inners[sub].ready.provider.spec.ref, partial=True)
            for sub, draft in inner.items()
            if draft is not None and draft.posted
        }
        head = stage.journal.head
        end = ending(head, stage.history, "canceled", partial=partial, shown=shown, partials=partials)
        await stage.journal.write(*end)
