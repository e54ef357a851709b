"""Budgets over the real engine: who waits, who goes on, who stops, and what a crash leaves."""

import json
import random
from collections.abc import Iterable
from typing import Any

import anyio
import pytest

from engine.fakes import ME, FakeTool, Floor, World, kinds, make_team, open_world
from roost.core import budgets
from roost.core import events as e
from roost.core.agents import Agent, Team, ToolsetSpec
from roost.core.errors import AlreadyAnswered
from roost.core.ids import LogId, TurnId
from roost.core.messages import Message, Result
from roost.core.usage import Price, Usage
from roost.engine.warden import SETTLED
from roost.ports import Finished, ModelRequest, Task, TextPiece, Use
from roost.testing import fakes
from roost.testing.clock import PATIENCE

pytestmark = pytest.mark.anyio

TOOLS = (ToolsetSpec("fake"),)
COST = 0.05  # US dollars that the answers of `pricey` cost


def pricey(text: str = "ok") -> list[Any]:
    """An answer for 0.05 US dollars, at 10 US dollars for a million tokens of output."""
    return [text, Finished("stop", Usage(0, 5000))]


async def _give(arguments: dict[str, Any], use: Use) -> Result:
    return await use.delegate(Task(arguments["agent"], arguments["task"]))


def hand() -> FakeTool:
    return FakeTool("hand", _give, effect="safe")


def speaker(request: ModelRequest) -> str:
    return request.messages[0].content.removeprefix("I am ").removesuffix(".")


def fan_out(count: int, worker: Any) -> Any:
    """The root hands out so many tasks at once; `worker` says what each of the workers answers."""

    def script(request: ModelRequest) -> Iterable[Any]:
        if speaker(request) == "worker":
            return worker()
        if request.messages[-1].role == "tool":
            results = [message.content for message in request.messages if message.role == "tool"]
            return [f"{len(results)} results, {sum('used up' in text for text in results)} stopped"]
        hands = [
            fakes.call("hand", json.dumps({"agent": "worker", "task": str(n)}), index=n, id=f"call_{n}")
            for n in range(count)
        ]
        return [*hands, Finished("tool_calls", Usage(0, 100))]

    return script


def crew(*, own: dict[str, Any] | None = None, **changes: Any) -> Team:
    agents = tuple(
        Agent(name, model="fake", instruction=f"I am {name}.", toolsets=TOOLS, **(own or {}).get(name, {}))
        for name in ("root", "worker")
    )
    return Team("crew", "hash-1", agents, **changes)


async def budget_waits(world: World) -> list[Any]:
    return [record for record in await world.service.waits.open(ME) if record.fact.kind == "budget"]


async def test_64_tasks_in_parallel_pass_a_budget_by_one_request_at_most(floor: Floor) -> None:
    dice = random.Random(7)
    going = most = 0

    def worker() -> Iterable[Any]:
        return [TextPiece("w"), Finished("stop", Usage(0, dice.randrange(1_000, 10_000)))]

    crowd = fan_out(64, worker)
    async with open_world(floor, team=crew(), tools=[hand()], script=crowd) as world:
        world.provider.output_limit = 10_000  # 0.1 US dollars at most, and a little for the question
        stream = world.provider.stream

        async def counted(request: ModelRequest) -> Any:
            nonlocal going, most
            going += 1
            most = max(most, going)
            try:
                async for piece in stream(request):
                    yield piece
            finally:
                going -= 1

        world.provider.stream = counted  # type: ignore[method-assign]
        session = await world.session(tree_budget=e.Budget(max_cost=1.0))
        await world.ask(session, "go")
        head = await world.waiting(session)
        (wait,) = await budget_waits(world)
        assert 1.0 <= head.cost + head.below < 1.11
        assert 1 < most <= 11  # many at once, and no more than may be
        assert len(await world.facts(session, e.WaitOpened)) == 1
        assert wait.fact.metadata["limit"] == "cost"
        assert wait.fact.metadata["max"] == "1"
        assert wait.fact.metadata["config_path"] == "session.tree_budget"
        assert wait.session != session
        raises = 0
        while (await world.store.head(LogId(session))).turn is not None:
            await world.until(session, lambda head: head.waits or head.turn is None)
            for record in await budget_waits(world):
                spent = head.cost + head.below
                assert spent < float(record.fact.metadata["max"]) + 0.11
                raises += 1
                await world.service.waits.answer(ME, record.id, confirmation="approve")
                head = await world.until(session, lambda head, gone=record.id: all(w.id != gone for w in head.waits))
        raised = await world.facts(session, e.BudgetRaised)
        assert [fact.budget.max_cost for fact in raised] == [float(n) for n in range(2, raises + 2)]
        assert (await world.talk(session))[-1] == ("assistant", "64 results, 0 stopped")
        shown = (await world.facts(session, e.BudgetShown))[-1]
        head = await world.store.head(LogId(session))
        assert shown.budgets[0].cost == pytest.approx(head.cost + head.below)
        assert {portion.agent for portion in shown.budgets[0].portions} == {"root", "worker"}


async def test_a_stop_ends_all_that_stand_before_a_budget(floor: Floor) -> None:
    async with open_world(floor, team=crew(), tools=[hand()], script=fan_out(8, pricey)) as world:
        world.provider.output_limit = 5_000
        session = await world.session(tree_budget=e.Budget(max_cost=0.2))
        await world.ask(session, "go")
        await world.waiting(session)
        await world.service.waits.resume(ME, session, confirmation="reject")
        head = await world.ended(session)
        assert (head.outcome, head.waits) == ("error", ())
        assert "is used up: 0.201 US dollars of 0.2 US dollars are spent" in head.error
        met = await world.facts(session, e.ErrorMet)
        assert {fact.code for fact in met} == {"budget_exceeded"}
        assert len([fact for fact in met if fact.sub]) == 4
        returned = [fact.result for fact in await world.facts(session, e.ToolReturned)]
        assert sum("is used up" in result.output and result.is_error for result in returned) == 4
        assert len(await world.facts(session, e.WaitOpened)) == 1
        await world.ask(session, "and now?")  # another turn is another question
        await world.waiting(session)
        assert len(await world.facts(session, e.WaitOpened)) == 2


async def test_over_a_crash_the_question_stays_and_what_was_spent_is_known(each_floor: Floor) -> None:
    async with open_world(each_floor, script=lambda _: pricey()) as world:
        world.provider.output_limit = 5_000
        session = await world.session(budget=e.Budget(max_cost=0.1))
        await world.play(session, "one")
        await world.play(session, "two")
        await world.ask(session, "three")
        await world.waiting(session)
        await world.crash()
    async with open_world(each_floor, script=lambda _: pricey()) as world:
        world.provider.output_limit = 5_000
        await world.recovery.settle()
        await world.recovery.resume()
        (record,) = await budget_waits(world)
        assert not world.supervisor.playing(LogId(session))
        await world.service.waits.answer(ME, record.id, confirmation="approve", budget=e.Budget(max_cost=0.14))
        await world.service.waits.answer(ME, record.id, confirmation="approve", budget=e.Budget(max_cost=0.14))
        with pytest.raises(AlreadyAnswered):
            await world.service.waits.answer(ME, record.id, confirmation="approve")
        head = await world.ended(session)
        assert head.outcome == "normal"
        assert [budget.max_cost for budget in head.raised] == [0.14]
        await world.ask(session, "four")
        await world.waiting(session)
        (record,) = await budget_waits(world)
        assert record.fact.metadata["used"] == "0.15"
        assert record.fact.metadata["max"] == "0.14"
        await world.service.waits.answer(ME, record.id, confirmation="approve")
        head = await world.ended(session)
        assert [budget.max_cost for budget in head.raised] == [pytest.approx(0.24)]


async def test_an_answer_that_a_crash_cut_off_is_acted_on(floor: Floor) -> None:
    async with open_world(floor, script=lambda _: pricey()) as world:
        world.provider.output_limit = 5_000
        session = await world.session(budget=e.Budget(max_tokens=5_000))
        await world.play(session, "one")
        await world.ask(session, "two")
        await world.waiting(session)
        await world.crash()
    async with open_world(floor, script=lambda _: pricey()) as world:
        world.provider.output_limit = 5_000
        (record,) = await budget_waits(world)
        answered = e.WaitAnswered(record.id, e.Answer("approve", "approve"), "ada")
        await world.store.put(LogId(session), [answered])
        await world.recovery.settle()
        await world.recovery.resume()
        head = await world.ended(session)
        assert head.outcome == "normal"
        assert [budget.max_tokens for budget in head.raised] == [10_000]


async def test_a_budget_that_is_changed_meanwhile_lets_the_turn_go_on(floor: Floor) -> None:
    async with open_world(floor, script=lambda _: pricey()) as world:
        world.provider.output_limit = 5_000
        session = await world.session(tree_budget=e.Budget(max_cost=0.05))
        await world.play(session, "one")
        await world.ask(session, "two")
        await world.waiting(session)
        await world.service.sessions.set_budget(ME, session, {"tree_budget": e.Budget(max_cost=0.5)})
        head = await world.ended(session)
        assert head.outcome == "normal"
        (voided,) = await world.facts(session, e.WaitVoided)
        assert voided.why == SETTLED


async def test_time_is_the_sum_of_turns(floor: Floor) -> None:
    gate = anyio.Event()
    scripts = [["one", gate], ["two"], ["three"]]
    async with open_world(floor, script=fakes.answers(*scripts)) as world:
        session = await world.session(budget=e.Budget(max_time=60.0))
        await world.ask(session, "one")
        await world.until_fact(session, e.TextAdded)
        world.clock.wind(45.0)
        gate.set()
        await world.ended(session)
        world.clock.wind(3600.0)  # no turn runs
        await world.play(session, "two")
        shown = (await world.facts(session, e.BudgetShown))[-1]
        assert shown.budgets[0].seconds == pytest.approx(45.0)


async def test_when_the_time_is_over_a_person_is_asked(floor: Floor) -> None:
    async def slow(arguments: dict[str, Any], use: Use) -> str:
        world.clock.wind(61.0)
        return "done"

    script = fakes.answers([fakes.call("look")], ["done"])
    async with open_world(floor, script=script, tools=[FakeTool("look", slow)]) as world:
        session = await world.session(budget=e.Budget(max_time=60.0, max_cost=9.0))
        await world.ask(session, "go")
        await world.waiting(session)
        (record,) = await budget_waits(world)
        assert record.fact.metadata["limit"] == "time"
        assert "61.0 seconds of 60.0 seconds" in record.fact.message
        world.clock.wind(200.0)
        await world.service.waits.resume(ME, session, confirmation="approve")
        head = await world.ended(session)
        assert [(budget.max_time, budget.max_cost) for budget in head.raised] == [(300.0, 9.0)]


async def test_a_budget_of_the_file_holds_for_those_who_carry_it(floor: Floor) -> None:
    team = crew(own={"worker": {"budgets": ("small",)}}, budgets={"small": e.Budget("small", max_cost=0.1)})
    async with open_world(floor, team=team, tools=[hand()], script=fan_out(3, pricey)) as world:
        world.provider.output_limit = 5_000
        session = await world.session()
        await world.ask(session, "go")
        await world.waiting(session)
        (record,) = await budget_waits(world)
        assert record.fact.metadata["budget"] == "small"
        assert record.fact.metadata["config_path"] == "budgets.small"
        await world.service.waits.answer(ME, record.id, confirmation="reject")
        head = await world.ended(session)
        assert head.outcome == "normal"  # the root does not carry it
        assert (await world.talk(session))[-1] == ("assistant", "3 results, 1 stopped")
        shown = await world.facts(session, e.BudgetShown)
        assert {fact.agent for fact in shown} == {"worker"}
        assert shown[-1].budgets[0].portions == (e.Portion("worker", 0.1, 10_000),)


async def test_a_file_of_one_budget_counts_all_turns_of_the_session(floor: Floor) -> None:
    team = make_team(budgets={"": e.Budget("", max_tokens=9_000)})
    async with open_world(floor, team=team, script=lambda _: pricey()) as world:
        session = await world.session()
        await world.play(session, "one")
        await world.play(session, "two")
        await world.ask(session, "three")
        await world.waiting(session)
        (record,) = await budget_waits(world)
        shown = record.fact.metadata
        assert (shown["budget"], shown["config_path"], shown["used"]) == ("budget", "budget", "10000")


async def test_what_has_no_price_counts_by_its_tokens(floor: Floor) -> None:
    async with open_world(floor, script=lambda _: pricey()) as world:
        world.provider.price = None
        session = await world.session(budget=e.Budget(max_cost=0.01, max_tokens=9_000))
        await world.play(session, "one")
        await world.play(session, "two")
        shown = (await world.facts(session, e.BudgetShown))[-1].budgets[0]
        assert (shown.unpriced, shown.cost, shown.tokens) == (True, 0.0, 10_000)
        await world.ask(session, "three")
        await world.waiting(session)
        (record,) = await budget_waits(world)
        assert record.fact.metadata["limit"] == "tokens"


async def test_where_nobody_is_there_it_stops_at_once(floor: Floor) -> None:
    async with open_world(floor, script=lambda _: pricey()) as world:
        session = await world.session(budget=e.Budget(max_cost=0.05))
        await world.play(session, "one")
        opened = e.TurnOpened(TurnId("t2"), "crew", "root", str(floor.path), unattended=True)
        await world.supervisor.open(LogId(session), [opened, e.MessageWritten(Message("user", "two"))])
        await world.ended(session)
        facts = await world.facts(session)
        assert kinds(facts)[-2:] == ["ErrorMet", "TurnEnded"]
        assert facts[-2].code == "budget_exceeded"
        assert "WaitOpened" not in kinds(facts)


async def test_a_title_is_done_without_when_the_money_is_gone(floor: Floor) -> None:
    async with open_world(floor, script=lambda _: pricey(), titles=True) as world:
        session = await world.session(title="x", budget=e.Budget(max_cost=0.05))
        await world.play(session, "one")
        await world.service.sessions.set_title(ME, session, "")
        await world.ask(session, "two")
        await world.waiting(session)
        await world.service.waits.resume(ME, session, confirmation="reject")
        await world.ended(session)
        assert not [request for request in world.provider.requests if request.max_tokens == 20]


async def test_a_sleeping_question_is_answered(floor: Floor) -> None:
    async with open_world(floor, team=crew(), tools=[hand()], script=fan_out(4, pricey)) as world:
        world.provider.output_limit = 5_000
        session = await world.session(tree_budget=e.Budget(max_cost=0.1))
        await world.ask(session, "go")
        await world.waiting(session)
        with anyio.fail_after(PATIENCE):
            while world.supervisor.playing(LogId(session)):
                world.clock.wind(5.0)
                await anyio.sleep(0)
        head = await world.store.head(LogId(session))
        assert len(head.waits) == 1
        await world.service.waits.resume(ME, session, confirmation="approve", budget=e.Budget(max_cost=5.0))
        await world.ended(session)
        assert (await world.talk(session))[-1] == ("assistant", "4 results, 0 stopped")


async def test_a_cancel_while_it_waits_leaves_nothing(floor: Floor) -> None:
    async with open_world(floor, team=crew(), tools=[hand()], script=fan_out(4, pricey)) as world:
        world.provider.output_limit = 5_000
        session = await world.session(tree_budget=e.Budget(max_cost=0.1))
        await world.ask(session, "go")
        await world.waiting(session)
        await world.service.turns.cancel(ME, session)
        head = await world.ended(session)
        assert (head.outcome, head.waits, head.subs) == ("canceled", (), ())


async def test_a_spawned_session_shares_the_budget_of_its_tree(floor: Floor) -> None:
    async with open_world(floor, script=lambda _: pricey()) as world:
        world.provider.output_limit = 5_000
        root = await world.session(tree_budget=e.Budget(max_cost=0.15))
        child = LogId("child")
        await world.store.put(child, [e.SessionCreated(e.Template(), parent=root, root=root)])
        await world.play(root, "one")
        await world.play(child, "two")
        await world.play(child, "three")
        await world.ask(child, "four")
        await world.waiting(child)
        await world.ask(root, "five")
        await world.until(root, lambda head: head.turn is not None and head.turn.started)
        (record,) = await budget_waits(world)
        assert record.log == child
        await world.clock.until_asleep(5, 5)
        await world.service.waits.answer(ME, record.id, confirmation="approve")
        await world.ended(child)
        head = await world.ended(root)
        assert [budget.max_cost for budget in head.raised] == [0.3]
        assert len(await world.facts(root, e.WaitOpened)) == 0
        assert budgets.of_session(head)[0].caps.max_cost == 0.3


async def test_a_stop_in_one_session_goes_for_its_whole_tree(floor: Floor) -> None:
    async with open_world(floor, script=lambda _: pricey()) as world:
        world.provider.output_limit = 5_000
        root, child = await _family(world, e.Budget(max_cost=0.05))
        await world.play(root, "one")
        await world.ask(root, "two")
        await world.waiting(root)
        await world.ask(child, "three")
        await world.clock.until_asleep(5, 5)
        await world.until(child, lambda head: head.turn is not None and head.turn.started)
        await world.service.waits.resume(ME, root, confirmation="reject")
        heads = [await world.ended(root), await world.ended(child)]
        assert [head.outcome for head in heads] == ["error", "error"]
        assert not await budget_waits(world)


async def test_whoever_stands_beside_asks_when_the_one_that_asked_is_gone(floor: Floor) -> None:
    async with open_world(floor, script=lambda _: pricey()) as world:
        world.provider.output_limit = 5_000
        root, child = await _family(world, e.Budget(max_cost=0.05))
        await world.play(root, "one")
        await world.ask(child, "two")
        await world.waiting(child)
        await world.ask(root, "three")
        await world.until(root, lambda head: head.turn is not None and head.turn.started)
        await world.service.turns.cancel(ME, child)
        await world.ended(child)
        await world.waiting(root)
        (record,) = await budget_waits(world)
        assert record.log == root
        await world.service.waits.answer(ME, record.id, confirmation="approve")
        assert (await world.ended(root)).outcome == "normal"


async def _family(world: World, budget: e.Budget) -> tuple[str, LogId]:
    """A session with a budget for its tree, and one below it."""
    root, child = await world.session(tree_budget=budget), LogId("child")
    await world.store.put(child, [e.SessionCreated(e.Template(), parent=root, root=root)])  # type: ignore[arg-type]
    return root, child


async def test_after_a_crash_all_tasks_that_stood_before_it_go_on(each_floor: Floor) -> None:
    team, script = crew(), fan_out(8, pricey)
    async with open_world(each_floor, team=team, tools=[hand()], script=script) as world:
        world.provider.output_limit = 5_000
        session = await world.session(tree_budget=e.Budget(max_cost=0.1))
        await world.ask(session, "go")
        await world.waiting(session)
        await world.crash()
    async with open_world(each_floor, team=team, tools=[hand()], script=script) as world:
        world.provider.output_limit = 5_000
        await world.recovery.settle()
        await world.recovery.resume()
        (record,) = await budget_waits(world)
        assert record.session != session
        body = {"confirmation": "approve", "budget": e.Budget(max_cost=0.3)}
        await world.service.waits.answer(ME, record.id, **body)  # type: ignore[arg-type]
        await world.until(session, lambda head: any(w.id != record.id for w in head.waits))
        (record,) = await budget_waits(world)
        assert float(record.fact.metadata["used"]) < 0.36
        body = {"confirmation": "approve", "budget": e.Budget(max_cost=5.0)}
        await world.service.waits.answer(ME, record.id, **body)  # type: ignore[arg-type]
        await world.ended(session)
        assert (await world.talk(session))[-1] == ("assistant", "8 results, 0 stopped")
        assert len(await world.facts(session, e.WaitOpened)) == 2


async def test_a_price_that_makes_one_request_dearer_than_the_budget_lets_one_go_at_a_time(floor: Floor) -> None:
    going = most = 0

    async with open_world(floor, team=crew(), tools=[hand()], script=fan_out(4, pricey)) as world:
        world.provider.price = Price(1.0, 1000.0, 1.0, 1.0)
        stream = world.provider.stream

        async def counted(request: ModelRequest) -> Any:
            nonlocal going, most
            going += 1
            most = max(most, going)
            try:
                async for piece in stream(request):
                    yield piece
            finally:
                going -= 1

        world.provider.stream = counted  # type: ignore[method-assign]
        world.provider.output_limit = 100_000  # 100 US dollars
        session = await world.session(tree_budget=e.Budget(max_cost=50.0))
        await world.ask(session, "go")
        await world.ended(session)
        assert most == 1
        assert (await world.talk(session))[-1] == ("assistant", "4 results, 0 stopped")


async def test_what_tools_ask_of_models_is_counted_and_has_its_end(floor: Floor) -> None:
    asked: list[str] = []

    async def sample(arguments: dict[str, Any], use: Use) -> Result:
        request = ModelRequest((Message("user", "for a server"),), max_tokens=10)
        async with use.spending(world.provider, request) as count:
            asked.append("once more")
            count(Finished("stop", Usage(0, 5000)))
        return Result("sampled")

    def script(request: ModelRequest) -> Iterable[Any]:
        results = sum(m.role == "tool" for m in request.messages)
        return [fakes.call("sample", id=f"call_{results}")] if results < 9 else ["never"]

    async with open_world(floor, team=crew(), tools=[FakeTool("sample", sample)], script=script) as world:
        session = await world.session(budget=e.Budget(max_cost=0.12))
        await world.ask(session, "go")
        head = await world.waiting(session)
        assert asked == ["once more"] * 3  # twice 0.05, and one that was under way
        used = [fact for fact in await world.facts(session, e.UsageAdded) if fact.why == "tool"]
        assert [fact.cost for fact in used] == pytest.approx([COST] * 3)
        assert head.cost == pytest.approx(sum(fact.cost for fact in await world.facts(session, e.UsageAdded)))
        assert head.input_tokens < 1000  # the context is that of the conversation


async def test_without_money_a_tool_gets_no_answer(floor: Floor) -> None:
    async def sample(arguments: dict[str, Any], use: Use) -> Result:
        for _ in range(3):
            async with use.spending(world.provider, ModelRequest((Message("user", "x"),), max_tokens=10)) as count:
                count(Finished("stop", Usage(0, 5000)))
        return Result("sampled")

    script = fakes.answers([fakes.call("sample")], ["done"])
    async with open_world(floor, team=crew(), tools=[FakeTool("sample", sample)], script=script) as world:
        session = await world.session(budget=e.Budget(max_cost=0.06))
        await world.ask(session, "go")
        await world.waiting(session)
        (returned,) = await world.facts(session, e.ToolReturned)
        assert returned.result.is_error
        assert "0.06" in returned.result.output
