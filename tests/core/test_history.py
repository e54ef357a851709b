"""The history is the messages of the log, in order, those of sub-sessions nested where they began."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.core import events as e
from roost.core.history import BEARS_MESSAGES, History
from roost.core.ids import AnswerId, CallId, LogId, Micros, SessionId
from roost.core.messages import Media, Message, Result, Text, ToolCall

LOG = LogId("log")
SUB, INNER = SessionId("sub"), SessionId("inner")
CALL = ToolCall(CallId("c1"), "shell", "{}")
BORN = e.SessionCreated(e.Template(title="t"))


def events(*facts: e.Fact) -> list[e.Event]:
    return [e.Event(LOG, seq, Micros(seq * 10), fact) for seq, fact in enumerate(facts, 1)]


def history(*facts: e.Fact) -> History:
    return History(SessionId(LOG)).extend(events(BORN, *facts))


def said(words: str, role: str = "user", sub: str = "") -> e.MessageWritten:
    return e.MessageWritten(Message(role, words), sub=SessionId(sub))


def sub_born(sub: SessionId = SUB, parent: str = LOG) -> e.SessionCreated:
    return e.SessionCreated(e.Template(title=sub), parent=SessionId(parent), sub=sub)


def words(history: History) -> list[str]:
    return [message.content for _, message in history.messages()]


def test_messages_come_in_order_under_the_seq_of_their_fact() -> None:
    found = history(
        said("one"),
        e.TextAdded(AnswerId("a"), "tw"),
        e.MessageAdded(Message("assistant", "two"), answer=AnswerId("a")),
        e.MessageTaken(2, 0, Message("user", "three"), 2),
    )
    assert [(seq, message.content) for seq, message in found.messages()] == [(2, "one"), (4, "two"), (5, "three")]
    assert [(item.seq, item.at) for item in found.items] == [(2, 20), (4, 40), (5, 50)]
    assert (found.created, found.at, found.last_seq) == (BORN, 10, 5)


def test_what_is_no_message_is_an_item_or_nothing() -> None:
    summary, error = e.SummaryAdded("sum"), e.ErrorMet("oh")
    found = history(said("be kind", "system"), summary, error, e.MessageAdded(), e.TitleSet("t"), said("hi"))
    assert words(found) == ["hi"]
    assert [bool(item.message) for item in found.items] == [True, False, False, True]
    assert (found.items[1].summary, found.items[2].error) == (summary, error)


def test_a_tools_message_is_made_of_what_it_returned() -> None:
    result = Result("out", is_error=True, images=(Media("AA==", "image/png"),))
    returned = e.ToolReturned(CALL, result, "root")
    waiting = history(returned)
    assert waiting.messages() == []
    assert waiting.returned(CALL.id) == result
    found = history(returned, e.MessageAdded(call=CALL.id))
    ((seq, message),) = found.messages()
    assert (seq, message.role, message.content, message.call_id, message.is_error) == (3, "tool", "out", "c1", True)
    assert (message.agent, message.at) == ("root", 30)
    assert message.parts[0] == Text("out") and len(message.parts) == 2
    assert found.returned(CALL.id) is None


def test_a_tools_message_that_is_given_whole_is_taken_as_it_is() -> None:
    message = Message("tool", "from elsewhere", call_id=CALL.id)
    assert words(history(e.MessageAdded(message, call=CALL.id))) == ["from elsewhere"]
    assert words(history(e.MessageAdded(call=CALL.id))) == []


def test_a_call_that_ran_again_has_its_last_result() -> None:
    first, second = (e.ToolReturned(CALL, Result(output), "root") for output in ("first", "second"))
    assert words(history(first, second, e.MessageAdded(call=CALL.id))) == ["second"]


def test_an_edit_replaces_the_message_of_its_seq() -> None:
    edit = e.MessageEdited(3, Message("user", "better"))
    found = history(said("one"), said("two"), edit, said("three"))
    assert [(seq, message.content) for seq, message in found.messages()] == [(2, "one"), (3, "better"), (5, "three")]
    assert words(history(said("one"), e.MessageEdited(99, Message("user", "none")))) == ["one"]
    nested = history(sub_born(), said("inside", sub=SUB), edit)
    assert words(nested) == ["better"]


def test_sub_sessions_stand_where_they_began() -> None:
    found = history(
        said("before"),
        sub_born(),
        said("inside", sub=SUB),
        sub_born(INNER, SUB),
        said("deep", sub=INNER),
        said("between"),
        said("inside again", sub=SUB),
    )
    assert words(found) == ["before", "inside", "deep", "inside again", "between"]
    nested = found.items[1].session
    assert nested is not None
    assert (nested.id, nested.created, nested.at) == (SUB, sub_born(), 30)
    assert [item.session.id if item.session else item.seq for item in nested.items] == [4, INNER, 8]
    assert len(found.items) == 3


def test_a_result_inside_a_sub_session_is_found() -> None:
    returned = e.ToolReturned(CALL, Result("out"), "coder", sub=SUB)
    found = history(sub_born(), returned)
    assert found.returned(CALL.id) == Result("out")
    found.add(e.Event(LOG, 4, Micros(40), e.MessageAdded(call=CALL.id, sub=SUB)))
    assert words(found) == ["out"]
    assert found.returned(CALL.id) is None


def test_calls_of_the_same_name_in_two_sessions_do_not_meet() -> None:
    found = history(
        sub_born(),
        e.ToolReturned(CALL, Result("outer"), "root"),
        e.ToolReturned(CALL, Result("inner"), "coder", sub=SUB),
        e.MessageAdded(call=CALL.id),
        e.MessageAdded(call=CALL.id, sub=SUB),
    )
    assert words(found) == ["inner", "outer"]


def test_what_was_read_before_is_not_read_twice() -> None:
    log = events(BORN, said("one"), sub_born(), said("inside", sub=SUB), said("two"))
    found = History(SessionId(LOG)).extend(log[:4])
    found.extend(log[1:])
    found.extend(log)
    assert words(found) == ["one", "inside", "two"]


_facts = st.one_of(
    st.builds(said, st.sampled_from(["a", "b"]), st.sampled_from(["user", "system"]), st.sampled_from(["", SUB])),
    st.builds(e.TextAdded, st.just(AnswerId("a")), st.text(max_size=2)),
    st.builds(e.MessageEdited, st.integers(1, 20), st.just(Message("user", "edited"))),
    st.builds(e.ToolReturned, st.just(CALL), st.builds(Result, st.text(max_size=3)), st.just("root")),
    st.builds(e.MessageAdded, call=st.just(CALL.id)),
    st.builds(e.SummaryAdded, st.just("s")),
    st.builds(e.CancelAsked, st.just("t")),
    st.builds(e.TurnEnded, st.just("t"), st.just("normal"), sub=st.sampled_from(["", SUB])),
)


@settings(deadline=None)
@given(st.lists(_facts, max_size=20), st.integers(0, 20))
def test_the_facts_that_bear_messages_are_all_it_takes(facts: list[e.Fact], cut: int) -> None:
    log = events(BORN, sub_born(), *facts)
    whole = History(SessionId(LOG)).extend(log)
    bearing = [event for event in log if isinstance(event.fact, BEARS_MESSAGES)]
    parts = History(SessionId(LOG)).extend(bearing[:cut])
    parts.extend(event for event in bearing if event.seq > parts.last_seq)
    assert parts.items == whole.items


@pytest.mark.parametrize("member", BEARS_MESSAGES, ids=lambda member: member.__name__)
def test_what_bears_messages_is_not_a_delta(member: type[e.Base]) -> None:
    assert member not in e.DELTAS
