"""What a model is sent."""

from roost.core import events as e
from roost.core.agents import Agent
from roost.core.history import History, Item
from roost.core.ids import CallId, Micros, SessionId
from roost.core.messages import Image, Message, Text, ToolCall
from roost.engine.prompt import LOST_RESULT, OLD_TOOL_TOKENS, TRUNCATED, Guidance, request, today

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


def sent(*entries: Message | e.SummaryAdded | e.ErrorMet, agent: Agent = ROOT, images: bool = True) -> list[Message]:
    """The conversation without the system messages."""
    made = request(agent, Guidance(), history(*entries), (), images=images)
    return [message for message in made.messages if message.role != "system"]


def test_system_messages_stand_in_their_order_with_two_marks() -> None:
    guidance = Guidance(toolsets=("Use files.", "Use shell."), date="Today", environment="Here", files=("Notes",))
    made = request(ROOT, guidance, history(Message("system", "not mine"), user("hi")), ())
    texts = [message.content for message in made.messages]
    assert texts == ["Be brief.", "Use files.", "Use shell.", "Today", "Here", "Notes", "hi"]
    assert made.cache_marks == (2, 5)
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
    big = "x" * (OLD_TOOL_TOKENS * 4)
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


def test_the_date_is_said_in_one_line() -> None:
    assert today(Micros(1_780_000_000_000_000)) == "Today's date: 2026-05-28"
