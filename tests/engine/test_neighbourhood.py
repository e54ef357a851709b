"""Servers with different agents on one database: each goes on with the turns of its own, and with no other."""

import anyio
import pytest

from engine.fakes import ME, FakeTool, Floor, open_world
from roost.core import events as e
from roost.core.ids import LogId, TurnId, WaitId
from roost.core.messages import Message
from roost.core.session import Head
from roost.engine.recovery import FORSAKEN, nobody

pytestmark = pytest.mark.anyio


def opened(source: str) -> list[e.Fact]:
    """A session in a turn of an agent file."""
    turn = e.TurnOpened(TurnId("turn"), source, "root", "/work")
    return [e.SessionCreated(e.Template()), turn, e.MessageWritten(Message("user", "go"))]


async def test_a_turn_whose_agent_is_elsewhere_is_left_alone(each_floor: Floor) -> None:
    ours, theirs = await each_floor.lay(opened("crew")), await each_floor.lay(opened("others"))
    async with open_world(each_floor, script=lambda _: ["ok"]) as world:
        before = await world.events(theirs)
        assert await world.recovery.settle() == 1
        await world.recovery.resume()
        await world.ended(ours)
        assert await world.events(theirs) == before
        assert (await world.store.head(theirs)).turn is not None


async def test_after_a_day_nobody_has_it(each_floor: Floor) -> None:
    theirs = await each_floor.lay(opened("others"))
    async with open_world(each_floor) as world:
        world.clock.wind(FORSAKEN / 1e6 + 1)
        assert await world.recovery.settle() == 1
        head = await world.ended(theirs)
        assert head.outcome == "error"
        [met] = await world.facts(theirs, e.ErrorMet)
        assert met.code == "agent_not_found"
        assert "'others'" in met.message


async def test_who_asks_for_its_end_gets_it(each_floor: Floor) -> None:
    theirs = await each_floor.lay(opened("others"))
    async with open_world(each_floor) as world:
        await world.service.turns.cancel(ME, theirs)
        assert (await world.ended(theirs)).outcome == "canceled"


async def test_an_answer_is_kept_for_the_server_that_has_the_agent(each_floor: Floor) -> None:
    wait = e.WaitOpened(WaitId("wait"), "limit", "root", max_iterations=1)
    theirs = await each_floor.lay([*opened("others"), wait])
    async with open_world(each_floor) as world:
        await world.service.waits.answer(ME, "wait", confirmation="approve")
        await anyio.wait_all_tasks_blocked()
        head = await world.store.head(theirs)
        assert head.turn is not None
        assert not head.waits
        assert not await world.facts(theirs, e.ErrorMet, e.TurnEnded)


async def test_who_is_there_for_one_turn_alone_adopts_none(floor: Floor) -> None:
    session = await floor.lay(opened("crew"))
    async with open_world(floor, script=lambda _: ["ok"]) as world:
        world.recovery.adopts = nobody
        assert await world.recovery.settle() == 0
        assert (await world.store.head(session)).turn is not None
        world.recovery.adopts = lambda head: head.id == session
        assert await world.recovery.settle() == 1
        await world.recovery.resume()
        await world.ended(session)


async def test_what_a_server_adopts_it_decides_by_the_turn(floor: Floor) -> None:
    tool = FakeTool("look")
    one, two = await floor.lay(opened("crew")), await floor.lay(opened("crew"))

    def first(head: Head) -> bool:
        return LogId(head.id) == one

    async with open_world(floor, script=lambda _: ["ok"], tools=[tool]) as world:
        world.recovery.adopts = first
        await world.recovery.settle()
        await world.recovery.resume()
        await world.ended(one)
        assert (await world.store.head(two)).turn is not None
