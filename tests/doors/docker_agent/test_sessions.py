"""Sessions over HTTP: every entry of the reference, its success and its refusals."""

import re
from pathlib import Path
from typing import Any

import anyio
import pytest

from roost.core import events as e
from roost.core.ids import LogId, SessionId
from roost.core.messages import Message
from roost.testing.fakes import FakeTool, answers, call
from roost.testing.house import House, open_house

pytestmark = pytest.mark.anyio

TIME = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z"


async def refused(house: House, method: str, path: str, **how: Any) -> tuple[int, str]:
    answer = await house.client.request(method, path, **how)
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) <= {"message", "code"}
    return answer.status_code, body["message"]


# -- create ---------------------------------------------------------------------------------------


async def test_a_new_session_is_answered_byte_for_byte(house: House) -> None:
    answer = await house.client.post("/api/sessions", content=b"{}", headers={"content-type": "application/json"})
    assert answer.status_code == 200
    pattern = (
        r'\{"id":"[0-9a-f-]{36}","title":"","messages":null,"created_at":"' + TIME + r'","tools_approved":false,'
        r'"hide_tool_results":false,"SendUserMessage":true,"max_iterations":0,"starred":false,"input_tokens":0,'
        r'"output_tokens":0,"cost":0\}\n'
    )
    assert re.fullmatch(pattern, answer.text)


@pytest.mark.parametrize("body", [None, {}, {"agent": "root"}, {"messages": [], "id": "x", "thinking": True}])
async def test_a_session_needs_nothing(house: House, body: Any) -> None:
    answer = await house.client.post("/api/sessions", json=body) if body is not None else None
    answer = answer or await house.client.post("/api/sessions")
    assert answer.status_code == 200
    assert answer.json()["messages"] is None
    assert answer.json()["id"] != "x"


async def test_a_session_keeps_what_it_was_made_with(house: House, tmp_path: Path) -> None:
    template = {
        "Title": " x ",
        "working_dir": f" {tmp_path} ",
        "safety_policy": "safer",
        "permissions": {"allow": ["read_*"], "deny": ["shell:cmd=rm*"]},
        "max_iterations": 7,
        "max_tool_result_tokens": 9,
        "attributes": {"b": "2", "a": "1"},
        "agent_model_overrides": {"root": "fake/two"},
        "custom_models_used": ["fake/two"],
    }
    made = (await house.client.post("/api/sessions", json=template)).json()
    assert made["title"] == "x"
    assert made["working_dir"] == str(tmp_path)
    assert made["safety_policy"] == "balanced"
    assert made["tools_approved"] is False
    assert made["permissions"] == {"allow": ["read_*"], "deny": ["shell:cmd=rm*"]}
    assert (made["max_iterations"], made["max_tool_result_tokens"]) == (7, 9)
    assert list(made["attributes"].items()) == [("a", "1"), ("b", "2")]
    assert made["agent_model_overrides"] == {"root": "fake/two"}
    assert made["custom_models_used"] == ["fake/two"]


async def test_approving_all_tools_is_a_policy(house: House) -> None:
    made = (await house.client.post("/api/sessions", json={"tools_approved": True})).json()
    assert (made["tools_approved"], made["safety_policy"]) == (True, "autonomous")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"working_dir": "/no/such/place"}, "invalid working directory: "),
        ({"working_dir": "../up"}, "invalid working directory: "),
        ({"safety_policy": "x"}, 'invalid safety_policy: "x"'),
        ({"title": 1}, "invalid request body: code=400, message="),
        ([1], "invalid request body: code=400, message="),
    ],
)
async def test_a_session_that_can_not_be(house: House, body: Any, message: str) -> None:
    status, said = await refused(house, "POST", "/api/sessions", json=body)
    assert status == 400
    assert said.startswith(message)
    assert (await house.client.get("/api/sessions")).json() == []


async def test_a_body_must_say_that_it_is_json(house: House) -> None:
    status, said = await refused(house, "POST", "/api/sessions", content=b"{}", headers={"content-type": "text/plain"})
    assert status == 400
    assert said.startswith("invalid request body: code=415")
    fine = {"content-type": "application/json; charset=utf-8"}
    assert (await house.client.post("/api/sessions", content=b"{}", headers=fine)).status_code == 200


async def test_a_full_disk_makes_no_session(house: House) -> None:
    house.store.full = True
    status, said = await refused(house, "POST", "/api/sessions", json={})
    assert status == 507
    assert said.startswith("failed to create session: ")


# -- list and show --------------------------------------------------------------------------------


async def test_the_list_shows_what_has_changed_since_the_last_one(house: House) -> None:
    first, second = [
        (await house.client.post("/api/sessions", json={"title": title})).json()["id"] for title in ("one", "two")
    ]

    async def titles() -> dict[str, str]:
        return {row["id"]: row["title"] for row in (await house.client.get("/api/sessions")).json()}

    assert await titles() == {first: "one", second: "two"}
    await house.client.patch(f"/api/sessions/{first}/title", json={"title": "<1>"})
    assert await titles() == {first: "<1>", second: "two"}
    assert "\\u003c1\\u003e" in (await house.client.get("/api/sessions")).text
    await house.client.delete(f"/api/sessions/{second}")
    assert await titles() == {first: "<1>"}


async def test_the_list_is_newest_first_and_never_null(house: House) -> None:
    assert (await house.client.get("/api/sessions")).text == "[]\n"
    first, second = await house.session(title="one"), await house.session(title="two")
    await house.run(first, "hi")
    listed = (await house.client.get("/api/sessions")).json()
    assert [entry["id"] for entry in listed] == [second, first]
    assert listed[1]["num_messages"] == 2
    assert (listed[1]["input_tokens"], listed[1]["output_tokens"]) == (15, 2)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", listed[0]["created_at"])
    assert list(listed[0]) == ["id", "title", "created_at", "num_messages", "input_tokens", "output_tokens"]


@pytest.mark.parametrize(
    ("query", "found"),
    [("?limit=2", "dc"), ("?offset=1", "cba"), ("?limit=1&offset=2", "b"), ("?offset=9", ""), ("?limit=0", "")],
)
async def test_a_part_of_the_list(house: House, query: str, found: str) -> None:
    for title in "abcd":
        await house.session(title=title)
    listed = (await house.client.get(f"/api/sessions{query}")).json()
    assert "".join(entry["title"] for entry in listed) == found


@pytest.mark.parametrize("query", ["limit=x", "offset=-1", "limit=1.5"])
async def test_a_part_that_can_not_be(house: House, query: str) -> None:
    name, _, value = query.partition("=")
    assert await refused(house, "GET", f"/api/sessions?{query}") == (400, f'invalid {name}: "{value}" is no number')


async def test_a_session_shows_its_messages(house: House) -> None:
    session = await house.session(title="Deploy check")
    await house.run(session, "Is prod <healthy>?")
    answer = await house.client.get(f"/api/sessions/{session}")
    assert "Is prod \\u003chealthy\\u003e?" in answer.text
    shown = answer.json()
    assert list(shown) == [
        "id", "title", "messages", "created_at", "tools_approved", "input_tokens", "output_tokens", "tree_cost",
    ]  # fmt: skip
    user, said = shown["messages"]
    assert (user["agent_name"], user["message"]["role"], user["message"]["content"]) == (
        "",
        "user",
        "Is prod <healthy>?",
    )
    assert (said["agent_name"], said["agentName"], said["message"]["content"]) == ("root", "root", "hello")
    assert said["message"]["usage"] == {
        "input_tokens": 10, "output_tokens": 2, "cached_input_tokens": 5, "cached_write_tokens": 0,
    }  # fmt: skip
    assert said["message"]["model"] == "fake/one"
    assert said["id"] > user["id"] > 0


async def test_a_session_without_messages_leaves_them_out(house: House) -> None:
    assert "messages" not in (await house.client.get(f"/api/sessions/{await house.session()}")).json()


async def test_the_snapshot_names_its_place_in_the_stream(house: House) -> None:
    session = await house.session()
    empty = (await house.client.get(f"/api/sessions/{session}/snapshot")).json()
    assert (empty["messages"], empty["streaming"], empty["last_event_seq"]) == (None, False, 1)
    frames = await house.run(session, "hi")
    full = (await house.client.get(f"/api/sessions/{session}/snapshot")).json()
    assert str(full["last_event_seq"]) == frames[-1].id
    assert full["agent"] == "root"
    assert list(full) == [
        "id", "title", "created_at", "messages", "tools_approved", "input_tokens", "output_tokens", "streaming",
        "agent", "last_event_seq", "cost", "tree_cost",
    ]  # fmt: skip


async def test_the_status_is_that_of_a_session_that_has_run(house: House) -> None:
    session = await house.session(title="T")
    path = f"/api/sessions/{session}/status"
    assert await refused(house, "GET", path) == (404, f"session not found: session {session} not found")
    await house.run(session, "hi")
    answer = await house.client.get(path)
    assert answer.text == (
        f'{{"id":"{session}","title":"T","streaming":false,"agent":"root","input_tokens":15,"output_tokens":2,'
        '"num_messages":2,"tree_cost":0.0000325}\n'
    )


async def test_the_status_can_be_waited_for(house: House) -> None:
    session = await house.session()
    path = f"/api/sessions/{session}/status"
    assert await refused(house, "GET", path + "?wait=10ms") == (503, "session not ready within timeout")
    for wait in ("abc", "5", "-1s", "0s"):
        status, said = await refused(house, "GET", f"{path}?wait={wait}")
        assert status == 400
        assert said.startswith("invalid wait: ")
    found: list[dict[str, Any]] = []

    async def wait() -> None:
        found.append((await house.client.get(path + "?wait=10s")).json())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await house.run(session, "hi")
    assert found[0]["agent"] == "root"
    assert house.toolsets.opened == 1  # nothing else was built for it


# -- small changes --------------------------------------------------------------------------------


async def test_small_changes_are_stored_and_answered(house: House) -> None:
    session = await house.session()
    at = f"/api/sessions/{session}"

    async def said(method: str, path: str, body: Any = None) -> str:
        answer = await house.client.request(method, at + path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.text

    assert await said("PATCH", "/title", {"title": "Nightly"}) == f'{{"id":"{session}","title":"Nightly"}}\n'
    assert (
        await said("PATCH", "/tokens", {"input_tokens": 1, "output_tokens": 2, "cost": 0.5}) == '{"status":"updated"}\n'
    )
    assert await said("PATCH", "/starred", {"starred": True}) == '{"status":"updated"}\n'
    permissions = {"permissions": {"allow": ["read_*"], "ask": ["shell"]}}
    assert await said("PATCH", "/permissions", permissions) == '{"message":"session permissions updated"}\n'
    assert await said("PATCH", "/safety-policy", {"safety_policy": "strict"}) == (
        '{"message":"session safety policy updated"}\n'
    )
    shown = (await house.client.get(at)).json()
    assert (shown["title"], shown["input_tokens"], shown["output_tokens"]) == ("Nightly", 1, 2)
    assert shown["permissions"] == {"allow": ["read_*"], "ask": ["shell"]}
    assert shown["safety_policy"] == "strict"
    (listed,) = (await house.client.get("/api/sessions")).json()
    assert (listed["starred"], listed["cost"]) == (True, 0.5)
    await said("PATCH", "/permissions", {"permissions": None})
    assert "permissions" not in (await house.client.get(at)).json()


async def test_the_toggle_goes_there_and_back(house: House) -> None:
    session = await house.session(safety_policy="strict")
    at = f"/api/sessions/{session}"
    assert (await house.client.post(at + "/tools/toggle")).text == "null\n"
    shown = (await house.client.get(at)).json()
    assert (shown["tools_approved"], shown["safety_policy"]) == (True, "autonomous")
    await house.client.post(at + "/tools/toggle")
    shown = (await house.client.get(at)).json()
    assert (shown["tools_approved"], shown["safety_policy"]) == (False, "strict")
    assert (await house.client.post(at + "/thinking/toggle")).text == "null\n"
    assert (await house.client.get(at)).json()["thinking"] is True


async def test_a_bad_policy_is_refused(house: House) -> None:
    session = await house.session()
    answer = await refused(house, "PATCH", f"/api/sessions/{session}/safety-policy", json={"safety_policy": "x"})
    assert answer == (400, 'invalid safety_policy: "x"')


UNKNOWN = [
    ("GET", "", None, "session not found: session not found"),
    ("DELETE", "", None, "failed to delete session: session not found"),
    ("GET", "/snapshot", None, "session not found: session not found"),
    ("GET", "/status", None, "session not found: session nobody not found"),
    ("GET", "/events", None, "session not found"),
    ("GET", "/queue", None, "session not found or not running"),
    ("GET", "/models", None, "session not found or not running"),
    ("GET", "/recovery", None, "failed to export session: session not found"),
    ("POST", "/agent/crew", {"messages": [{"content": "hi"}]}, "failed to run session: session not found"),
    ("POST", "/agent/crew/root", {"messages": [{"content": "hi"}]}, "failed to run session: session not found"),
    ("POST", "/resume", {"confirmation": "approve"}, "failed to resume session: session not found"),
    ("POST", "/elicitation", {"action": "accept"}, "failed to resume elicitation: session not found"),
    ("POST", "/cancel", None, "session not found"),
    ("POST", "/tools/toggle", None, "failed to toggle session tool approval mode: session not found"),
    ("POST", "/thinking/toggle", None, "failed to toggle session thinking mode: session not found"),
    ("PATCH", "/safety-policy", {"safety_policy": "strict"}, "session not found"),
    ("PATCH", "/permissions", {"permissions": None}, "failed to update session permissions: session not found"),
    ("PATCH", "/title", {"title": "x"}, "failed to update session title: session not found"),
    ("PATCH", "/tokens", {"input_tokens": 1}, "failed to update tokens: session not found"),
    ("PATCH", "/starred", {"starred": True}, "failed to set starred: session not found"),
    ("POST", "/fork", {"user_message_index": 0}, "failed to fork session: session not found"),
    ("POST", "/messages", {"message": {"message": {"role": "user"}}}, "failed to add message: session not found"),
    ("PATCH", "/messages/3", {"message": {"message": {"role": "user"}}}, "failed to update message: session not found"),
    ("POST", "/summaries", {"summary": "x"}, "failed to add summary: session not found"),
]


@pytest.mark.parametrize(("method", "path", "body", "message"), UNKNOWN)
async def test_an_unknown_session_is_404_with_the_words_of_each_endpoint(
    house: House, method: str, path: str, body: Any, message: str
) -> None:
    assert await refused(house, method, f"/api/sessions/nobody{path}", json=body) == (404, message)


@pytest.mark.parametrize("session", ["%00", "%ff%fe", "a%2Fb", "..%2f..", "%F0%9F%98%80", "x" * 3000])
async def test_odd_ids_are_unknown_ones(house: House, session: str) -> None:
    assert await refused(house, "GET", f"/api/sessions/{session}") == (404, "session not found: session not found")


async def test_an_unknown_snapshot_has_a_code(house: House) -> None:
    answer = await house.client.get("/api/sessions/nobody/snapshot")
    assert answer.text == '{"code":"unknown_session","message":"session not found: session not found"}\n'


# -- delete ---------------------------------------------------------------------------------------


async def test_a_deleted_session_is_gone_for_everybody(house: House) -> None:
    session = await house.session()
    answer = await house.client.delete(f"/api/sessions/{session}")
    assert (answer.status_code, answer.text) == (200, '{"message":"session deleted"}\n')
    assert await refused(house, "DELETE", f"/api/sessions/{session}") == (
        404,
        "failed to delete session: session not found",
    )
    assert await refused(house, "GET", f"/api/sessions/{session}/events") == (404, "session not found")
    assert (await house.client.get("/api/sessions")).json() == []


async def test_a_delete_waits_for_the_turn_when_it_is_told_to(house: House) -> None:
    house.provider.script = answers([anyio.Event()])
    session = await house.session()
    async with house.running(session, "hi") as frames:
        await frames.until("stream_started")
        answer = await house.client.delete(f"/api/sessions/{session}?wait=true&timeout=10s")
        assert (answer.status_code, answer.json()["message"]) == (200, "session deleted")
        assert (await frames.rest())[-1].data["reason"] == "canceled"


async def test_a_delete_that_takes_too_long_says_so(tmp_path: Path) -> None:
    stubborn = anyio.Event()

    async def work(arguments: Any, use: Any) -> str:
        with anyio.CancelScope(shield=True):
            await stubborn.wait()
        return "done"

    async with open_house(
        tmp_path, script=answers([call("slow")], ["ok"]), tools=[FakeTool("slow", work, read_only=True)]
    ) as house:
        session = await house.session()
        async with house.running(session, "hi") as frames:
            await frames.until("tool_call")
            answer = await house.client.delete(f"/api/sessions/{session}?wait=true&timeout=20ms")
            assert (answer.status_code, answer.json()["message"]) == (202, "session deleted, stop still in progress")
            stubborn.set()
            await frames.rest()


async def test_a_delete_with_a_bad_timeout_deletes_nothing(house: House) -> None:
    session = await house.session()
    status, said = await refused(house, "DELETE", f"/api/sessions/{session}?wait=true&timeout=x")
    assert status == 400
    assert said.startswith("invalid timeout: ")
    assert (await house.client.get(f"/api/sessions/{session}")).status_code == 200


# -- fork, messages, summaries --------------------------------------------------------------------


async def test_a_fork_has_what_was_before_its_message(house: House) -> None:
    session = await house.session(title="Trip")
    await house.run(session, "one")
    await house.run(session, "two")
    forked = await house.client.post(f"/api/sessions/{session}/fork", json={"user_message_index": 1})
    assert forked.status_code == 200
    assert forked.json()["title"] == "Trip (fork 1)"
    assert [m["message"]["content"] for m in forked.json()["messages"]] == ["one", "hello"]
    older = await house.client.post(f"/api/sessions/{session}/fork", json={"message_index": 1})
    assert older.json()["title"] == "Trip (fork 2)"
    assert len(older.json()["messages"]) == 2
    empty = await house.client.post(f"/api/sessions/{session}/fork")
    assert "messages" not in empty.json()
    for index in (-1, 2, 99):
        answer = await refused(house, "POST", f"/api/sessions/{session}/fork", json={"user_message_index": index})
        assert answer == (400, f"fork user-message index out of range: {index}")


async def test_no_fork_inside_a_sub_session(house: House) -> None:
    session = await house.session()
    sub = SessionId("inner")
    inner = [
        e.SessionCreated(e.Template(title="Transferred task"), SessionId(session), sub=sub),
        e.MessageWritten(Message("user", "Please proceed.", implicit=True), sub=sub),
    ]
    await house.store.put(LogId(session), [e.MessageWritten(Message("user", "go")), *inner])
    answer = await refused(house, "POST", f"/api/sessions/{session}/fork", json={"user_message_index": 1})
    assert answer == (400, "fork user-message index falls inside a sub-session at ordinal 1")


async def test_messages_can_be_added_and_replaced(house: House) -> None:
    session = await house.session()
    at = f"/api/sessions/{session}/messages"
    noted = {
        "message": {
            "agent_name": "root",
            "message": {
                "role": "assistant",
                "content": "noted",
                "multi_content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0K"}}],
                "created_at": "2026-03-14T10:00:00.5+01:00",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                "usage": {"input_tokens": 3},
            },
        }
    }
    answer = await house.client.post(at, json=noted)
    assert (answer.status_code, answer.text) == (201, '{"status":"added"}\n')
    (shown,) = (await house.client.get(f"/api/sessions/{session}")).json()["messages"]
    assert shown["agent_name"] == "root"
    assert shown["message"]["created_at"] == "2026-03-14T09:00:00Z"
    assert shown["message"]["multi_content"] == noted["message"]["message"]["multi_content"]
    assert shown["message"]["tool_calls"] == noted["message"]["message"]["tool_calls"]
    edited = {"message": {"message": {"role": "user", "content": "better"}}}
    answer = await house.client.patch(f"{at}/{shown['id']}", json=edited)
    assert (answer.status_code, answer.text) == (200, '{"status":"updated"}\n')
    (shown,) = (await house.client.get(f"/api/sessions/{session}")).json()["messages"]
    assert shown["message"]["content"] == "better"
    assert await refused(house, "POST", at, json={}) == (400, "message is required")
    assert await refused(house, "PATCH", f"{at}/1", json={}) == (400, "message is required")
    assert await refused(house, "PATCH", f"{at}/99", json=edited) == (
        404,
        "failed to update message: invalid message ID: no message 99 in this session",
    )
    for wrong in ("x", "-1", "1.5", "9" * 30, "%D9%A3"):
        status, said = await refused(house, "PATCH", f"{at}/{wrong}", json=edited)
        assert status == 400
        assert said.startswith("failed to update message: invalid message ID: ")


async def test_stored_calls_come_with_the_definitions_of_their_tools(tmp_path: Path) -> None:
    script = answers([call("look", "{}", id="c1"), call("odd", "{}", index=1, id="c2")], ["done"])
    async with open_house(tmp_path, script=script, tools=[FakeTool("look", read_only=True)]) as house:
        session = await house.session(title="T")
        frames = await house.run(session, "go")
        (shown,) = [f.data["tool_definition"] for f in frames if f.type == "tool_call"]
        for path in ("", "/snapshot", "/recovery"):
            messages = (await house.client.get(f"/api/sessions/{session}{path}")).json()["messages"]
            calling = messages[1]["message"]
            assert list(calling)[:4] == ["role", "content", "tool_calls", "tool_definitions"]
            assert calling["tool_definitions"] == [shown]  # none is known of the other one
            assert ["tool_definitions" in m["message"] for m in messages] == [False, True, False, False, False]
        edited = {"message": {"agent_name": "root", "message": calling | {"content": "Let me look."}}}
        at = f"/api/sessions/{session}/messages/{messages[1]['id']}"
        assert (await house.client.patch(at, json=edited)).status_code == 200
        changed = (await house.client.get(f"/api/sessions/{session}")).json()["messages"][1]["message"]
        assert (changed["content"], changed["tool_definitions"]) == ("Let me look.", [shown])


@pytest.mark.parametrize(
    "message",
    [
        {"role": "boss"},
        {},
        {"role": "user", "multi_content": [{"type": "hologram"}]},
        {"role": "user", "multi_content": [{"type": "image_url"}]},
        {"role": "user", "created_at": "yesterday"},
        {"role": "user", "created_at": "2026-03-14T10:00:00"},
        {"role": "user", "usage": {"output_tokens": -1}},
    ],
)
async def test_messages_that_can_not_be(house: House, message: dict[str, Any]) -> None:
    session = await house.session()
    body = {"message": {"message": message}}
    status, _ = await refused(house, "POST", f"/api/sessions/{session}/messages", json=body)
    assert status == 400
    assert "messages" not in (await house.client.get(f"/api/sessions/{session}")).json()


async def test_no_message_is_added_while_a_turn_runs(house: House) -> None:
    house.provider.script = answers(["x", anyio.Event()])
    session = await house.session()
    body = {"message": {"message": {"role": "user", "content": "!"}}}
    async with house.running(session, "hi") as frames:
        first = await frames.until("agent_choice")
        assert first.data["content"] == "x"
        at = f"/api/sessions/{session}/messages"
        assert (await refused(house, "POST", at, json=body))[0] == 409
        assert (await refused(house, "PATCH", at + "/3", json=body))[0] == 409


async def test_a_summary_is_stored_and_shown(house: House) -> None:
    session = await house.session()
    body = {
        "summary": "Checked prod.",
        "first_kept_entry": 4,
        "cost": 0.001,
        "model": "openai/gpt-4o-mini",
        "usage": {"input_tokens": 900, "output_tokens": 40},
    }
    answer = await house.client.post(f"/api/sessions/{session}/summaries", json=body)
    assert (answer.status_code, answer.text) == (201, '{"status":"added"}\n')
    async with house.events(session) as frames:
        shown = (await frames.until("session_summary")).data
    assert {key: shown[key] for key in ("summary", "first_kept_entry", "cost", "model")} == {
        "summary": "Checked prod.", "first_kept_entry": 4, "cost": 0.001, "model": "openai/gpt-4o-mini",
    }  # fmt: skip
    assert shown["usage"]["input_tokens"] == 900


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "summary is required"),
        ({"summary": "x", "model": "m" * 257}, "model name exceeds 256 characters"),
        ({"summary": "x", "model": "a\tb"}, "model name must not contain control characters"),
        ({"summary": "x", "usage": {"input_tokens": -1}}, "usage token counts must not be negative"),
    ],
)
async def test_summaries_that_can_not_be(house: House, body: Any, message: str) -> None:
    session = await house.session()
    assert await refused(house, "POST", f"/api/sessions/{session}/summaries", json=body) == (400, message)


# -- whole sessions -------------------------------------------------------------------------------


async def test_recovery_has_every_key_in_order(house: House) -> None:
    session = await house.session()
    answer = await house.client.get(f"/api/sessions/{session}/recovery")
    assert re.fullmatch(
        r'\{"created_at":"' + TIME + rf'","id":"{session}","input_tokens":0,"messages":null,"output_tokens":0,'
        r'"permissions":null,"title":"","tools_approved":false,"working_dir":""\}\n',
        answer.text,
    )


async def test_recovery_tells_of_errors(house: House) -> None:
    session = await house.session()
    await house.store.put(LogId(session), [e.ErrorMet("it broke", "model_error", "root")])
    (met,) = (await house.client.get(f"/api/sessions/{session}/recovery")).json()["errors"]
    assert (met["message"], met["code"], met["agent_name"]) == ("it broke", "model_error", "root")


async def test_several_sessions_are_deleted_at_once(house: House) -> None:
    one, two = await house.session(), await house.session()
    answer = await house.client.post("/api/sessions/batch/delete", json={"session_ids": [one, "nobody", one]})
    assert answer.text == '{"deleted_count":1,"failed_count":2,"failed_ids":["nobody","' + one + '"]}\n'
    answer = await house.client.post("/api/sessions/batch/delete", json={"session_ids": [two]})
    assert answer.text == '{"deleted_count":1,"failed_count":0}\n'


async def test_several_sessions_are_exported_at_once(house: House) -> None:
    session = await house.session(title="kept")
    answer = await house.client.post("/api/sessions/batch/export", json={"session_ids": ["nobody", session]})
    exported = answer.json()
    assert list(exported) == ["export_format", "session_count", "sessions", "timestamp"]
    assert (exported["export_format"], exported["session_count"]) == ("json", 1)
    assert exported["sessions"][0]["title"] == "kept"


@pytest.mark.parametrize("what", ["delete", "export"])
async def test_a_batch_of_nothing_is_refused(house: House, what: str) -> None:
    answer = await refused(house, "POST", f"/api/sessions/batch/{what}", json={})
    assert answer == (400, "session_ids cannot be empty")


async def test_exports_have_one_format(house: House) -> None:
    body = {"session_ids": ["x"], "format": "xml"}
    assert (await refused(house, "POST", "/api/sessions/batch/export", json=body))[0] == 400


async def test_fixed_segments_beat_parameters(house: House) -> None:
    assert (await refused(house, "GET", "/api/sessions/batch"))[0] == 404
    assert await refused(house, "GET", "/api/sessions/batch/status") == (
        404,
        "session not found: session batch not found",
    )


async def test_waiting_for_sessions_that_never_come_leaves_nothing_behind(house: House) -> None:
    for number in range(5):
        await refused(house, "GET", f"/api/sessions/nobody-{number}/status?wait=1ms")
    assert not any(str(log).startswith("nobody") for log in house.hub._bells)
