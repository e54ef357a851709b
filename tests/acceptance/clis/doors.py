"""What the two doors show of one session, held side by side."""

import json
from typing import Any

from acceptance.clis.theatre import Listener, Theatre
from acceptance.sse import Follower, Frame
from roost.core import events as e
from roost.doors.docker_agent import events as plain
from roost.doors.zag import events as zag

SHOWN_BY_BOTH = (set(zag.TABLE) & (set(plain.TABLE) | {e.WaitOpened})) - {e.TextAdded, e.CallDrafted}
"""Kinds of facts that each door has an event for; deltas show a thought at one door and a word at the other."""


def agree(theatre: Theatre, session: str, by_socket: Listener, by_events: Follower) -> None:
    """Both have shown every fact that they show, in the order of the log, with its number and the same content."""
    log = theatre.facts(session)
    end = log[-1].seq
    by_events.until_seq(max(f.seq for f in log if type(f.fact) in plain.TABLE))
    one = {frame["seq"]: frame for frame in by_socket.frames if frame["seq"] <= end}
    other = {frame.id: frame for frame in by_events.frames if frame.type and frame.id is not None}
    for seqs in ([frame["seq"] for frame in by_socket.frames], [frame.id for frame in by_events.frames]):
        assert seqs == sorted(set(seqs))
    assert [*one.values()] == theatre.events(session), "live, and asked for later"
    compared = set()
    for event in log:
        both = event.seq in one, event.seq in other
        if type(event.fact) in SHOWN_BY_BOTH and _said(event.fact):
            assert both == (True, True), (event, both)
            left, right = _by_socket(one[event.seq]), _by_events(other[event.seq])
            assert left == right, event
            compared.add(left[0])
        elif isinstance(event.fact, e.TextAdded):
            assert other[event.seq].event["content"] == event.fact.text
        elif event.seq in other and event.seq in one:
            assert type(event.fact) in (e.TextAdded, e.ReasoningAdded, e.CallDrafted, e.MessageAdded), event
    assert {"call", "result", "end"} <= compared
    texts = [frame["content"] for frame in by_socket.of("assistant_message")]
    pieces = "".join(frame.event["content"] for frame in by_events.frames if frame.type == "agent_choice")
    assert "".join(texts).split() == pieces.split() or "".join(pieces.split()) == "".join("".join(texts).split())


def _said(fact: e.Fact) -> bool:
    """Whether it has something that can be shown at both doors."""
    if isinstance(fact, e.MessageAdded):
        return fact.message is not None and fact.message.role == "assistant" and bool(fact.message.content.strip())
    return not (isinstance(fact, e.UsageAdded) and fact.why == "title")


def _by_socket(frame: dict[str, Any]) -> tuple[Any, ...]:
    match frame["type"]:
        case "tool_call":
            return "call", frame["tool_id"], frame["tool_name"], frame["input"]
        case "tool_result":
            said = frame["output"] if frame["success"] else frame["error"]
            return "result", frame["tool_id"], said, frame["success"]
        case "usage":
            return "usage", frame["output_tokens"], frame.get("cache_read_tokens", 0)
        case "session_ended":
            return "end", frame["success"]
        case "assistant_message":
            return ("message",)
        case "provider_status" if frame["data"] and "wait_id" in frame["data"]:
            return "wait", frame["data"]["wait_id"], frame["data"]["input"]
        case "provider_status":
            return "said", frame["message"]
    return (frame["type"],)


def _by_events(frame: Frame) -> tuple[Any, ...]:
    event = frame.event
    call = event.get("tool_call", {}).get("function", {})
    match frame.type:
        case "tool_call":
            return "call", event["tool_call"]["id"], call["name"], json.loads(call["arguments"])
        case "tool_call_response":
            failed = event["result"].get("isError", False)
            return "result", event["tool_call_id"], event["response"], not failed
        case "token_usage":
            last = event["usage"]["last_message"]
            return "usage", last["output_tokens"], last["cached_input_tokens"]
        case "stream_stopped":
            return "end", event["reason"] == "normal"
        case "message_added":
            return ("message",)
        case "tool_call_confirmation":
            return "wait", event["request_id"], json.loads(call["arguments"])
        case "error":
            return "said", event["error"]
        case "warning":
            return "said", event["message"]
    return (frame.type,)
