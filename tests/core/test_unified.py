"""Unified events: one fact is at most one of them, and a run's output is their sum."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from roost.core import events as e
from roost.core.ids import AnswerId, CallId, LogId, Micros, RunId, SessionId, TurnId, WaitId
from roost.core.messages import Message, Result, ToolCall
from roost.core.orders import Order
from roost.core.session import fold
from roost.core.unified import Fold, arguments, output
from roost.core.usage import Usage

LOG = LogId("log")
TURN = TurnId("t")
CALL = ToolCall(CallId("c1"), "Bash", '{"command": "ls"}')
BORN = e.SessionCreated(e.Template(), order=Order("claude", "hi", model="opus"))
DRIVEN = e.TurnOpened(TURN, "claude", "claude", "/srv", driver="claude")
OWN = e.TurnOpened(TURN, "crew", "root", "/srv")
ASKED = e.WaitOpened(WaitId("w"), "approval", "claude", call=CALL)


def events(*facts: e.Fact) -> list[e.Event]:
    return [e.Event(LOG, seq, Micros(seq * 10), fact) for seq, fact in enumerate(facts, 1)]


def shown(*facts: e.Fact) -> Any:
    """What the last fact is, after those before it."""
    rendered = None
    folded = Fold()
    for event in events(*facts):
        rendered = folded.render(event)
    return None if rendered is None else json.loads(msgspec.json.encode(rendered))


def said(text: str = "", *calls: ToolCall, **more: Any) -> e.MessageAdded:
    return e.MessageAdded(Message("assistant", text, calls=calls, **more), answer=AnswerId("a"))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (
            [e.Introduced("cs-1", "opus", ("Bash",), "/srv", {"apiKeySource": "none"})],
            {
                "type": "init",
                "model": "opus",
                "tools": ["Bash"],
                "working_directory": "/srv",
                "metadata": {"session_id": "cs-1", "apiKeySource": "none"},
            },
        ),
        (
            [e.MessageWritten(Message("user", "hi"))],
            {"type": "user_message", "content": [{"type": "text", "text": "hi"}]},
        ),
        (
            [e.MessageTaken(1, 0, Message("user", "more"), 0)],
            {"type": "user_message", "content": [{"type": "text", "text": "more"}]},
        ),
        (
            [said("let me", CALL, usage=Usage(5, 2, 3))],
            {
                "type": "assistant_message",
                "content": [
                    {"type": "text", "text": "let me"},
                    {"type": "tool_use", "id": "c1", "name": "Bash", "input": {"command": "ls"}},
                ],
                "usage": {
                    "input_tokens": 5,
                    "output_tokens": 2,
                    "cache_read_tokens": 3,
                    "cache_creation_tokens": None,
                    "web_search_requests": None,
                    "web_fetch_requests": None,
                },
            },
        ),
        (
            [e.ToolReturned(CALL, Result("a.py"), "claude")],
            {
                "type": "tool_execution",
                "tool_name": "Bash",
                "tool_id": "c1",
                "input": {"command": "ls"},
                "result": {"success": True, "output": "a.py", "error": None, "data": None},
            },
        ),
        (
            [e.ToolReturned(CALL, Result("no", is_error=True, structured={"code": 1}), "claude", sub=SessionId("s"))],
            {
                "type": "tool_execution",
                "tool_name": "Bash",
                "tool_id": "c1",
                "input": {"command": "ls"},
                "result": {"success": False, "output": None, "error": "no", "data": {"code": 1}},
                "parent_tool_use_id": "s",
            },
        ),
        (
            [e.RoundEnded(1, "end_turn")],
            {"type": "turn_complete", "stop_reason": "end_turn", "turn_index": 1, "usage": None},
        ),
        (
            [e.RoundResult(True, "done", 12, 3)],
            {"type": "result", "success": True, "message": "done", "duration_ms": 12, "num_turns": 3},
        ),
        ([e.ErrorMet("oh", "odd")], {"type": "error", "message": "oh", "details": {"code": "odd"}}),
        (
            [ASKED, e.WaitAnswered(WaitId("w"), e.Answer("reject"))],
            {
                "type": "permission_request",
                "tool_name": "Bash",
                "description": 'Bash {"command": "ls"}',
                "granted": False,
            },
        ),
        (
            [e.LimitHit("i", "claude", reset_at=Micros(7))],
            {"type": "usage_limit_detected", "provider": "claude", "scope": "session", "reset_at": 7},
        ),
        ([OWN, e.AgentShown("root", "fake/one")], {"type": "init", "model": "fake/one", "tools": [],
         "working_directory": None, "metadata": {"agent": "root"}}),
        ([OWN, said("done"), e.TurnEnded(TURN, "normal")], {"type": "result", "success": True, "message": "done",
         "duration_ms": None, "num_turns": None}),
        ([OWN, said("x"), e.TurnEnded(TURN, "error", error="oh")], {"type": "result", "success": False,
         "message": "oh", "duration_ms": None, "num_turns": None}),
    ],
    ids=lambda value: e.kind(value[-1]) if isinstance(value, list) else "",
)  # fmt: skip
def test_what_a_fact_is(facts: Sequence[e.Fact], expected: dict[str, Any]) -> None:
    assert shown(*facts) == expected


@pytest.mark.parametrize(
    "facts",
    [
        [BORN],
        [DRIVEN, e.AgentShown("claude", "claude/opus")],
        [DRIVEN, e.TurnEnded(TURN, "normal")],
        [e.MessageWritten(Message("user", "told", implicit=True))],
        [e.MessageWritten(Message("system", "be kind"))],
        [e.MessageWritten(Message("user", "inside"), sub=SessionId("s"))],
        [e.TextAdded(AnswerId("a"), "x")],
        [e.MessageAdded(call=CallId("c1"))],
        [e.WaitAnswered(WaitId("unknown"), e.Answer("approve"))],
        [e.Unknown("Tomorrow", msgspec.Raw(b"{}"))],
        [e.RunRead(RunId("r"), 1, 2)],
    ],
    ids=lambda value: e.kind(value[-1]),
)
def test_what_is_shown_to_nobody(facts: Sequence[e.Fact]) -> None:
    assert shown(*facts) is None


@pytest.mark.parametrize(
    ("text", "value"), [('{"a": 1}', {"a": 1}), ("", {}), ("no json", "no json"), ("[" * 100_000, "[" * 100_000)]
)
def test_arguments_are_data_where_they_can_be(text: str, value: Any) -> None:
    assert arguments(ToolCall(CallId("c"), "x", text)) == value


def used(input: int, cost: float) -> e.UsageAdded:
    return e.UsageAdded(Usage(input, 1), "opus-4", "claude", cost, 0, 0, 0)


def test_an_output_is_that_of_the_turns_past_a_point() -> None:
    first = [BORN, DRIVEN, e.MessageWritten(Message("user", "one")), said("first"), used(5, 0.5)]
    first += [e.RunEnded(RunId("r1"), 3), e.TurnEnded(TURN, "error", error="it broke")]
    second = [DRIVEN, e.MessageWritten(Message("user", "two")), said("second"), used(7, 0.25)]
    second += [e.RunEnded(RunId("r2"), 0), e.TurnEnded(TURN, "normal")]
    log = events(*first, *second)
    whole = output(log[: len(first)], fold(log[: len(first)]), session="log", log_path="/log")
    assert (whole.result, whole.is_error, whole.error_message, whole.exit_code) == ("first", True, "it broke", 3)
    assert (whole.agent, whole.model, whole.provider, whole.log_path) == ("claude", "opus-4", "claude", "/log")
    later = output(log, fold(log), after=len(first), session="log")
    assert (later.result, later.is_error, later.total_cost_usd, later.exit_code) == ("second", False, 0.25, 0)
    assert later.usage is not None and later.usage.input_tokens == 7 and len(later.events) == 2
    encoded = json.loads(msgspec.json.encode(later))
    assert not {"error_message", "log_path"} & set(encoded) and encoded["session_id"] == "log"


def test_an_output_of_nothing_is_empty() -> None:
    log = events(BORN)
    nothing = output(log, fold(log), session="log")
    assert (nothing.result, nothing.is_error, nothing.usage, nothing.total_cost_usd) == (None, False, None, None)
    assert (nothing.model, nothing.events) == ("opus", ())
