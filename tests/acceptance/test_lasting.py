"""What a restart keeps, and what a fork copies (checklist 22, 27)."""

import pytest

from acceptance.house import House, Server

FILE = """\
providers:
  fake: {{base_url: {url}/v1}}
models:
  fast: {{provider: fake, model: fake-model}}
  slow: {{provider: fake, model: slow-model}}
agents:
  root: {{model: fast, description: d, toolsets: [{{type: shell}}]}}
"""


def contents(session: dict[str, object]) -> list[str]:
    messages = session["messages"] or []
    assert isinstance(messages, list)
    return [m["message"]["content"] for m in messages]


def test_a_restart_keeps_everything(house: House) -> None:
    house.agent(text=FILE.format(url=house.model.url))
    first = house.serve()
    session = first.create()
    first.run(session, "remember the number 4711", model="slow")
    first.run(session, "[[tool nothing {}]] [[say so]]")
    permissions = {"allow": ["read_*"], "ask": ["shell"], "deny": ["shell:cmd=rm*"]}
    assert first.patch(f"/api/sessions/{session}/permissions", {"permissions": permissions}).status == 200
    assert first.patch(f"/api/sessions/{session}/starred", {"starred": True}).json == {"status": "updated"}
    assert first.patch(f"/api/sessions/{session}/title", {"title": "Kept"}).json == {"id": session, "title": "Kept"}
    assert first.patch(f"/api/sessions/{session}/safety-policy", {"safety_policy": "strict"}).status == 200
    paths = ("", "/snapshot", "/recovery", "/models", "/status", "/queue")
    before = {path: first.get(f"/api/sessions/{session}{path}").json for path in paths}
    listed, frames = first.get("/api/sessions").json, [f.raw for f in first.log(session)]
    assert first.term() == 0

    second = house.serve()
    assert {path: second.get(f"/api/sessions/{session}{path}").json for path in paths} == before
    assert second.get("/api/sessions").json == listed
    assert [f.raw for f in second.log(session)] == frames
    assert before["/models"]["current_model_ref"] == "slow"
    house.model.reset()
    second.run(session, "which number?")
    (asked,) = house.model.requests
    assert asked["body"]["model"] == "slow-model"
    assert "4711" in str(asked["body"]["messages"])


@pytest.fixture(scope="module")
def served(shared: House) -> Server:
    shared.agent()
    return shared.serve()


def fork(server: Server, session: str, **body: object) -> dict[str, object]:
    reply = server.post(f"/api/sessions/{session}/fork", body)
    assert reply.status == 200, reply
    found: dict[str, object] = reply.json
    return found


def test_forks(served: Server) -> None:
    session = served.create(title="Parent", tools_approved=True)
    for text in ("one", "two", "three"):
        served.run(session, text)
    one = ["one", "fake reply to: one"]
    two = ["two", "fake reply to: two"]
    assert contents({"messages": None, **fork(served, session, user_message_index=0)}) == []
    assert contents(fork(served, session, user_message_index=1)) == one
    last = fork(served, session, user_message_index=2)
    assert contents(last) == [*one, *two]
    assert contents(fork(served, session, message_index=1)) == one
    assert last["title"] == "Parent (fork 3)" and last["id"] != session and last["tools_approved"] is True
    assert fork(served, str(last["id"]), user_message_index=1)["title"] == "Parent (fork 5)"
    for index in (-1, 3, 99):
        reply = served.post(f"/api/sessions/{session}/fork", {"user_message_index": index})
        assert (reply.status, reply.message) == (400, f"fork user-message index out of range: {index}")
    served.run(str(last["id"]), "elsewhere")
    assert contents(served.get(f"/api/sessions/{session}").json)[-2:] == ["three", "fake reply to: three"]


def test_a_fork_of_a_session_that_runs(served: Server) -> None:
    session = served.create(title="Busy")
    served.run(session, "one")
    stream = served.start(session, "[[drip 0.1]] [[say a long answer that takes its time]]")
    stream.until("agent_choice")
    assert contents(fork(served, session, user_message_index=1)) == ["one", "fake reply to: one"]
    assert list(stream)[-1].event["reason"] == "normal"


def test_messages_and_summaries_by_hand(served: Server) -> None:
    session = served.create(title="t")
    body = {"message": {"agent_name": "root", "message": {"role": "assistant", "content": "noted"}}}
    added = served.post(f"/api/sessions/{session}/messages", body)
    assert (added.status, added.json["status"]) == (201, "added")
    (message,) = served.get(f"/api/sessions/{session}").json["messages"]
    assert message["message"]["content"] == "noted" and message["agent_name"] == "root"
    body["message"]["message"]["content"] = "changed"
    edited = served.patch(f"/api/sessions/{session}/messages/{message['id']}", body)
    assert (edited.status, edited.json) == (200, {"status": "updated"})
    assert contents(served.get(f"/api/sessions/{session}").json) == ["changed"]
    summary = {"summary": "Checked prod.", "model": "openai/gpt-4o-mini"}
    assert served.post(f"/api/sessions/{session}/summaries", summary).status == 201
    assert served.post(f"/api/sessions/{session}/summaries", {"summary": ""}).message == "summary is required"
