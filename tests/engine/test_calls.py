"""The calls of one answer: side by side, asked for one at a time, returned in order."""

from typing import Any

import anyio
import pytest

from engine.fakes import ME, PHONE, FakeTool, Floor, answers, kinds, make_team, open_world
from roost.core import events as e
from roost.core.agents import Agent, ToolsetSpec
from roost.core.errors import AlreadyAnswered, NothingWaits
from roost.core.events import Permissions
from roost.core.messages import Result
from roost.ports import Ask, Use
from roost.testing.fakes import call

pytestmark = pytest.mark.anyio


def two(first: str, second: str) -> Any:
    """An answer with two calls, `a` and `b`; then a last word."""
    return answers([call(first, id="a"), call(second, index=1, id="b")], ["done"])


async def test_calls_run_at_once_and_results_come_in_call_order(each_floor: Floor) -> None:
    slow, both = anyio.Event(), anyio.Event()

    async def first(_: dict[str, Any], use: Use) -> str:
        await slow.wait()
        return "slow"

    async def second(_: dict[str, Any], use: Use) -> str:
        both.set()
        return "quick"

    tools = [FakeTool("slow", first), FakeTool("quick", second)]
    async with open_world(each_floor, script=two("slow", "quick"), tools=tools) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.until_fact(session, e.ToolReturned)
        assert both.is_set()
        slow.set()
        await world.ended(session)
        facts = await world.facts(session, e.ToolCalled, e.ToolReturned, e.MessageAdded)
        shown = [(e.kind(f), f.call if isinstance(f, e.MessageAdded) else f.call.id) for f in facts[1:-1]]
        assert shown == [
            ("ToolCalled", "a"),
            ("ToolCalled", "b"),
            ("ToolReturned", "b"),
            ("ToolReturned", "a"),
            ("MessageAdded", "a"),
            ("MessageAdded", "b"),
        ]
        assert [text for role, text in await world.talk(session) if role == "tool"] == ["slow", "quick"]


async def test_people_are_asked_one_at_a_time(each_floor: Floor) -> None:
    tools = [FakeTool("one", read_only=False), FakeTool("two", read_only=False)]
    async with open_world(each_floor, script=two("one", "two"), tools=tools) as world:
        session = await world.session()
        await world.ask(session, "go")
        head = await world.waiting(session)
        assert [wait.tool for wait in head.waits] == ["one"]
        first = head.waits[0].id
        await world.service.waits.answer(ME, first, confirmation="approve")
        head = await world.until(session, lambda head: head.waits and head.waits[0].id != first)
        assert [wait.tool for wait in head.waits] == ["two"]
        await world.service.waits.resume(ME, session, confirmation="reject")
        await world.ended(session)
        assert (tools[0].runs, tools[1].runs) == ([("a", 1)], [])


async def test_a_grant_holds_for_the_calls_that_have_not_asked_yet(floor: Floor) -> None:
    tool = FakeTool("edit", read_only=False)
    async with open_world(floor, script=two("edit", "edit"), tools=[tool]) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.waiting(session)
        await world.service.waits.resume(ME, session, confirmation="approve-tool")
        head = await world.ended(session)
        assert sorted(tool.runs) == [("a", 1), ("b", 1)]
        assert len(await world.facts(session, e.WaitOpened)) == 1
        assert head.permissions == Permissions(allow=("edit",))


async def test_approving_all_switches_the_mode_and_the_toggle_goes_back(floor: Floor) -> None:
    tool = FakeTool("edit", read_only=False)
    async with open_world(floor, script=two("edit", "edit"), tools=[tool]) as world:
        session = await world.session(safety="balanced")
        await world.ask(session, "go")
        await world.waiting(session)
        await world.service.waits.resume(ME, session, confirmation="approve-session")
        head = await world.ended(session)
        assert (head.safety, head.prior_safety) == ("autonomous", "balanced")
        assert (await world.service.sessions.toggle_tools(ME, session)).safety == "balanced"


async def test_the_agents_own_safety_holds_until_somebody_chooses(floor: Floor) -> None:
    agent = Agent("root", model="fake", toolsets=(ToolsetSpec("fake"),), safety="autonomous")
    tool = FakeTool("edit", read_only=False)
    script = answers([call("edit")], ["done"], [call("edit")], ["done"])
    async with open_world(floor, script=script, tools=[tool], team=make_team(agent)) as world:
        session = await world.session()
        await world.play(session, "go")
        assert len(tool.runs) == 1
        await world.service.sessions.set_safety(ME, session, "restricted")
        await world.play(session, "go")
        assert len(tool.runs) == 1
        assert "restricted" in (await world.talk(session))[-2][1]


async def test_a_permission_that_changes_in_the_turn_holds_for_the_next_call(floor: Floor) -> None:
    gate = anyio.Event()
    tool = FakeTool("edit", read_only=False)
    script = answers([call("edit"), gate], ["done"])
    async with open_world(floor, script=script, tools=[tool]) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.until_fact(session, e.CallDrafted)
        await world.service.sessions.set_permissions(ME, session, Permissions(deny=("edit",)))
        gate.set()
        await world.ended(session)
        assert (await world.talk(session))[2] == ("tool", "Tool 'edit' is denied by session permissions.")
        assert tool.runs == []


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("gone", "{}", "Tool 'gone' is not available. You can only use the tools provided to you."),
        ("edit", "{", "Error calling tool: the arguments are not valid JSON"),
        ("edit", "[1]", "Error calling tool: the arguments must be a JSON object"),
    ],
)
async def test_what_can_not_run_asks_nobody(floor: Floor, name: str, arguments: str, text: str) -> None:
    tool = FakeTool("edit", read_only=False)
    async with open_world(floor, script=answers([call(name, arguments)], ["done"]), tools=[tool]) as world:
        session = await world.session()
        facts = await world.play(session, "go")
        assert not {"WaitOpened", "ToolCalled"} & set(kinds(facts))
        (returned,) = [fact for fact in facts if isinstance(fact, e.ToolReturned)]
        assert returned.result.output.startswith(text)
        assert returned.result.is_error


async def test_no_arguments_at_all_are_an_empty_object(floor: Floor) -> None:
    seen = []

    async def work(arguments: dict[str, Any], use: Use) -> str:
        seen.append(arguments)
        return ""

    async with open_world(floor, script=answers([call("look", "")], ["done"]), tools=[FakeTool("look", work)]) as world:
        session = await world.session()
        await world.play(session, "go")
        assert seen == [{}]
        assert (await world.talk(session))[2] == ("tool", "(no output)")


async def test_a_tool_that_raises_harms_nobody_else(floor: Floor) -> None:
    async def broken(_: dict[str, Any], use: Use) -> str:
        raise OSError("no such file")

    tools = [FakeTool("broken", broken), FakeTool("fine")]
    async with open_world(floor, script=two("broken", "fine"), tools=tools) as world:
        session = await world.session()
        facts = await world.play(session, "go")
        results = {f.call.id: f.result for f in facts if isinstance(f, e.ToolReturned)}
        assert (results["a"].output, results["a"].is_error) == ("Error calling tool: no such file", True)
        assert results["b"] == Result("done")
        assert facts[-1].outcome == "normal"


async def test_a_result_that_can_not_be_written_down_is_an_error(floor: Floor) -> None:
    async def odd(_: dict[str, Any], use: Use) -> Result:
        return Result("fine", meta={"odd": object()})

    async with open_world(floor, script=answers([call("odd")], ["done"]), tools=[FakeTool("odd", odd)]) as world:
        session = await world.session()
        facts = await world.play(session, "go")
        assert facts[-1].outcome == "normal"
        assert (await world.talk(session))[2][1].startswith("Error calling tool:")


async def test_output_is_shown_while_the_tool_runs(each_floor: Floor) -> None:
    gate = anyio.Event()

    async def work(_: dict[str, Any], use: Use) -> str:
        await use.output("half ")
        await gate.wait()
        await use.output("whole")
        return "all"

    tool = FakeTool("build", work)
    async with open_world(each_floor, script=answers([call("build")], ["done"]), tools=[tool]) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.until_fact(session, e.OutputAdded)
        assert not await world.facts(session, e.ToolReturned)
        gate.set()
        await world.ended(session)
        assert "".join(fact.text for fact in await world.facts(session, e.OutputAdded)) == "half whole"


async def test_the_first_answer_wins_and_the_same_again_is_harmless(each_floor: Floor) -> None:
    tool = FakeTool("edit", read_only=False)
    async with open_world(each_floor, script=answers([call("edit")], ["done"]), tools=[tool]) as world:
        session = await world.session()
        await world.ask(session, "go")
        wait = (await world.waiting(session)).waits[0].id
        waits = world.service.waits
        await waits.answer(PHONE, wait, confirmation="approve")
        await waits.answer(ME, wait, confirmation="approve")
        with pytest.raises(AlreadyAnswered):
            await waits.answer(ME, wait, confirmation="reject")
        with pytest.raises(NothingWaits):
            await waits.resume(ME, session, confirmation="approve")
        await world.ended(session)
        await waits.answer(ME, wait, confirmation="approve")  # the turn is over, and it still is harmless
        assert len(await world.facts(session, e.WaitAnswered)) == 1
        assert tool.runs == [("call_edit", 1)]


async def test_a_tool_asks_and_gets_its_answer(each_floor: Floor) -> None:
    async def work(_: dict[str, Any], use: Use) -> str:
        name = await use.ask(Ask("Who?", schema={"type": "object"}))
        sure = await use.ask(Ask("Sure?"))
        return f"{name.action} {name.content} {sure.action}"

    async with open_world(each_floor, script=answers([call("who")], ["done"]), tools=[FakeTool("who", work)]) as world:
        session = await world.session()
        await world.ask(session, "go")
        first = (await world.waiting(session)).waits[0].id
        await world.service.waits.elicit(ME, session, action="accept", content={"name": "ada"})
        await world.until(session, lambda head: head.waits and head.waits[0].id != first)
        await world.service.waits.elicit(ME, session, action="decline", content={"left": "out"})
        await world.ended(session)
        assert (await world.talk(session))[2] == ("tool", "accept {'name': 'ada'} decline")


async def test_a_question_that_the_tool_gave_up_is_closed_with_its_call(floor: Floor) -> None:
    waiting = anyio.Event()

    async def work(_: dict[str, Any], use: Use) -> str:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(use.ask, Ask("Who?"))
            await waiting.wait()
            tasks.cancel_scope.cancel()
        return "nobody"

    async with open_world(floor, script=answers([call("who")], ["done"]), tools=[FakeTool("who", work)]) as world:
        session = await world.session()
        await world.ask(session, "go")
        wait = (await world.waiting(session)).waits[0].id
        waiting.set()
        await world.ended(session)
        facts = await world.facts(session)
        assert kinds(facts[[e.kind(f) for f in facts].index("WaitVoided") :])[:2] == ["WaitVoided", "ToolReturned"]
        with pytest.raises(NothingWaits):
            await world.service.waits.answer(ME, wait, action="accept")


async def test_ids_that_a_model_uses_twice_do_not_mix(floor: Floor) -> None:
    """Small models call every call `0`: in one answer, and in the next."""
    tool = FakeTool("look")
    script = answers([call("look", id="0"), call("look", index=1, id="0")], [call("look", id="0")], ["done"])
    async with open_world(floor, script=script, tools=[tool]) as world:
        session = await world.session()
        await world.play(session, "go")
        ids = [run for run, _ in tool.runs]
        assert (ids[0], ids[2], len(set(ids))) == ("0", "0", 2)
        tool_messages = [m for m in world.provider.requests[-1].messages if m.role == "tool"]
        assert [m.call_id for m in tool_messages] == ids
        assert {m.content for m in tool_messages} == {"done"}
