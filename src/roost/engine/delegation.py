"""Tasks for other agents inside a turn: sub-sessions, nested in the log of their root.

A sub-session belongs to the call that began it.  A call that was cut off by a crash goes on with it.
"""

from contextlib import AsyncExitStack

from msgspec.structs import replace

from roost.core import events as e
from roost.core.ids import SessionId, fresh
from roost.core.messages import Result, ToolCall
from roost.engine import runtime as rt
from roost.engine.assignment import assigned
from roost.engine.stage import Stage
from roost.ports import Task

DEEPEST = 10  # sub-sessions inside each other


async def delegate(stage: Stage, call: ToolCall, task: Task) -> Result:
    """Do a task in a sub-session, or go on with the one that this call has; what it has come to.

    Raises:
        Park: all that is left of it waits for a person.
    """
    with stage.ear.at_work(-1):  # what it does is counted by itself
        sub = stage.at_call(call.id)
        if sub is None:
            if refusal := _refusal(stage, task):
                return Result(refusal, is_error=True)
            to = task.agent or stage.ready.agent.name
            switch = {"from_agent": stage.ready.agent.name, "to_agent": to}
            await stage.fire("on_agent_switch", agent_switch_kind="transfer_task", **switch)
            sub = await _open(stage, call, task)
        return await _through(stage, sub)


async def _through(stage: Stage, sub: SessionId) -> Result:
    """Play a sub-session from where it stands, and say what has come of it."""
    await stage.catch_up()
    head = stage.journal.head.sub(sub)
    assert head is not None
    async with AsyncExitStack() as stack:
        if head.turn is not None:

            async def prepare(inner: Stage) -> rt.Runtime:
                return await stack.enter_async_context(await _runtime(inner))

            inner = stage.inner(sub, head.turn, prepare)
            try:
                await stage.play(inner)
            finally:
                inner.built.set()
            if not head.turn.driver:
                await inner.fire("session_end", reason=inner.journal.head.outcome)
            head = stage.journal.head.sub(sub)
            assert head is not None
    await stage.catch_up()
    if not head.exited:
        await _close(stage, sub, head.agent)
    if head.outcome == "normal":
        return Result(stage.root.history.sub(sub).last_words())
    return Result(head.error or f"the task ended with {head.outcome or 'nothing'}", is_error=True)


async def _close(stage: Stage, sub: SessionId, agent: str) -> None:
    """The sub-session is over, and the agent that gave the task goes on."""
    ready = stage.ready
    await stage.fire("subagent_stop", parent_session_id=stage.session, subagent_session_id=sub, subagent_name=agent)
    await stage.fire(
        "on_agent_switch", agent_switch_kind="transfer_task_return", from_agent=agent, to_agent=ready.agent.name
    )
    await stage.journal.write(
        e.SubSessionEnded(sub, ready.agent.name),
        e.AgentSwitched(ready.agent.name, False, from_agent=agent, to_agent=ready.agent.name),
        e.AgentShown(ready.agent.name, ready.provider.spec.ref, ready.agent.description, ready.agent.welcome),
    )


def _refusal(stage: Stage, task: Task) -> str:
    """Why a task is not begun; "" where it is."""
    if stage.depth + 1 > DEEPEST:
        return f"Tasks can be handed on {DEEPEST} times at most, one inside the other: do this one yourself."
    above: Stage | None = stage
    while task.agent and above is not None:
        if above.turn.agent == task.agent:
            return (
                f"Agent {stage.turn.agent} cannot transfer task to {task.agent}: it is waiting for this very work. "
                "Do it yourself, or choose another agent."
            )
        above = above.outer
    return ""


async def _open(stage: Stage, call: ToolCall, task: Task) -> SessionId:
    """Begin a sub-session: all of its first facts are one append.

    Raises:
        AgentNotFound, AgentBroken, BadModel: as `assigned`.
    """
    who, head = stage.ready.agent.name, stage.journal.head
    given = await assigned(stage, task)
    sub = SessionId(fresh())
    switched = e.AgentSwitched(who, True, from_agent=who, to_agent=given.agent.name, sub=stage.sub)
    created = e.SessionCreated(given.template, parent=head.id, call=call.id, sub=sub)
    said = (replace(fact, sub=sub) for fact in given.said)
    await stage.journal.write(switched, created, replace(given.opened, sub=sub), *said)
    return sub


async def _runtime(inner: Stage) -> rt.Opening:
    makers, turn = inner.makers, inner.turn
    team = await makers.agents.team(turn.source, turn.source_hash)
    events = await makers.store.messages(inner.log)
    touch = inner.root.touch
    return rt.open_runtime(makers, inner.log, inner.journal.head, turn, team, events, touch)
