"""What a model is sent."""

from typing import Any

from roost.core import estimates
from roost.core import events as e
from roost.core.agents import Agent, Schema
from roost.core.history import History, Item
from roost.core.ids import CallId, Micros, SessionId
from roost.core.messages import File, Image, Message, Text, ToolCall
from roost.core.session import Head
from roost.engine.prompt import LOST_RESULT, NO_IMAGE, NO_PDF, TRUNCATED, Guidance, request, today

ROOT = Agent("root", instruction="Be brief.")


def history(*entries: Message | e.SummaryAdded | e.ErrorMet) -> History:
    items = [
        Item(
            n,
            message=entry if isinstance(entry, Message) else None,
            summary=entry if isinstance(entry, e.SummaryAdded) else None,
            error=entry if isinstance(entry, e.ErrorMet) else None,
        )
        for n, entry in enumerate(entries, 1)
    ]
    return History(SessionId("s"), items=items)


def user(text: str) -> Message:
    return Message("user", text)


def asks(*ids: str) -> Message:
    return Message("assistant", "", calls=tuple(ToolCall(CallId(i), "look") for i in ids))


def result(call: str, text: str = "r") -> Message:
    return Message("tool", text, call_id=CallId(call))


def sent(*entries: Message | e.SummaryAdded | e.ErrorMet, agent: Agent = ROOT, **how: Any) -> list[Message]:
    """The conversation without the system messages."""
    made = request(agent, Guidance(), history(*entries), (), **how)
    return [message for message in made.messages if message.role != "system"]


def test_system_messages_stand_in_their_order_with_two_marks() -> None:
    guidance = Guidance(toolsets=("Use files.", "Use shell."), date="Today", environment="Here", files=("Notes",))
    made = request(ROOT, guidance, history(user("hi")), ())
    texts = [message.content for message in made.messages]
    assert texts == ["Be brief.", "Use files.", "Use shell.", "Today", "Here", "Notes", "hi"]
    assert made.cache_marks == (2, 5)
    whole = Guidance(("Use files.",), "Today", "Here", ("Notes",), team=("Ask bob.",), skills=("Skills: cook",))
    made = request(ROOT, whole, history(), ())
    texts = [message.content for message in made.messages]
    assert texts == ["Ask bob.", "Be brief.", "Use files.", "Today", "Here", "Notes", "Skills: cook"]
    assert made.cache_marks == (2, 6)
    assert request(ROOT, Guidance(), history(), ()).cache_marks == (0,)
    assert request(Agent("root"), Guidance(), history(), ()).cache_marks == ()


def test_each_call_has_one_result_right_after_it() -> None:
    messages = sent(user("a"), asks("1", "2"), result("2"), user("b"), result("9"), asks("1"), result("1", "again"))
    assert [(m.role, m.call_id, m.content) for m in messages[1:]] == [
        ("assistant", "", ""),
        ("tool", "1", LOST_RESULT),
        ("tool", "2", "r"),
        ("user", "", "b"),
        ("assistant", "", ""),
        ("tool", "1", "again"),
    ]


def test_the_conversation_starts_at_the_newest_summary() -> None:
    messages = sent(user("old"), e.SummaryAdded("so far"), user("new"))
    assert [m.content for m in messages] == ["Session Summary: so far", "new"]
    kept = sent(user("old"), user("kept"), e.SummaryAdded("so far", first_kept=1), user("new"))
    assert [m.content for m in kept] == ["Session Summary: so far", "kept", "new"]


def test_errors_are_nobodys_words() -> None:
    assert [m.content for m in sent(user("a"), e.ErrorMet("oops"), user("b"))] == ["a", "b"]


def test_old_messages_go_but_those_of_people_stay() -> None:
    agent = Agent("root", num_history_items=3)
    messages = sent(user("a"), asks("1"), result("1"), Message("assistant", "x"), user("b"), agent=agent)
    assert [(m.role, m.content) for m in messages] == [("user", "a"), ("assistant", "x"), ("user", "b")]
    short = sent(user("a"), user("b"), user("c"), user("d"), agent=agent)
    assert len(short) == 4


def test_a_result_whose_call_went_goes_too() -> None:
    agent = Agent("root", num_history_items=3)
    messages = sent(asks("1"), result("1"), user("a"), user("b"), agent=agent)
    assert [m.role for m in messages] == ["user", "user"]


def test_old_results_are_cut_and_new_ones_never() -> None:
    big = "x" * (estimates.OLD_RESULTS * 4)
    messages = sent(
        asks("1"), result("1"), asks("2"), result("2", big), user("go on"), asks("3"), result("3", big + "y")
    )
    assert [m.content for m in messages if m.role == "tool"] == [TRUNCATED, big, big + "y"]


def test_images_are_left_out_for_models_that_read_text_only() -> None:
    picture = Message("user", "", parts=(Text("see"), Image("data:image/png;base64,AA==")))
    assert sent(picture)[0].parts == picture.parts
    (first, second) = sent(picture, images=False)[0].parts
    assert first == Text("see")
    assert isinstance(second, Text)


def test_what_a_session_was_told_and_what_hooks_say_stands_after_the_agents_own_words() -> None:
    past = history(Message("system", "Your task: cook"), user("hi"), e.SummaryAdded("so far"), user("go on"))
    past.contexts.append("The branch is main.")
    made = request(ROOT, Guidance(date="Today"), past, (), contexts=["It is late.", " "])
    told = [(message.role, message.content) for message in made.messages]
    assert told == [
        ("system", "Be brief."),
        ("system", "Today"),
        ("system", "Your task: cook"),
        ("system", "The branch is main."),
        ("system", "It is late."),
        ("user", "Session Summary: so far"),
        ("user", "go on"),
    ]
    assert made.cache_marks == (0, 1)


def test_a_session_limits_old_results_before_its_agent_does() -> None:
    entries = (asks("1"), result("1", "x" * 400), asks("2"), result("2", "y" * 400), Message("assistant", "so"))

    def kept(agent: Agent, head: Head | None = None) -> list[bool]:
        return [m.content != TRUNCATED for m in sent(*entries, agent=agent, head=head) if m.role == "tool"]

    small, none = Agent("root", max_old_tool_call_tokens=100), Agent("root", max_old_tool_call_tokens=-1)
    assert kept(ROOT) == [True, True]
    assert kept(small) == [False, True]
    assert kept(none) == [True, True]
    assert kept(small, Head(SessionId("s"), max_old_tool_call_tokens=200)) == [True, True]
    assert kept(none, Head(SessionId("s"), max_old_tool_call_tokens=10)) == [False, False]
    assert kept(small, Head(SessionId("s"))) == [False, True]


def test_files_that_a_model_cant_read_are_named() -> None:
    pdf, drawing, notes = File("/a/b.PDF"), File("/a/c", mime_type="image/png"), File("/a/d.txt")
    message = Message("user", "", parts=(pdf, drawing, notes))
    assert sent(message)[0].parts == message.parts
    assert sent(message, pdf=False)[0].parts == (Text(NO_PDF), drawing, notes)
    assert sent(message, images=False)[0].parts == (pdf, Text(NO_IMAGE), notes)


def test_the_provider_sees_to_the_form_of_an_answer_unless_a_tool_does() -> None:
    form = Schema("verdict", {"type": "object"})
    assert request(Agent("root", structured_output=form), Guidance(), history(), ()).schema == form
    by_tool = Schema("verdict", {"type": "object"}, mode="tool")
    assert request(Agent("root", structured_output=by_tool), Guidance(), history(), ()).schema is None


def test_the_date_is_said_in_one_line() -> None:
    assert today(Micros(1_780_000_000_000_000)) == "Today's date: 2026-05-28"
