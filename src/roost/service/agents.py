"""Which agents there are, and how many tools they have."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from roost.core.agents import Agent, Source, Team
from roost.core.errors import AgentNotFound
from roost.core.ids import SessionId
from roost.core.principals import Principal
from roost.ports import Place
from roost.service.desk import Desk


class AgentFiles:
    """The agent files that are served."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def sources(self, principal: Principal) -> Sequence[Source]:
        """All of them, sorted by id; a broken one carries its error."""
        return await self._desk.makers.agents.sources()

    async def team(self, principal: Principal, source: str) -> Team:
        """One of them, loaded.

        Raises:
            AgentNotFound, AgentBroken, AgentUnreachable
        """
        return await self._desk.makers.agents.team(source)

    async def count_tools(self, principal: Principal, source: str, name: str) -> int:
        """How many tools an agent has: its toolsets are started for it, and stopped again.

        Raises:
            AgentNotFound, AgentBroken, AgentUnreachable, ToolsetFailed
        """
        team = await self._desk.makers.agents.team(source)
        agent = team.agent(name) if name else team.default
        if agent is None:
            raise AgentNotFound(name, tuple(a.name for a in team.agents))
        return len(await self._tools(principal, agent))

    async def _tools(self, principal: Principal, agent: Agent) -> set[str]:
        policy = self._desk.policy
        confined = policy.must_sandbox(principal)
        place = Place(SessionId(""), agent.name, policy.home(principal), lambda _: None, confined=confined)
        names: set[str] = set()
        async with AsyncExitStack() as stack:
            for spec in agent.toolsets:
                toolset = await stack.enter_async_context(self._desk.makers.toolsets.open(spec, place))
                names |= {tool.definition.name for tool in await toolset.tools()}
        return names
