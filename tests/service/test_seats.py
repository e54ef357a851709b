"""Sessions that are open at a terminal: what is sent to them is as good as typed."""

import anyio
import pytest

from engine.fakes import ME, PHONE, FakeTool, Floor, World, answers, make_team, open_world
from roost.core import events as e
from roost.core.agents import Agent, Team
from roost.core.errors import AgentNotFound, BadModel, BadValue, QueueFull, SessionNotFound, SessionNotRunning
from roost.core.messages import Message
from roost.core.principals import Principal
from roost.service.queues import FOLLOWUPS
from roost.testing.fakes import call

pytestmark = pytest.mark.anyio


async def attached(world: World, **how: str) -> str:
    """A new session that a terminal shows."""
    session = await world.session()
    await world.service.seats.attach(ME, session, "crew", **how)
    return session


async def send(world: World, session: str, *texts: str, key: str = "", who: Principal = PHONE) -> str:
    return await world.service.queues.followup(who, session, [Message("user", text) for text in texts], key)


async def test_it_answers_before_its_first_turn(each_floor: Floor) -> None:
    async with open_world(each_floor) as world:
        session = await world.session()
        turns, seats = world.service.turns, world.service.seats
        with pytest.raises(SessionNotRunning):
            await turns.ran(ME, session)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(seats.attach, ME, session, "crew")
            assert await turns.until_ran(ME, session, 5.0)
            assert await turns.until_any_ran(5.0)
        seat = seats.seat(session)
        assert seat is not None
        assert seat.first == "root"
        assert (await turns.models(ME, session)).agent == "root"


async def test_a_follow_up_starts_a_turn_when_none_runs(each_floor: Floor) -> None:
    async with open_world(each_floor, script=lambda _: ["ok"], titles=True) as world:
        session = await attached(world)
        assert await send(world, session, "hi") == "queued_streaming"
        head = await world.ended(session)
        assert head.turns == 1
        assert await world.talk(session) == [("user", "hi"), ("assistant", "ok")]
        [taken] = await world.facts(session, e.MessageTaken)
        assert taken.message.content == "hi"
        await world.until_fact(session, e.TitleSet)
        assert await send(world, session, "and now?") == "queued_streaming"
        await world.until(session, lambda head: head.turns == 2 and head.turn is None)
        assert [text for role, text in await world.talk(session) if role == "user"] == ["hi", "and now?"]


async def test_several_at_once_are_one_turn(floor: Floor) -> None:
    async with open_world(floor, script=lambda _: ["ok"]) as world:
        session = await attached(world)
        await send(world, session, "one", "two")
        head = await world.ended(session)
        assert head.turns == 1
        assert [text for role, text in await world.talk(session) if role == "user"] == ["one", "two"]


async def test_in_a_turn_it_waits_for_the_end_of_it(floor: Floor) -> None:
    gate = anyio.Event()
    async with open_world(floor, script=answers(["Hel", gate, "lo"], ["again"])) as world:
        session = await attached(world)
        await world.ask(session, "hi")
        await world.until_fact(session, e.TextAdded)
        assert await send(world, session, "more") == "queued_streaming"
        gate.set()
        head = await world.ended(session)
        assert head.turns == 1
        assert await world.talk(session) == [
            ("user", "hi"),
            ("assistant", "Hello"),
            ("user", "more"),
            ("assistant", "again"),
        ]


async def test_many_at_once_lose_none_and_double_none(each_floor: Floor) -> None:
    async with open_world(each_floor, script=lambda _: ["ok"]) as world:
        session = await attached(world)
        texts = [f"message {n}" for n in range(12)]
        async with anyio.create_task_group() as tasks:
            for text in texts:
                tasks.start_soon(send, world, session, text)
        await world.until(session, lambda head: head.turn is None and not head.queue)
        assert sorted(text for role, text in await world.talk(session) if role == "user") == sorted(texts)


async def test_a_key_that_is_known_sends_nothing(each_floor: Floor) -> None:
    async with open_world(each_floor, script=lambda _: ["ok"]) as world:
        session = await attached(world)
        assert await send(world, session, "hi", key="k") == "queued_streaming"
        await world.ended(session)
        assert await send(world, session, "hi", key="k") == "duplicate"
        assert (await world.ended(session)).turns == 1


async def test_what_fits_in_no_queue_is_refused(floor: Floor) -> None:
    async with open_world(floor) as world:
        session = await attached(world)
        with pytest.raises(QueueFull):
            await send(world, session, *["x"] * (FOLLOWUPS + 1))
        assert not await world.facts(session, e.TurnOpened, e.MessageQueued)


async def test_an_agent_that_cannot_be_played_takes_no_message(floor: Floor) -> None:
    async with open_world(floor) as world:
        session = await attached(world)
        world.makers.agents.one = make_team(Agent("root", model="bad"))
        with pytest.raises(BadModel):
            await send(world, session, "hi", key="k")
        world.makers.agents.one = make_team()
        assert await send(world, session, "hi", key="k") == "queued_streaming"  # the key is free still


async def test_the_agent_that_was_chosen_answers(floor: Floor) -> None:
    pair = Team("crew", "hash-1", (Agent("root", model="fake"), Agent("two", model="fake")))
    async with open_world(floor, team=pair) as world:
        session = await attached(world, agent="two")
        await send(world, session, "hi")
        await world.ended(session)
        [opened] = await world.facts(session, e.TurnOpened)
        assert (opened.agent, opened.detached) == ("two", True)
        with pytest.raises(AgentNotFound):
            await attached(world, agent="three")


async def test_nobody_sits_there_any_more(floor: Floor) -> None:
    async with open_world(floor, script=lambda _: ["ok"]) as world:
        session = await attached(world)
        await send(world, session, "hi")
        await world.ended(session)
        world.service.seats.detach(session)
        assert await send(world, session, "later") == "queued_idle"
        assert (await world.ended(session)).turns == 1


async def test_a_deleted_session_takes_nothing(floor: Floor) -> None:
    async with open_world(floor) as world:
        session = await attached(world)
        await world.service.sessions.delete(ME, session)
        with pytest.raises(SessionNotRunning):
            await send(world, session, "hi")
        with pytest.raises(SessionNotFound):
            await world.service.seats.attach(ME, "nobody", "crew")


async def test_nothing_said_is_still_nothing_to_answer(floor: Floor) -> None:
    async with open_world(floor) as world:
        session = await attached(world)
        with pytest.raises(BadValue):
            await world.service.turns.run(ME, session, "crew", [])
        with pytest.raises(BadValue):
            await send(world, session)


async def test_a_crash_before_the_first_word_loses_nothing(each_floor: Floor) -> None:
    never = anyio.Event()
    async with open_world(each_floor, script=answers([never])) as world:
        session = await attached(world)
        await send(world, session, "hi")
        await world.until_fact(session, e.MessageTaken)
        await world.crash()
    async with open_world(each_floor, script=lambda _: ["ok"]) as world:
        await world.recovery.settle()
        await world.recovery.resume()
        await world.ended(session)
        assert await world.talk(session) == [("user", "hi"), ("assistant", "ok")]


async def test_what_another_client_approves_goes_on_here(floor: Floor) -> None:
    script = answers([call("look")], ["done"])
    async with open_world(floor, script=script, tools=[FakeTool("look", read_only=False)]) as world:
        session = await attached(world)
        await send(world, session, "go")
        head = await world.waiting(session)
        await world.service.waits.answer(PHONE, head.waits[0].id, confirmation="approve")
        await world.ended(session)
        assert (await world.talk(session))[-1] == ("assistant", "done")
