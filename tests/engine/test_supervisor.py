"""Many sessions beside each other: a polite stop, a full disk, idle runtimes, and walls between them."""

from typing import Any

import anyio
import pytest

from engine.fakes import ME, FakeTool, Floor, World, answers, kinds, open_world
from roost.core import events as e
from roost.core.errors import NotOwner, SessionNotFound, ShuttingDown, StoreFull
from roost.core.ids import Epoch, LogId
from roost.core.messages import Message, Result
from roost.engine import supervisor as supervising
from roost.engine.house import GRACE, IDLE, House
from roost.ports import Use
from roost.testing.fakes import call

pytestmark = pytest.mark.anyio


# -- a polite stop ------------------------------------------------------------------------------


async def test_a_stop_drops_the_model_and_ends_nothing(each_floor: Floor) -> None:
    never = anyio.Event()
    async with open_world(each_floor, script=answers(["Hel", never])) as world:
        session = await world.session()
        await world.ask(session, "hi")
        await world.until_fact(session, e.TextAdded)
        await world.stop()
        assert (world.provider.dropped, world.toolset.closed) == (1, 1)
    async with open_world(each_floor, script=lambda _: ["Hello"]) as world:
        assert kinds(await world.facts(session))[-2:] == ["ModelAsked", "TextAdded"]
        assert await world.recovery.settle() == 1  # nobody owns it
        await world.recovery.resume()
        await world.ended(session)
        assert await world.talk(session) == [("user", "hi"), ("assistant", "Hello")]


async def test_a_stop_lets_tools_end_and_asks_nothing_after_them(each_floor: Floor) -> None:
    started, gate = anyio.Event(), anyio.Event()

    async def work(_: dict[str, Any], use: Use) -> str:
        started.set()
        await gate.wait()
        return "worked"

    script = answers([call("work")], ["never"])
    async with open_world(each_floor, script=script, tools=[FakeTool("work", work)]) as world:
        session = await world.session()
        await world.ask(session, "go")
        await started.wait()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.stop)
            while not world.supervisor.stopping:
                await anyio.sleep(0)
            gate.set()
        assert len(world.provider.requests) == 1
    async with open_world(each_floor, script=lambda _: ["done"]) as world:
        assert kinds(await world.facts(session))[-2:] == ["ToolReturned", "MessageAdded"]
        await world.recovery.settle()
        await world.recovery.resume()
        await world.ended(session)
        assert (await world.talk(session))[-2:] == [("tool", "worked"), ("assistant", "done")]


async def test_a_tool_that_takes_too_long_is_lost(each_floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "GRACE", 0.05)
    never = anyio.Event()

    async def work(_: dict[str, Any], use: Use) -> str:
        await never.wait()
        return "never"

    tool = FakeTool("work", work)
    async with open_world(each_floor, script=answers([call("work")]), tools=[tool]) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.until_fact(session, e.ToolCalled)
        await world.stop()
        assert tool.ended == ["call_work"]
    async with open_world(each_floor, script=lambda _: ["done"], tools=[FakeTool("work")]) as world:
        assert kinds(await world.facts(session))[-1] == "ToolCalled"
        await world.recovery.settle()
        await world.recovery.resume()
        await world.ended(session)
        assert "not known" in (await world.talk(session))[2][1]


async def test_a_stop_leaves_what_waits_waiting(each_floor: Floor) -> None:
    tool = FakeTool("edit", read_only=False)
    async with open_world(each_floor, script=answers([call("edit")]), tools=[tool]) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.waiting(session)
        await world.stop()
    async with open_world(each_floor, script=lambda _: ["done"], tools=[tool]) as world:
        await world.recovery.settle()
        await world.service.waits.resume(ME, session, confirmation="approve")
        await world.ended(session)
        assert tool.runs == [("call_edit", 1)]


async def test_a_client_that_a_stop_cuts_off_has_not_left(each_floor: Floor) -> None:
    never = anyio.Event()
    async with open_world(each_floor, script=answers(["Hel", never]), grace=0) as world:
        session = await world.session()
        run = await world.service.turns.run(ME, session, "crew", [_user("hi")])
        events = [ev async for batch in _reading(world, run) for ev in batch]
        await world.stop()
        assert kinds([event.fact for event in events])[-1] == "TextAdded"
    async with open_world(each_floor) as world:
        assert not await world.facts(session, e.CancelAsked)


async def test_a_server_that_stops_starts_nothing(floor: Floor) -> None:
    async with open_world(floor) as world:
        session = await world.session()
        world.supervisor.retire()
        with pytest.raises(ShuttingDown):
            await world.ask(session, "hi")
        assert kinds(await world.facts(session)) == ["SessionCreated"]


# -- a full disk --------------------------------------------------------------------------------


class Disk:
    """A store that can be full."""

    def __init__(self, world: World) -> None:
        self.full = False
        self._append, self._take = world.store.append, world.store.take
        self._probe = world.store.probe
        world.store.append = self.append
        world.store.take = self.take
        world.store.probe = self.probe

    def _check(self) -> None:
        if self.full:
            raise StoreFull("no room")

    async def append(self, *args: Any, **how: Any) -> Any:
        self._check()
        return await self._append(*args, **how)

    async def take(self, *args: Any, **how: Any) -> Any:
        self._check()
        return await self._take(*args, **how)

    async def probe(self) -> None:
        self._check()
        await self._probe()


async def test_a_turn_whose_end_can_not_be_written_is_settled_when_there_is_room(each_floor: Floor) -> None:
    gate = anyio.Event()
    async with open_world(each_floor, script=answers(["Hel", gate, "lo"], ["ok"])) as world:
        house, disk = House(world.makers, world.supervisor), Disk(world)
        session = await world.session()
        run = await world.service.turns.run(ME, session, "crew", [_user("hi")])
        failed: list[Exception] = []

        async def observe() -> None:
            try:
                async for _ in world.service.turns.observe(run, ME):
                    pass
            except StoreFull as error:
                failed.append(error)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(observe)
            await world.until_fact(session, e.TextAdded)
            disk.full = True
            gate.set()
        assert failed
        await world.still(session)
        await house.settle_owed()
        assert world.supervisor.owed
        disk.full = False
        await house.settle_owed()
        assert not world.supervisor.owed
        facts = await world.facts(session)
        assert kinds(facts)[-3:] == ["AnswerDropped", "ErrorMet", "TurnEnded"]
        assert facts[-2].code == "store_full"
        assert (await world.play(session, "again"))[-1].outcome == "normal"


async def test_a_tool_does_not_start_before_its_call_is_committed(floor: Floor) -> None:
    gate = anyio.Event()
    tool = FakeTool("pay")
    async with open_world(floor, script=answers([call("pay"), gate]), tools=[tool]) as world:
        disk = Disk(world)
        session = await world.session()
        await world.ask(session, "go")
        await world.until_fact(session, e.CallDrafted)
        append = world.store.append

        async def full_at_calls(log: LogId, facts: Any, **how: Any) -> Any:
            disk.full = disk.full or isinstance(facts[0], e.ToolCalled)
            return await append(log, facts, **how)

        world.store.append = full_at_calls
        gate.set()
        await world.still(session)
        assert list(world.supervisor.owed) == [session]
        assert tool.runs == []


# -- walls --------------------------------------------------------------------------------------


async def test_a_turn_that_lost_its_log_writes_nothing_more(each_floor: Floor) -> None:
    gate = anyio.Event()
    tool = FakeTool("pay")
    async with open_world(each_floor, script=answers([call("pay"), gate]), tools=[tool]) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.until_fact(session, e.CallDrafted)
        owned = await world.store.take(LogId(session), force=True)
        before = await world.facts(session)
        gate.set()
        await world.still(session)
        assert tool.runs == []
        assert await world.facts(session) == before
        await world.store.append(LogId(session), [e.Warned("mine")], epoch=owned.epoch)


async def test_errors_of_the_store_come_through_parallel_calls_as_they_are(floor: Floor) -> None:
    async def work(_: dict[str, Any], use: Use) -> Result:
        await world.store.take(LogId(session), force=True)
        return Result("done")

    script = answers([call("a"), call("b", index=1)])
    async with open_world(floor, script=script, tools=[FakeTool("a", work), FakeTool("b", work)]) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.still(session)
        assert not await world.facts(session, e.ErrorMet)
        assert not world.supervisor.owed
        with pytest.raises(NotOwner):
            await world.store.append(LogId(session), [e.Warned("late")], epoch=Epoch(1))


async def test_idle_runtimes_are_closed_unless_they_are_at_work(floor: Floor) -> None:
    async with open_world(floor) as world:
        house = House(world.makers, world.supervisor)
        session = await world.session()
        await world.play(session, "hi")
        world.clock.wind(IDLE - 1)
        await house.drop_idle()
        world.toolset.busy = True
        world.clock.wind(2)
        await house.drop_idle()
        assert world.toolset.closed == 0
        world.toolset.busy = False
        await house.drop_idle()
        assert (world.toolset.closed, list(world.supervisor.lives())) == (1, [])
        await world.play(session, "again")
        assert world.toolset.opened == 2


async def test_the_house_is_kept_round_after_round(floor: Floor) -> None:
    async with open_world(floor) as world:
        session = await world.session()
        await world.play(session, "hi")
        house = House(world.makers, world.supervisor)
        world.bulkhead.start(house.keep, name="housekeeping")
        for _ in range(3):
            await world.clock.until_asleep(2, 2)
            world.clock.wind(IDLE)
        with anyio.fail_after(5):
            while world.supervisor.lives():
                await anyio.sleep(0)


async def test_sessions_play_beside_each_other(each_floor: Floor) -> None:
    async with open_world(each_floor, script=lambda _: ["a", "b"]) as world:
        sessions = [await world.session() for _ in range(30)]
        for session in sessions:
            await world.ask(session, "hi")
        for session in sessions:
            await world.ended(session)
            assert await world.talk(session) == [("user", "hi"), ("assistant", "ab")]


def _user(text: str) -> Message:
    return Message("user", text)


async def _reading(world: World, run: Any) -> Any:
    async for batch in world.service.turns.observe(run, ME):
        yield batch
        if any(isinstance(event.fact, e.TextAdded) for event in batch):
            world.supervisor.retire()


async def test_a_fault_of_ours_ends_its_turn_and_says_so_to_the_readers(floor: Floor) -> None:
    async with open_world(floor, script=lambda _: ["ok"]) as world:
        house = House(world.makers, world.supervisor)
        session = await world.session()
        live_catch_up = world.store.messages

        async def broken(*_: Any, **__: Any) -> Any:
            raise ZeroDivisionError("a fault")

        world.store.messages = broken
        await world.ask(session, "hi")
        await world.still(session)
        world.store.messages = live_catch_up
        await house.settle_owed()
        (met,) = await world.facts(session, e.ErrorMet)
        assert (met.code, "fault" in met.message) == ("internal", False)
        assert (await world.play(session, "again"))[-1].outcome == "normal"


async def test_who_reads_a_deleted_session_has_time_to_learn_of_it(floor: Floor) -> None:
    async with open_world(floor) as world:
        house = House(world.makers, world.supervisor)
        session = await world.session()
        await world.service.sessions.delete(ME, session, wait=10)
        world.clock.wind(GRACE / 1e6 / 2)
        await house.sweep()
        assert (await world.store.head(LogId(session))).exited
        world.clock.wind(GRACE / 1e6)
        await house.sweep()
        with pytest.raises(SessionNotFound):
            await world.store.head(LogId(session))
