"""What something takes in tokens, and texts cut to such a measure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost.core import estimates
from roost.core.agents import Agent
from roost.core.ids import CallId, SessionId
from roost.core.messages import File, Image, Message, Result, Text, ToolCall
from roost.core.session import Head


def test_a_message_takes_a_little_itself_and_a_token_for_four_characters() -> None:
    assert estimates.of_message(Message("user", "")) == 5
    assert estimates.of_message(Message("user", "x" * 9)) == 5 + 3
    call = ToolCall(CallId("1"), "look", '{"a": 1}')
    assert estimates.of_message(Message("assistant", "", calls=(call, call))) == 5 + 2 * (1 + 2)
    assert estimates.of_messages([Message("user", "abcd"), Message("user", "abcd")]) == 12


def test_pictures_and_files_take_the_same_whatever_is_in_them() -> None:
    parts = (Text("abcd"), Image("data:image/png;base64," + "A" * 100_000), File("/a.pdf"))
    message = Message("user", "not counted twice", parts=parts)
    assert estimates.of_message(message) == 5 + 1 + estimates.IMAGE + estimates.FILE


@given(st.text(max_size=2_000), st.integers(-5, 600))
def test_a_shortened_text_keeps_its_ends_and_counts_what_is_gone(text: str, tokens: int) -> None:
    short = estimates.shortened(text, tokens)
    if tokens <= 0 or len(text) <= tokens * 4:
        assert short == text
        return
    first, _, rest = short.partition("\n[... ")
    count, _, last = rest.partition(" characters left out ...]\n")
    if "\n[... " not in text:
        assert text.startswith(first)
        assert text.endswith(last)
        assert len(first) + len(last) + int(count) == len(text)
    assert len(short) <= max(tokens * 4, 60)


def test_a_result_within_its_measure_is_left_alone() -> None:
    result = Result("x" * 400, is_error=True, meta={"a": 1})
    assert estimates.within(result, 100) is result
    assert estimates.within(result, 0) is result
    short = estimates.within(result, 20)
    assert "characters left out" in short.output
    assert (short.is_error, short.meta) == (True, {"a": 1})


@pytest.mark.parametrize(
    ("agent", "session", "old", "one"),
    [(0, 0, 40_000, 0), (-1, 0, -1, 0), (7, 0, 7, 7), (7, 9, 9, 9), (-1, 9, 9, 9), (7, -1, -1, 0), (-5, 0, -1, 0)],
)
def test_the_session_outweighs_its_agent(agent: int, session: int, old: int, one: int) -> None:
    root = Agent("root", max_old_tool_call_tokens=agent, max_tool_result_tokens=agent)
    head = Head(SessionId("s"), max_old_tool_call_tokens=session, max_tool_result_tokens=session)
    assert (estimates.old_results(root, head), estimates.one_result(root, head)) == (old, one)
    if not session:
        assert (estimates.old_results(root), estimates.one_result(root)) == (old, one)
