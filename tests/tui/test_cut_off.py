"""What a crash cut off, on the screen: told once, and the same when the session is opened again."""

from typing import Any

import pytest

from roost.client import happenings as h
from roost.client.shapes import Call, Chat, Definition, Function, Message, Snapshot
from roost.engine import endings, leave, recovery
from roost.tui.rows import Answer, Note
from roost.tui.rows import Call as Row
from roost.tui.view import View
from tui.stage import ROOT, Teller

ASKED = Call(id="c", function=Function(name="shell", arguments='{"cmd": "make"}'))


def cut() -> Teller:
    """A call runs, and its server is killed."""
    told = Teller()
    told.said("go")
    told.tell(h.ToolCall, tool_call=ASKED, tool_definition=Definition(name="shell"), agent="root")
    told.tell(h.CallLost, tool_call_id="c", attempt=1)
    told.tell(h.TurnResumed)
    return told


def calls(view: View) -> list[Row]:
    return [row for row in view.rows if isinstance(row, Row)]


def opened(result: str, *, failed: bool = True) -> View:
    """The same once the turn is over, and the session has been opened again."""
    said = [
        Message(id=1, message=Chat(role="user", content="go")),
        Message(id=2, agent_name="root", message=Chat(role="assistant", tool_calls=(ASKED,))),
        Message(id=5, agent_name="root", message=Chat(role="tool", content=result, tool_call_id="c", is_error=failed)),
    ]
    return View.open(Snapshot(id=ROOT, messages=tuple(said), last_event_seq=9, tail_from=9, agent="root"))


@pytest.mark.parametrize("words", [leave.LOST, endings.INTERRUPTED])
def test_a_call_that_was_not_tried_again_is_lost_then_and_later(words: str) -> None:
    told = cut()
    told.returned(ASKED, words, failed=True)
    for view in (told.view, opened(words)):
        [call] = calls(view)
        assert (call.state, call.lost, call.ended) == ("lost", True, True)


def test_a_call_that_asks_whether_to_try_again_is_one_row_and_says_so() -> None:
    told = cut()
    told.tell(
        h.ToolCallConfirmation,
        tool_call=ASKED,
        tool_definition=Definition(name="shell"),
        request_id="w",
        metadata={"lost": "true"},
    )
    [call] = calls(told.view)
    assert (call.state, call.lost) == ("waiting", True)
    told.tell(h.ToolCall, tool_call=ASKED, tool_definition=Definition(name="shell"))
    told.returned(ASKED, "made")
    [call] = calls(told.view)
    assert (call.state, call.lost, call.result) == ("done", True, "made")


def test_what_a_tool_itself_says_is_taken_for_no_loss() -> None:
    [call] = calls(opened(leave.LOST, failed=False))
    assert call.state == "done"


def test_one_note_tells_of_a_kill_in_the_middle_of_an_answer() -> None:
    told = Teller()
    told.said("go")
    told.answer("The moon pulls", whole=False)
    told.tell(h.Warned, message=recovery.INTERRUPTED, discard_since=told.number, agent="root")
    told.tell(h.TurnResumed)
    told.answer("The moon pulls at the sea.")
    assert [row.words for row in told.view.rows if isinstance(row, Note)] == ["The turn was cut off here, and goes on"]
    assert [row.words for row in told.view.rows if isinstance(row, Answer)] == ["The moon pulls at the sea."]


def test_a_session_whose_price_nobody_knows_says_so_as_soon_as_it_is_opened() -> None:
    more: dict[str, Any] = {"id": ROOT, "input_tokens": 11, "output_tokens": 7}
    assert View.open(Snapshot(**more, unpriced=True)).usage.unpriced
    assert not View.open(Snapshot(**more)).usage.unpriced
