"""A scripted turn with one rejected call: the events, their order and their fields, as specified (section 4.6)."""

import itertools
from typing import Any

from acceptance.house import House

FILE = """\
providers:
  fake: {{base_url: {url}/v1}}
agents:
  root:
    model: fake/fake-model
    description: Ops helper
    toolsets: [{{type: shell}}]
"""
USAGE = {"input_tokens", "output_tokens", "context_length", "context_limit", "cost", "last_message"}
LAST = {"input_tokens", "output_tokens", "cached_input_tokens", "cached_write_tokens", "Cost", "Model", "finish_reason"}
DEFINITION = {"name", "category", "description", "parameters", "annotations", "outputSchema"}

ORDER = [
    "agent_info",
    "team_info",
    "toolset_info",
    "user_message",
    "stream_started",
    "toolset_info",
    "partial_tool_call",
    "message_added",
    "token_usage",
    "tool_call_confirmation",
    "tool_call_response",
    "message_added",
    "toolset_info",
    "agent_choice",
    "message_added",
    "token_usage",
    "stream_stopped",
]
FIELDS: dict[str, set[str]] = {
    "agent_info": {"model", "description"},
    "team_info": {"available_agents", "current_agent"},
    "toolset_info": {"available_tools", "loading"},
    "user_message": {"message", "session_id", "session_position"},
    "stream_started": {"session_id"},
    "partial_tool_call": {"tool_call", "tool_definition"},
    "message_added": {"session_id"},
    "token_usage": {"session_id", "usage"},
    "tool_call_confirmation": {"tool_call", "tool_definition"},
    "tool_call_response": {"tool_call_id", "tool_definition", "response", "result"},
    "agent_choice": {"content", "session_id"},
    "stream_stopped": {"session_id", "reason"},
}


def joined(types: list[str]) -> list[str]:
    """Neighbouring deltas as one."""
    return [
        t for i, t in enumerate(types) if i == 0 or t != types[i - 1] or t not in ("partial_tool_call", "agent_choice")
    ]


def test_the_worked_transcript(house: House) -> None:
    house.agent(text=FILE.format(url=house.model.url))
    server = house.serve()
    session = server.create()
    stream = server.start(session, '[[tool shell {"cmd": "rm -r /tmp/x"}]] [[say Left as is.]]')
    frames = stream.until("tool_call_confirmation")
    assert server.resume(session, "reject", reason="not now").status == 200
    events = [f.event for f in [*frames, *stream] if f.type not in ("", "session_title")]
    assert joined([event["type"] for event in events]) == ORDER

    for event in events:
        common = {"type", "timestamp"} | (set() if event["type"] == "user_message" else {"agent_name", "agent"})
        assert common | FIELDS[event["type"]] <= event.keys(), event
        assert event.get("agent_name", "root") == "root"
        assert event.get("session_id", session) == session
        keys = list(event)
        assert keys.index("timestamp") < keys.index("type") < keys.index(keys[-1])
    first: dict[str, dict[str, Any]] = {}
    for event in events:
        first.setdefault(event["type"], event)

    assert (first["agent_info"]["model"], first["agent_info"]["description"]) == ("fake/fake-model", "Ops helper")
    teammate = {"name": "root", "description": "Ops helper", "provider": "fake", "model": "fake-model"}
    assert first["team_info"]["available_agents"] == [teammate]
    assert first["team_info"]["current_agent"] == "root"
    assert first["toolset_info"]["available_tools"] > 0 and first["toolset_info"]["loading"] is False
    assert first["user_message"]["session_position"] == 0
    call = {"id": "call_0001_0", "type": "function"}
    asked = first["tool_call_confirmation"]["tool_call"]
    call["id"] = asked["id"]
    assert asked == {**call, "function": {"name": "shell", "arguments": '{"cmd": "rm -r /tmp/x"}'}}
    assert first["tool_call_confirmation"]["tool_definition"].keys() >= DEFINITION
    parts = [e["tool_call"] for e in events if e["type"] == "partial_tool_call"]
    for before, after in itertools.pairwise(parts):  # arguments are cumulative
        assert after["function"]["arguments"].startswith(before["function"].get("arguments", ""))
    text = "The user rejected the tool call. Reason: not now"
    response = first["tool_call_response"]
    assert response["tool_call_id"] == response["tool_call"]["id"] == asked["id"]
    assert response["response"] == text and response["result"] == {"output": text, "isError": True}
    usage = first["token_usage"]["usage"]
    assert usage.keys() >= USAGE and usage["last_message"].keys() >= LAST
    assert (usage["input_tokens"], usage["output_tokens"], usage["context_length"]) == (11, 7, 18)
    assert usage["last_message"]["Model"] == "fake/fake-model"
    assert "".join(e["content"] for e in events if e["type"] == "agent_choice") == "Left as is."
    assert first["stream_stopped"]["reason"] == "normal"
