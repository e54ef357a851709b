"""Turns belong to the server: who may leave, who may come, and what a run is refused for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from engine.fakes import ME, PHONE, FakeModels, FakeTool, Floor, World, answers, kinds, make_team, open_world, said
from roost.core import events as e
from roost.core.agents import Agent, Team
from roost.core.errors import AgentNotFound, BadModel, BadValue, SessionBusy, SessionNotFound, SessionNotRunning
from roost.core.ids import LogId
from roost.core.messages import Message
from roost.core.principals import Principal
from roost.service.graces import Run
from roost.testing.fakes import call

pytestmark = pytest.mark.anyio

OTHER_TAB = Principal("ada", "laptop, another browser")


def user(text: str) -> list[Message]:
    return [Message("user", text)]


async def post(world: World, session: str, text: str = "hi", who: Principal = ME, **how: Any) -> Run:
    return await world.service.turns.run(who, session, "crew", user(text), **how)


async def leave_after(world: World, run: Run, kind: type, who: Principal = ME) -> None:
    """Observe a run until a fact of this kind has come, then hang up."""
    stream = world.service.turns.observe(run, who)
    async for batch in stream:
        if any(isinstance(event.fact, kind) for event in batch):
            break
    await stream.aclose()


@asynccontextmanager
async def following(world: World, session: str, who: Principal) -> AsyncIterator[None]:
    """While the block lasts, somebody follows the session."""
    async with anyio.create_task_group() as tasks:
        ready = anyio.Event()

        async def read() -> None:
            async for _ in world.service.turns.follow(who, session):
                ready.set()

        tasks.start_soon(read)
        await ready.wait()
        yield
        tasks.cancel_scope.cancel()


async def grace_over(world: World) -> None:
    await world.clock.until_asleep(9, 10)
    world.clock.wind(10)


# -- who leaves ---------------------------------------------------------------------------------


async def test_a_run_is_observed_to_its_end_and_no_further(each_floor: Floor) -> None:
    async with open_world(each_floor, script=lambda _: ["ok"]) as world:
        session = await world.session()
        await world.play(session, "one")
        run = await post(world, session, "two")
        facts = [ev.fact async for batch in world.service.turns.observe(run, ME) for ev in batch]
        assert kinds(facts)[0] == "TurnOpened"
        assert kinds(facts)[-1] == "TurnEnded"
        assert kinds(facts).count("TurnStarted") == 1
        assert world.clock.asleep == []  # nobody has left


async def test_a_client_that_leaves_cancels_its_turn_after_the_grace(each_floor: Floor) -> None:
    never = anyio.Event()
    async with open_world(each_floor, script=answers(["Hel", never])) as world:
        session = await world.session()
        await leave_after(world, await post(world, session), e.TextAdded)
        await world.clock.until_asleep(9, 10)
        world.clock.wind(9)
        assert not await world.facts(session, e.CancelAsked)
        world.clock.wind(1)
        await world.ended(session)
        assert await world.talk(session) == [("user", "hi"), ("assistant", "Hel")]
        assert (await world.facts(session))[-1].outcome == "canceled"


async def test_without_a_grace_it_is_cancelled_at_once(floor: Floor) -> None:
    never = anyio.Event()
    async with open_world(floor, script=answers(["Hel", never]), grace=0) as world:
        session = await world.session()
        await leave_after(world, await post(world, session), e.TextAdded)
        await world.ended(session)
        assert (await world.facts(session))[-1].outcome == "canceled"


@pytest.mark.parametrize("who", [PHONE, ME, Principal()])
async def test_somebody_who_turns_up_in_the_grace_keeps_it_alive(floor: Floor, who: Principal) -> None:
    gate = anyio.Event()
    async with open_world(floor, script=answers(["Hel", gate, "lo"])) as world:
        session = await world.session()
        await leave_after(world, await post(world, session), e.TextAdded)
        await world.clock.until_asleep(10, 10)
        world.clock.wind(1)
        async with following(world, session, who):
            await grace_over(world)
            await world.until_fact(session, e.TurnDetached)
        gate.set()
        await world.ended(session)
        assert (await world.facts(session))[-1].outcome == "normal"


async def test_somebody_else_who_followed_already_keeps_it_alive(floor: Floor) -> None:
    never = anyio.Event()
    async with open_world(floor, script=answers(["Hel", never])) as world:
        session = await world.session()
        run = await post(world, session)
        async with following(world, session, OTHER_TAB):
            await leave_after(world, run, e.TextAdded)
            await grace_over(world)
            await world.until_fact(session, e.TurnDetached)
        assert not await world.facts(session, e.CancelAsked)


async def test_a_stream_that_the_same_client_had_open_is_no_follower(floor: Floor) -> None:
    never = anyio.Event()
    async with open_world(floor, script=answers(["Hel", never])) as world:
        session = await world.session()
        run = await post(world, session)
        async with following(world, session, ME):
            world.clock.wind(1)
            await leave_after(world, run, e.TextAdded)
            await grace_over(world)
            await world.ended(session)
        assert (await world.facts(session))[-1].outcome == "canceled"


async def test_a_detached_turn_needs_nobody(floor: Floor) -> None:
    gate = anyio.Event()
    async with open_world(floor, script=answers(["Hel", gate, "lo"])) as world:
        session = await world.session()
        await leave_after(world, await post(world, session, detach=True), e.TextAdded)
        with pytest.raises(SessionBusy):
            await post(world, session, "again")  # nor is it in anybody's way
        gate.set()
        await world.ended(session)
        assert not await world.facts(session, e.CancelAsked)


@pytest.mark.parametrize("detach", [True, False], ids=["detached", "waiting"])
async def test_a_turn_that_stays_is_not_replaced_though_its_client_has_just_left(floor: Floor, detach: bool) -> None:
    """The next run comes before anybody has looked what the departure means."""
    tool = FakeTool("edit", read_only=False)
    async with open_world(floor, script=answers([call("edit")]), tools=[tool]) as world:
        session = await world.session()
        run = await post(world, session, detach=detach)
        world.bulkhead.start = lambda *_, name: None
        await leave_after(world, run, e.CallDrafted if detach else e.WaitOpened)
        with pytest.raises(SessionBusy):
            await post(world, session, "again")
        assert not await world.facts(session, e.CancelAsked)


async def test_a_turn_that_waits_for_a_person_becomes_detached_and_stays(each_floor: Floor) -> None:
    tool = FakeTool("edit", read_only=False)
    async with open_world(each_floor, script=answers([call("edit")], ["done"]), tools=[tool]) as world:
        session = await world.session()
        await leave_after(world, await post(world, session), e.WaitOpened)
        await world.until_fact(session, e.TurnDetached)
        world.clock.wind(60)
        with pytest.raises(SessionBusy):
            await post(world, session, "again")
        await world.service.waits.resume(PHONE, session, confirmation="approve")
        await world.ended(session)
        assert (await world.talk(session))[-1] == ("assistant", "done")


async def test_a_turn_that_begins_to_wait_in_the_grace_stays_too(floor: Floor) -> None:
    gate = anyio.Event()
    tool = FakeTool("edit", read_only=False)
    script = answers(["Hm", call("edit"), gate], ["done"])
    async with open_world(floor, script=script, tools=[tool]) as world:
        session = await world.session()
        await leave_after(world, await post(world, session), e.TextAdded)
        await world.clock.until_asleep(10, 10)
        gate.set()
        await world.waiting(session)
        world.clock.wind(10)
        await world.until_fact(session, e.TurnDetached)
        assert not await world.facts(session, e.CancelAsked)


async def test_a_run_posted_in_the_grace_takes_the_place_of_the_old_one(each_floor: Floor) -> None:
    never = anyio.Event()
    async with open_world(each_floor, script=answers(["Hel", never], ["new"])) as world:
        session = await world.session()
        run = await post(world, session)
        await leave_after(world, run, e.TextAdded)
        await post(world, session, "instead")
        await world.ended(session)
        assert [fact.outcome for fact in await world.facts(session, e.TurnEnded)] == ["canceled", "normal"]
        texts = [text for _, text in await world.talk(session)]
        assert texts == ["hi", "Hel", "instead", "new"]
        world.clock.wind(60)
        assert len(await world.facts(session, e.CancelAsked)) == 1


async def test_a_grace_that_ends_after_its_turn_touches_no_other(floor: Floor) -> None:
    gate, never = anyio.Event(), anyio.Event()
    async with open_world(floor, script=answers(["Hel", gate, "lo"], ["x", never])) as world:
        session = await world.session()
        await leave_after(world, await post(world, session), e.TextAdded)
        await world.clock.until_asleep(10, 10)
        gate.set()
        await world.ended(session)
        await world.ask(session, "next")
        await world.until(session, lambda head: head.turn and head.turn.answer)
        world.clock.wind(60)
        await anyio.wait_all_tasks_blocked()
        assert not await world.facts(session, e.CancelAsked)


# -- what is refused ----------------------------------------------------------------------------


async def test_nothing_is_stored_when_a_turn_can_not_be_opened(each_floor: Floor) -> None:
    never = anyio.Event()
    async with open_world(each_floor, script=answers([never])) as world:
        session, run = await world.session(), world.service.turns.run
        with pytest.raises(SessionNotFound):
            await run(ME, "nobody", "crew", user("hi"))
        with pytest.raises(AgentNotFound):
            await run(ME, session, "nobody", user("hi"))
        with pytest.raises(AgentNotFound):
            await run(ME, session, "crew", user("hi"), agent="nobody")
        with pytest.raises(BadModel):
            await run(ME, session, "crew", user("hi"), model="bad/one")
        with pytest.raises(BadValue):
            await run(ME, session, "crew", [])
        assert kinds(await world.facts(session)) == ["SessionCreated"]
        await world.ask(session, "hi")
        before = await world.until(session, lambda head: head.turn and head.turn.answer)
        with pytest.raises(SessionBusy):
            await run(ME, session, "crew", user("hi"))
        assert (await world.store.head(LogId(session))).last_seq == before.last_seq


async def test_an_agent_whose_model_can_not_be_used_is_refused_at_once(floor: Floor) -> None:
    team = make_team(Agent("root", model="bad/one"))
    async with open_world(floor, team=team) as world:
        session = await world.session()
        with pytest.raises(BadModel):
            await post(world, session)
        assert (await world.play(session, "hi", model="fake/one"))[-1].outcome == "normal"


async def test_all_keys_that_a_team_lacks_are_named_at_once(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    team = make_team(Agent("root", model="bad/one"))
    async with open_world(floor, team=team) as world:
        monkeypatch.setattr(FakeModels, "missing", lambda *_: ["ONE_KEY", "TWO_KEY"])
        session = await world.session()
        with pytest.raises(BadModel, match=r"no model 'bad/one'; other models of the team need ONE_KEY, TWO_KEY"):
            await post(world, session)


async def test_agents_that_it_works_with_need_their_models_too(floor: Floor) -> None:
    lead, coder = Agent("root", model="fake", sub_agents=("coder",)), Agent("coder", model="fake", handoffs=("tester",))
    team = Team("crew", "hash-1", (lead, coder, Agent("tester", model="bad/one"), Agent("other", model="bad/two")))
    async with open_world(floor, team=team) as world:
        session = await world.session()
        for how in ({}, {"model": "fake/one"}):
            with pytest.raises(BadModel, match=r"agent 'tester': no model 'bad/one'"):
                await post(world, session, **how)
        assert (await world.store.head(LogId(session))).turn is None


async def test_two_runs_at_once_are_one_turn(each_floor: Floor) -> None:
    found: list[str] = []
    async with open_world(each_floor) as world:
        session = await world.session()

        async def one(text: str) -> None:
            try:
                await post(world, session, text)
                found.append("run")
            except SessionBusy:
                found.append("busy")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one, "a")
            tasks.start_soon(one, "b")
        await world.ended(session)
        assert sorted(found) == ["busy", "run"]
        assert len(await world.talk(session)) == 2


# -- what a run brings --------------------------------------------------------------------------


async def test_a_model_is_chosen_for_good(floor: Floor) -> None:
    async with open_world(floor) as world:
        session = await world.session()
        await world.play(session, "hi", model="fake/other")
        choice = await world.service.turns.models(ME, session)
        assert (choice.agent, choice.default, choice.override, choice.custom) == (
            *("root", "fake", "fake/other", ("fake/other",)),
        )
        await world.play(session, "again")
        assert world.models.refs[-1] == "fake/other"


async def test_a_choice_that_no_longer_works_is_a_warning(floor: Floor) -> None:
    async with open_world(floor) as world:
        session = await world.session(model_overrides={"root": "bad/one"})
        facts = await world.play(session, "hi")
        assert "can't be used" in next(fact for fact in facts if isinstance(fact, e.Warned)).message
        assert facts[-1].outcome == "normal"


@pytest.mark.parametrize(
    ("posted", "new"),
    [
        ([("user", "hi"), ("assistant", "hello"), ("user", "more")], ["more"]),
        ([("user", "hi"), ("user", "more")], ["more"]),
        ([("user", "hi"), ("assistant", "hello")], []),
        ([("user", "hello"), ("user", "more")], ["hello", "more"]),
        ([("user", "hi")], ["hi"]),
    ],
    ids=["all", "users", "nothing-new", "another-head", "one"],
)
async def test_of_a_whole_conversation_only_the_new_counts(
    floor: Floor, posted: list[tuple[Any, str]], new: list[str]
) -> None:
    async with open_world(floor) as world:
        session = await world.session()
        await world.play(session, "hi")
        messages = [Message(role, text) for role, text in posted]
        await world.service.turns.run(ME, session, "crew", messages)
        await world.ended(session)
        assert said(world.provider.requests[1])[2:] == [("user", text) for text in new]


async def test_a_command_may_switch_the_agent(floor: Floor) -> None:
    root = Agent("root", model="fake", commands=(e.Command("plan", instruction="Make a plan.", agent="planner"),))
    team = make_team(root)
    team = type(team)("crew", "hash", (root, Agent("planner", model="fake", instruction="Plan.")))
    async with open_world(floor, team=team) as world:
        session = await world.session()
        await world.play(session, "/plan the day")
        assert (await world.service.turns.models(ME, session)).agent == "planner"
        assert said(world.provider.requests[0]) == [("user", "Make a plan. the day")]


# -- looking ------------------------------------------------------------------------------------


async def test_status_waits_for_the_first_turn(each_floor: Floor) -> None:
    async with open_world(each_floor) as world:
        session, turns = await world.session(), world.service.turns
        with pytest.raises(SessionNotRunning):
            await turns.ran(ME, session)
        with pytest.raises(SessionNotRunning):
            await turns.models(ME, session)
        assert await turns.until_ran(ME, session, 0.01) is None
        assert not await turns.until_any_ran(0.01)
        heads: list[Any] = []

        async def wait() -> None:
            heads.append(await turns.until_ran(ME, session, 20))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            await world.play(session, "hi")
        assert heads[0].turns == 1
        assert await turns.until_any_ran(0)
        assert (await turns.ran(ME, session)).agent == "root"
        with pytest.raises(SessionNotRunning):
            await turns.ran(ME, "nobody")
