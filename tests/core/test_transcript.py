"""A conversation as hooks read it, and as they may give it back."""

import pytest

from roost.core.errors import BadValue
from roost.core.ids import CallId
from roost.core.messages import Image, Message, Text, ToolCall
from roost.core.transcript import shown, taken

TALK = [
    Message("system", "Be brief."),
    Message("user", "Look", parts=(Text("Look"), Image("data:x"))),
    Message(
        "assistant", "", calls=(ToolCall(CallId("c1"), "shell", '{"cmd":"ls"}'),), replay=({"x": 1},), reasoning="hm"
    ),
    Message("tool", "a secret", call_id=CallId("c1"), is_error=True),
]


def test_what_hooks_read() -> None:
    assert shown(TALK) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Look"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "shell", "arguments": '{"cmd":"ls"}'}}
            ],
        },
        {"role": "tool", "content": "a secret", "tool_call_id": "c1", "is_error": True},
    ]


def test_what_is_not_touched_stays_whole() -> None:
    assert taken(shown(TALK), TALK) == tuple(TALK)


def test_other_words_in_the_same_place() -> None:
    data = shown(TALK)
    data[1]["content"], data[2]["content"], data[3]["content"] = "See", "I look", "[REDACTED]"
    _, user, assistant, tool = taken(data, TALK)
    assert user.parts == (Text("See"), Image("data:x"))
    assert (assistant.content, assistant.calls, assistant.replay, assistant.reasoning) == (
        "I look",
        TALK[2].calls,
        (),
        "",
    )
    assert (tool.content, tool.call_id, tool.is_error) == ("[REDACTED]", "c1", True)


def test_some_left_out_and_one_added() -> None:
    added = {"role": "user", "content": "And now?"}
    new = taken([*shown(TALK)[1:], added], TALK)
    assert new == (*TALK[1:], Message("user", "And now?"))


@pytest.mark.parametrize(
    "entry", [{}, {"role": "king"}, {"role": "user", "content": 1}, {"role": "tool", "tool_calls": [1]}]
)
def test_what_is_no_message(entry: dict[str, object]) -> None:
    with pytest.raises(BadValue, match="updated_messages"):
        taken([entry], TALK)
