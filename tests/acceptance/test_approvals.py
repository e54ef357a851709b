"""Approvals and questions over real HTTP (checklist 11 to 13)."""

import json
from pathlib import Path
from typing import Any

import pytest

from acceptance.house import House, Server
from acceptance.sse import Frame, Stream

FILE = """\
providers:
  fake: {{base_url: {url}/v1}}
agents:
  root:
    model: fake/fake-model
    toolsets: [{{type: shell}}, {{type: filesystem}}, {{type: user_prompt}}]
permissions:
  deny: ["shell:cmd=rm*"]
"""
SHELL = '[[tool shell {"cmd": "echo ran"}]]'


@pytest.fixture(scope="module")
def served(shared: House) -> Server:
    shared.agent(text=FILE.format(url=shared.model.url))
    return shared.serve()


def asked(server: Server, text: str, **template: Any) -> tuple[str, Stream, dict[str, Any]]:
    """A run that has come to its confirmation."""
    session = server.create(title="t", **template)
    stream = server.start(session, text)
    return session, stream, stream.until("tool_call_confirmation")[-1].event


def response(frames: list[Frame]) -> dict[str, Any]:
    (found,) = (f.event for f in frames if f.type == "tool_call_response")
    return found


def test_approve(served: Server) -> None:
    session, stream, event = asked(served, SHELL)
    assert event["tool_call"]["function"] == {"name": "shell", "arguments": '{"cmd": "echo ran"}'}
    assert event["tool_call"]["type"] == "function" and event["tool_definition"]["name"] == "shell"
    assert served.resume(session, "approve").json == {"message": "session resumed"}
    frames = list(stream)
    assert [f.type for f in frames[:3]] == ["tool_call", *[f.type for f in frames[1:3]]]
    found = response(frames)
    assert "ran" in found["response"] and found["tool_call_id"] == event["tool_call"]["id"] == found["tool_call"]["id"]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({}, "The user rejected the tool call."),
        ({"reason": "not now"}, "The user rejected the tool call. Reason: not now"),
        ({"reason": "  wrong host "}, "The user rejected the tool call. Reason: wrong host"),
    ],
)
def test_reject(served: Server, more: dict[str, str], text: str) -> None:
    session, stream, _ = asked(served, SHELL)
    served.resume(session, "reject", **more)
    frames = list(stream)
    assert "tool_call" not in [f.type for f in frames]
    assert response(frames)["response"] == text
    assert response(frames)["result"]["isError"] is True
    stored = [m["message"] for m in served.snapshot(session)["messages"] if m["message"]["role"] == "tool"]
    assert [(m["content"], m["is_error"]) for m in stored] == [(text, True)]


def test_approve_for_the_session(served: Server) -> None:
    session, stream, _ = asked(served, f"{SHELL} {SHELL}")
    served.resume(session, "approve-session")
    assert "tool_call_confirmation" not in [f.type for f in stream]
    assert served.snapshot(session)["tools_approved"] is True
    assert "tool_call_confirmation" not in [f.type for f in served.run(session, SHELL)]


@pytest.mark.parametrize(("name", "pattern"), [("", "shell"), ("shell:cmd=echo*", "shell:cmd=echo*")])
def test_approve_a_tool(served: Server, name: str, pattern: str) -> None:
    session, stream, _ = asked(served, f"{SHELL} {SHELL}")
    served.resume(session, "approve-tool", tool_name=name)
    assert "tool_call_confirmation" not in [f.type for f in stream]
    assert served.snapshot(session)["permissions"] == {"allow": [pattern]}


def test_unknown_words_and_nobody_waiting(served: Server) -> None:
    session, stream, _ = asked(served, SHELL)
    assert served.resume(session, "perhaps").status == 400
    assert served.resume(session, "approve").status == 200
    list(stream)
    late = served.resume(session, "approve")
    assert (late.status, late.message) == (409, "no confirmation pending")


def test_the_toggle_before_a_run(served: Server) -> None:
    session = served.create(title="t")
    toggled = served.post(f"/api/sessions/{session}/tools/toggle")
    assert (toggled.status, toggled.body) == (200, b"null\n")
    assert "tool_call_confirmation" not in [f.type for f in served.run(session, SHELL)]
    served.post(f"/api/sessions/{session}/tools/toggle")
    assert served.snapshot(session)["tools_approved"] is False


def test_a_denial_by_argument(served: Server) -> None:
    session = served.create(title="t", tools_approved=True)
    frames = served.run(session, '[[tool shell {"cmd": "rm -r /nothing"}]]')
    assert "tool_call" not in [f.type for f in frames]
    assert response(frames)["response"] == "Tool 'shell' is denied by permissions configuration."
    mine = {"deny": ["shell:cmd=echo*"]}
    assert served.patch(f"/api/sessions/{session}/permissions", {"permissions": mine}).status == 200
    assert response(served.run(session, SHELL))["response"] == "Tool 'shell' is denied by session permissions."


def test_reading_runs_unasked_unless_a_pattern_asks(served: Server, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("written there")
    read = '[[tool read_file {"path": "note.txt"}]]'
    session = served.create(title="t", working_dir=str(tmp_path))
    frames = served.run(session, read)
    assert "tool_call_confirmation" not in [f.type for f in frames]
    assert "written there" in response(frames)["response"]
    asks = {"ask": ["read_file"]}
    session, stream, _ = asked(served, read, working_dir=str(tmp_path), permissions=asks)
    served.resume(session, "approve")
    assert "written there" in response(list(stream))["response"]


def test_an_unknown_tool(served: Server) -> None:
    frames = served.run(served.create(title="t"), "[[tool nothing {}]]")
    text = "Tool 'nothing' is not available. You can only use the tools provided to you."
    assert response(frames)["response"] == text
    empty = {"name": "nothing", "category": "", "parameters": None, "annotations": {}, "outputSchema": None}
    assert response(frames)["tool_definition"] == empty


QUESTION = '[[tool user_prompt {"message": "Which account?", "schema": {"type": "object"}}]]'


def elicit(server: Server, session: str, **answer: Any) -> Any:
    return server.post(f"/api/sessions/{session}/elicitation", answer)


@pytest.mark.parametrize("action", ["accept", "decline", "cancel"])
def test_a_question(served: Server, action: str) -> None:
    session = served.create(title="t")
    stream = served.start(session, QUESTION)
    event = stream.until("elicitation_request")[-1].event
    assert event["message"] == "Which account?" and event["mode"] == "form" and event["session_id"] == session
    answer = {"action": action, "content": {"username": "ada"}} if action == "accept" else {"action": action}
    reply = elicit(served, session, elicitation_id=event["elicitation_id"], **answer)
    assert (reply.status, reply.body) == (200, b"null\n")
    assert json.loads(response(list(stream))["response"]) == answer
    assert elicit(served, session, **answer).status in (409, 500)  # nobody asks any more


def test_two_questions_at_once_need_ids(served: Server) -> None:
    session = served.create(title="t")
    both = '[[tools user_prompt {"message": "one?"} | user_prompt {"message": "two?"}]]'
    stream = served.start(session, both)
    first, second = (stream.until("elicitation_request")[-1].event for _ in range(2))
    assert elicit(served, session, action="accept", content={}).status == 409
    for event in (second, first):
        content = {"to": event["message"]}
        reply = elicit(served, session, action="accept", content=content, elicitation_id=event["elicitation_id"])
        assert reply.status == 200
    answers = [json.loads(f.event["response"])["content"]["to"] for f in stream if f.type == "tool_call_response"]
    assert sorted(answers) == ["one?", "two?"]
    stored = [m["message"]["content"] for m in served.snapshot(session)["messages"] if m["message"]["role"] == "tool"]
    assert [json.loads(content)["content"]["to"] for content in stored] == ["one?", "two?"]  # call order


def test_the_first_answer_wins(served: Server) -> None:
    session, stream, event = asked(served, SHELL)
    assert served.resume(session, "approve").status == 200
    list(stream)
    assert served.resume(session, "reject").status == 409
    assert event["tool_call"]["id"]
