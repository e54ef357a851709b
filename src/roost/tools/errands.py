"""The toolset `background_agents`: agents that work while the one that asked goes on."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from roost.core.agents import ToolsetSpec
from roost.core.errors import AgentNotFound
from roost.core.ids import SessionId
from roost.core.messages import Annotations, Result
from roost.ports import Errant, Place, Task, Use
from roost.tools.delegation import agents, brief
from roost.tools.house import House
from roost.tools.tool import Kit, Native, Refused, reads, schema, shown, string

CATEGORY = "background_agents"
PREFIX = "agent_task_"
PATIENCE = 300  # seconds
BRIEFLY = 4 * 1024  # bytes of what each has said, where several are waited for

_INSTRUCTIONS = """\
Agents can work in the background, several at a time, while you go on: start them with `run_background_agent`, wait
for them with `wait_background_agents`, and look at what they found. Each starts with nothing but the task it is given,
and nobody is there to approve what it does. These can be started:

{}
"""


@asynccontextmanager
async def open_background_agents(spec: ToolsetSpec, place: Place, house: House) -> AsyncIterator[Kit]:
    """Five tools.  What they start are sessions: they outlive the toolset, and a restart."""
    errands = _Errands(agents(spec, place), place.agent)
    yield Kit(_tools(errands), _INSTRUCTIONS.format(errands.listed))


def _tools(errands: "_Errands") -> tuple[Native, ...]:
    one = schema(("task_id",), task_id=string("The id of the task"))
    ids = {"type": "array", "minItems": 1, "maxItems": 100, "items": {"type": "string"}, "description": "Ids of tasks"}
    timeout = {
        "type": "number",
        "minimum": 0,
        "maximum": 3600,
        "description": f"Seconds to wait at most; {PATIENCE} where it is left out",
    }
    return (
        Native(
            "run_background_agent",
            CATEGORY,
            "Start an agent on a task in the background, and get the id of the task.",
            schema(
                ("agent", "task"),
                agent=string("The agent"),
                task=string("What is to be done, clearly, with all that it takes to do it"),
                expected_output=string("What you expect back"),
            ),
            errands.run,
            annotations=Annotations(title="Run Background Agent"),
            effect="once",
        ),
        Native(
            "list_background_agents",
            CATEGORY,
            "List the agents that you have started, and how they go.",
            schema(),
            errands.listing,
            annotations=reads("List Background Agents"),
        ),
        Native(
            "view_background_agent",
            CATEGORY,
            "Show how a task goes, and what its agent has said so far.",
            one,
            errands.view,
            annotations=reads("View Background Agent"),
        ),
        Native(
            "wait_background_agents",
            CATEGORY,
            "Wait until tasks are done, and get what their agents say.",
            schema(("task_ids",), task_ids=ids, timeout=timeout),
            errands.wait,
            annotations=reads("Wait for Background Agents"),
        ),
        Native(
            "stop_background_agent",
            CATEGORY,
            "Stop an agent that works in the background.",
            one,
            errands.stop,
            annotations=Annotations(title="Stop Background Agent", idempotent=True),
        ),
    )


class _Errands:
    """The work of these tools: sessions under other names."""

    def __init__(self, team: dict[str, str], agent: str) -> None:
        self._team = team
        self._agent = agent

    @property
    def listed(self) -> str:
        return "\n".join(f"- {name}: {words}" if words else f"- {name}" for name, words in self._team.items())

    async def run(self, arguments: dict[str, Any], use: Use) -> Result:
        agent = arguments["agent"]
        if agent not in self._team:
            raise Refused(self._stranger(agent))
        try:
            session = await use.office().start(Task(agent, brief(arguments), title=f"Background task of {agent}"))
        except AgentNotFound:
            raise Refused(self._stranger(agent)) from None
        task = PREFIX + session
        return Result(f"Background agent task started with ID: {task}\nAgent: {agent}", meta={"task_id": task})

    def _stranger(self, agent: str) -> str:
        known = f"Available agents: {', '.join(self._team)}" if self._team else "There are none."
        return f"Agent {self._agent} cannot run {agent} in the background: target agent not in sub-agents list. {known}"

    async def listing(self, arguments: dict[str, Any], use: Use) -> Result:
        return Result("\n\n".join(map(_head, await use.office().errants())) or "No background agent tasks.")

    async def view(self, arguments: dict[str, Any], use: Use) -> Result:
        errant = (await _found(use, [arguments["task_id"]]))[0]
        return Result(f"{_head(errant)}\n\n--- Output ---\n{shown(errant.output).strip() or '<no output yet>'}")

    async def wait(self, arguments: dict[str, Any], use: Use) -> Result:
        wanted = [errant.session for errant in await _found(use, list(dict.fromkeys(arguments["task_ids"])))]
        found = await use.office().wait(wanted, float(arguments.get("timeout", PATIENCE)))
        done = all(errant.status != "running" for errant in found)
        answer = {"all_done": done, "timed_out": not done, "tasks": [_briefly(errant) for errant in found]}
        return Result(json.dumps(answer, ensure_ascii=False))

    async def stop(self, arguments: dict[str, Any], use: Use) -> Result:
        errant = (await _found(use, [arguments["task_id"]]))[0]
        if errant.status != "running":
            raise Refused(f"Task {arguments['task_id']} is not running: {errant.status}")
        await use.office().stop(errant.session)
        return Result(f"Task {arguments['task_id']} stopped successfully")


async def _found(use: Use, ids: list[str]) -> list[Errant]:
    """The tasks of these ids.

    Raises:
        Refused: one is not known.
    """
    known = {errant.session: errant for errant in await use.office().errants()}
    sessions = [SessionId(task.removeprefix(PREFIX)) for task in ids]
    missing = [task for task, session in zip(ids, sessions, strict=True) if session not in known]
    if missing:
        those = ", ".join(PREFIX + session for session in known) or "none"
        raise Refused(f"Task not found: {', '.join(missing)}. There are: {those}")
    return [known[session] for session in sessions]


def _head(errant: Errant) -> str:
    runtime = ((errant.ended_at or time.time_ns() // 1000) - errant.started_at) / 1e6
    lines = (
        f"ID: {PREFIX}{errant.session}",
        f"Agent: {errant.agent}",
        f"Status: {errant.status}",
        f"Runtime: {runtime:.1f}s",
    )
    return "\n".join(lines)


def _briefly(errant: Errant) -> dict[str, Any]:
    """A task with the end of what its agent has said: there stands what it came to."""
    data = errant.output.encode(errors="replace")
    words = errant.output if len(data) <= BRIEFLY else "[...] " + data[-BRIEFLY:].decode(errors="ignore")
    return {"task_id": PREFIX + errant.session, "agent": errant.agent, "status": errant.status, "output": words}
