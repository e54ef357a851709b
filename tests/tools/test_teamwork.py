"""Other agents, other models, other sessions, and the plan that all of them share."""

import json
from typing import Any

import anyio
import pytest

from fakes.calls import Session, Using, find, names
from roost.core.agents import Agent, Team
from roost.core.events import PlanSet
from roost.core.ids import CallId, Micros, SessionId
from roost.core.messages import Message, Result, Text, ToolCall
from roost.ports import Listing, Task
from roost.tools.builtin import Builtin

pytestmark = pytest.mark.anyio

TEAM = [{"name": "coder", "description": "Writes code"}, {"name": "critic", "description": ""}]


# -- transfer_task and handoff ------------------------------------------------------------------


async def test_a_task_goes_to_an_agent_of_the_team(session: Session) -> None:
    using = Using()
    async with session.open("transfer_task", agents=TEAM) as toolset:
        assert "- coder: Writes code\n- critic\n" in toolset.instructions
        result = await session.call(
            toolset, "transfer_task", using, agent="coder", task="Write {it}", expected_output="A file"
        )
        definition = (await find(toolset, "transfer_task")).definition
    assert result == Result("coder is done")
    (task,) = using.delegated
    assert isinstance(task, Task) and task.agent == "coder" and task.title == "Transferred task"
    assert "<task>\nWrite {it}\n</task>\n\n<expected_output>\nA file\n</expected_output>" in task.brief
    assert definition.annotations.read_only and definition.effect == "safe"


async def test_a_task_for_a_stranger(session: Session) -> None:
    using = Using()
    async with session.open("transfer_task", agents=TEAM) as toolset:
        result = await session.call(toolset, "transfer_task", using, agent="x", task="t", expected_output="")
    assert result == Result(
        "Agent root cannot transfer task to x: target agent not in sub-agents list. Available agents: coder, critic",
        is_error=True,
    )
    async with session.open("transfer_task", agents=[]) as toolset:
        result = await session.call(toolset, "transfer_task", using, agent="x", task="t", expected_output="")
        assert result.output.endswith("There are none.") and toolset.instructions == ""
    assert using.delegated == []


async def test_the_conversation_is_handed_over(session: Session) -> None:
    using = Using()
    using.strangers.add("critic")
    async with session.open("handoff", agents=TEAM) as toolset:
        result = await session.call(toolset, "handoff", using, agent="coder")
        assert result.output.startswith("The agent root handed the conversation over to you, coder.")
        assert "coder, critic" in result.output and using.handed == ["coder"]
        for name in ("x", "critic"):
            refused = await session.call(toolset, "handoff", using, agent=name)
            assert refused.is_error and refused.output.startswith(f"Agent root cannot hand off to {name}: target agent")
        assert "- coder: Writes code" in toolset.instructions
    assert using.handed == ["coder"]


# -- background_agents --------------------------------------------------------------------------


async def test_agents_in_the_background(session: Session) -> None:
    using = Using()
    desk = using.desk

    async def do(name: str, /, **arguments: Any) -> Result:
        return await session.call(toolset, name, using, **arguments)

    async with session.open("background_agents", agents=TEAM) as toolset:
        assert (await do("list_background_agents")).output == "No background agent tasks."
        started = await do("run_background_agent", agent="coder", task="Code")
        one = (started.meta or {})["task_id"]
        assert started.output == f"Background agent task started with ID: {one}\nAgent: coder"
        assert one == "agent_task_11111111-0000-4000-8000-000000000000"
        assert "<task>\nCode\n</task>" in desk.tasks[0].brief and "expected_output" not in desk.tasks[0].brief
        two = ((await do("run_background_agent", agent="critic", task="x", expected_output="y")).meta or {})["task_id"]
        waited = await do("wait_background_agents", task_ids=[one, two], timeout=0)
        assert json.loads(waited.output)["timed_out"] is True
        desk.end(SessionId(one.removeprefix("agent_task_")), "completed", "é" * 4000 + " the end")
        viewed = (await do("view_background_agent", task_id=one)).output
        assert viewed.startswith(f"ID: {one}\nAgent: coder\nStatus: completed\nRuntime: 2.5s\n\n--- Output ---\né")
        async with anyio.create_task_group() as tasks:

            async def wait() -> None:
                nonlocal waited
                waited = await do("wait_background_agents", task_ids=[one, two, one])

            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            assert await do("stop_background_agent", task_id=two) == Result(f"Task {two} stopped successfully")
        answer = json.loads(waited.output)
        assert (answer["all_done"], answer["timed_out"]) == (True, False)
        assert [task["status"] for task in answer["tasks"]] == ["completed", "stopped"]
        assert answer["tasks"][0]["output"].endswith("é the end")
        assert len(answer["tasks"][0]["output"].encode()) <= 4 * 1024 + 6
        listed = (await do("list_background_agents")).output.split("\n\n")
        assert [block.split("\n")[2] for block in listed] == ["Status: completed", "Status: stopped"]


async def test_what_background_agents_refuse(session: Session) -> None:
    using = Using()
    session.team = Team("t", "", (Agent("root", sub_agents=("coder",)), Agent("coder", description="Writes")))
    async with session.open("background_agents") as toolset:
        assert "- coder: Writes" in toolset.instructions
        stranger = await session.call(toolset, "run_background_agent", using, agent="x", task="t")
        assert stranger.is_error and stranger.output.endswith(
            "target agent not in sub-agents list. Available agents: coder"
        )
        ids = []
        for _ in range(20):
            started = await session.call(toolset, "run_background_agent", using, agent="coder", task="t")
            ids.append((started.meta or {})["task_id"])
        full = await session.call(toolset, "run_background_agent", using, agent="coder", task="t")
        assert full.is_error and "20 sessions run already" in full.output
        for name, more in (
            ("view_background_agent", {"task_id": "agent_task_x"}),
            ("stop_background_agent", {"task_id": "agent_task_x"}),
            ("wait_background_agents", {"task_ids": [ids[0], "agent_task_x"]}),
        ):
            gone = await session.call(toolset, name, using, **more)
            assert gone.is_error and gone.output.startswith(f"Task not found: agent_task_x. There are: {ids[0]}, ")
        await session.call(toolset, "stop_background_agent", using, task_id=ids[0])
        again = await session.call(toolset, "stop_background_agent", using, task_id=ids[0])
        assert again == Result(f"Task {ids[0]} is not running: stopped", is_error=True)


# -- model_picker -------------------------------------------------------------------------------


async def test_models(session: Session) -> None:
    using = Using()
    async with session.open("model_picker", models=("fast", "bad/model")) as toolset:
        assert await names(toolset) == ["change_model", "revert_model"]
        assert "fast, bad/model" in toolset.instructions
        assert not (await session.call(toolset, "change_model", using, model="fast")).is_error
        assert not (await session.call(toolset, "revert_model", using)).is_error
        other = await session.call(toolset, "change_model", using, model="slow")
        assert other == Result("The model slow can't be chosen. You can choose: fast, bad/model", is_error=True)
        bad = await session.call(toolset, "change_model", using, model="bad/model")
        assert bad == Result("no model bad/model", is_error=True)
    assert using.models == ["fast", ""]


# -- session_context ----------------------------------------------------------------------------


def listing(id: str, title: str, folder: str = "/w") -> Listing:
    return Listing(SessionId(id), Micros(1_000_000), title, 2, 0, 0, 0.0, folder, False, {})


async def test_other_sessions(session: Session) -> None:
    using = Using()
    using.desk.listed = [listing("b", "Tea time"), listing("a", "", "/srv/tea"), listing("c", "Other")]
    call = ToolCall(CallId("1"), "shell", '{"cmd": "ls"}')
    using.desk.said[SessionId("b")] = [
        Message("user", "hello", parts=(Text("hello"), Text("you"))),
        Message("assistant", "", agent="root", calls=(call,)),
        Message("tool", "x" * 9000),
        *(Message("user", str(number) + "y" * 3900) for number in range(20)),
    ]
    async with session.open("session_context") as toolset:
        found = json.loads((await session.call(toolset, "list_sessions", using, query="TEA")).output)
        assert [row["id"] for row in found] == ["b", "a"]
        assert found[0] == {
            "id": "b",
            "title": "Tea time",
            "created_at": "1970-01-01T00:00:01+00:00",
            "messages": 2,
            "working_dir": "/w",
        }
        assert len(json.loads((await session.call(toolset, "list_sessions", using, limit=1)).output)) == 1
        text = (await session.call(toolset, "read_session", using, session_id="b")).output
        assert text.startswith(
            "--- 1. user ---\nhello\nyou\n\n"
            '--- 2. assistant (root) ---\n[calls shell {"cmd": "ls"}]\n\n--- 3. tool ---\nxxx'
        )
        assert len(text) < 31_000 and text.endswith("[23 messages in all; to read on, use offset=10]")
        rest = (await session.call(toolset, "read_session", using, session_id="b", offset=23)).output
        assert rest.startswith("--- 23. user ---\n19y")
        beyond = await session.call(toolset, "read_session", using, session_id="b", offset=24)
        assert beyond == Result("the session has 23 messages only", is_error=True)
        assert await session.call(toolset, "read_session", using, session_id="x") == Result(
            "session not found", is_error=True
        )


# -- plan and session_plan ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plan", "session_plan"])
async def test_a_plan(session: Session, kind: str) -> None:
    async with session.open(kind) as toolset, session.open(kind, agent="b", session="sub", root=session.id) as below:
        assert (await session.call(toolset, "read_plan")).output == "There is no plan yet."
        assert (await session.call(toolset, "exit_plan_mode")).is_error
        written = await session.call(toolset, "write_plan", content="# One\n")
        assert (await session.call(below, "read_plan")).output == "# One\n"
        await session.call(below, "write_plan", content="# Two")
        left = await session.call(toolset, "exit_plan_mode")
        assert left == Result("Planning is over. Carry the plan out now:\n\n# Two")
    path = session.home / "plans" / f"{session.id}.md"
    assert path.exists() == (kind == "plan") == (str(path) in written.output)
    where = str(path) if kind == "plan" else ""
    assert session.told == [PlanSet("# One\n", path=where, agent="root"), PlanSet("# Two", path=where, agent="b")]
    session.builtin = Builtin({}, state=session.home)
    async with session.open(kind) as toolset:
        assert (await session.call(toolset, "read_plan")).output == "# Two"


async def test_a_plan_that_a_person_changed(session: Session) -> None:
    async with session.open("plan") as toolset:
        await session.call(toolset, "write_plan", content="ours")
        path = session.home / "plans" / f"{session.id}.md"
        path.write_bytes(b"theirs \xff")
        assert (await session.call(toolset, "read_plan")).output == "theirs \ufffd"
        path.unlink()
        assert (await session.call(toolset, "read_plan")).output == "ours"
