"""An answer that is still coming."""

from roost.core import events as e
from roost.core.ids import AnswerId, LogId, Micros
from roost.core.messages import ToolCall
from roost.core.usage import Usage
from roost.engine.draft import Draft, of_log
from roost.ports import CallPiece, Finished, Piece, ReasoningPiece, TextPiece

ONE = AnswerId("one")


def fed(*pieces: Piece) -> tuple[Draft, list[e.Fact]]:
    draft = Draft(ONE, "root", {"look": "digest"})
    return draft, [fact for piece in pieces if (fact := draft.feed(piece)) is not None]


def test_text_and_reasoning_are_gathered() -> None:
    pieces = (ReasoningPiece("hm"), TextPiece("Hel"), TextPiece(""), TextPiece("lo"))
    draft, facts = fed(*pieces, Finished("stop", Usage(1, 2), thinking_signature="sig", replay=({"x": 1},)))
    assert [e.kind(fact) for fact in facts] == ["ReasoningAdded", "TextAdded", "TextAdded"]
    message = draft.message(at=Micros(5), model="fake/one", cost=0.5)
    assert message is not None
    assert (message.content, message.reasoning, message.finish, message.model) == ("Hello", "hm", "stop", "fake/one")
    assert (message.usage, message.cost, message.at) == (Usage(1, 2), 0.5, 5)
    assert (message.thinking_signature, message.replay) == ("sig", ({"x": 1},))


def test_a_message_names_the_definitions_of_the_tools_that_it_calls() -> None:
    draft, _ = fed(CallPiece(0, "a", "look"), CallPiece(1, "b", "invented"), CallPiece(2, "c", "look"))
    message = draft.message(at=Micros(5), model="fake/one")
    assert message is not None
    assert message.definitions == ("digest", "", "digest")


def test_calls_are_gathered_by_index_whatever_their_order() -> None:
    draft, facts = fed(
        CallPiece(1, "b", "look", '{"a"'),
        CallPiece(0, "a", "look"),
        CallPiece(1, arguments=":1}"),
        CallPiece(0, arguments="{}"),
    )
    assert facts == [
        e.CallDrafted(ONE, "b", "look", '{"a"', "root", "digest"),
        e.CallDrafted(ONE, "a", "look", "", "root", "digest"),
        e.CallDrafted(ONE, "b", "", ":1}", "root"),
        e.CallDrafted(ONE, "a", "", "{}", "root"),
    ]
    message = draft.message(at=Micros(0), model="")
    assert message is not None
    assert message.calls == (ToolCall("a", "look", "{}"), ToolCall("b", "look", '{"a":1}'))


def test_arguments_that_come_before_the_name_are_shown_with_it() -> None:
    _, facts = fed(CallPiece(0, "a", "", '{"x":'), CallPiece(0, "", "look", "1}"))
    assert facts == [e.CallDrafted(ONE, "a", "look", '{"x":1}', "root", "digest")]


def test_names_and_ids_are_made_fit() -> None:
    draft, _ = fed(CallPiece(0, "", "my tool/ö" + "x" * 80), CallPiece(1, "7", "a"), CallPiece(2, "7", "a"))
    message = draft.message(at=Micros(0), model="")
    assert message is not None
    first, second, third = message.calls
    assert first.name == ("my_tool__" + "x" * 80)[:64]
    assert first.id.startswith("call_")
    assert (second.id, third.id == "7") == ("7", False)


def test_a_call_without_a_name_is_none() -> None:
    draft, facts = fed(CallPiece(0, "a", "", "{}"), Finished())
    assert (facts, draft.posted, draft.message(at=Micros(0), model="")) == ([], False, None)


def test_blanks_are_no_message_and_a_part_has_no_calls() -> None:
    assert fed(TextPiece(" \n"))[0].message(at=Micros(0), model="") is None
    draft, _ = fed(TextPiece("I'll"), CallPiece(0, "a", "look", '{"cu'))
    part = draft.message(at=Micros(0), model="", partial=True)
    assert part is not None
    assert (part.content, part.calls, part.finish) == ("I'll", (), "")


def test_a_draft_is_found_again_in_the_log() -> None:
    facts = [
        e.TextAdded(ONE, "Hel"),
        e.TextAdded(AnswerId("other"), "x"),
        e.ReasoningAdded(ONE, "hm"),
        e.TextAdded(ONE, "lo"),
    ]
    events = [e.Event(LogId("s"), n, Micros(0), fact) for n, fact in enumerate(facts, 1)]
    message = of_log(events, ONE, "root").message(at=Micros(0), model="", partial=True)
    assert message is not None
    assert (message.content, message.reasoning) == ("Hello", "hm")
