"""Answers of a given form, handed in by a tool."""

import json
from typing import Any

import pytest

from engine.uses import NoUse
from roost.core.agents import Agent, Schema
from roost.core.errors import NotInForm
from roost.core.ids import CallId, Micros
from roost.core.messages import Message, ToolCall, tool_message
from roost.engine import structured
from roost.engine.structured import NAME, REMINDER, Form, given, reminder

pytestmark = pytest.mark.anyio

VERDICT = Schema(
    "verdict",
    {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}, "why": {"type": "string"}},
        "required": ["ok", "why"],
        "additionalProperties": False,
    },
    description="Final review verdict",
    mode="tool",
)
NOW = Micros(1)


def test_the_mode_says_who_sees_to_the_form() -> None:
    by_tool, by_provider = Agent("a", structured_output=VERDICT), Agent("b", structured_output=Schema("v", {}))
    assert (structured.native(by_tool), structured.handed_in(by_tool)) == (None, VERDICT)
    assert structured.native(by_provider) is not None
    assert structured.handed_in(by_provider) is None
    assert structured.native(Agent("c")) is structured.handed_in(Agent("c")) is None


async def test_an_answer_of_the_form_becomes_compact_json() -> None:
    desk = Form(VERDICT)
    assert desk.definition.name == NAME
    assert desk.definition.parameters == VERDICT.schema
    assert "Final review verdict" in desk.definition.description
    result = await desk.run({"ok": True, "why": "é"}, NoUse())
    assert result.output == '{"ok":true,"why":"é"}'
    assert not result.is_error


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({}, "'ok' is a required property"),
        ({"ok": 1, "why": ""}, "ok: 1 is not"),
        ({"ok": True, "why": "", "x": 1}, "x"),
    ],
)
async def test_any_other_answer_is_told_what_is_wrong(arguments: dict[str, Any], why: str) -> None:
    result = await Form(VERDICT).run(arguments, NoUse())
    assert result.is_error
    assert why in result.output


async def test_what_is_no_object_is_wrapped_and_unwrapped() -> None:
    form = Schema("list", {"type": "array", "items": {"$ref": "#/$defs/n"}, "$defs": {"n": {"type": "integer"}}})
    desk = Form(form)
    assert desk.definition.parameters is not None
    assert desk.definition.parameters["required"] == ["value"]
    assert (await desk.run({"value": [1, 2]}, NoUse())).output == "[1,2]"
    assert (await desk.run({"value": ["x"]}, NoUse())).is_error


async def test_a_schema_that_is_none_is_an_error_and_no_crash() -> None:
    for schema in ({"type": "nonsense"}, {"$ref": "#/nowhere"}, {"required": 5}):
        assert (await Form(Schema("x", schema)).run({"a": 1}, NoUse())).is_error


def asks(*calls: tuple[str, str]) -> Message:
    return Message("assistant", "", calls=tuple(ToolCall(CallId(call), name) for call, name in calls))


async def returned(call: str, arguments: dict[str, Any]) -> Message:
    result = await Form(VERDICT).run(arguments, NoUse())
    return tool_message(ToolCall(CallId(call), NAME), result, agent="a", at=NOW)


async def test_the_answer_is_read_from_the_newest_calls() -> None:
    good, bad = await returned("1", {"ok": False, "why": "no"}), await returned("2", {})
    other = Message("tool", "x", call_id=CallId("0"))
    said = Message("user", "go")
    assert given([said, asks(("0", "look"), ("1", NAME)), other, good]) == '{"ok":false,"why":"no"}'
    assert given([said, asks(("2", NAME)), bad]) is None
    assert given([said, asks(("1", NAME)), good, said]) is None  # somebody has spoken since
    assert given([said, asks(("0", "look")), other]) is None
    assert given([]) is None
    assert json.loads(given([asks(("2", NAME), ("1", NAME)), bad, good]) or "") == {"ok": False, "why": "no"}


def test_two_reminders_then_an_error() -> None:
    talk = [Message("user", REMINDER), Message("assistant", "done")]
    for _ in range(structured.REMINDERS):
        told = reminder(talk, at=NOW)
        assert (told.role, told.content, told.implicit) == ("user", REMINDER, True)
        talk += [told, Message("assistant", "done, I said")]
    with pytest.raises(NotInForm) as failure:
        reminder(talk, at=NOW)
    assert failure.value.code == "structured_output_failed"
    assert reminder([*talk, Message("user", "again, please"), Message("assistant", "no")], at=NOW)
