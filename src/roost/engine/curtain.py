"""What clients are shown before a CLI's first words: who plays, in which team."""

from collections.abc import Sequence

from roost.core import events as e
from roost.core.orders import Order
from roost.engine import runtime as rt
from roost.engine.stage import Stage
from roost.engine.title import first_line

LONGEST_TITLE = 60  # characters


async def curtain(stage: Stage, order: Order, prompt: str) -> list[e.Fact]:
    """The facts, in the order in which the turn of a model has them."""
    turn = stage.turn
    model = f"{order.provider}/{order.model}" if order.model else order.provider
    if turn.source == turn.driver:
        mate = e.Teammate(turn.driver, provider=order.provider, model=order.model)
        return [e.AgentShown(turn.driver, model), e.TeamShown((mate,), turn.driver)]
    return await _of_file(stage, model, prompt)


async def _of_file(stage: Stage, model: str, prompt: str) -> list[e.Fact]:
    turn, head = stage.turn, stage.journal.head
    team = await stage.makers.agents.team(turn.source, turn.source_hash)
    agent = team.agent(turn.agent) or team.default
    titled: Sequence[e.Fact] = (e.TitleShown(head.title),) if head.title else ()
    title = first_line(prompt)[:LONGEST_TITLE]  # a CLI makes no titles
    named: Sequence[e.Fact] = (e.TitleSet(title, "model"),) if title and not head.title else ()
    return [
        *titled,
        e.AgentShown(agent.name, model, agent.description, agent.welcome),
        rt.team_shown(team, agent.name, rt.providers(stage.makers.models, team, head)),
        *(e.Warned(warning, agent.name) for warning in team.warnings),
        e.ToolsShown(agent.name, 0),
        *named,
    ]
