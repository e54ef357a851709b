"""Messages that wait: which moment takes which, and that none is left behind."""

from typing import Any

import anyio
import pytest

from engine.fakes import ME, FakeTool, Floor, answers, make_team, open_world, said
from roost.core import events as e
from roost.core.agents import Agent
from roost.core.errors import BadValue, QueueFull, SessionNotRunning
from roost.core.ids import LogId
from roost.core.messages import Message
from roost.core.session import Head
from roost.ports import Condition, ModelRequest, Use
from roost.testing.fakes import call

pytestmark = pytest.mark.anyio


def user(text: str) -> list[Message]:
    return [Message("user", text)]


async def test_a_steer_enters_after_the_tools_and_before_the_next_request(each_floor: Floor) -> None:
    gate, started = anyio.Event(), anyio.Event()

    async def work(_: dict[str, Any], use: Use) -> str:
        started.set()
        await gate.wait()
        return "looked"

    script = answers([call("look")], ["done"])
    async with open_world(each_floor, script=script, tools=[FakeTool("look", work)]) as world:
        session = await world.session()
        await world.ask(session, "go")
        await started.wait()
        await world.service.queues.steer(ME, session, [Message("user", "left"), Message("user", "no, right")])
        gate.set()
        await world.ended(session)
        tail = [("tool", "looked"), ("user", "left"), ("user", "no, right")]
        assert said(world.provider.requests[1])[-3:] == tail
        taken = await world.facts(session, e.MessageTaken)
        assert [(fact.position, fact.queue) for fact in taken] == [(3, "steer"), (4, "steer")]
        assert (await world.store.head(LogId(session))).queue == ()


async def test_a_steer_at_the_end_keeps_the_turn_alive(each_floor: Floor) -> None:
    gate = anyio.Event()
    async with open_world(each_floor, script=answers(["one", gate], ["two"])) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.until_fact(session, e.TextAdded)
        await world.service.queues.steer(ME, session, user("wait"))
        gate.set()
        await world.ended(session)
        assert await world.talk(session) == [
            ("user", "go"),
            ("assistant", "one"),
            ("user", "wait"),
            ("assistant", "two"),
        ]
        assert len(await world.facts(session, e.TurnStarted)) == len(await world.facts(session, e.TurnEnded)) == 1


async def test_follow_ups_are_taken_one_at_a_time_after_the_steers(floor: Floor) -> None:
    gate = anyio.Event()
    async with open_world(floor, script=answers(["one", gate], ["two"], ["three"], ["four"])) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.until_fact(session, e.TextAdded)
        status = await world.service.queues.followup(ME, session, [Message("user", "F1"), Message("user", "F2")])
        assert status == "queued_streaming"
        await world.service.queues.steer(ME, session, user("S"))
        gate.set()
        await world.ended(session)
        assert [text for _, text in await world.talk(session)] == ["go", "one", "S", "two", "F1", "three", "F2", "four"]
        assert len(await world.facts(session, e.TurnEnded)) == 1


async def test_an_idle_session_keeps_its_messages_for_the_next_turn(each_floor: Floor) -> None:
    async with open_world(each_floor, script=answers(["one"], ["two"], ["three"])) as world:
        session = await world.session()
        await world.play(session, "go")
        assert await world.service.queues.followup(ME, session, user("later")) == "queued_idle"
        await world.service.queues.steer(ME, session, user("and mind this"))
        assert (await world.store.head(LogId(session))).turn is None  # nobody starts a turn
        await world.play(session, "again")
        assert said(world.provider.requests[1])[-2:] == [("user", "again"), ("user", "and mind this")]
        assert said(world.provider.requests[2])[-1] == ("user", "later")


async def test_messages_survive_the_server(each_floor: Floor) -> None:
    async with open_world(each_floor) as world:
        session = await world.session()
        await world.play(session, "go")
        await world.service.queues.followup(ME, session, user("later"), "key-1")
    async with open_world(each_floor) as world:
        assert await world.service.queues.followup(ME, session, user("later"), "key-1") == "duplicate"
        await world.play(session, "again")
        assert [text for role, text in await world.talk(session) if role == "user"] == ["go", "again", "later"]


async def test_a_message_that_comes_as_the_turn_ends_is_in_this_turn_or_waits(each_floor: Floor) -> None:
    """Posted in the very moment in which the end is committed: the end is refused, and the message taken."""
    async with open_world(each_floor, script=answers(["one"], ["two"])) as world:
        session = await world.session()
        append, posted = world.store.append, False

        async def late(log: LogId, facts: Any, *, epoch: Any, only_if: Condition | None = None) -> Any:
            nonlocal posted
            if isinstance(facts[-1], e.TurnEnded) and not posted:
                posted = True
                status = await world.service.queues.followup(ME, session, user("one more"))
                assert status == "queued_streaming"
            return await append(log, facts, epoch=epoch, only_if=only_if)

        world.store.append = late
        await world.play(session, "go")
        assert [text for _, text in await world.talk(session)] == ["go", "one", "one more", "two"]
        assert (await world.store.head(LogId(session))).queue == ()


async def test_a_cancel_drops_the_steers_and_keeps_the_follow_ups(floor: Floor) -> None:
    never = anyio.Event()
    async with open_world(floor, script=answers([never], ["one"], ["two"])) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.until_fact(session, e.ModelAsked)
        await world.service.queues.steer(ME, session, user("steer"))
        await world.service.queues.followup(ME, session, user("follow-up"))
        await world.service.turns.cancel(ME, session)
        head = await world.ended(session)
        assert [queued.queue for queued in head.queue] == ["followup"]
        await world.play(session, "again")
        assert [text for role, text in await world.talk(session) if role == "user"] == ["go", "again", "follow-up"]


async def test_full_queues_refuse_a_body_whole(floor: Floor) -> None:
    async with open_world(floor) as world:
        session = await world.session()
        await world.play(session, "go")
        await world.service.queues.steer(ME, session, user("x") * 4)
        with pytest.raises(QueueFull, match="steer queue full"):
            await world.service.queues.steer(ME, session, user("x") * 2)
        assert (await world.store.head(LogId(session))).depth("steer") == 4
        await world.service.queues.followup(ME, session, user("x") * 20)
        with pytest.raises(QueueFull, match="follow-up queue full"):
            await world.service.queues.followup(ME, session, user("x"), "key")
        await world.play(session, "again")
        assert await world.service.queues.followup(ME, session, user("x"), "key") == "queued_idle"  # the key was free


async def test_a_key_counts_once_whoever_comes_at_the_same_time(each_floor: Floor) -> None:
    found: list[str] = []
    async with open_world(each_floor) as world:
        session, other = await world.session(), await world.session()
        await world.play(session, "go")
        await world.play(other, "go")

        async def post(to: str) -> None:
            found.append(await world.service.queues.followup(ME, to, user("x"), "key"))

        async with anyio.create_task_group() as tasks:
            for to in (session, session, session, other):
                tasks.start_soon(post, to)
        assert sorted(found) == ["duplicate", "duplicate", "queued_idle", "queued_idle"]
        assert (await world.store.head(LogId(session))).depth("followup") == 1


async def test_a_session_that_never_ran_takes_no_messages(floor: Floor) -> None:
    async with open_world(floor) as world:
        session = await world.session()
        for name in (session, "nobody"):
            with pytest.raises(SessionNotRunning, match="failed to steer session: session not found or not running"):
                await world.service.queues.steer(ME, name, user("x"))
            with pytest.raises(SessionNotRunning, match="failed to enqueue follow-up: "):
                await world.service.queues.followup(ME, name, user("x"))
        with pytest.raises(BadValue, match="at least one message"):
            await world.service.queues.steer(ME, session, [])
        with pytest.raises(BadValue, match="framing"):
            await world.service.queues.steer(ME, session, user("x"), "loud")


async def test_a_queued_command_is_its_text_for_the_model(floor: Floor) -> None:
    agent = Agent("root", model="fake", commands=(e.Command("fix", instruction="Repair ${args[0]} please."),))
    async with open_world(floor, team=make_team(agent), env={"HOME": "/home/ada"}) as world:
        session = await world.session()
        await world.play(session, "/fix door")
        await world.service.queues.followup(ME, session, user("/fix window"))
        await world.play(session, "/unknown thing")
        texts = [text for role, text in await world.talk(session) if role == "user"]
        assert texts == ["Repair door please.", "/unknown thing", "Repair window please."]


async def test_the_request_is_made_of_what_the_log_has(floor: Floor) -> None:
    """Nothing is sent to a model that a restart would not find."""
    heads: list[Head] = []

    def script(request: ModelRequest) -> list[str]:
        heads.append(world.supervisor.lives()[0].stage.journal.head)
        return ["ok"]

    async with open_world(floor, script=script) as world:
        session = await world.session()
        await world.play(session, "one", "two")
        assert heads[0].messages == len(said(world.provider.requests[0])) == 2
