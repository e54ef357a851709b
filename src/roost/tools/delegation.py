"""The toolsets `transfer_task` and `handoff`: other agents of the team."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from roost.core.agents import ToolsetSpec
from roost.core.errors import AgentNotFound
from roost.core.messages import Result
from roost.ports import Place, Task, Use
from roost.tools.house import House
from roost.tools.tool import Kit, Native, Refused, reads, schema, string

_DELEGATE = """\
You lead a team of agents. These work for you:

{}

Give a task to the one whose description fits it better than yours, with `transfer_task`. It knows nothing of this
conversation: put all that it needs into the task, and say what you expect back. Its last words come back to you, and
the user does not see them: use them in your answer. What you can do as well yourself, do yourself.
"""
_HAND_OVER = """\
This conversation can go on with another agent:

{}

When one of them fits what the user wants better than you do, hand over with `handoff`: it sees all that was said, and
answers the user in your place.
"""
_BRIEF = """\
You are a member of a team of agents. Your task is this, and nothing else:

<task>
{}
</task>

{}Nobody answers questions while you work on it. Your last words are what the agent that gave you the task gets to see.
"""
_EXPECTED = """\
<expected_output>
{}
</expected_output>

"""


@asynccontextmanager
async def open_transfer_task(spec: ToolsetSpec, place: Place, house: House) -> AsyncIterator[Kit]:
    """One tool; the entry lists the agents that may be given tasks."""
    team = agents(spec, place)

    async def transfer(arguments: dict[str, Any], use: Use) -> Result:
        agent = arguments["agent"]
        if agent not in team:
            raise Refused(_stranger(place.agent, "transfer task to", agent, "sub-agents", team))
        return await use.delegate(Task(agent, brief(arguments)))

    yield Kit(
        (
            Native(
                "transfer_task",
                "transfer_task",
                "Give a task to an agent of your team, wait until it is done, and get the agent's answer.",
                schema(
                    ("agent", "task", "expected_output"),
                    agent=string(f"The agent: one of {', '.join(team) or 'none'}"),
                    task=string("What is to be done, clearly, with all that it takes to do it"),
                    expected_output=string("What you expect back"),
                ),
                transfer,
                annotations=reads("Transfer Task"),
            ),
        ),
        _DELEGATE.format(_listed(team)) if team else "",
    )


@asynccontextmanager
async def open_handoff(spec: ToolsetSpec, place: Place, house: House) -> AsyncIterator[Kit]:
    """One tool; the entry lists the agents that may be handed the conversation."""
    team = agents(spec, place)

    async def hand_over(arguments: dict[str, Any], use: Use) -> Result:
        agent = arguments["agent"]
        if agent not in team:
            raise Refused(_stranger(place.agent, "hand off to", agent, "handoffs", team))
        try:
            await use.hand_over(agent)
        except AgentNotFound:
            raise Refused(_stranger(place.agent, "hand off to", agent, "handoffs", team)) from None
        return Result(
            f"The agent {place.agent} handed the conversation over to you, {agent}. It could choose among: "
            f"{', '.join(team)}. Look at what was said, do what the user still waits for, and hand over again only "
            "to an agent that you have a tool for, where that is needed."
        )

    yield Kit(
        (
            Native(
                "handoff",
                "handoff",
                "Hand this conversation over to another agent, which goes on with it in your place.",
                schema(("agent",), agent=string(f"The agent: one of {', '.join(team) or 'none'}")),
                hand_over,
                annotations=reads("Handoff Conversation"),
            ),
        ),
        _HAND_OVER.format(_listed(team)) if team else "",
    )


def agents(spec: ToolsetSpec, place: Place) -> dict[str, str]:
    """The agents of an entry, by name, and what each is for; without a list, the sub-agents of the one that has it."""
    listed: list[Mapping[str, str]] | None = spec.options.get("agents")
    if listed is not None:
        return {each["name"]: each.get("description", "") for each in listed}
    own = place.team.agent(place.agent) if place.team is not None else None
    found = [place.team.agent(name) for name in own.sub_agents] if place.team is not None and own is not None else []
    return {agent.name: agent.description for agent in found if agent is not None}


def brief(arguments: Mapping[str, str]) -> str:
    """What a sub-agent is told of its task."""
    expected = arguments.get("expected_output", "").strip()
    return _BRIEF.format(arguments["task"], _EXPECTED.format(expected) if expected else "")


def _listed(team: Mapping[str, str]) -> str:
    return "\n".join(f"- {name}: {description}" if description else f"- {name}" for name, description in team.items())


def _stranger(caller: str, what: str, agent: str, where: str, team: Mapping[str, str]) -> str:
    known = f"Available agents: {', '.join(team)}" if team else "There are none."
    return f"Agent {caller} cannot {what} {agent}: target agent not in {where} list. {known}"
