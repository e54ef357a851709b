"""Ends that somebody asked for: cancel and delete, wherever the turn stands."""

from typing import Any

import anyio
import pytest

from engine.fakes import ME, FakeTool, Floor, answers, cut, kinds, make_team, open_world, said
from roost.core import events as e
from roost.core.errors import SessionBusy, SessionNotFound, SessionNotRunning
from roost.core.ids import LogId
from roost.engine import supervisor as supervising
from roost.ports import Ask, Use
from roost.testing.fakes import call

pytestmark = pytest.mark.anyio

CANCELED = "The tool call was canceled by the user."


async def test_what_the_model_has_said_is_kept(each_floor: Floor) -> None:
    never = anyio.Event()
    async with open_world(each_floor, script=answers(["Hel", call("edit"), never], ["ok"])) as world:
        session = await world.session()
        await world.ask(session, "hi")
        await world.until_fact(session, e.CallDrafted)
        await world.service.turns.cancel(ME, session)
        await world.ended(session)
        facts = await world.facts(session)
        assert kinds(facts[-3:]) == ["CancelAsked", "MessageAdded", "TurnEnded"]
        assert (facts[-2].partial, facts[-2].message.calls) == (True, ())
        assert facts[-1].outcome == "canceled"
        await world.play(session, "go on")
        assert said(world.provider.requests[1]) == [("user", "hi"), ("assistant", "Hel"), ("user", "go on")]


@pytest.mark.parametrize("script", [answers([anyio.Event()]), answers([cut(), "never"])], ids=["silent", "resting"])
async def test_before_a_word_was_said_there_is_nothing_to_keep(floor: Floor, script: Any) -> None:
    async with open_world(floor, script=script) as world:
        session = await world.session()
        await world.ask(session, "hi")
        await world.until_fact(session, e.ModelAsked)
        await world.service.turns.cancel(ME, session)
        await world.ended(session)
        assert kinds((await world.facts(session))[-2:]) == ["CancelAsked", "TurnEnded"]
        assert not await world.facts(session, e.AnswerDropped)


async def test_all_calls_of_the_batch_get_a_result(each_floor: Floor) -> None:
    never, started = anyio.Event(), anyio.Event()

    async def work(_: dict[str, Any], use: Use) -> str:
        started.set()
        await never.wait()
        return "never"

    slow, edit = FakeTool("slow", work), FakeTool("edit", read_only=False)
    script = answers([call("slow"), call("edit", index=1), call("look", index=2)], ["ok"])
    async with open_world(each_floor, script=script, tools=[slow, edit, FakeTool("look")]) as world:
        session = await world.session()
        await world.ask(session, "go")
        await started.wait()
        await world.waiting(session)
        await world.until_fact(session, e.ToolReturned)
        await world.service.turns.cancel(ME, session)
        await world.ended(session)
        assert slow.ended == ["call_slow"]
        tail = kinds(await world.facts(session))[-8:]
        assert tail[0] == "CancelAsked"
        assert tail[1:] == ["WaitVoided", *["ToolReturned", "MessageAdded"] * 2, "MessageAdded", "TurnEnded"]
        assert [text for role, text in await world.talk(session) if role == "tool"] == [CANCELED, CANCELED, "done"]
        assert not await world.service.waits.open(ME)


async def test_a_waiting_question_ends_with_its_turn(floor: Floor) -> None:
    async def work(_: dict[str, Any], use: Use) -> str:
        return (await use.ask(Ask("Who?"))).action

    async with open_world(floor, script=answers([call("who")]), tools=[FakeTool("who", work)]) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.waiting(session)
        await world.service.turns.cancel(ME, session)
        await world.ended(session)
        assert (await world.talk(session))[-1] == ("tool", CANCELED)


async def test_a_cancel_before_the_runtime_is_there_ends_the_turn(each_floor: Floor) -> None:
    opening = anyio.Event()
    async with open_world(each_floor) as world:
        agents: Any = world.makers.agents
        team, session = agents.team, await world.session()

        async def slow(source: str, hash: str = "") -> Any:
            if opening.is_set():
                await anyio.sleep_forever()
            opening.set()
            return await team(source)

        agents.team = slow
        await world.ask(session, "hi")
        await world.until_fact(session, e.MessageWritten)
        await world.service.turns.cancel(ME, session)
        await world.ended(session)
        assert kinds(await world.facts(session)) == [
            *("SessionCreated", "TurnOpened", "MessageWritten", "CancelAsked", "TurnEnded")
        ]
        agents.team = team
        assert (await world.play(session, "again"))[-1].outcome == "normal"


async def test_a_cancel_at_the_very_end_changes_nothing(each_floor: Floor) -> None:
    """Asked for while the end is committed: whichever comes first, the turn ends once, and the next one lives."""
    async with open_world(each_floor, script=lambda _: ["ok"]) as world:
        session = await world.session()
        append = world.store.append

        async def late(log: LogId, facts: Any, **how: Any) -> Any:
            committed = await append(log, facts, **how)
            if isinstance(facts[-1], e.TurnEnded):
                with pytest.raises(SessionNotRunning):
                    await world.service.turns.cancel(ME, session)
                world.store.append = append
                await world.ask(session, "next")  # while the old turn's task is not through
            return committed

        world.store.append = late
        await world.ask(session, "hi")
        await world.until_fact(session, e.TurnEnded, times=2)
        await world.still(session)
        assert [fact.outcome for fact in await world.facts(session, e.TurnEnded)] == ["normal", "normal"]
        assert [text for _, text in await world.talk(session)] == ["hi", "ok", "next", "ok"]


async def test_nothing_to_cancel_is_said(floor: Floor) -> None:
    async with open_world(floor) as world:
        session = await world.session()
        with pytest.raises(SessionNotRunning):
            await world.service.turns.cancel(ME, session)


# -- delete -------------------------------------------------------------------------------------


async def test_deleting_drains_and_exits_last(each_floor: Floor) -> None:
    never = anyio.Event()
    seen: list[e.Fact] = []
    async with open_world(each_floor, script=answers(["Hel", never])) as world:
        session = await world.session()
        await world.ask(session, "hi")
        await world.until_fact(session, e.TextAdded)

        async def read() -> None:
            async for batch in world.service.turns.follow(ME, session):
                seen.extend(event.fact for event in batch)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            assert await world.service.sessions.delete(ME, session, wait=10)
        assert kinds(seen[-4:]) == ["DeleteAsked", "MessageAdded", "TurnEnded", "SessionExited"]
        assert seen[-2].outcome == "canceled"
        with pytest.raises(SessionNotFound):
            await world.service.sessions.show(ME, session)
        with pytest.raises(SessionNotFound):
            await world.ask(session, "hi")
        with pytest.raises(SessionNotFound):
            await world.service.sessions.delete(ME, session)
        assert not await world.service.sessions.listing(ME)
        await world.still(session)
        assert not world.supervisor.lives()


async def test_an_idle_session_is_deleted_at_once(each_floor: Floor) -> None:
    async with open_world(each_floor) as world:
        session = await world.session()
        await world.play(session, "hi")
        assert await world.service.sessions.delete(ME, session, wait=10)
        assert kinds(await world.facts(session))[-2:] == ["DeleteAsked", "SessionExited"]


async def test_a_sleeping_session_is_deleted_with_what_it_waited_for(each_floor: Floor) -> None:
    tool = FakeTool("edit", read_only=False)
    async with open_world(each_floor, script=answers([call("edit")]), tools=[tool]) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.waiting(session)
    async with open_world(each_floor) as world:
        await world.recovery.settle()
        assert await world.service.sessions.delete(ME, session, wait=10)
        tail = ["DeleteAsked", "WaitVoided", "ToolReturned", "MessageAdded", "TurnEnded", "SessionExited"]
        assert kinds(await world.facts(session))[-6:] == tail
        assert not await world.service.waits.open(ME)


async def test_a_neighbour_hears_of_it_and_ends_its_turn(each_floor: Floor) -> None:
    never = anyio.Event()
    async with open_world(each_floor, script=answers(["Hel", never])) as owner, open_world(each_floor) as other:
        session = await owner.session()
        await owner.ask(session, "hi")
        await owner.until_fact(session, e.TextAdded)
        assert await other.service.sessions.delete(ME, session, wait=10)
        assert kinds(await other.facts(session))[-3:] == ["MessageAdded", "TurnEnded", "SessionExited"]


async def test_a_neighbour_that_keeps_silent_is_fenced(each_floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "SILENT", 0.05)
    deaf = anyio.Event()

    async def work(_: dict[str, Any], use: Use) -> str:
        with anyio.CancelScope(shield=True):  # it does not stop when it is told to
            await deaf.wait()
        return "too late"

    script = answers([call("deaf")])
    async with (
        open_world(each_floor, script=script, tools=[FakeTool("deaf", work)]) as owner,
        open_world(each_floor) as other,
    ):
        session = await owner.session()
        await owner.ask(session, "hi")
        await owner.until_fact(session, e.ToolCalled)
        assert await other.service.sessions.delete(ME, session, wait=10)
        assert kinds(await other.facts(session))[-2:] == ["TurnEnded", "SessionExited"]
        deaf.set()
        await owner.still(session)
        assert kinds(await other.facts(session))[-1] == "SessionExited"


async def test_a_neighbours_turn_is_busy_here_too(each_floor: Floor) -> None:
    never = anyio.Event()
    async with open_world(each_floor, script=answers(["Hel", never])) as owner, open_world(each_floor) as other:
        session = await owner.session()
        await owner.ask(session, "hi")
        with pytest.raises(SessionBusy):
            await other.ask(session, "me too")
        await other.service.turns.cancel(ME, session)  # and can be cancelled from here
        await owner.ended(session)
        assert [fact.outcome for fact in await owner.facts(session, e.TurnEnded)] == ["canceled"]
        assert (await other.play(session, "now"))[-1].outcome == "normal"


async def test_sweeping_leaves_the_id_taken(floor: Floor) -> None:
    async with open_world(floor, team=make_team()) as world:
        session = await world.session()
        await world.service.sessions.delete(ME, session, wait=10)
        while await world.store.sweep():
            pass
        with pytest.raises(SessionNotFound):
            await world.service.sessions.show(ME, session)
