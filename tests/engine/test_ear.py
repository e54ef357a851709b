"""Turns that wait for a person: going to sleep, and being woken."""

from typing import Any

import anyio
import pytest

from engine.fakes import ME, PHONE, FakeTool, Floor, World, answers, open_world
from roost.core import events as e
from roost.core.ids import LogId
from roost.engine.ear import PARK_AFTER
from roost.ports import Ask, Condition, Use
from roost.testing.fakes import call

pytestmark = pytest.mark.anyio


async def asleep(world: World, session: str) -> None:
    """Let the time pass after which nobody is expected any more, and wait until the turn sleeps."""
    with anyio.fail_after(20):
        while world.supervisor.playing(LogId(session)):
            world.clock.wind(PARK_AFTER / 4)
            await anyio.sleep(0)


def editing() -> FakeTool:
    return FakeTool("edit", read_only=False)


async def test_a_turn_that_nobody_follows_goes_to_sleep_and_an_answer_wakes_it(each_floor: Floor) -> None:
    tool = editing()
    async with open_world(each_floor, script=answers([call("edit")], ["done"]), tools=[tool]) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.waiting(session)
        await asleep(world, session)
        assert (world.toolset.opened, world.toolset.closed) == (1, 1)
        assert not world.supervisor.lives()
        assert len(await world.service.waits.open(ME)) == 1
        await world.service.waits.resume(PHONE, session, confirmation="approve")
        await world.ended(session)
        assert (tool.runs, world.toolset.opened) == ([("call_edit", 1)], 2)
        assert len(await world.facts(session, e.TurnStarted)) == 1
        assert not await world.facts(session, e.TurnResumed)  # it did not lose its server


async def test_a_cancel_wakes_it_to_end(each_floor: Floor) -> None:
    async with open_world(each_floor, script=answers([call("edit")]), tools=[editing()]) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.waiting(session)
        await asleep(world, session)
        await world.service.turns.cancel(ME, session)
        await world.ended(session)
        assert (await world.facts(session))[-1].outcome == "canceled"
        assert world.toolset.opened == 1  # to end a turn takes no runtime


async def test_it_stays_awake_while_somebody_follows(floor: Floor) -> None:
    async with open_world(floor, script=answers([call("edit")]), tools=[editing()]) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.waiting(session)
        with world.hub.watch(LogId(session), "somebody"):
            for _ in range(20):
                await world.clock.until_asleep()
                world.clock.wind(PARK_AFTER)
                await anyio.sleep(0)
            assert world.supervisor.playing(LogId(session))
        await asleep(world, session)


async def test_it_stays_awake_while_a_background_job_lives(floor: Floor) -> None:
    async with open_world(floor, script=answers([call("edit")]), tools=[editing()]) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.waiting(session)
        world.toolset.busy = True
        for _ in range(20):
            await world.clock.until_asleep()
            world.clock.wind(PARK_AFTER)
            await anyio.sleep(0)
        assert world.supervisor.playing(LogId(session))
        world.toolset.busy = False
        await asleep(world, session)


async def test_a_question_that_dies_with_its_tool_keeps_the_turn_awake(floor: Floor) -> None:
    async def work(_: dict[str, Any], use: Use) -> str:
        return (await use.ask(Ask("Who?", durable=False))).action

    async with open_world(floor, script=answers([call("mcp")], ["done"]), tools=[FakeTool("mcp", work)]) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.waiting(session)
        for _ in range(20):
            await world.clock.until_asleep()
            world.clock.wind(PARK_AFTER)
            await anyio.sleep(0)
        assert world.supervisor.playing(LogId(session))
        await world.service.waits.elicit(ME, session, action="cancel", content=None)
        assert (await world.ended(session)).messages == 4


async def test_a_tool_that_asked_runs_again_with_the_answer_it_was_given(each_floor: Floor) -> None:
    async def work(_: dict[str, Any], use: Use) -> str:
        first, second = await use.ask(Ask("First?")), await use.ask(Ask("Second?"))
        return f"{first.content} {second.content}"

    tool = FakeTool("form", work)
    async with open_world(each_floor, script=answers([call("form")], ["done"]), tools=[tool]) as world:
        session = await world.session()
        await world.ask(session, "go")
        first = (await world.waiting(session)).waits[0].id
        await world.service.waits.elicit(ME, session, action="accept", content={"n": 1})
        await world.until(session, lambda head: head.waits and head.waits[0].id != first)
        await asleep(world, session)
        await world.service.waits.elicit(ME, session, action="accept", content={"n": 2})
        await world.ended(session)
        assert (await world.talk(session))[2] == ("tool", "{'n': 1} {'n': 2}")
        assert tool.runs == [("call_form", 1), ("call_form", 1)]
        assert len(await world.facts(session, e.WaitOpened)) == 2
        assert len(await world.facts(session, e.ToolCalled)) == 1


async def test_a_tool_that_catches_everything_still_goes_to_sleep(floor: Floor) -> None:
    async def work(_: dict[str, Any], use: Use) -> str:
        try:
            return (await use.ask(Ask("Who?"))).action
        except Exception as error:
            return f"caught {error!r}"

    async with open_world(floor, script=answers([call("form")], ["done"]), tools=[FakeTool("form", work)]) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.waiting(session)
        await asleep(world, session)
        await world.service.waits.elicit(ME, session, action="decline", content=None)
        await world.ended(session)
        assert (await world.talk(session))[2] == ("tool", "decline")


async def test_an_answer_that_comes_while_it_goes_to_sleep_is_not_lost(each_floor: Floor) -> None:
    """Answered between the decision to sleep and the release: `wake` finds it playing still, and must not matter."""
    async with open_world(each_floor, script=answers([call("edit")], ["done"]), tools=[editing()]) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.waiting(session)
        release = world.store.release

        async def late(log: LogId, *, epoch: Any) -> None:
            if not await world.facts(session, e.WaitAnswered):
                await world.service.waits.resume(ME, session, confirmation="approve")
            await release(log, epoch=epoch)

        world.store.release = late
        with anyio.fail_after(20):
            while (await world.store.head(LogId(session))).turn is not None:
                world.clock.wind(PARK_AFTER / 4)
                await anyio.sleep(0)
        assert (await world.talk(session))[-1] == ("assistant", "done")


async def test_two_answers_at_once_wake_it_once(each_floor: Floor) -> None:
    async def work(_: dict[str, Any], use: Use) -> str:
        return (await use.ask(Ask("Who?"))).action

    tools = [FakeTool("one", work), FakeTool("two", work)]
    script = answers([call("one"), call("two", index=1)], ["done"])
    async with open_world(each_floor, script=script, tools=tools) as world:
        session = await world.session()
        await world.ask(session, "go")
        head = await world.waiting(session, 2)
        await asleep(world, session)
        taken = 0
        take = world.store.take

        async def counted(log: LogId, facts: Any = (), *, only_if: Condition | None = None, force: bool = False) -> Any:
            nonlocal taken
            taken += 1
            return await take(log, facts, only_if=only_if, force=force)

        world.store.take = counted
        async with anyio.create_task_group() as tasks:
            for wait in head.waits:
                tasks.start_soon(lambda wait=wait: world.service.waits.answer(ME, wait.id, action="accept", content={}))
        await world.ended(session)
        assert taken == 1
        assert [text for role, text in await world.talk(session) if role == "tool"] == ["accept", "accept"]


async def test_recovery_leaves_a_turn_alone_that_was_woken_meanwhile(each_floor: Floor) -> None:
    gate = anyio.Event()

    async def work(_: dict[str, Any], use: Use) -> str:
        await gate.wait()
        return "edited"

    tool = FakeTool("edit", work, read_only=False)
    async with open_world(each_floor, script=answers([call("edit")], ["done"]), tools=[tool]) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.waiting(session)
        await asleep(world, session)
        adrift = world.store.adrift

        async def late() -> Any:
            found = await adrift()
            await world.service.waits.resume(ME, session, confirmation="approve")
            await world.until_fact(session, e.ToolCalled)
            return [await world.store.head(head.id) for head in found]

        world.store.adrift = late
        assert await world.recovery.settle() == 1
        gate.set()
        await world.ended(session)
        assert tool.runs == [("call_edit", 1)]
        assert not await world.facts(session, e.CallLost)
        assert (await world.facts(session))[-1].outcome == "normal"
