"""What becomes of a turn that a crash cut off: the design's crash table, row by row, and every place between."""

from collections.abc import Callable, Sequence
from typing import Any

import anyio
import pytest

from engine.fakes import ME, FakeTool, Floor, World, kinds, open_world
from roost.core import events as e
from roost.core.ids import AnswerId, CallId, LogId, Micros, TurnId, WaitId
from roost.core.messages import Effect, Message, Result, ToolCall
from roost.core.session import Head, Turn, fold
from roost.engine.recovery import Policy, verdict
from roost.ports import Ask, ModelRequest, Use
from roost.testing.fakes import Step, call

pytestmark = pytest.mark.anyio

TURN, ONE = TurnId("turn"), AnswerId("one")
WAIT = WaitId("wait")
ASKED = e.ModelAsked(ONE, "root", "fake/one")


def opened(**changes: Any) -> list[e.Fact]:
    """A session in a turn."""
    turn = e.TurnOpened(TURN, "crew", "root", "/work", **changes)
    return [e.SessionCreated(e.Template()), turn, e.MessageWritten(Message("user", "go"))]


def started() -> list[e.Fact]:
    """The same, under way."""
    return [*opened(), e.AgentShown("root", "fake/one"), e.TurnStarted("root")]


def tool_call(name: str) -> ToolCall:
    return ToolCall(CallId(f"call_{name}"), name, "{}")


def answered(*names: str) -> list[e.Fact]:
    """The same, with an answer that calls these tools."""
    calls = tuple(tool_call(name) for name in names)
    return [*started(), ASKED, e.MessageAdded(Message("assistant", "", calls=calls), answer=ONE, agent="root")]


def called(name: str, effect: Effect = "ask", attempt: int = 1) -> e.Fact:
    return e.ToolCalled(tool_call(name), effect, "root", attempt)


def returned(name: str) -> list[e.Fact]:
    return [e.ToolReturned(tool_call(name), Result(f"{name} did"), "root")]


def script(request: ModelRequest) -> Sequence[Step]:
    """Calls `look` where nothing has been called; else the last word."""
    return ["done"] if any(m.role == "tool" for m in request.messages) else [call("look")]


def looking() -> FakeTool:
    return FakeTool("look", effect="safe")


async def recovered(floor: Floor, facts: Sequence[e.Fact], *tools: FakeTool, **how: Any) -> Any:
    """Settle and resume what a dead server left, and see it to its end: the facts since, and the world as it was."""
    log = await floor.lay(facts)
    async with open_world(floor, script=how.pop("script", script), tools=tools, **how) as world:
        await world.recovery.settle()
        await world.recovery.resume()
        await world.ended(log)
        return (await world.facts(log))[len(facts) :], await world.talk(log), world


# -- the table ----------------------------------------------------------------------------------


async def test_before_the_first_commit_nothing_is_there(each_floor: Floor) -> None:
    log = await each_floor.lay([e.SessionCreated(e.Template())])
    async with open_world(each_floor) as world:
        assert await world.recovery.settle() == 0
        assert kinds(await world.play(log, "again"))[-1] == "TurnEnded"


async def test_after_the_opening_the_shown_facts_follow(each_floor: Floor) -> None:
    facts, talk, _ = await recovered(each_floor, opened(), looking())
    assert kinds(facts)[:5] == ["TurnResumed", "AgentShown", "TeamShown", "ToolsShown", "UserSaid"]
    assert kinds(facts).count("TurnStarted") == 1
    assert [text for _, text in talk] == ["go", "", "done", "done"]


async def test_a_request_without_a_word_is_made_anew(each_floor: Floor) -> None:
    facts, talk, _ = await recovered(each_floor, [*started(), ASKED], looking())
    assert kinds(facts)[:4] == ["AnswerDropped", "TurnResumed", "ToolsShown", "ModelAsked"]
    assert "TurnStarted" not in kinds(facts)
    assert facts[0].first_seq == len(started()) + 1
    assert len(talk) == 4


async def test_a_part_of_an_answer_is_taken_back(each_floor: Floor) -> None:
    before = [*started(), ASKED, e.TextAdded(ONE, "hal"), e.TextAdded(ONE, "f")]
    facts, talk, _ = await recovered(each_floor, before, script=lambda _: ["whole"])
    assert (facts[0].answer, facts[0].first_seq) == (ONE, len(started()) + 1)
    assert talk == [("user", "go"), ("assistant", "whole")]


async def test_calls_that_had_not_begun_run_as_usual(each_floor: Floor) -> None:
    tool = looking()
    facts, _, _ = await recovered(each_floor, answered("look"), tool)
    assert kinds(facts)[:4] == ["TurnResumed", "ToolCalled", "ToolReturned", "MessageAdded"]
    assert tool.runs == [("call_look", 1)]


async def test_between_parallel_calls_the_finished_never_run_again(each_floor: Floor) -> None:
    tools = [FakeTool(name, effect="safe") for name in ("a", "b", "c")]
    before = [*answered("a", "b", "c"), called("a", "safe"), called("b", "safe"), *returned("b")]
    facts, talk, world = await recovered(each_floor, before, *tools)
    assert [fact.call for fact in facts if isinstance(fact, e.CallLost)] == ["call_a"]
    assert [tool.runs for tool in tools] == [[("call_a", 2)], [], [("call_c", 1)]]
    assert [text for role, text in talk if role == "tool"] == ["done", "b did", "done"]
    assert world.makers.toolsets.ended == ["call_a"]


@pytest.mark.parametrize("returned_first", ["a", "b"])
async def test_a_result_that_was_not_in_the_history_yet_enters_it(each_floor: Floor, returned_first: str) -> None:
    tools = [FakeTool(name, effect="safe") for name in ("a", "b")]
    before = [*answered("a", "b"), called("a", "safe"), called("b", "safe"), *returned(returned_first)]
    _, talk, _ = await recovered(each_floor, before, *tools)
    results = [text for role, text in talk if role == "tool"]
    assert results == (["a did", "done"] if returned_first == "a" else ["done", "b did"])


async def test_all_results_there_but_not_the_messages(each_floor: Floor) -> None:
    before = [*answered("a", "b"), called("a"), called("b"), *returned("b"), *returned("a")]
    _, talk, _ = await recovered(each_floor, before, FakeTool("a"), FakeTool("b"))
    assert [text for role, text in talk if role == "tool"] == ["a did", "b did"]


async def test_a_lost_call_that_is_safe_runs_again(each_floor: Floor) -> None:
    tool = FakeTool("look", effect="safe")
    facts, _, _ = await recovered(each_floor, [*answered("look"), called("look", "safe")], tool)
    assert kinds(facts)[:4] == ["CallLost", "TurnResumed", "ToolCalled", "ToolReturned"]
    assert facts[2].attempt == 2
    assert tool.runs == [("call_look", 2)]


async def test_a_lost_call_that_may_run_once_never_does(each_floor: Floor) -> None:
    tool = FakeTool("pay", effect="once")
    _, talk, _ = await recovered(each_floor, [*answered("pay"), called("pay", "once")], tool)
    assert tool.runs == []
    assert "not known" in talk[2][1]
    assert talk[3] == ("assistant", "done")


@pytest.mark.parametrize(("word", "runs"), [("approve", [("call_edit", 2)]), ("reject", [])])
async def test_a_lost_call_that_says_nothing_asks(each_floor: Floor, word: str, runs: list[Any]) -> None:
    tool = FakeTool("edit", effect="ask")
    log = await each_floor.lay([*answered("edit"), called("edit")])
    async with open_world(each_floor, script=script, tools=[tool]) as world:
        await world.recovery.settle()
        await world.recovery.resume()
        await world.waiting(log)
        (wait,) = await world.facts(log, e.WaitOpened)
        assert "may have done its work" in wait.metadata["reason"]
        await world.service.waits.resume(ME, log, confirmation=word)
        await world.ended(log)
        assert tool.runs == runs
        text = (await world.talk(log))[2][1]
        assert text == "done" if runs else ("not known" in text and "rejected" in text)


async def test_lost_calls_ask_one_at_a_time_too(floor: Floor) -> None:
    tools = [FakeTool("a", effect="ask"), FakeTool("b", effect="ask")]
    log = await floor.lay([*answered("a", "b"), called("a"), called("b")])
    async with open_world(floor, script=script, tools=tools) as world:
        await world.recovery.settle()
        await world.recovery.resume()
        for name in ("a", "b"):
            head = await world.until(log, lambda head, name=name: [w.tool for w in head.waits] == [name])
            await world.service.waits.answer(ME, head.waits[0].id, confirmation="approve")
        await world.ended(log)
        assert [tool.runs for tool in tools] == [[("call_a", 2)], [("call_b", 2)]]


async def test_an_approval_that_was_given_does_not_wait_for_another_question(floor: Floor) -> None:
    tools = [FakeTool("a", effect="ask"), FakeTool("b", read_only=False)]
    waits = e.WaitOpened(WAIT, "approval", "root", call=tool_call("b"))
    log = await floor.lay([*answered("a", "b"), called("a"), waits])
    async with open_world(floor, script=script, tools=tools) as world:
        await world.recovery.settle()
        await world.service.waits.resume(ME, log, confirmation="approve")
        await world.until_fact(log, e.ToolReturned)
        head = await world.waiting(log)
        assert ([wait.tool for wait in head.waits], tools[1].runs) == (["a"], [("call_b", 1)])
        await world.service.waits.resume(ME, log, confirmation="approve")
        await world.ended(log)


async def test_a_lost_call_whose_tool_is_gone_is_unknown_to_its_end(floor: Floor) -> None:
    facts, talk, _ = await recovered(floor, [*answered("edit"), called("edit")])
    assert "not known" in talk[2][1]
    assert "WaitOpened" not in kinds(facts)


async def test_an_approval_waits_on(each_floor: Floor) -> None:
    tool = FakeTool("edit", read_only=False)
    before = [*answered("edit"), e.WaitOpened(WAIT, "approval", "root", call=tool_call("edit"))]
    log = await each_floor.lay(before)
    async with open_world(each_floor, script=script, tools=[tool]) as world:
        await world.recovery.settle()
        await world.recovery.resume()
        assert len(await world.facts(log)) == len(before)  # nothing is written
        assert not world.supervisor.playing(log)
        assert [record.id for record in await world.service.waits.open(ME)] == [WAIT]
        await world.service.waits.answer(ME, WAIT, confirmation="approve")
        await world.ended(log)
        assert tool.runs == [("call_edit", 1)]
        assert len(await world.facts(log, e.WaitOpened)) == 1


async def test_an_approval_whose_tool_is_gone_is_closed_with_its_call(floor: Floor) -> None:
    log = await floor.lay(
        [
            *answered("edit", "look"),
            e.WaitOpened(WAIT, "approval", "root", call=tool_call("edit")),
            e.WaitOpened(WaitId("other"), "approval", "root", call=tool_call("look")),
        ]
    )
    async with open_world(floor, script=script, tools=[looking()]) as world:
        await world.recovery.settle()
        await world.service.waits.answer(ME, "other", confirmation="approve")
        await world.ended(log)
        assert [fact.wait for fact in await world.facts(log, e.WaitVoided)] == [WAIT]


async def test_a_durable_question_waits_on_and_its_call_is_not_lost(each_floor: Floor) -> None:
    async def work(_: dict[str, Any], use: Use) -> str:
        return f"{(await use.ask(Ask('Who?'))).content} at try {use.attempt}"

    tool = FakeTool("who", work)
    question = e.WaitOpened(WAIT, "question", "root", call=tool_call("who"), message="Who?")
    log = await each_floor.lay([*answered("who"), called("who", "once"), question])
    async with open_world(each_floor, script=script, tools=[tool]) as world:
        await world.recovery.settle()
        await world.service.waits.answer(ME, WAIT, action="accept", content={"name": "ada"})
        await world.ended(log)
        assert not await world.facts(log, e.CallLost)
        assert (await world.talk(log))[2] == ("tool", "{'name': 'ada'} at try 1")


async def test_an_answer_that_was_not_acted_on_is(each_floor: Floor) -> None:
    tool = FakeTool("edit", read_only=False)
    before = [
        *answered("edit"),
        e.WaitOpened(WAIT, "approval", "root", call=tool_call("edit")),
        e.WaitAnswered(WAIT, e.Answer("approve", "approve")),
    ]
    facts, _, _ = await recovered(each_floor, before, tool)
    assert kinds(facts)[:3] == ["TurnResumed", "ToolCalled", "ToolReturned"]
    assert "WaitOpened" not in kinds(facts)
    assert tool.runs == [("call_edit", 1)]


async def test_the_question_of_a_server_that_died_is_voided_and_its_call_lost(each_floor: Floor) -> None:
    tool = FakeTool("mcp", effect="once")
    question = e.WaitOpened(WAIT, "question", "root", call=tool_call("mcp"), durable=False)
    facts, talk, _ = await recovered(each_floor, [*answered("mcp"), called("mcp", "once"), question], tool)
    assert kinds(facts)[:3] == ["WaitVoided", "CallLost", "TurnResumed"]
    assert (tool.runs, "not known" in talk[2][1]) == ([], True)


async def test_a_call_with_one_answer_and_a_dead_question_is_lost_too(floor: Floor) -> None:
    tool = FakeTool("mcp", effect="once")
    before = [
        *answered("mcp"),
        called("mcp", "once"),
        e.WaitOpened(WAIT, "question", "root", call=tool_call("mcp")),
        e.WaitAnswered(WAIT, e.Answer("accept")),
        e.WaitOpened(WaitId("dead"), "question", "root", call=tool_call("mcp"), durable=False),
    ]
    facts, _, _ = await recovered(floor, before, tool)
    assert "CallLost" in kinds(facts)
    assert tool.runs == []


async def test_what_was_canceled_ends_canceled_and_keeps_what_was_said(each_floor: Floor) -> None:
    before = [*started(), ASKED, e.TextAdded(ONE, "half a "), e.TextAdded(ONE, "word"), e.CancelAsked(TURN)]
    facts, talk, _ = await recovered(each_floor, before)
    assert kinds(facts) == ["MessageAdded", "TurnEnded"]
    assert (facts[0].partial, facts[1].outcome) == (True, "canceled")
    assert talk == [("user", "go"), ("assistant", "half a word")]


async def test_what_was_canceled_in_a_tool_ends_canceled(each_floor: Floor) -> None:
    facts, talk, world = await recovered(each_floor, [*answered("pay"), called("pay"), e.CancelAsked(TURN)])
    assert kinds(facts) == ["ToolReturned", "MessageAdded", "TurnEnded"]
    assert talk[-1] == ("tool", "The tool call was canceled by the user.")
    assert world.makers.toolsets.ended == ["call_pay"]


async def test_what_was_deleted_exits(each_floor: Floor) -> None:
    log = await each_floor.lay([*started(), ASKED, e.DeleteAsked()])
    async with open_world(each_floor) as world:
        await world.recovery.settle()
        assert kinds(await world.facts(log))[-3:] == ["AnswerDropped", "TurnEnded", "SessionExited"]


async def test_a_limit_that_waits_survives(each_floor: Floor) -> None:
    before = [*started(), e.WaitOpened(WAIT, "limit", "root", max_iterations=1)]
    before[1] = e.TurnOpened(TURN, "crew", "root", "/work", max_iterations=1)
    before[-1:] = [ASKED, e.MessageAdded(Message("assistant", "", calls=(tool_call("look"),)), answer=ONE)]
    before += [called("look"), *returned("look"), e.MessageAdded(call=CallId("call_look"))]
    before += [e.WaitOpened(WAIT, "limit", "root", max_iterations=1)]
    log = await each_floor.lay(before)
    async with open_world(each_floor, script=script) as world:
        await world.recovery.settle()
        await world.service.waits.resume(ME, log, confirmation="approve")
        await world.ended(log)
        assert (await world.talk(log))[-1] == ("assistant", "done")


# -- rules around the table ---------------------------------------------------------------------


async def test_three_crashes_without_progress_end_a_turn(each_floor: Floor) -> None:
    log = await each_floor.lay(started())
    never = anyio.Event()
    for _ in range(2):
        async with open_world(each_floor, script=lambda _: ["x", never]) as world:
            await world.recovery.settle()
            await world.recovery.resume()
            await world.until_fact(log, lambda fact: isinstance(fact, e.TextAdded))
            await world.until(log, lambda head: head.turn and head.turn.answer)
    async with open_world(each_floor) as world:
        await world.recovery.settle()
        facts = await world.facts(log)
        assert [fact.n for fact in facts if isinstance(fact, e.TurnResumed)] == [1, 2]
        assert kinds(facts)[-3:] == ["AnswerDropped", "ErrorMet", "TurnEnded"]
        assert facts[-1].outcome == "error"


async def test_progress_makes_crashes_count_anew(floor: Floor) -> None:
    before = [*answered("look"), e.TurnResumed(TURN, 1), e.TurnResumed(TURN, 2), called("look"), *returned("look")]
    facts, _, _ = await recovered(floor, before)
    assert [fact.n for fact in facts if isinstance(fact, e.TurnResumed)] == [1]
    assert facts[-1].outcome == "normal"


async def test_policy_fail_ends_what_was_cut_off_but_lets_waits_be(each_floor: Floor) -> None:
    facts, _, _ = await recovered(each_floor, [*answered("pay"), called("pay")], policy="fail")
    assert kinds(facts) == ["ToolReturned", "MessageAdded", "ErrorMet", "TurnEnded"]
    assert facts[-1].outcome == "error"
    waiting = [*answered("edit"), e.WaitOpened(WAIT, "approval", "root", call=tool_call("edit"))]
    log = await each_floor.lay(waiting)
    async with open_world(each_floor, policy="fail") as world:
        await world.recovery.settle()
        assert (await world.store.head(log)).waits


@pytest.mark.parametrize("action", ["accept", "decline"])
async def test_policy_ask_lets_a_person_decide(each_floor: Floor, action: str) -> None:
    log = await each_floor.lay(started())
    async with open_world(each_floor, policy="ask", script=lambda _: ["done"]) as world:
        await world.recovery.settle()
        await world.recovery.resume()
        assert not world.supervisor.playing(log)
        (record,) = await world.service.waits.open(ME)
        assert "Accept" in record.fact.message
        await world.service.waits.answer(ME, record.id, action=action)
        await world.ended(log)
        facts = (await world.facts(log))[len(started()) :]
        if action == "accept":
            assert kinds(facts)[:3] == ["WaitOpened", "WaitAnswered", "TurnResumed"]
            assert facts[-1].outcome == "normal"
        else:
            assert kinds(facts) == ["WaitOpened", "WaitAnswered", "TurnEnded"]
            assert facts[-1].outcome == "canceled"


async def test_policy_ask_asks_again_after_the_next_crash(floor: Floor) -> None:
    log = await floor.lay(started())
    never = anyio.Event()
    async with open_world(floor, policy="ask", script=lambda _: [never]) as world:
        await world.recovery.settle()
        (record,) = await world.service.waits.open(ME)
        await world.service.waits.answer(ME, record.id, action="accept")
        await world.until(log, lambda head: head.turn and head.turn.answer)
    async with open_world(floor, policy="ask") as world:
        await world.recovery.settle()
        assert [record.fact.kind for record in await world.service.waits.open(ME)] == ["question"]
        assert not world.supervisor.playing(log)


async def test_a_living_neighbours_turns_are_left_alone(each_floor: Floor) -> None:
    never = anyio.Event()
    async with open_world(each_floor, script=lambda _: ["x", never]) as neighbour, open_world(each_floor) as world:
        session = await neighbour.session()
        await neighbour.ask(session, "go")
        await neighbour.until_fact(session, e.TextAdded)
        assert await world.recovery.settle() == 0
        await neighbour.crash()
        assert await world.recovery.settle() == 1
        await world.recovery.resume()
        await world.ended(session)
        assert await world.talk(session) == [("user", "go"), ("assistant", "hello")]


async def test_one_that_can_not_be_settled_does_not_hold_up_the_others(floor: Floor) -> None:
    good, bad = await floor.lay(started()), await floor.lay([*answered("pay"), called("pay")])
    async with open_world(floor, script=lambda _: ["done"]) as world:

        async def broken(call: CallId) -> None:
            raise OSError("no such process table")

        world.makers.toolsets.end = broken
        await world.recovery.settle()
        await world.recovery.resume()
        await world.ended(good)
        assert (await world.store.head(bad)).turn is not None  # the next round tries again


async def test_a_resumed_turn_is_detached(floor: Floor) -> None:
    log = await floor.lay(started())
    never = anyio.Event()
    async with open_world(floor, script=lambda _: [never]) as world:
        await world.recovery.settle()
        head = await world.store.head(log)
        assert head.turn is not None
        assert head.turn.detached


async def test_many_are_settled_and_resumed(each_floor: Floor) -> None:
    logs = [await each_floor.lay(started()) for _ in range(40)]
    async with open_world(each_floor, script=lambda _: ["done"]) as world:
        assert await world.recovery.settle() == 40
        await world.recovery.resume()
        for log in logs:
            await world.ended(log)
        assert world.toolset.opened == 40


@pytest.mark.parametrize("policy", ["resume", "ask", "fail"])
def test_the_verdict_of_an_idle_session_is_nothing(policy: Policy) -> None:
    assert verdict(Head(id="s"), policy) == ("end", [])
    canceled = Head(id="s", turn=Turn(TURN, 1, "crew", "root", "/", canceled=True))
    assert verdict(canceled, policy) == ("end", [])


# -- every place between ------------------------------------------------------------------------


def story() -> tuple[Callable[[ModelRequest], Sequence[Step]], list[FakeTool]]:
    """A turn with everything in it: three calls of all effects, an approval, a question, and a last word."""

    def tell(request: ModelRequest) -> Sequence[Step]:
        results = [m for m in request.messages if m.role == "tool"]
        if not results:
            return ["I'll ", "look.", call("look"), call("pay", index=1), call("edit", index=2)]
        return [call("who")] if len(results) == 3 else ["All ", "done."]

    async def work(_: dict[str, Any], use: Use) -> str:
        return f"it was {(await use.ask(Ask('Who?'))).action}"

    who = FakeTool("who", work, effect="safe")
    return tell, [
        FakeTool("look", effect="safe"),
        FakeTool("pay"),
        FakeTool("edit", effect="ask", read_only=False),
        who,
    ]


async def see_through(world: World, session: str) -> None:
    """Answer all that waits, until the turn has ended."""
    with anyio.fail_after(20):
        while (await world.until(session, lambda head: head.turn is None or head.waits)).turn is not None:
            for record in await world.service.waits.open(ME):
                how = {"action": "accept"} if record.fact.kind == "question" else {"confirmation": "approve"}
                await world.service.waits.answer(ME, record.id, **how)
    await world.still(session)


async def test_a_kill_after_any_fact_leads_to_the_same_end(floor: Floor) -> None:
    tell, tools = story()
    async with open_world(floor, script=tell, tools=tools) as world:
        session = await world.session()
        await world.ask(session, "go")
        await see_through(world, session)
        whole, told = await world.facts(session), await world.talk(session)
    assert [role for role, _ in told] == ["user", "assistant", *["tool"] * 3, "assistant", "tool", "assistant"]
    cuts = [n for n in range(3, len(whole)) if fold_of(whole[:n]).turn is not None]
    assert len(cuts) > 30
    for n in cuts:
        await check_cut(Floor("memory", floor.path), whole, n, told)


def fold_of(facts: Sequence[e.Fact]) -> Head:
    return fold(e.Event(LogId("x"), n, 0, fact) for n, fact in enumerate(facts, 1))


async def check_cut(floor: Floor, whole: Sequence[e.Fact], n: int, told: list[tuple[str, str]]) -> None:
    """A server that dies after n facts: the next one comes to the same end, and runs nothing twice that must not."""
    log = await floor.lay(whole[:n])
    finished = {fact.call.id for fact in whole[:n] if isinstance(fact, e.ToolReturned)}
    begun = {fact.call.id for fact in whole[:n] if isinstance(fact, e.ToolCalled)}
    tell, tools = story()
    async with open_world(floor, script=tell, tools=tools) as world:
        await world.recovery.settle()
        await world.recovery.resume()
        await see_through(world, log)
        facts, talk = await world.facts(log), await world.talk(log)
    note = f"cut after {n}: {e.kind(whole[n - 1])}"
    assert facts[-1] == e.TurnEnded(facts[-1].turn, "normal", "root"), note
    ran = {tool.name: [run for run, _ in tool.runs] for tool in tools}
    assert not finished & {run for runs in ran.values() for run in runs}, note
    assert all(len(runs) <= 1 for name, runs in ran.items() if name != "who"), note
    lost = "call_pay" in begun - finished
    assert (ran["pay"] == []) == (lost or "call_pay" in finished), note
    assert [role for role, _ in talk] == [role for role, _ in told], note
    expected = [text for _, text in told]
    if lost:
        expected[3] = talk[3][1]
        assert "not known" in expected[3], note
    assert [text for _, text in talk] == expected, note
    assert sum(isinstance(fact, e.TurnStarted) for fact in facts) == 1, note


@pytest.mark.parametrize("policy", ["resume", "ask", "fail"])
def test_an_interactive_session_that_waits_for_a_message_waits_on(policy: Policy) -> None:
    said = e.MessageAdded(Message("assistant", "hello"), answer=ONE, agent="root")
    facts = [*opened(interactive=True), ASKED, said, *[e.TurnResumed(TURN, n) for n in range(1, 9)]]
    head = fold([e.Event(LogId("s"), seq, Micros(seq), fact) for seq, fact in enumerate(facts, 1)])
    assert verdict(head, policy) == ("resume", [])
