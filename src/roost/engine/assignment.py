"""What a task makes of an agent: the session that it gets, its turn, and the first that it is told."""

from msgspec import Struct
from msgspec.structs import replace

from roost.core import events as e
from roost.core.agents import Agent, Harness
from roost.core.errors import AgentNotFound
from roost.core.ids import TurnId, fresh
from roost.core.messages import Message
from roost.engine import harness
from roost.engine.stage import Stage
from roost.ports import Task


class Assignment(Struct, frozen=True):
    """The facts that a task begins with, but for those that say where it stands."""

    agent: Agent
    template: e.Template
    opened: e.TurnOpened
    said: tuple[e.MessageWritten, ...]


async def assigned(stage: Stage, task: Task) -> Assignment:
    """What becomes of a task that the turn of this stage gives: it inherits what holds for the log's own session.

    Raises:
        AgentNotFound: the team has no such agent.
        AgentBroken, BadModel: a CLI plays it, and there is no such CLI, or it knows no such model.
    """
    team = stage.ready.team
    agent = team.agent(task.agent) if task.agent else stage.ready.agent
    if agent is None:
        raise AgentNotFound(task.agent, tuple(a.name for a in team.agents))
    template, opened = _template(stage, task, agent), _opened(stage, task, agent)
    if agent.harness is not None:
        opened = await _driven(stage, opened, task, agent, agent.harness)
    return Assignment(agent, template, opened, _said(stage, task, agent))


def _overrides(stage: Stage, task: Task, agent: Agent) -> dict[str, str]:
    chosen = stage.root.journal.head.model_overrides
    return chosen | ({agent.name: task.model} if task.model else {})


def _template(stage: Stage, task: Task, agent: Agent) -> e.Template:
    root = stage.root.journal.head
    return e.Template(
        title=task.title,
        working_dir=stage.turn.working_dir,
        safety=root.safety,
        prior_safety=root.prior_safety,
        permissions=root.permissions,
        thinking=root.thinking,
        max_consecutive_tool_calls=root.max_consecutive_tool_calls,
        max_old_tool_call_tokens=root.max_old_tool_call_tokens,
        max_tool_result_tokens=root.max_tool_result_tokens,
        model_overrides=_overrides(stage, task, agent),
        send_user_message=False,
    )


def _opened(stage: Stage, task: Task, agent: Agent) -> e.TurnOpened:
    turn = stage.turn
    return e.TurnOpened(
        turn=TurnId(fresh()),
        source=turn.source,
        agent=agent.name,
        working_dir=turn.working_dir,
        source_hash=turn.source_hash,
        model=_overrides(stage, task, agent).get(agent.name, ""),
        principal=turn.principal,
        max_iterations=agent.max_iterations,
        confined=turn.confined,
        unattended=turn.unattended,
        tools=task.tools,
    )


async def _driven(stage: Stage, opened: e.TurnOpened, task: Task, agent: Agent, cli: Harness) -> e.TurnOpened:
    """The opening of a turn that an agent CLI plays."""
    makers, team = stage.makers, stage.ready.team
    driver = harness.player(makers, team, agent, cli)
    model = harness.model_of(driver, stage.root.journal.head, agent, cli, task.model)
    order = await harness.wanted(
        makers,
        agent,
        cli,
        model=model,
        working_dir=opened.working_dir,
        turns=agent.max_iterations,
        confined=makers.confines(stage.turn),
    )
    return replace(opened, driver=order.provider, order=order, permissions=team.permissions)


def _said(stage: Stage, task: Task, agent: Agent) -> tuple[e.MessageWritten, ...]:
    """The task and a word to begin; a CLI takes no system message of ours, and is told both at once."""
    now = stage.makers.clock.now()
    if agent.harness is not None:
        both = Message("user", f"{task.brief}\n\n{task.say}", at=now, implicit=True)
        return (e.MessageWritten(both),)
    told = Message("system", task.brief, at=now)
    return e.MessageWritten(told), e.MessageWritten(Message("user", task.say, at=now, implicit=True))
