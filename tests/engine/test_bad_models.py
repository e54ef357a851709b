"""Models that misbehave: each has a bound, an event that says so, and a turn that ends."""

import json
from typing import Any

import anyio
import pytest

from engine.fakes import ME, FakeTool, Floor, answers, kinds, make_team, open_world
from engine.hooked import Hooks
from roost.core import events as e
from roost.core.agents import Compaction
from roost.core.messages import Message
from roost.engine import draft
from roost.ports import CallPiece, Finished, ReasoningPiece, TextPiece
from roost.testing.fakes import call

pytestmark = pytest.mark.anyio


WHOLE = Hooks().agent(compaction=Compaction(automatic=False))
"""An agent whose conversation is never summed up."""


def results(facts: list[e.Fact]) -> list[str]:
    return [fact.result.output for fact in facts if isinstance(fact, e.ToolReturned)]


def warnings(facts: list[e.Fact]) -> list[str]:
    return [fact.message for fact in facts if isinstance(fact, e.Warned)]


def errors(facts: list[e.Fact]) -> list[tuple[str, str]]:
    return [(fact.code, fact.message) for fact in facts if isinstance(fact, e.ErrorMet)]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("{", "Error calling tool: the arguments are not valid JSON"),
        ("not json at all", "Error calling tool: the arguments are not valid JSON"),
        ('"text"', "Error calling tool: the arguments must be a JSON object"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "Error calling tool: the arguments are not valid JSON"),
        ('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", "Error calling tool: the arguments are not valid JSON"),
        ('{"a": "\\ud800"}', "Error calling tool: the arguments are not valid JSON"),
        ('{"a": "\\ud800", "password": "hunter2hunter2"}', "Error calling tool: the arguments are not valid JSON"),
    ],
)
async def test_arguments_that_nobody_can_read(each_floor: Floor, arguments: str, says: str) -> None:
    """The model hears what is wrong, and its turn goes on; what it has said is sent to it again."""
    tool = FakeTool("edit")
    async with open_world(each_floor, script=answers([call("edit", arguments)], ["done"]), tools=[tool]) as world:
        session = await world.session()
        facts = await world.play(session, "go")
        (result,) = results(facts)
        assert result.startswith(says)
        assert len(result) < 1000
        assert facts[-1].outcome == "normal"
        assert tool.runs == []
        assert world.provider.requests[1].messages[-2].calls[0].arguments == arguments


async def test_arguments_as_deep_as_can_be_read(floor: Floor) -> None:
    seen: list[Any] = []

    async def work(arguments: dict[str, Any], use: Any) -> str:
        seen.append(arguments)
        return "fine"

    deep = '{"a":' * 900 + "1" + "}" * 900
    hooks = Hooks()
    team = make_team(hooks.agent("pre_tool_use", "tool_guard", "post_tool_use"))
    tools = [FakeTool("edit", work)]
    async with open_world(
        floor, script=answers([call("edit", deep)], ["done"]), tools=tools, team=team, hooks=hooks
    ) as world:
        session = await world.session()
        facts = await world.play(session, "go")
        assert results(facts) == ["fine"]
        assert facts[-1].outcome == "normal"


async def test_of_ten_thousand_calls_in_one_answer_the_first_are_played(floor: Floor) -> None:
    tool = FakeTool("look")
    many = [call("look", f'{{"n": {n}}}', index=n, id=f"c{n}") for n in range(10_000)]
    script = answers([*many, Finished("tool_calls")], ["done"])
    async with open_world(floor, script=script, tools=[tool], team=make_team(WHOLE)) as world:
        session = await world.session()
        facts = await world.play(session, "go")
        assert len(tool.runs) == draft.MOST_CALLS == len(results(facts))
        assert warnings(facts) == ["the model called 10000 tools in one answer: only the first 128 are run"]
        asked = world.provider.requests[1].messages
        assert len(asked[-draft.MOST_CALLS - 1].calls) == draft.MOST_CALLS
        assert facts[-1].outcome == "normal"


async def test_what_is_to_be_said_again_word_for_word_is_not_where_calls_are_left_out(floor: Floor) -> None:
    many = [call("look", index=n, id=f"c{n}") for n in range(draft.MOST_CALLS + 1)]
    raw = Finished("tool_calls", replay=({"type": "reasoning", "id": "r"},))
    async with open_world(floor, script=answers([*many, raw], ["done"]), tools=[FakeTool("look")]) as world:
        session = await world.session()
        await world.play(session, "go")
        assert world.provider.requests[1].messages[1].replay == ()


@pytest.mark.parametrize("piece", [TextPiece("x" * 1_000_000), ReasoningPiece("x" * 1_000_000)])
async def test_an_answer_without_an_end_is_cut_off(floor: Floor, piece: Any) -> None:
    async with open_world(floor, script=lambda _: [piece] * 100) as world:
        session = await world.session()
        facts = await world.play(session, "go")
        assert errors(facts) == [("model_error", f"the model's answer is longer than {draft.LARGEST} characters")]
        assert facts[-1].outcome == "error"
        assert "AnswerDropped" in kinds(facts)
        assert len(world.provider.requests) == 1
        assert world.provider.dropped == 1


async def test_arguments_without_an_end_are_cut_off(floor: Floor) -> None:
    pieces = [CallPiece(0, "c", "edit", "x" * 1_000_000), *[CallPiece(0, "", "", "x" * 1_000_000)] * 30]
    async with open_world(floor, script=lambda _: pieces, tools=[FakeTool("edit")]) as world:
        session = await world.session()
        facts = await world.play(session, "go")
        assert errors(facts) == [("model_error", f"the model's answer is longer than {draft.LARGEST} characters")]


async def test_half_a_character_does_no_harm(each_floor: Floor) -> None:
    script = answers(["a\ud800b", call("ed\ud800it", '{"a": "\ud800"}')], [ReasoningPiece("\udfff"), "\ud83d\ude00"])
    async with open_world(each_floor, script=script) as world:
        session = await world.session()
        facts = await world.play(session, "go")
        assert facts[-1].outcome == "normal"
        assert [text for role, text in await world.talk(session) if role == "assistant"] == ["a\ufffdb", "\U0001f600"]


@pytest.mark.parametrize("pieces", [[], [" \n\t"], [ReasoningPiece("hm")]])
async def test_an_answer_that_says_nothing_is_no_message(floor: Floor, pieces: list[Any]) -> None:
    async with open_world(floor, script=lambda _: pieces) as world:
        session = await world.session()
        facts = await world.play(session, "go")
        assert facts[-1].outcome == "normal"
        assert await world.talk(session) == [("user", "go")]
        (dropped,) = [fact for fact in facts if isinstance(fact, e.AnswerDropped)]
        assert dropped.why == "the model answered with no text"


# -- round in circles -----------------------------------------------------------------------------


async def circling(floor: Floor, name: str, *, limit: int = 0, rounds: int = 8) -> tuple[list[e.Fact], FakeTool, Hooks]:
    tool, hooks = FakeTool(name), Hooks()
    team = make_team(hooks.agent("notification", max_consecutive_tool_calls=limit))
    script = answers(
        *[[call(name, '{"a": 1,  "b": 2}' if n % 2 else '{"b":2,"a":1}', id=f"c{n}")] for n in range(rounds)], ["done"]
    )
    async with open_world(floor, script=script, tools=[tool], team=team, hooks=hooks) as world:
        return await world.play(await world.session(), "go"), tool, hooks


@pytest.mark.parametrize(("limit", "ran"), [(0, 4), (2, 1), (7, 6)])
async def test_the_same_calls_over_and_over_end_the_run(floor: Floor, limit: int, ran: int) -> None:
    facts, tool, hooks = await circling(floor, "look", limit=limit)
    says = f"loop detected: the same call of look came {ran + 1} times in a row"
    assert errors(facts) == [("loop_detected", says)]
    assert len(tool.runs) == ran
    assert facts[-1].outcome == "error"
    assert [(given["notification_level"], given["notification_message"]) for given in hooks.given] == [("error", says)]


@pytest.mark.parametrize("name", ["view_background_job", "view_background_agent", "list_background_agents"])
async def test_looking_after_background_work_is_no_circle(floor: Floor, name: str) -> None:
    facts, tool, _ = await circling(floor, name)
    assert len(tool.runs) == 8
    assert facts[-1].outcome == "normal"


async def test_a_batch_counts_as_it_is_and_other_arguments_begin_anew(floor: Floor) -> None:
    tools = [FakeTool("one"), FakeTool("two")]
    batches = [[call("one", id=f"a{n}"), call("two", index=1, id=f"b{n}")] for n in range(4)]
    other = [[call("two", id="x"), call("one", index=1, id="y")]]
    more = [[call("one", id=f"c{n}"), call("two", index=1, id=f"d{n}")] for n in range(4)]
    async with open_world(floor, script=answers(*batches, *other, *more, ["done"]), tools=tools) as world:
        facts = await world.play(await world.session(), "go")
        assert facts[-1].outcome == "normal"
        assert len(tools[0].runs) == 9


async def test_a_person_who_wants_the_same_again_is_no_circle(floor: Floor) -> None:
    tool = FakeTool("look")
    script = answers(*[step for n in range(6) for step in ([call("look", id=f"c{n}")], ["looked"])])
    gate = anyio.Event()

    async def held(arguments: dict[str, Any], use: Any) -> str:
        await gate.wait()
        return "seen"

    tool.work = held
    async with open_world(floor, script=script, tools=[tool]) as world:
        session = await world.session()
        await world.ask(session, "look")
        await world.until_fact(session, e.ToolCalled)
        for _ in range(5):
            await world.service.queues.followup(ME, session, [_again()])
        gate.set()
        head = await world.ended(session)
        assert (head.outcome, len(tool.runs)) == ("normal", 6)


def _again() -> Message:
    return Message("user", "again")


async def test_tools_that_are_not_there_are_a_circle_too(floor: Floor) -> None:
    script = answers(*[[call("gone", json.dumps({}), id=f"c{n}")] for n in range(9)])
    async with open_world(floor, script=script) as world:
        facts = await world.play(await world.session(), "go")
        assert [code for code, _ in errors(facts)] == ["loop_detected"]
        assert results(facts)[0] == "Tool 'gone' is not available. You can only use the tools provided to you."
