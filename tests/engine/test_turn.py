"""One turn: which facts come in which order, and how it ends by itself."""

import anyio
import pytest

from engine.fakes import ME, FakeTool, Floor, answers, kinds, make_team, open_world, said
from roost.core import events as e
from roost.core.agents import Agent, ToolsetSpec
from roost.core.errors import ModelFailed
from roost.core.messages import Message
from roost.core.session import Head
from roost.ports import Finished, ReasoningPiece
from roost.testing.fakes import call

pytestmark = pytest.mark.anyio

BEGINNING = ["TurnOpened", "MessageWritten", "AgentShown", "TeamShown", "ToolsShown", "UserSaid", "TurnStarted"]


async def test_a_plain_turn_writes_its_facts_in_the_promised_order(each_floor: Floor) -> None:
    async with open_world(each_floor, script=answers(["Hel", "lo"]), tools=[FakeTool("look")]) as world:
        session = await world.session()
        facts = await world.play(session, "hi")
        answer = ["ToolsShown", "ModelAsked", "TextAdded", "MessageAdded", "UsageAdded"]
        assert kinds(facts) == [*BEGINNING, *answer, "TurnEnded"]
        assert facts[-1].outcome == "normal"
        assert await world.talk(session) == [("user", "hi"), ("assistant", "Hello")]
        head = await world.store.head(session)
        assert (head.input_tokens, head.output_tokens, head.messages) == (15, 2, 2)
        assert head.cost == pytest.approx((10 + 20 + 2.5) / 1e6)


async def test_a_turn_does_not_read_messages_that_it_has_seen(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(floor, script=answers(["one"], ["two"])) as world:
        session = await world.session()
        await world.play(session, "first")

        async def unread(*_: object, **__: object) -> None:
            raise AssertionError("the messages are read again")

        with monkeypatch.context() as patch:
            patch.setattr(world.store, "messages", unread)
            facts = await world.play(session, "second")
        assert facts[-1].outcome == "normal"
        assert [text for _, text in await world.talk(session)] == ["first", "one", "second", "two"]


async def test_a_rejected_call_goes_as_in_the_worked_transcript(each_floor: Floor) -> None:
    tool = FakeTool("shell", read_only=False)
    script = answers([call("shell", '{"cmd":"rm"}')], ["Left as is."])
    async with open_world(each_floor, script=script, tools=[tool]) as world:
        session = await world.session()
        await world.ask(session, "Clean tmp")
        await world.waiting(session)
        await world.service.waits.resume(ME, session, confirmation="reject", reason=" not now ")
        await world.ended(session)
        facts = (await world.facts(session))[1 + len(BEGINNING) :]
        assert kinds(facts) == [
            *("ToolsShown", "ModelAsked", "CallDrafted", "MessageAdded", "UsageAdded", "WaitOpened", "WaitAnswered"),
            *("ToolReturned", "MessageAdded"),
            *("ToolsShown", "ModelAsked", "TextAdded", "MessageAdded", "UsageAdded", "TurnEnded"),
        ]
        assert tool.runs == []
        talk = await world.talk(session)
        assert talk[2] == ("tool", "The user rejected the tool call. Reason: not now")
        assert talk[3] == ("assistant", "Left as is.")


async def test_answers_with_calls_go_on_until_one_has_none(floor: Floor) -> None:
    tool = FakeTool("look")
    script = answers([call("look", id="1")], ["again ", call("look", id="2"), Finished("stop")], ["done"])
    async with open_world(floor, script=script, tools=[tool]) as world:
        session = await world.session()
        facts = await world.play(session, "go")
        assert [run for run, _ in tool.runs] == ["1", "2"]  # whatever the finish reason says
        assert kinds(facts).count("ModelAsked") == 3
        assert (await world.talk(session))[-1] == ("assistant", "done")


@pytest.mark.parametrize("empty", [[], ["  \n"], [ReasoningPiece("hmm")]])
async def test_an_answer_without_text_is_taken_back_and_ends_the_turn(floor: Floor, empty: list[str]) -> None:
    async with open_world(floor, script=answers(empty)) as world:
        session = await world.session()
        facts = await world.play(session, "hi")
        assert "MessageAdded" not in kinds(facts)
        (dropped,) = [fact for fact in facts if isinstance(fact, e.AnswerDropped)]
        assert "no text" in dropped.why
        assert kinds(facts)[-2:] == ["UsageAdded", "TurnEnded"]
        assert facts[-1].outcome == "normal"


async def test_a_turn_without_messages_answers_what_is_there(floor: Floor) -> None:
    async with open_world(floor) as world:
        session = await world.session()
        await world.service.sessions.add_message(ME, session, Message("user", "hi"))
        facts = await world.play(session)
        assert "UserSaid" not in kinds(facts)
        assert said(world.provider.requests[0]) == [("user", "hi")]


async def test_all_posted_messages_count_and_the_last_one_is_shown(floor: Floor) -> None:
    async with open_world(floor) as world:
        session = await world.session()
        facts = await world.play(session, "one", "two")
        assert said(world.provider.requests[0]) == [("user", "one"), ("user", "two")]
        (shown,) = [fact for fact in facts if isinstance(fact, e.UserSaid)]
        assert (shown.text, shown.position) == ("two", 1)


async def test_a_tool_is_defined_in_the_log_once(floor: Floor) -> None:
    async with open_world(floor, tools=[FakeTool("look")]) as world:
        session = await world.session()
        await world.play(session, "one")
        await world.play(session, "two")
        shown = await world.facts(session, e.ToolsShown)
        assert [len(fact.definitions) for fact in shown] == [1, 0, 0, 0]
        assert {fact.count for fact in shown} == {1}


async def test_a_runtime_serves_all_turns_whatever_their_model(floor: Floor) -> None:
    async with open_world(floor) as world:
        session = await world.session()
        await world.play(session, "one")
        await world.play(session, "two")
        assert (world.toolset.opened, world.toolset.closed) == (1, 0)
        await world.play(session, "three", model="fake/other")
        assert (world.toolset.opened, world.toolset.closed) == (1, 0)


async def test_what_does_not_start_is_a_warning(floor: Floor) -> None:
    agent = Agent("root", model="fake", toolsets=(ToolsetSpec("broken"), ToolsetSpec("fake")))
    async with open_world(floor, team=make_team(agent), tools=[FakeTool("look")]) as world:
        session = await world.session()
        facts = await world.play(session, "hi")
        (warned,) = [fact for fact in facts if isinstance(fact, e.Warned)]
        assert "'broken' is not available" in warned.message
        assert facts[-1].outcome == "normal"


async def test_tools_that_can_not_be_listed_are_a_warning_said_once(floor: Floor) -> None:
    async with open_world(floor, tools=[FakeTool("look")]) as world:
        session = await world.session()
        await world.play(session, "one")
        world.toolset.failure = "the server hung up"
        facts = await world.play(session, "two")
        assert [fact.message for fact in facts if isinstance(fact, e.Warned)] == [
            "tools are missing: the server hung up"
        ]
        assert world.provider.requests[-1].tools == ()
        assert facts[-1].outcome == "normal"


async def test_a_directory_that_is_gone_ends_the_turn_with_an_error(floor: Floor) -> None:
    async with open_world(floor) as world:
        session = await world.session()
        world.makers.surroundings.missing = frozenset({str(floor.path)})
        facts = await world.play(session, "hi")
        assert "no longer exists" in facts[-2].message
        assert kinds(facts[-2:]) == ["ErrorMet", "TurnEnded"]
        assert facts[-1].outcome == "error"


async def test_an_unforeseen_error_says_nothing_of_itself_to_strangers(floor: Floor) -> None:
    async with open_world(floor, script=answers(["Hel", ZeroDivisionError("secret")])) as world:
        session = await world.session()
        facts = await world.play(session, "hi")
        assert kinds(facts)[-3:] == ["AnswerDropped", "ErrorMet", "TurnEnded"]
        assert "secret" not in facts[-2].message
        assert facts[-2].code == "internal"
        assert await world.talk(session) == [("user", "hi")]
        assert (await world.play(session, "again"))[-1].outcome == "error"  # the script is at its end: still alive


async def test_an_error_is_an_item_that_no_model_reads(floor: Floor) -> None:
    refused = ModelFailed("no such key", kind="auth", status=401)
    async with open_world(floor, script=answers([refused], ["ok"])) as world:
        session = await world.session()
        facts = await world.play(session, "one")
        assert (facts[-2].message, facts[-2].code) == ("no such key", "model_error")
        await world.play(session, "two")
        assert said(world.provider.requests[1]) == [("user", "one"), ("user", "two")]
        assert [item.error is not None for item in (await world.history(session)).items] == [False, True, False, False]


async def test_totals_hold_though_somebody_else_writes(each_floor: Floor) -> None:
    """A client overwrites the counters while an answer comes: the next total counts from there."""
    gate = anyio.Event()
    async with open_world(each_floor, script=answers(["a", gate, "b"])) as world:
        session = await world.session()
        await world.ask(session, "hi")
        await world.until_fact(session, e.TextAdded)
        await world.service.sessions.set_tokens(ME, session, input=1, output=1, cost=5.0)
        gate.set()
        await world.ended(session)
        (used,) = await world.facts(session, e.UsageAdded)
        head = await world.store.head(session)
        assert used.total_cost == pytest.approx(5.0 + used.cost)
        assert head.cost == pytest.approx(used.total_cost)


async def test_the_iteration_limit_waits_and_goes_on_with_ten_more(floor: Floor) -> None:
    agent = Agent("root", model="fake", toolsets=(ToolsetSpec("fake"),), max_iterations=2)
    script = answers(*[[call("look", id=str(n))] for n in range(4)], ["done"])
    async with open_world(floor, team=make_team(agent), script=script, tools=[FakeTool("look")]) as world:
        session = await world.session()
        await world.ask(session, "go")
        head = await world.waiting(session)
        assert [wait.kind for wait in head.waits] == ["limit"]
        assert _iterations(head) == 2
        (opened,) = await world.facts(session, e.WaitOpened)
        assert opened.max_iterations == 2
        await world.service.waits.resume(ME, session, confirmation="approve-session")
        await world.ended(session)
        assert [fact.max_iterations for fact in await world.facts(session, e.LimitRaised)] == [12]
        assert (await world.talk(session))[-1] == ("assistant", "done")


async def test_without_more_iterations_the_turn_stops_normally(floor: Floor) -> None:
    script = answers([call("look")])
    async with open_world(floor, script=script, tools=[FakeTool("look")]) as world:
        session = await world.session(max_iterations=1)
        await world.ask(session, "go")
        await world.waiting(session)
        await world.service.waits.resume(ME, session, confirmation="reject")
        await world.ended(session)
        text = "Execution stopped after reaching the configured max_iterations limit (1)."
        assert (await world.talk(session))[-1] == ("assistant", text)
        assert (await world.facts(session))[-1].outcome == "normal"


def _iterations(head: Head) -> int:
    assert head.turn is not None
    return head.turn.iterations
