"""Budgets of agent CLIs, which spend by themselves: looked at before each run and each message."""

from pathlib import Path

import pytest

from engine.clis import Server, kinds, play, serving
from roost.core import events as e
from roost.core.ids import LogId, fresh
from roost.core.messages import Message
from roost.core.orders import Order
from roost.core.session import OpenWait
from roost.stores.memory import Shelf

pytestmark = pytest.mark.anyio

USAGE = {"input": 100, "output": 50, "cost": 0.05}
DEAR = play({"usage": USAGE}, {"say": "done"})


async def session(server: Server, **template: object) -> LogId:
    log = LogId(fresh())
    order = Order("mock", working_dir=str(server.work))
    born = e.SessionCreated(e.Template(working_dir=str(server.work), **template), order=order)  # type: ignore[arg-type]
    await server.store.put(log, [born])
    return log


async def asked(server: Server, log: LogId) -> OpenWait:
    head = await server.until(log, lambda head: any(wait.kind == "budget" for wait in head.waits))
    return head.waits[0]


async def answer(server: Server, log: LogId, wait: OpenWait, action: str) -> None:
    await server.store.put(log, [e.WaitAnswered(wait.id, e.Answer(action, action))])


async def test_a_run_waits_until_its_budget_is_raised_also_over_a_restart(tmp_path: Path) -> None:
    shelf = Shelf()
    async with serving(tmp_path, shelf) as server:
        log = await session(server, budget=e.Budget(max_cost=0.05))
        await server.open(log, DEAR)
        await server.ended(log)
        (shown,) = [fact for fact in await server.facts(log) if isinstance(fact, e.BudgetShown)]
        assert (shown.budgets[0].cost, shown.budgets[0].tokens) == (0.05, 150)
        await server.open(log, DEAR)
        await asked(server, log)
    async with serving(tmp_path, shelf, name="two") as server:
        wait = await asked(server, log)
        await answer(server, log, wait, "approve")
        head = await server.ended(log)
        facts = await server.facts(log)
    assert head.outcome == "normal", head.error
    assert [budget.max_cost for budget in head.raised] == [0.1]
    assert kinds(facts).count("WaitOpened") == 1
    assert kinds(facts).count("RunStarted") == 2


async def test_a_stop_ends_the_turn_before_its_run(tmp_path: Path) -> None:
    async with serving(tmp_path, Shelf()) as server:
        log = await session(server, tree_budget=e.Budget(max_tokens=150))
        await server.open(log, DEAR)
        await server.ended(log)
        await server.open(log, DEAR)
        await answer(server, log, await asked(server, log), "reject")
        head = await server.ended(log)
        facts = await server.facts(log)
    assert head.error == "the budget of the session's tree is used up: 150 tokens of 150 tokens are spent"
    assert kinds(facts).count("RunStarted") == 1


async def test_a_message_for_a_cli_without_money_waits(tmp_path: Path) -> None:
    async with serving(tmp_path, Shelf()) as server:
        log = await session(server, budget=e.Budget(max_cost=0.05))
        await server.open(log, DEAR, interactive=True)
        await server.until(log, lambda head: head.turn is not None and head.turn.rounds == 1)
        await server.store.put(log, [e.MessageQueued("followup", (Message("user", "go on"),))])
        wait = await asked(server, log)
        facts = kinds(await server.facts(log))
        assert facts.count("RunEnded") == 1  # it is not kept alive for nothing
        assert "MessageTaken" not in facts
        await answer(server, log, wait, "approve")
        head = await server.until(log, lambda head: head.turn is not None and head.turn.runs == 2 and not head.queue)
        assert head.turn is not None
        await server.store.put(log, [e.CancelAsked(head.turn.id)])
        await server.ended(log)


async def test_a_cli_that_tells_no_price_is_shown_so(tmp_path: Path) -> None:
    async with serving(tmp_path, Shelf()) as server:
        log = await session(server, budget=e.Budget(max_cost=0.05))
        await server.open(log, play({"usage": {"input": 10, "output": 5}}, {"say": "done"}))
        await server.ended(log)
        (shown,) = [fact for fact in await server.facts(log) if isinstance(fact, e.BudgetShown)]
        assert (shown.budgets[0].unpriced, shown.budgets[0].tokens) == (True, 15)
