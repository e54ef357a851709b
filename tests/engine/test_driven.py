"""Turns of agent CLIs: a real process under a real keeper, and a server that may go at any moment."""

from pathlib import Path

import anyio
import pytest

from engine.clis import kinds, play, serving
from roost.core import events as e
from roost.core.ids import LogId, fresh
from roost.core.limits import Limits
from roost.core.messages import Message
from roost.core.orders import Order
from roost.engine.results import result
from roost.stores.memory import Shelf

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_turn_says_runs_and_ends(tmp_path: Path) -> None:
    async with serving(tmp_path, Shelf()) as server:
        log = await server.spawn("hello there")
        head = await server.ended(log)
        facts = await server.facts(log)
    assert head.outcome == "normal", head.error
    assert await result(server.store, head) is not None
    seen = kinds(facts)
    assert seen[:3] == ["SessionCreated", "TurnOpened", "MessageWritten"]
    assert seen.index("RunStarted") < seen.index("TextAdded") < seen.index("MessageAdded") < seen.index("RunEnded")
    assert seen[-1] == "TurnEnded"
    assert head.provider_session


async def test_tools_become_calls_and_returns(tmp_path: Path) -> None:
    async with serving(tmp_path, Shelf()) as server:
        log = await server.spawn(play({"tool": "Bash"}, {"tool_ok": "done"}, {"say": "finished"}))
        head = await server.ended(log)
        facts = await server.facts(log)
    called = [fact for fact in facts if isinstance(fact, e.ToolCalled)]
    returned = [fact for fact in facts if isinstance(fact, e.ToolReturned)]
    assert [c.call.id for c in called] == [r.call.id for r in returned] and len(called) == 1
    assert returned[0].result.output == "done"
    assert head.outcome == "normal" and await result(server.store, head) == "finished"


async def test_an_approval_is_a_wait_and_its_answer_lets_it_go_on(tmp_path: Path) -> None:
    async with serving(tmp_path, Shelf()) as server:
        log = await server.spawn(play({"ask": "Bash"}, {"say": "after"}))
        head = await server.until(log, lambda head: bool(head.waits))
        wait = head.waits[0]
        await server.store.put(log, [e.WaitAnswered(wait.id, e.Answer("approve", "approve"))])
        head = await server.ended(log)
        facts = await server.facts(log)
    assert head.outcome == "normal", head.error
    seen = kinds(facts)
    assert seen.index("WaitOpened") < seen.index("WaitAnswered") < seen.index("ToolCalled") < seen.index("ToolReturned")


async def test_a_rule_of_the_session_answers_without_a_person(tmp_path: Path) -> None:
    async with serving(tmp_path, Shelf()) as server:
        log = LogId(fresh())
        order = Order("mock", working_dir=str(server.work))
        allowed = e.Permissions(allow=("Bash",))
        template = e.Template(working_dir=str(server.work), permissions=allowed)
        await server.store.put(log, [e.SessionCreated(template, order=order)])
        await server.open(log, play({"ask": "Bash"}, {"say": "after"}))
        head = await server.ended(log)
        facts = await server.facts(log)
    assert head.outcome == "normal", head.error
    assert "WaitOpened" not in kinds(facts) and "ToolCalled" in kinds(facts)


async def test_a_cancel_ends_a_cli_that_ignores_signals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roost.engine.run.STOPS_IN", 0.2)
    async with serving(tmp_path, Shelf()) as server:
        log = await server.spawn(play({"say": "on it"}, hang=True, ignore_signals=True))
        head = await server.until(log, lambda head: bool(head.spoke))
        assert head.turn is not None
        await server.store.put(log, [e.CancelAsked(head.turn.id, "superseded")])
        head = await server.ended(log)
        facts = await server.facts(log)
    assert (head.outcome, head.error) == ("canceled", "cancelled: superseded")
    assert next(fact for fact in facts if isinstance(fact, e.RunEnded)).killed
    assert not list((tmp_path / "runs").iterdir())


async def test_a_message_that_comes_meanwhile_extends_the_turn(tmp_path: Path) -> None:
    async with serving(tmp_path, Shelf()) as server:
        log = await server.spawn(play({"sleep_s": 0.3}, {"say": "first"}))
        await server.until(log, lambda head: bool(head.turn and head.turn.run))
        await server.store.put(log, [e.MessageQueued("followup", (Message("user", "and more"),))])
        head = await server.ended(log)
        facts = await server.facts(log)
    assert head.outcome == "normal", head.error
    assert kinds(facts).count("TurnEnded") == 1 and kinds(facts).count("MessageTaken") == 1
    assert "and more" in (await result(server.store, head) or "")


async def test_an_interactive_session_takes_three_inputs_and_ends_when_it_is_cancelled(tmp_path: Path) -> None:
    async with serving(tmp_path, Shelf()) as server:
        log = await server.spawn("", interactive=True)
        for text in ("one", "two", "three"):
            rounds = (await server.store.head(log)).turn
            await server.store.put(log, [e.MessageQueued("followup", (Message("user", text),))])
            before = rounds.rounds if rounds else 0
            await server.until(log, lambda head, before=before: bool(head.turn and head.turn.rounds > before))  # type: ignore[misc]
        head = await server.store.head(log)
        assert head.turn is not None and head.turn.runs == 1
        await server.store.put(log, [e.CancelAsked(head.turn.id)])
        head = await server.ended(log)
        said = [f.message.content for f in await server.facts(log) if isinstance(f, e.MessageAdded) and f.message]
    assert [text for text in said if text] == [t for t in said if t][:3] and len([t for t in said if t]) == 3
    assert head.error == "cancelled: cancelled by user"


async def test_a_session_goes_on_with_the_clis_own_conversation(tmp_path: Path) -> None:
    async with serving(tmp_path, Shelf()) as server:
        log = await server.spawn("first")
        first = await server.ended(log)
        await server.open(log, "second")
        head = await server.ended(log)
        facts = await server.facts(log)
    runs = [fact for fact in facts if isinstance(fact, e.RunStarted)]
    assert [run.resumed for run in runs] == ["", first.provider_session]
    assert head.outcome == "normal"


async def test_a_dependency_is_awaited_and_its_failure_passed_on(tmp_path: Path) -> None:
    async with serving(tmp_path, Shelf()) as server:
        good = await server.spawn(play({"sleep_s": 0.2}, {"say": "the answer is 42"}))
        after = await server.spawn("what is it?", depends_on=(good,), inject_context=True)
        head = await server.ended(after)
        assert "the answer is 42" in (await result(server.store, head) or "")
        bad = await server.spawn(play(fail="broken"))
        never = await server.spawn("x", depends_on=(bad,))
        head = await server.ended(never)
        facts = await server.facts(never)
    assert head.error == f"dependency {bad} failed" and "RunStarted" not in kinds(facts)


async def test_a_deadline_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roost.engine.run.STOPS_IN", 0.2)
    async with serving(tmp_path, Shelf()) as server:
        log = await server.spawn(play(hang=True), timeout="300ms", time_limit=0.3)
        head = await server.ended(log)
    assert (head.outcome, head.error) == ("error", "Agent timed out after 300ms")


async def test_a_usage_limit_is_slept_through_also_over_a_restart(tmp_path: Path) -> None:
    shelf = Shelf()
    limits = Limits(fallback=1.0, jitter=0.0)
    async with serving(tmp_path, shelf, limits=limits) as server:
        log = await server.spawn(play(limit="You have hit your usage limit."))
        head = await server.until(log, lambda head: bool(head.turn and head.turn.limit))
        assert head.turn is not None and head.turn.run is None
    async with serving(tmp_path, shelf, limits=limits, name="two") as server:
        head = await server.ended(log)
        facts = await server.facts(log)
    assert head.outcome == "normal", head.error
    assert kinds(facts).count("LimitHit") == kinds(facts).count("LimitResumed") == 1
    assert kinds(facts).count("TurnEnded") == 1


async def test_a_restart_adopts_the_cli_and_neither_loses_nor_doubles_a_line(tmp_path: Path) -> None:
    shelf = Shelf()
    steps = [{"say": f"line {n}"} if n % 2 else {"sleep_s": 0.05} for n in range(40)]
    async with serving(tmp_path, shelf) as server:
        log = await server.spawn(play(*steps))
        await server.until(log, lambda head: head.turn is not None and head.turn.run is not None and head.spoke > 0)
    for name in ("two", "three", "four"):
        async with serving(tmp_path, shelf, name=name) as server:
            was = (await server.store.head(log)).spoke
            await server.until(log, lambda head, was=was: head.turn is None or head.spoke > was)  # type: ignore[misc]
    async with serving(tmp_path, shelf, name="last") as server:
        head = await server.ended(log)
        facts = await server.facts(log)
    said = [f.message.content for f in facts if isinstance(f, e.MessageAdded) and f.message]
    assert head.outcome == "normal", head.error
    assert kinds(facts).count("RunStarted") == 1
    assert [text for text in said if text] == [f"line {n}" for n in range(40) if n % 2]


async def test_an_approval_outlives_the_server(tmp_path: Path) -> None:
    shelf = Shelf()
    async with serving(tmp_path, shelf) as server:
        log = await server.spawn(play({"ask": "Bash"}, {"say": "after"}))
        head = await server.until(log, lambda head: bool(head.waits))
    async with serving(tmp_path, shelf, name="two") as server:
        await server.store.put(log, [e.WaitAnswered(head.waits[0].id, e.Answer("approve", "approve"))])
        head = await server.ended(log)
        facts = await server.facts(log)
    assert head.outcome == "normal", head.error
    assert kinds(facts).count("ToolCalled") == 1 == kinds(facts).count("WaitOpened")


async def test_a_cli_that_died_with_the_server_ends_as_failed(tmp_path: Path) -> None:
    shelf = Shelf()
    async with serving(tmp_path, shelf) as server:
        log = await server.spawn(play({"say": "on it"}, {"sleep_s": 0.2}, exit_code=3))
        await server.until(log, lambda head: bool(head.spoke))
    await anyio.sleep(0.5)
    async with serving(tmp_path, shelf, name="two") as server:
        head = await server.ended(log)
    assert head.outcome == "error" and head.error


async def test_a_cli_that_stays_after_the_end_of_its_input_is_seen_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roost.engine.run.LINGERS", 0.2)
    monkeypatch.setattr("roost.engine.run.STOPS_IN", 0.2)
    async with serving(tmp_path, Shelf()) as server:
        log = await server.spawn(play({"say": "done"}, linger=True))
        head = await server.ended(log)
    assert (head.outcome, head.error) == ("normal", "")
