"""The word for how a session is doing, where it depends on what its turn waits for."""

import pytest

from roost.core import events as e
from roost.core.ids import AnswerId, CallId, LogId, Micros, TurnId, WaitId
from roost.core.messages import Message, Result, ToolCall
from roost.core.orders import Order
from roost.core.session import fold
from roost.core.status import IDLE, state, status

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


CHAT = e.TurnOpened(TurnId("t"), "crew", "root", "/")
ENDED = e.TurnEnded(TurnId("t"), "normal")
ASKED = e.WaitOpened(WaitId("w"), "approval", "root", call=CALL)
LIMITED = e.LimitHit("i", "claude", resume_at=Micros(9))
LAST = Order("mock", depends_on=("other",))


@pytest.mark.parametrize(
    ("order", "facts", "word"),
    [
        (None, [], "new"),
        (None, [e.MessageWritten(Message("user", "hi"))], "idle"),
        (None, [CHAT], "running"),
        (None, [CHAT, ASKED], "waiting"),
        (None, [CHAT, ASKED, e.WaitAnswered(WaitId("w"), e.Answer("approve"))], "running"),
        (None, [CHAT, ASKED, e.CancelAsked(TurnId("t"))], "running"),
        (None, [CHAT, ENDED], "idle"),
        (None, [CHAT, e.TurnEnded(TurnId("t"), "error", error="no")], "failed"),
        (None, [CHAT, e.TurnEnded(TurnId("t"), "canceled")], "canceled"),
        (None, [CHAT, e.TurnEnded(TurnId("t"), "error"), CHAT], "running"),
        (Order("mock"), [OPENED, ENDED], "completed"),
        (Order("mock"), [OPENED], "running"),
        (Order("mock"), [OPENED, LIMITED], "queued"),
        (Order("mock"), [OPENED, LIMITED, e.LimitResumed("i", "go on", 1)], "running"),
        (LAST, [OPENED, e.TurnStarted("mock")], "queued"),
        (LAST, [OPENED, e.TurnStarted("mock"), e.ModelAsked(AnswerId("a"), "mock", "m")], "running"),
        (Order("mock"), [OPENED, e.RoundEnded(0)], "idle"),
        (Order("mock"), [OPENED, e.RoundEnded(0), e.MessageQueued("followup", (Message("user", "x"),))], "running"),
        (Order("mock"), [OPENED, e.RoundEnded(0), e.MessageTaken(0, 0, Message("user", "x"), 0)], "running"),
        (Order("mock"), [OPENED, e.RoundEnded(0), e.ModelAsked(AnswerId("a"), "mock", "m")], "running"),
    ],
)
def test_the_state_that_a_screen_shows_changes_with_the_log_alone(
    order: Order | None, facts: list[e.Fact], word: str
) -> None:
    born = e.SessionCreated(e.Template(), order=order)
    head = fold(e.Event(LogId("s"), n, Micros(7), fact) for n, fact in enumerate([born, *facts], 1))
    assert state(head) == word
