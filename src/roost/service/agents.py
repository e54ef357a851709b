"""Which agents there are, and how many tools they have."""

from collections.abc import Sequence

import anyio

from roost.core.agents import Agent, Source, Team
from roost.core.errors import AgentNotFound
from roost.core.ids import SessionId, fresh
from roost.core.principals import Principal
from roost.engine.count import count
from roost.engine.runtime import SERVERS
from roost.ports import Place
from roost.service.desk import Desk

KEPT = 256  # counts that are kept

Key = tuple[str, str, str, str, bool]


class AgentFiles:
    """The agent files that are served."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._counts: dict[Key, int] = {}  # of agents with tool servers, whose start takes long
        self._counting: dict[Key, anyio.Lock] = {}

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
        """How many tools an agent has in a new session of this caller.  A toolset that does not start has none.

        Where there are tool servers, the count is kept for as long as the file stays as it is.

        Raises:
            AgentNotFound, AgentBroken, AgentUnreachable
        """
        team = await self._desk.makers.agents.team(source)
        agent = team.agent(name) if name else team.default
        if agent is None:
            raise AgentNotFound(name, tuple(a.name for a in team.agents))
        policy = self._desk.policy
        key = (team.source, team.hash, agent.name, policy.home(principal), policy.must_sandbox(principal))
        lock = self._counting.setdefault(key, anyio.Lock())
        try:
            async with lock:  # whoever asks at the same time starts nothing once more
                if (known := self._counts.get(key)) is not None:
                    return known
                return await self._count(principal, team, agent, key)
        finally:
            if not lock.statistics().tasks_waiting and not lock.locked():
                self._counting.pop(key, None)

    async def _count(self, principal: Principal, team: Team, agent: Agent, key: Key) -> int:
        *_, home, confined = key
        session, owner = SessionId(fresh()), self._desk.policy.owner(principal)
        place = Place(session, agent.name, home, lambda _: None, confined=confined, team=team, owner=owner)
        found = await count(self._desk.makers, team, agent, place)
        if found.whole and any(spec.type in SERVERS for spec in agent.toolsets):
            self._counts[key] = found.tools
            while len(self._counts) > KEPT:
                del self._counts[next(iter(self._counts))]
        return found.tools
