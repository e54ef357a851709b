"""Turns over HTTP: run, steer, follow up, cancel, models."""

from pathlib import Path

import anyio
import pytest

from docker_agent.test_sessions import refused
from roost.core.agents import Agent
from roost.core.errors import ModelFailed
from roost.testing.fakes import FakeAgents, FakeTool, answers, call, crew
from roost.testing.house import House, open_house

pytestmark = pytest.mark.anyio


# -- run ------------------------------------------------------------------------------------------


async def test_a_turn_is_a_stream_of_events(house: House) -> None:
    session = await house.session(title="T")
    async with house.running(session, "hi") as frames:
        headers = frames.response.headers
        assert headers["content-type"] == "text/event-stream"
        assert headers["cache-control"] == "no-cache"
        found = await frames.rest()
    assert [frame.type for frame in found] == [
        "session_title", "agent_info", "team_info", "toolset_info", "user_message", "stream_started", "toolset_info",
        "agent_choice", "message_added", "token_usage", "stream_stopped",
    ]  # fmt: skip
    assert frames.raw.startswith(b"id: ")
    assert b"event:" not in frames.raw
    for frame in found:
        assert frame.data.get("agent") == frame.data.get("agent_name")
        assert frame.data["timestamp"]
    assert found[-1].data["reason"] == "normal"
    assert found[-1].data["session_id"] == session


async def test_the_old_body_is_a_list_and_its_stream_has_one_more_frame(house: House) -> None:
    session = await house.session()
    async with house.stream("POST", f"/api/sessions/{session}/agent/crew", content=b' [{"content":"hi"}]') as frames:
        found = await frames.rest()
    assert [frame.type for frame in found[-2:]] == ["stream_stopped", "stream_end"]
    assert frames.raw.endswith(f'data: {{"type":"stream_end","session_id":"{session}"}}\n\n'.encode())


async def test_what_old_clients_say_again_is_not_stored_again(house: House) -> None:
    session = await house.session()
    await house.run(session, "one")
    old = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "two"},
    ]
    async with house.stream("POST", f"/api/sessions/{session}/agent/crew", json=old) as frames:
        await frames.rest()
    shown = (await house.client.get(f"/api/sessions/{session}")).json()["messages"]
    assert [m["message"]["content"] for m in shown] == ["one", "hello", "two", "hello"]


async def test_roles_of_posted_messages_are_ignored_and_all_are_stored(house: House) -> None:
    session = await house.session()
    body = {"messages": [{"role": "system", "content": "a"}, {"role": "assistant", "content": "b"}, {"content": "c"}]}
    async with house.stream("POST", f"/api/sessions/{session}/agent/crew", json=body) as frames:
        said = await frames.until("user_message")
        await frames.rest()
    assert (said.data["message"], said.data["session_position"]) == ("c", 2)
    shown = (await house.client.get(f"/api/sessions/{session}")).json()["messages"]
    assert [m["message"]["role"] for m in shown] == ["user", "user", "user", "assistant"]


async def test_pictures_reach_the_model(house: House) -> None:
    session = await house.session()
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0K", "detail": "auto"}}
    parts = [{"type": "text", "text": "see"}, picture, {"type": "file", "file": {"file_id": "f1", "mime_type": "a/b"}}]
    async with house.stream(
        "POST", f"/api/sessions/{session}/agent/crew", json={"messages": [{"content": "", "multi_content": parts}]}
    ) as frames:
        said = await frames.until("user_message")
        await frames.rest()
    assert said.data["multi_content"] == parts
    assert len(house.provider.requests[0].messages[-1].parts) == 3


async def test_no_message_runs_on_what_is_stored(house: House) -> None:
    session = await house.session()
    status, said = await refused(house, "POST", f"/api/sessions/{session}/agent/crew", json={})
    assert status == 400
    assert "nothing to answer" in said
    await house.run(session, "hi")
    async with house.stream("POST", f"/api/sessions/{session}/agent/crew", json={"messages": []}) as frames:
        assert (await frames.rest())[-1].data["reason"] == "normal"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "invalid request body: EOF"),
        (b"{", "invalid request body: "),
        (b'{"messages":{}}', "invalid request body: "),
        (b'[{"content":1}]', "invalid request body: "),
        (b"5", "invalid request body: "),
        (b"[[]]", "invalid request body: "),
    ],
)
async def test_bodies_of_a_run_that_can_not_be(house: House, raw: bytes, message: str) -> None:
    session = await house.session()
    status, said = await refused(house, "POST", f"/api/sessions/{session}/agent/crew", content=raw)
    assert status == 400
    assert said.startswith(message)
    assert (await house.store.head(session)).last_seq == 1


async def test_agents_that_are_not_there(tmp_path: Path) -> None:
    agents = FakeAgents(crew(Agent("root"), Agent("reviewer")), crew(source="other"))
    agents.broken["bent"] = "line 3: no such key"
    async with open_house(tmp_path, agents=agents) as house:
        session = await house.session()
        body = {"messages": [{"content": "hi"}]}
        at = f"/api/sessions/{session}/agent"
        assert await refused(house, "POST", at + "/nobody", json=body) == (404, "agent not found: nobody")
        status, said = await refused(house, "POST", at + "/crew/nobody", json=body)
        assert status == 404
        assert said.startswith("failed to run session: agent not found: nobody")
        assert "root, reviewer" in said
        assert await refused(house, "POST", at + "/bent", json=body) == (
            500,
            "failed to run session: line 3: no such key",
        )
        assert (await house.store.head(session)).last_seq == 1


async def test_agents_are_found_by_other_spellings(tmp_path: Path) -> None:
    url = "https://example.test/a/b"
    agents = FakeAgents(crew(Agent("root", model="fake"), Agent("reviewer", model="fake"), source=url))
    async with open_house(tmp_path, agents=agents) as house:
        session = await house.session()
        for name, agent in (
            ("https:%2F%2Fexample.test%2Fa%2Fb", "root"),
            ("https:%2F%2Fexample.test%2Fa%2Fb.yaml", "root"),
            ("reviewer", "reviewer"),
            ("https:%2F%2Fexample.test%2Fa%2Fb/reviewer", "reviewer"),
        ):
            frames = await house.run(session, "hi", agent=name)
            assert frames[-1].data["agent_name"] == agent
        assert (await house.client.get("/api/agents/https:%2F%2Fexample.test%2Fa%2Fb")).status_code == 200


async def test_a_bad_model_changes_nothing(house: House) -> None:
    session = await house.session()
    body = {"messages": [{"content": "hi"}], "model": "bad/one"}
    status, said = await refused(house, "POST", f"/api/sessions/{session}/agent/crew", json=body)
    assert (status, said) == (422, "failed to run session: no model 'bad/one'")
    assert (await house.store.head(session)).last_seq == 1


async def test_a_file_whose_own_model_is_bad_is_not_the_fault_of_the_client(tmp_path: Path) -> None:
    agents = FakeAgents(crew(Agent("root", model="bad/one")))
    async with open_house(tmp_path, agents=agents) as house:
        session = await house.session()
        body = {"messages": [{"content": "hi"}]}
        answer = await refused(house, "POST", f"/api/sessions/{session}/agent/crew", json=body)
        assert answer == (500, "failed to run session: no model 'bad/one'")
        assert (await house.store.head(session)).last_seq == 1


async def test_a_busy_session_is_left_alone(house: House) -> None:
    house.provider.script = answers(["x", anyio.Event()])
    session, other = await house.session(), await house.session()
    async with house.running(session, "hi") as frames:
        await frames.until("agent_choice")
        body = {"messages": [{"content": "again"}]}
        answer = await refused(house, "POST", f"/api/sessions/{session}/agent/crew", json=body)
        assert answer == (409, "session is already processing a request")
        async with house.running(other, "hi") as second:
            await second.until("agent_choice")


async def test_a_full_disk_starts_no_turn(house: House) -> None:
    session = await house.session()
    house.store.full = True
    status, _ = await refused(
        house, "POST", f"/api/sessions/{session}/agent/crew", json={"messages": [{"content": "hi"}]}
    )
    assert status == 507


async def test_a_disk_that_fills_up_ends_the_stream_without_numbers(house: House) -> None:
    go = anyio.Event()
    house.provider.script = answers(["x", go, "y"])
    session = await house.session()
    async with house.running(session, "hi") as frames:
        await frames.until("agent_choice")
        house.store.full = True
        go.set()
        await frames.rest()
    error, stopped = (frame for frame in frames.seen[-2:])
    assert (error.type, error.data["code"], error.id) == ("error", "store_full", "")
    assert (stopped.type, stopped.data["reason"], stopped.id) == ("stream_stopped", "error", "")
    house.store.full = False
    await house.until(session, lambda head: head.turn is None)  # the end that was owed


async def test_a_model_that_fails_is_an_error_and_a_stop(house: House) -> None:
    house.provider.script = answers([ModelFailed("no such key", kind="auth", status=401)])
    found = await house.run(await house.session(), "hi")
    error, stopped = found[-2:]
    assert (error.type, error.data["error"], error.data["code"]) == ("error", "no such key", "model_error")
    assert "agent_name" not in error.data
    assert (stopped.type, stopped.data["reason"]) == ("stream_stopped", "error")


async def test_a_client_that_leaves_cancels_its_turn(tmp_path: Path) -> None:
    async with open_house(tmp_path, script=answers(["x", anyio.Event()]), grace=0.0) as house:
        session = await house.session()
        async with house.running(session, "hi") as frames:
            await frames.until("agent_choice")
        await house.until(session, lambda head: head.turn is None)
        async with house.events(session) as events:
            assert (await events.until("stream_stopped")).data["reason"] == "canceled"


async def test_a_detached_turn_needs_no_client(tmp_path: Path) -> None:
    go = anyio.Event()
    async with open_house(tmp_path, script=answers(["x", go, "y"]), grace=0.0) as house:
        session = await house.session()
        async with house.running(session, "hi", params={"detach": "true"}) as frames:
            await frames.until("agent_choice")
        go.set()
        await house.until(session, lambda head: head.turn is None)
        shown = (await house.client.get(f"/api/sessions/{session}")).json()["messages"]
        assert shown[-1]["message"]["content"] == "xy"


async def test_a_follower_keeps_the_turn_of_one_who_left(tmp_path: Path) -> None:
    go = anyio.Event()
    async with open_house(tmp_path, script=answers(["x", go, "y"]), grace=0.0) as house:
        session = await house.session()
        async with house.events(session, headers={"user-agent": "phone"}) as events:
            async with house.running(session, "hi") as frames:
                await frames.until("agent_choice")
            await house.until(session, lambda head: head.turn is None or head.turn.detached)
            go.set()
            assert (await events.until("stream_stopped")).data["reason"] == "normal"


async def test_a_title_is_shown_when_it_comes(tmp_path: Path) -> None:
    async with open_house(tmp_path, titles=True) as house:
        session = await house.session()
        await house.run(session, "hi")
        async with house.events(session) as events:
            title = await events.until("session_title")
        assert title.data["title"] == "A title"
        assert "agent_name" not in title.data
        assert "token_usage" in [frame.type for frame in await house.run(session, "again")]
        await house.client.patch(f"/api/sessions/{session}/title", json={"title": "Mine"})
        assert (await house.run(session, "more"))[0].data["title"] == "Mine"


# -- cancel ---------------------------------------------------------------------------------------


async def test_a_turn_can_be_cancelled(house: House) -> None:
    house.provider.script = answers(["par", anyio.Event()])
    session = await house.session()
    at = f"/api/sessions/{session}/cancel"
    assert await refused(house, "POST", at) == (409, "session is not running")
    async with house.running(session, "hi") as frames:
        await frames.until("agent_choice")
        answer = await house.client.post(at)
        assert (answer.status_code, answer.text) == (200, '{"message":"session canceled"}\n')
        assert (await frames.until("stream_stopped")).data["reason"] == "canceled"
    assert await refused(house, "POST", at) == (409, "session is not running")


async def test_a_cancelled_confirmation_gets_its_text_and_no_warning(tmp_path: Path) -> None:
    async with open_house(tmp_path, script=answers([call("shell")]), tools=[FakeTool("shell")]) as house:
        session = await house.session()
        async with house.running(session, "hi") as frames:
            asked = await frames.until("tool_call_confirmation")
            await house.client.post(f"/api/sessions/{session}/cancel")
            rest = await frames.rest()
        assert [frame.type for frame in rest] == ["tool_call_response", "message_added", "stream_stopped"]
        assert rest[0].data["response"] == "The tool call was canceled by the user."
        assert rest[0].data["tool_definition"] == asked.data["tool_definition"]


async def test_calls_cancelled_with_another_say_so(tmp_path: Path) -> None:
    calls = [call("shell", index=n, id=f"c{n}") for n in range(3)]
    async with open_house(tmp_path, script=answers(calls), tools=[FakeTool("shell")]) as house:
        session = await house.session()
        async with house.running(session, "hi") as frames:
            asked = await frames.until("tool_call_confirmation")
            await house.client.post(f"/api/sessions/{session}/cancel")
            rest = [frame.data for frame in await frames.rest() if frame.type == "tool_call_response"]
        alone = "The tool call was canceled by the user."
        other = "The tool call was canceled because another tool call in the same batch was canceled by the user."
        at_hand = asked.data["tool_call"]["id"]
        assert {said["tool_call_id"]: said["response"] for said in rest} == {
            f"c{n}": alone if at_hand == f"c{n}" else other for n in range(3)
        }
        assert all(said["result"]["isError"] for said in rest)


# -- messages that wait ---------------------------------------------------------------------------


async def test_steering_needs_a_session_that_ran_and_a_message(house: House) -> None:
    session = await house.session()
    at = f"/api/sessions/{session}/steer"
    body = {"messages": [{"content": "stop"}]}
    assert await refused(house, "POST", at, json=body) == (
        409,
        "failed to steer session: session not found or not running",
    )
    await house.run(session, "hi")
    assert await refused(house, "POST", at, json={}) == (400, "at least one message is required")
    assert await refused(house, "POST", at, json={**body, "framing": "x"}) == (
        400,
        'invalid framing "x": must be one of plain, instruction, replacement',
    )
    answer = await house.client.post(at, json={**body, "framing": "plain"})
    assert (answer.status_code, answer.text) == (202, '{"status":"queued"}\n')


@pytest.mark.parametrize(
    ("path", "room", "name"), [("steer", 5, "steer queue full"), ("followup", 20, "follow-up queue full")]
)
async def test_queues_are_bounded(house: House, path: str, room: int, name: str) -> None:
    session = await house.session()
    await house.run(session, "hi")
    at = f"/api/sessions/{session}/{path}"
    for number in range(room):
        assert (await house.client.post(at, json={"messages": [{"content": str(number)}]})).status_code == 202
    answer = await house.client.post(at, json={"messages": [{"content": "too many"}]})
    assert (answer.status_code, answer.headers["retry-after"], answer.json()["message"]) == (429, "1", name)
    queue = (await house.client.get(f"/api/sessions/{session}/queue")).json()
    kept = {"steer": 0, "followup": 0, path: room}
    assert queue == {
        "steer": {"depth": kept["steer"], "capacity": 5}, "followup": {"depth": kept["followup"], "capacity": 20},
    }  # fmt: skip


async def test_what_waits_can_be_taken_back(house: House) -> None:
    session = await house.session()
    await house.run(session, "hi")
    at = f"/api/sessions/{session}"
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    parts = [{"type": "text", "text": "notes.txt: three"}, image]
    body = {"messages": [{"content": "one"}, {"content": "two", "multi_content": parts}]}
    assert (await house.client.post(f"{at}/followup", json=body)).status_code == 202
    (waiting,) = (await house.client.get(f"{at}/snapshot?detail=full")).json()["queue"]
    answer = await house.client.delete(f"{at}/queue/{waiting['id']}")
    assert (answer.status_code, answer.json()) == (200, waiting)
    assert [message["content"] for message in waiting["messages"]] == ["one", "two"]
    assert waiting["messages"][1]["multi_content"] == [parts[0], image]
    assert (await house.client.get(f"{at}/queue")).json()["followup"]["depth"] == 0
    again = await house.client.delete(f"{at}/queue/{waiting['id']}")
    assert (again.status_code, again.headers["x-roost-code"]) == (404, "not_queued")
    for wrong in ("x", "-1", "1.5", "9" * 40):
        assert (await house.client.delete(f"{at}/queue/{wrong}")).status_code == 400
    assert (await house.client.delete(f"/api/sessions/nobody/queue/{waiting['id']}")).status_code == 404


async def test_what_was_taken_can_t(house: House) -> None:
    session = await house.session()
    await house.run(session, "hi")
    at = f"/api/sessions/{session}"
    assert (await house.client.post(f"{at}/followup", json={"messages": [{"content": "x"}]})).status_code == 202
    (waiting,) = (await house.client.get(f"{at}/snapshot?detail=full")).json()["queue"]
    await house.run(session, "again")
    answer = await house.client.delete(f"{at}/queue/{waiting['id']}")
    assert (answer.status_code, answer.headers["x-roost-code"]) == (409, "already_taken")
    assert answer.json()["message"] == f"message {waiting['id']} was taken already: it can't be withdrawn any more"


async def test_a_steered_message_enters_the_turn(tmp_path: Path) -> None:
    go = anyio.Event()
    async with open_house(tmp_path, script=answers(["one", go], ["two"])) as house:
        session = await house.session()
        async with house.running(session, "hi") as frames:
            await frames.until("agent_choice")
            await house.client.post(f"/api/sessions/{session}/steer", json={"messages": [{"content": "turn left"}]})
            go.set()
            said = await frames.until("user_message")
            assert (said.data["message"], said.data["session_position"]) == ("turn left", 2)
            assert (await frames.until("agent_choice")).data["content"] == "two"


async def test_follow_ups_say_what_becomes_of_them(house: House) -> None:
    go = anyio.Event()
    house.provider.script = answers(["one", go], ["two"])
    session = await house.session()
    at = f"/api/sessions/{session}/followup"
    body = {"messages": [{"content": "then"}]}
    assert await refused(house, "POST", at, json=body) == (
        409,
        "failed to enqueue follow-up: session not found or not running",
    )
    async with house.running(session, "hi") as frames:
        await frames.until("agent_choice")
        answer = await house.client.post(at, json=body, headers={"Idempotency-Key": "k"})
        assert (answer.status_code, answer.text) == (202, '{"status":"queued_streaming","duplicate":false}\n')
        answer = await house.client.post(at, json=body, headers={"Idempotency-Key": "k"})
        assert (answer.status_code, answer.text) == (202, '{"status":"duplicate","duplicate":true}\n')
        go.set()
        rest = await frames.rest()
    assert [frame.type for frame in rest].count("user_message") == 1
    assert [frame.type for frame in rest].count("stream_stopped") == 1
    answer = await house.client.post(at, json=body)
    assert answer.json() == {"status": "queued_idle", "duplicate": False}


# -- models ---------------------------------------------------------------------------------------


async def test_the_models_of_a_session(house: House) -> None:
    session = await house.session()
    at = f"/api/sessions/{session}/models"
    assert await refused(house, "GET", at) == (404, "session not found or not running")
    await house.run(session, "hi")
    answer = await house.client.get(at)
    assert answer.text == (
        '{"agent":"root","models":[{"name":"fake","ref":"fake","provider":"fake","model":"one","is_default":true,'
        '"is_current":true},{"name":"catalog/big","ref":"catalog/big","provider":"catalog","model":"big",'
        '"is_catalog":true,"input_cost":2.5,"output_cost":10}]}\n'
    )
    await house.run(session, "hi", body={"model": "openai/gpt-4o"})
    await house.run(session, "hi")
    models = (await house.client.get(at)).json()
    assert models["current_model_ref"] == "openai/gpt-4o"
    assert models["models"][0].get("is_current") is None
    assert models["models"][-1] == {
        "name": "openai/gpt-4o", "ref": "openai/gpt-4o", "provider": "openai", "model": "gpt-4o", "is_current": True,
        "is_custom": True,
    }  # fmt: skip


async def test_looking_builds_nothing(house: House) -> None:
    session = await house.session()
    for path in ("status", "models", "queue", "snapshot", "recovery"):
        await house.client.get(f"/api/sessions/{session}/{path}")
    assert house.toolsets.opened == 0
    assert house.provider.requests == []
