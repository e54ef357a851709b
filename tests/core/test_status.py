"""The word for how a session is doing, where it depends on what its turn waits for."""

import pytest

from roost.core import events as e
from roost.core.ids import AnswerId, CallId, LogId, Micros, TurnId, WaitId
from roost.core.messages import Message, Result, ToolCall
from roost.core.orders import Order
from roost.core.session import fold
from roost.core.status import IDLE, status

CALL = ToolCall(CallId("c"), "Bash")
OPENED = e.TurnOpened(TurnId("t"), "mock", "mock", "/", driver="mock", interactive=True)
SAID = e.MessageAdded(Message("assistant", "hi", calls=(CALL,)), answer=AnswerId("a"))
DONE = [e.ToolReturned(CALL, Result("done"), "mock"), e.MessageAdded(call=CALL.id)]


@pytest.mark.parametrize(
    ("facts", "later", "word"),
    [
        ([], 0, "running"),
        ([], IDLE, "idle"),
        ([e.MessageQueued("followup", (Message("user", "x"),))], IDLE, "running"),
        ([e.ModelAsked(AnswerId("a"), "mock", "m")], IDLE, "running"),
        ([SAID, e.ToolCalled(CALL, "ask", "mock")], IDLE, "running"),
        ([SAID, e.ToolCalled(CALL, "ask", "mock"), *DONE], IDLE, "idle"),
        ([SAID, e.WaitOpened(WaitId("w"), "approval", "mock", call=CALL)], 0, "idle"),
        ([e.CancelAsked(TurnId("t"))], IDLE, "running"),
    ],
)
def test_an_interactive_session_is_idle_when_only_a_person_can_move_it(
    facts: list[e.Fact], later: int, word: str
) -> None:
    born = e.SessionCreated(e.Template(), order=Order("mock"))
    head = fold(e.Event(LogId("s"), n, Micros(7), fact) for n, fact in enumerate([born, OPENED, *facts], 1))
    assert status(head, now=Micros(7 + later)).word == word
