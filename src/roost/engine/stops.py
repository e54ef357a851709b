"""Where a turn could end: at a natural stop, and at its limit of iterations."""

from roost.core import events as e
from roost.core.errors import (
    MessagesWait,
)
from roost.core.ids import WaitId, fresh
from roost.core.messages import Message
from roost.engine import mailbox, structured
from roost.engine.cast import tools_shown
from roost.engine.firing import listens
from roost.engine.recall import keep
from roost.engine.stage import Stage

MORE_ITERATIONS = 10
MOST_PUSHES = 5  # times that hooks may send a model on in one turn, after it has stopped


async def goes_on(stage: Stage) -> bool:
    """At a natural stop: take what people have sent meanwhile, else end the turn (or, interactive, wait for more)."""
    while True:
        changed = stage.ear.changed
        if await mailbox.take(stage, "steer") or await _passed_on(stage) or await mailbox.take(stage, "followup"):
            return True
        if stage.turn.interactive:
            await changed.wait()
            continue
        if await _reminded(stage) or await _sent_on(stage):
            return True
        await keep(stage)
        try:
            end = e.TurnEnded(stage.turn.id, "normal", stage.turn.agent)
            await stage.journal.write(end, only_if=mailbox.empty)
        except MessagesWait:
            await stage.journal.refresh()
        else:
            return False


async def _reminded(stage: Stage) -> bool:
    """Remind a model that stops without the answer that it is to hand in; whether it was.

    Raises:
        NotInForm: it was reminded often enough.
    """
    newest = stage.newest()
    formed = newest is not None and newest[1].finish == structured.CATEGORY
    if structured.handed_in(stage.ready.agent) is None or formed:
        return False
    note = structured.reminder(stage.messages(), at=stage.makers.clock.now())
    await stage.journal.write(e.MessageWritten(note))
    return True


async def _sent_on(stage: Stage) -> bool:
    """Hooks may have something to add when the model stops; whether they had, so that it goes on."""
    if not listens(stage, "stop") or stage.pushes >= MOST_PUSHES:
        return False
    await stage.catch_up()
    answer, said = stage.history.last_words(), stage.history.last_said()
    verdict = await stage.fire("stop", stop_response=answer, last_user_message=said)
    if not verdict.context or verdict.stop:
        return False
    stage.pushes += 1
    told = Message("user", verdict.context, at=stage.makers.clock.now(), implicit=True)
    await stage.journal.write(e.MessageWritten(told))
    return True


async def _passed_on(stage: Stage) -> bool:
    """Hand the conversation over where the agent's file says so; whether it was."""
    agent, to = stage.turn.agent, stage.ready.agent.force_handoff
    if not to or stage.ready.agent.name != agent:
        return False
    text = f"The agent {agent} has finished its part and hands this conversation over to you. Go on with it."
    told = Message("user", text, at=stage.makers.clock.now(), implicit=True)
    await stage.journal.write(e.HandedOver(to, agent, "force_handoff"), e.MessageWritten(told))
    return True


def spent(stage: Stage) -> bool:
    """Whether the turn has had all of its iterations."""
    return 0 < stage.turn.max_iterations <= stage.turn.iterations


async def more(stage: Stage) -> bool:
    """Ask a person for more iterations; without them the turn has ended."""
    turn, limit = stage.turn, stage.turn.max_iterations
    known = [w.id for w in stage.waits if w.kind == "limit"]
    known += [a.id for a in stage.answers if a.kind == "limit"]
    wait = known[0] if known else WaitId(fresh())
    if not known:
        more = 0 if turn.unattended else MORE_ITERATIONS
        asked = () if turn.unattended else (e.WaitOpened(wait, "limit", turn.agent, max_iterations=limit),)
        await stage.journal.write(await tools_shown(stage), *asked)
        await stage.fire("on_max_iterations", previous_max_iterations=limit, new_max_iterations=limit + more)
        if asked:
            await stage.fire("on_user_input", reason="max_iterations")
    approved = not turn.unattended and (await stage.ear.answer(wait)).action == "approve"
    if approved:
        await stage.journal.write(e.LimitRaised(limit + MORE_ITERATIONS))
        return True
    text = f"Execution stopped after reaching the configured max_iterations limit ({limit})."
    message = Message("assistant", text, agent=turn.agent, at=stage.makers.clock.now())
    await stage.journal.write(e.MessageAdded(message, agent=turn.agent), e.TurnEnded(turn.id, "normal", turn.agent))
    return False
