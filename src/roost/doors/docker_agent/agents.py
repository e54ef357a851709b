"""The agent files that are served."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from roost.core.errors import AgentBroken, AgentNotFound, AgentUnreachable
from roost.doors.docker_agent.shapes import AgentShape, Wire, agent_shape
from roost.doors.errors import Refused
from roost.doors.routes import Answer, Call, Reply
from roost.service.service import Service
from roost.wire.json import encode_ordered, free

R = TypeVar("R")

_MAPS = ("providers", "models", "mcps", "rag")


class Count(Wire, frozen=True, kw_only=True):
    """How many tools an agent has."""

    available_tools: int


class Agents:
    """Handlers about agent files."""

    def __init__(self, service: Service) -> None:
        self._agents = service.agents

    async def listing(self, call: Call) -> Answer:
        """GET /api/agents: those that load."""
        sources = await self._agents.sources(call.principal)
        shown = [agent_shape(source.id, source.team.agents) for source in sources if source.team]
        return Reply(sorted(shown, key=_name))

    async def show(self, call: Call) -> Answer:
        """GET /api/agents/:id: the file, as it was loaded."""
        name = call.path["id"]
        try:
            team = await either(call, "id", lambda source: self._agents.team(call.principal, source))
        except AgentNotFound as error:
            raise Refused(404, f"agent source not found: {error}") from None
        except AgentUnreachable as error:
            detail = f'failed to load agent source: agent source unavailable: load "{name}": {error}'
            raise Refused(502, detail) from None
        except AgentBroken as error:
            raise Refused(500, f'failed to load agent source: load "{name}": {error}') from None
        return Reply(raw=encode_ordered(free(_sorted(team.config))) + b"\n")

    async def count(self, call: Call) -> Answer:
        """GET /api/agents/:id/:agent_name/tools/count."""
        name = call.path["agent_name"]
        tools = await either(call, "id", lambda source: self._agents.count_tools(call.principal, source, name))
        return Reply(Count(available_tools=tools))


async def either(call: Call, name: str, ask: Callable[[str], Awaitable[R]]) -> R:
    """Ask with a path parameter as it reads, and where no agent is called that, as it was sent.

    Raises:
        AgentNotFound: neither of them is known.
    """
    try:
        return await ask(call.path[name])
    except AgentNotFound as error:
        if call.raw[name] == call.path[name] or error.name != call.path[name]:
            raise
        try:
            return await ask(call.raw[name])
        except AgentNotFound:
            raise error from None


def _name(shape: AgentShape) -> bytes:
    return shape.name.encode()


def _sorted(config: dict[str, Any]) -> dict[str, Any]:
    """The file with its maps in the order of their keys; objects keep theirs."""
    shown = {key: dict(sorted(value.items())) if key in _MAPS else value for key, value in config.items()}
    if "agents" in shown:
        shown["agents"] = [_agent(agent) for agent in shown["agents"]]
    return shown


def _agent(agent: dict[str, Any]) -> dict[str, Any]:
    commands = agent.get("commands")
    return agent | {"commands": dict(sorted(commands.items()))} if isinstance(commands, dict) else agent
