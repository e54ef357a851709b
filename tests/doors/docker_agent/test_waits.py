"""What waits for a person, over HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from docker_agent.test_sessions import refused
from roost.core import events as e
from roost.core.agents import Agent, ToolsetSpec
from roost.core.ids import LogId
from roost.core.messages import Result
from roost.ports import Ask, Use
from roost.testing.fakes import FakeAgents, FakeTool, answers, call, crew
from roost.testing.house import Frames, House, open_house

pytestmark = pytest.mark.anyio


async def _ask(arguments: dict[str, Any], use: Use) -> Result:
    schema = {"type": "object", "properties": {"username": {"type": "string"}, "share": {"maximum": 1.0}}}
    answer = await use.ask(Ask("Which account?", schema=schema, server_id="srv-1", meta={"source": "crm"}))
    return Result(f"{answer.action} {answer.content}")


@pytest.fixture
async def asking(tmp_path: Path, anyio_backend: str) -> AsyncIterator[House]:
    """A house whose agent calls `shell`, which needs approval, or asks a question."""
    tools = [FakeTool("shell"), FakeTool("crm", _ask, read_only=True)]
    script = answers([call("shell", '{"cmd":"rm"}')], ["done"], [call("shell", '{"cmd":"ls"}', id="c2")], ["again"])
    async with open_house(tmp_path, script=script, tools=tools) as house:
        yield house


async def until_asked(frames: Frames) -> dict[str, Any]:
    return (await frames.until("tool_call_confirmation")).data


async def test_an_approved_call_runs(asking: House) -> None:
    session = await asking.session()
    async with asking.running(session, "hi") as frames:
        asked = await until_asked(frames)
        assert asked["tool_call"]["function"] == {"name": "shell", "arguments": '{"cmd":"rm"}'}
        assert asked["tool_definition"]["name"] == "shell"
        answer = await asking.client.post(f"/api/sessions/{session}/resume", json={"confirmation": "approve"})
        assert (answer.status_code, answer.text) == (200, '{"message":"session resumed"}\n')
        rest = await frames.rest()
    assert [frame.type for frame in rest[:3]] == ["tool_call", "tool_call_response", "message_added"]
    response = rest[1].data
    assert response["tool_call_id"] == response["tool_call"]["id"] == "call_shell"
    assert (response["response"], response["result"]) == ("done", {"output": "done"})


async def test_a_rejected_call_does_not_run(asking: House) -> None:
    session = await asking.session()
    async with asking.running(session, "hi") as frames:
        await until_asked(frames)
        body = {"confirmation": "reject", "reason": " wrong host "}
        await asking.client.post(f"/api/sessions/{session}/resume", json=body)
        response = (await frames.until("tool_call_response")).data
    text = "The user rejected the tool call. Reason: wrong host"
    assert (response["response"], response["result"]) == (text, {"output": text, "isError": True})


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"confirmation": "approve-session"}, {"tools_approved": True, "safety_policy": "autonomous"}),
        ({"confirmation": "approve-safer"}, {"tools_approved": False, "safety_policy": "balanced"}),
        ({"confirmation": "approve-tool"}, {"permissions": {"allow": ["shell"]}}),
        ({"confirmation": "approve-tool", "tool_name": "shell:cmd=r*"}, {"permissions": {"allow": ["shell:cmd=r*"]}}),
    ],
)
async def test_an_approval_may_count_for_more(asking: House, body: Any, shown: dict[str, Any]) -> None:
    session = await asking.session()
    async with asking.running(session, "hi") as frames:
        await until_asked(frames)
        await asking.client.post(f"/api/sessions/{session}/resume", json=body)
        await frames.until("tool_call")
        await frames.rest()
    now = (await asking.client.get(f"/api/sessions/{session}")).json()
    assert {key: now.get(key) for key in shown} == shown


async def test_answers_that_nobody_waits_for(asking: House) -> None:
    session = await asking.session()
    at = f"/api/sessions/{session}/resume"
    assert await refused(asking, "POST", at, json={"confirmation": "approve"}) == (409, "no confirmation pending")
    async with asking.running(session, "hi") as frames:
        await until_asked(frames)
        assert (await refused(asking, "POST", at, json={"confirmation": "maybe"}))[0] == 400
        assert (await refused(asking, "POST", at, json={}))[0] == 400
        other = {"confirmation": "approve", "tool_call_id": "another"}
        assert await refused(asking, "POST", at, json=other) == (409, "no confirmation pending")
        elicit = await refused(asking, "POST", f"/api/sessions/{session}/elicitation", json={"action": "accept"})
        assert elicit == (409, "failed to resume elicitation: no elicitation request in progress")
        mine = {"confirmation": "reject", "tool_call_id": "call_shell"}
        assert (await asking.client.post(at, json=mine)).status_code == 200
        await frames.rest()


async def test_a_wait_is_listed_and_answered_by_its_id(asking: House) -> None:
    session = await asking.session()
    assert (await asking.client.get("/api/waits")).text == "[]\n"
    async with asking.running(session, "hi") as frames:
        asked = await until_asked(frames)
        (wait,) = (await asking.client.get("/api/waits")).json()
        assert wait["id"] == asked["request_id"]
        assert {key: wait[key] for key in ("kind", "session_id", "agent_name")} == {
            "kind": "approval", "session_id": session, "agent_name": "root",
        }  # fmt: skip
        assert wait["tool_call"] == asked["tool_call"]
        assert wait["tool_definition"] == asked["tool_definition"]
        at = f"/api/waits/{wait['id']}"
        assert (await refused(asking, "POST", at, json={"action": "accept"}))[0] == 400
        for _ in range(2):
            answer = await asking.client.post(at, json={"confirmation": "approve"})
            assert (answer.status_code, answer.text) == (200, '{"message":"answered"}\n')
        assert (await refused(asking, "POST", at, json={"confirmation": "reject"}))[0] == 409
        await frames.rest()
    assert (await asking.client.post(at, json={"confirmation": "approve"})).status_code == 200
    assert (await asking.client.get("/api/waits")).json() == []
    assert await refused(asking, "POST", "/api/waits/nobody", json={"confirmation": "approve"}) == (
        404,
        "wait not found",
    )


async def test_of_many_who_answer_at_once_one_answer_counts_and_all_see_which(asking: House) -> None:
    session, told = await asking.session(), list[tuple[str, int]]()
    async with asking.running(session, "hi") as frames:
        wait = (await until_asked(frames))["request_id"]

        async def answer(word: str) -> None:
            answer = await asking.client.post(f"/api/waits/{wait}", json={"confirmation": word})
            told.append((word, answer.status_code))

        async with anyio.create_task_group() as tasks:
            for number in range(12):
                tasks.start_soon(answer, ("approve", "reject", "approve-session")[number % 3])
        won = {word for word, status in told if status == 200}
        assert {status for word, status in told if word not in won} <= {409}
        assert won in ({"approve"}, {"reject"}, {"approve-session"}, {"approve", "approve-session"})
        await frames.rest()
    facts = [event.fact for event in await asking.store.page(LogId(session), after=0, limit=1000)]
    answered = [fact for fact in facts if isinstance(fact, e.WaitAnswered)]
    assert len(answered) == 1
    assert ("reject" in won) == (answered[0].answer.action == "reject")


async def test_a_question_is_asked_and_answered(asking: House) -> None:
    asking.provider.script = answers([call("crm")], ["thanks"])
    session = await asking.session()
    async with asking.running(session, "hi") as frames:
        asked = (await frames.until("elicitation_request")).data
        assert asked["message"] == "Which account?"
        assert asked["mode"] == "form"
        assert asked["schema"]["properties"]["share"] == {"maximum": 1}
        assert (asked["server_elicitation_id"], asked["session_id"]) == ("srv-1", session)
        assert asked["meta"] == {"source": "crm"}
        at = f"/api/sessions/{session}/elicitation"
        assert (await refused(asking, "POST", at, json={"action": "perhaps"}))[0] == 400
        other = {"action": "decline", "elicitation_id": "another"}
        assert (await refused(asking, "POST", at, json=other))[0] == 409
        body = {"action": "accept", "content": {"Username": "ada"}, "elicitation_id": asked["elicitation_id"]}
        answer = await asking.client.post(at, json=body)
        assert (answer.status_code, answer.text) == (200, "null\n")
        response = (await frames.until("tool_call_response")).data
        assert response["response"] == "accept {'Username': 'ada'}"
    assert (await asking.client.post(at, json=body)).text == "null\n"  # the same again
    assert (await refused(asking, "POST", at, json={**body, "action": "decline"}))[0] == 409
    without_id = {"action": "accept", "content": {}}
    assert (await refused(asking, "POST", at, json=without_id))[0] == 409


async def test_a_wait_list_shows_questions_too(asking: House) -> None:
    asking.provider.script = answers([call("crm")], ["thanks"])
    session = await asking.session()
    async with asking.running(session, "hi") as frames:
        await frames.until("elicitation_request")
        (wait,) = (await asking.client.get("/api/waits")).json()
        assert (wait["kind"], wait["message"], wait["schema"]["type"]) == ("question", "Which account?", "object")
        answer = await asking.client.post(f"/api/waits/{wait['id']}", json={"action": "decline"})
        assert answer.text == '{"message":"answered"}\n'
        assert (await frames.until("tool_call_response")).data["response"] == "decline None"


async def test_the_iteration_limit_is_asked_about(tmp_path: Path) -> None:
    agent = Agent("root", model="fake", max_iterations=1, toolsets=(ToolsetSpec("fake"),))
    script = answers([call("look")], [call("look", id="c2")], ["done"])
    tools = [FakeTool("look", read_only=True)]
    async with open_house(tmp_path, script=script, tools=tools, agents=FakeAgents(crew(agent))) as house:
        session = await house.session()
        async with house.running(session, "hi") as frames:
            limit = await frames.until("max_iterations_reached")
            assert limit.data["max_iterations"] == 1
            assert "agent_name" not in limit.data
            at = f"/api/sessions/{session}/resume"
            assert (await refused(house, "POST", at, json={"confirmation": "yes"}))[0] == 400
            await house.client.post(at, json={"confirmation": "approve-tool"})
            assert (await frames.rest())[-1].data["reason"] == "normal"
        async with house.running(session, "more") as frames:
            await frames.rest()


async def test_a_rejected_limit_stops_with_its_text(tmp_path: Path) -> None:
    agent = Agent("root", model="fake", max_iterations=1, toolsets=(ToolsetSpec("fake"),))
    tools = [FakeTool("look", read_only=True)]
    async with open_house(
        tmp_path, script=answers([call("look")]), tools=tools, agents=FakeAgents(crew(agent))
    ) as house:
        session = await house.session()
        async with house.running(session, "hi") as frames:
            await frames.until("max_iterations_reached")
            await house.client.post(f"/api/sessions/{session}/resume", json={"confirmation": "reject"})
            rest = await frames.rest()
        assert [frame.type for frame in rest] == ["message_added", "stream_stopped"]
        shown = (await house.client.get(f"/api/sessions/{session}")).json()["messages"]
        assert shown[-1]["message"]["content"] == (
            "Execution stopped after reaching the configured max_iterations limit (1)."
        )
