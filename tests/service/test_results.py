"""What sessions have come to: output, collect, wait, summary."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from roost.core import events as e
from roost.core.errors import BadValue, SessionNotFound, ShuttingDown, Unfinished
from roost.core.ids import AnswerId, CallId, TurnId
from roost.core.messages import Message, Result, ToolCall
from roost.core.orders import Order
from roost.core.usage import Usage
from roost.service.results import Ended
from roost.testing.clock import HandClock
from service.fleets import BOSS, HANG, FleetWorld, open_fleet, play, told

pytestmark = pytest.mark.anyio

TURN = TurnId("t")
OPENED = e.TurnOpened(TURN, "mock", "mock", "/srv", driver="mock")
GOOD = e.TurnEnded(TURN, "normal")
BAD = e.TurnEnded(TURN, "error", error="it broke")
ORDER = Order("mock", "hi", model="mock-small", name="indexer", tags=("nightly",))


def said(text: str) -> e.MessageAdded:
    return e.MessageAdded(Message("assistant", text), answer=AnswerId("a"))


# -- output and collect -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ([OPENED, said("one"), said("two"), GOOD], "two"),
        ([OPENED, said("one"), e.ResultSet("42"), said("two"), GOOD], "42"),
        ([OPENED, e.ResultSet("1"), e.ResultSet("2"), GOOD], "2"),
        ([OPENED, said("one"), e.ResultSet(""), GOOD], "one"),
        ([OPENED, said("one")], "one"),
        ([OPENED, said("one"), BAD], "one"),
    ],
)
async def test_the_result_is_what_was_set_else_the_newest_words(
    tmp_path: Path, facts: Sequence[e.Fact], text: str
) -> None:
    async with open_fleet(tmp_path, leave=True) as world:
        await world.lay(*facts, session="it-self", order=ORDER)
        assert await world.service.results.output(BOSS, "it-self") == text
        [collected] = await world.service.results.collect(BOSS, ["it-self"])
        assert collected.result == text


@pytest.mark.parametrize("facts", [[], [OPENED], [OPENED, BAD], [OPENED, said(" "), GOOD]])
async def test_no_result_is_an_error_and_no_empty_text(tmp_path: Path, facts: Sequence[e.Fact]) -> None:
    async with open_fleet(tmp_path, leave=True) as world:
        await world.lay(*facts, session="it-self", order=ORDER)
        with pytest.raises(Unfinished):
            await world.service.results.output(BOSS, "it-self")


async def test_collecting_never_waits_and_names_what_it_does_not_know(tmp_path: Path) -> None:
    async with open_fleet(tmp_path, leave=True) as world:
        await world.lay(OPENED, said("x"), session="still-runs", order=ORDER)
        await world.lay(OPENED, said("x"), GOOD, session="well-done", order=ORDER)
        await world.lay(OPENED, BAD, session="gone-bad")
        await world.lay(session="never-ran")
        await world.lay(e.ResultSet("42"), session="has-result")
        collect = world.service.results.collect
        names = ["gone-bad", "nobody", "never-ran", "has-result", "still-runs", "gone"]
        found = [(one.session, one.status.word, one.status.error) for one in await collect(BOSS, names, tag="NIGHTLY")]
        assert found == [
            ("gone-bad", "failed", "it broke"),
            ("nobody", "unknown", ""),
            ("never-ran", "unknown", ""),
            ("has-result", "completed", ""),
            ("still-runs", "running", ""),
            ("well-done", "completed", ""),
        ]
        with pytest.raises(BadValue):
            await collect(BOSS, [])
        with pytest.raises(SessionNotFound):
            await collect(BOSS, [], tag="nobody-has-it")
        with pytest.raises(BadValue):
            await collect(BOSS, ["../../etc"])
        others = await collect(world.account("ann"), ["well-done"])
        assert [(one.head, one.status.word) for one in others] == [(None, "unknown")]


# -- waiting ------------------------------------------------------------------------------------


async def test_waiting_for_all_goes_by_the_order_of_their_ends(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        slow = (await world.spawn(play({"sleep_s": 0.5}, {"say": "x"}))).head.id
        quick = (await world.spawn(play(fail="it broke"))).head.id
        found = await world.service.results.wait(BOSS, [slow, quick])
        assert found == [Ended(quick, False, "it broke"), Ended(slow, True)]
        again = await world.service.results.wait(BOSS, [slow, quick])  # both have ended long ago
        assert again == found


async def test_waiting_for_any_brings_one(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        never = (await world.spawn(HANG)).head.id
        quick = (await world.spawn("hi")).head.id
        assert await world.service.results.wait(BOSS, [never, quick], any=True) == [Ended(quick, True)]
        done = (await world.done("hi")).id
        assert len(await world.service.results.wait(BOSS, [never, quick, done], any=True)) == 1


async def test_a_timeout_is_no_error(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        never, done = (await world.spawn(HANG)).head.id, (await world.done("hi")).id
        found = await world.service.results.wait(BOSS, [never, done], timeout="1s")
        assert found == [Ended(done, True), Ended(never, False, "timeout")]
        assert await world.service.results.wait(BOSS, [never], timeout="1", any=True) == [
            Ended(never, False, "timeout")
        ]


async def test_d7_an_unknown_session_is_refused_at_once_and_for_the_whole_request(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        never = (await world.spawn(HANG)).head.id
        with anyio.fail_after(5):
            with pytest.raises(SessionNotFound):
                await world.service.results.wait(BOSS, [never, "nobody"])
            with pytest.raises(SessionNotFound):
                await world.service.results.wait(world.account("ann"), [never])
            for wrong in ("soon", "0", "5ms"):
                with pytest.raises(BadValue):
                    await world.service.results.wait(BOSS, [never], timeout=wrong)


async def test_d7_a_waiter_that_leaves_holds_nothing(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        never = (await world.spawn(HANG)).head.id
        await world.until_fact(never, e.MessageAdded)
        with anyio.move_on_after(0.2) as left:
            await world.service.results.wait(BOSS, [never])
        assert left.cancelled_caught
        head = await world.store.head(never)  # type: ignore[arg-type]
        assert head.turn is not None and not head.turn.canceled


async def test_d7_nobody_waits_past_the_servers_end(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        await world.lay(session="never-ran")
        async with anyio.create_task_group() as tasks:

            async def wait() -> None:
                with pytest.raises(ShuttingDown):
                    await world.service.results.wait(BOSS, ["never-ran"])

            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            world.hub.close()
        world.hub.closed = False


async def test_a_resumed_session_is_pending_until_its_new_end(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        session = (await world.done("hi")).id
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.service.inputs.send, BOSS, session, HANG)
            await world.until(session, lambda head: head.turns == 2)
            [late] = await world.service.results.wait(BOSS, [session], timeout="1s")
            assert late.error == "timeout"
            await world.service.fleet.cancel(BOSS, session)
        assert await world.service.results.wait(BOSS, [session]) == [
            Ended(session, False, "cancelled: cancelled by user")
        ]


async def test_whoever_waits_for_a_session_hears_of_its_deletion(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        await world.lay(session="never-ran")
        found: list[Any] = []
        async with anyio.create_task_group() as tasks:

            async def wait() -> None:
                found.extend(await world.service.results.wait(BOSS, ["never-ran"]))

            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            await world.service.fleet.delete(BOSS, "never-ran")
        assert found == [Ended("never-ran", False, "the session was deleted")]


# -- summaries ----------------------------------------------------------------------------------


def used(input: int, cost: float) -> e.UsageAdded:
    return e.UsageAdded(Usage(input, 3), "m", "mock", cost, 0, 0, 0)


def called(name: str, arguments: str, number: int) -> list[e.Fact]:
    call = ToolCall(CallId(f"c{number}"), name, arguments)
    return [
        e.ToolCalled(call, "once", "mock"),
        e.ToolReturned(call, Result("ok"), "mock"),
        e.MessageAdded(call=call.id, agent="mock"),
    ]


async def _summed(world: FleetWorld, clock: HandClock) -> None:
    await world.lay(session="it-self", order=ORDER)
    clock.wind(100)
    await world.store.put("it-self", [OPENED, told("hi"), said("let me see"), used(10, 0.25)])  # type: ignore[arg-type]
    clock.wind(41.5)
    calls = [
        *called("Bash", '{"command": "make"}', 1),
        *called("Read", '{"file_path": "/srv/read.py"}', 2),
        *called("Edit", '{"file_path": "/srv/a.py"}', 3),
        *called("Edit", '{"file_path": "/srv/a.py"}', 4),
        *called("Write", '{"path": "/srv/b.py"}', 5),
        *called("Write", "no json", 6),
    ]
    await world.store.put("it-self", [*calls, said("x" * 600), used(20, 0.5), GOOD])  # type: ignore[arg-type]


async def test_d26_a_summary_counts_what_was_written_and_not_what_was_read(tmp_path: Path) -> None:
    clock = HandClock()
    async with open_fleet(tmp_path, clock=clock) as world:
        await _summed(world, clock)
        [summary] = await world.service.results.summary(BOSS, ["it-self", "nobody"])
        assert summary.files == ("/srv/a.py", "/srv/b.py")
        assert summary.tools == {"Bash": 1, "Read": 1, "Edit": 2, "Write": 2}
        assert (summary.turns, summary.seconds, summary.status.word) == (2, 41.5, "completed")
        assert (summary.input_tokens, summary.output_tokens, summary.cost) == (30, 6, 0.75)
        assert summary.result == "x" * 500


async def test_a_summary_of_little_has_no_numbers(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        await world.lay(session="never-ran")
        [summary] = await world.service.results.summary(BOSS, ["never-ran"])
        assert (summary.seconds, summary.result, summary.cost, summary.input_tokens) == (None, None, None, None)
        assert (summary.turns, summary.files) == (0, ())


async def test_d3_the_whole_output_of_a_run(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        prompt = play(
            {"think": "hm"},
            {"tool": "Read", "input": {"file_path": "a"}},
            {"tool_ok": "text"},
            {"say": "done"},
            {"usage": {"input_tokens": 5, "output_tokens": 2, "cost": 0.5}},
        )
        head = await world.done(prompt, auto_approve=True)
        output = await world.service.results.whole(BOSS, head.id)
        assert (output.agent, output.result, output.is_error, output.exit_code) == ("mock", "done", False, 0)
        assert output.usage is not None and output.usage.input_tokens == 5
        tags = [event.__struct_config__.tag for event in output.events]
        assert tags[:2] == ["user_message", "init"]
        assert "tool_execution" in tags and tags[-2:] == ["turn_complete", "result"]
