"""Who plays, as clients are shown it: the agent, its model, its tools."""

from collections.abc import Sequence

from roost.core import events as e
from roost.engine.runtime import choose, unknown_definitions
from roost.engine.stage import Stage


def choose_model(stage: Stage) -> Sequence[str]:
    """Take the agent's own model, as the session has it now; warnings where that can't be used."""
    ready, warnings = stage.ready, list[str]()
    ready.provider = choose(stage.makers.models, ready.team, stage.journal.head, ready.agent, warnings)
    return warnings


def agent_shown(stage: Stage) -> e.AgentShown:
    """The agent that speaks from now on."""
    agent, provider = stage.ready.agent, stage.ready.provider
    stage.shown = (agent.name, provider.spec.ref)
    return e.AgentShown(agent.name, provider.spec.ref, agent.description, agent.welcome, provider.context_limit)


async def tools_shown(stage: Stage) -> e.ToolsShown:
    """Its tools, with the definitions that the log has not shown yet."""
    new = await unknown_definitions(stage.makers.store, stage.log, stage.ready)
    return e.ToolsShown(stage.ready.agent.name, len(stage.ready.tools), definitions=new)
