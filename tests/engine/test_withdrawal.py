"""Messages that are taken back: each is taken by a turn or given back to whoever sent it, and never both."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from engine.clis import kinds, play, serving
from engine.fakes import ME, Floor, World, answers, open_world
from roost.core import events as e
from roost.core.errors import AlreadyTaken, NotQueued, SessionNotFound
from roost.core.ids import LogId
from roost.core.messages import Message
from roost.ports import Condition
from roost.service.seats import Seat
from roost.stores.memory import Shelf

pytestmark = pytest.mark.anyio


def user(*texts: str) -> list[Message]:
    return [Message("user", text) for text in texts]


async def seqs(world: World, session: str) -> list[int]:
    """The numbers of what waits."""
    return [queued.seq for queued in (await world.store.head(LogId(session))).queue]


def before(world: World, kind: type[e.Fact], do: Any) -> None:
    """Do something in the very moment before the first fact of a kind is committed."""
    append, done = world.store.append, False

    async def late(log: LogId, facts: Sequence[e.Fact], *, epoch: Any, only_if: Condition | None = None) -> Any:
        nonlocal done
        if not done and any(isinstance(fact, kind) for fact in facts):
            done = True
            await do()
        return await append(log, facts, epoch=epoch, only_if=only_if)

    world.store.append = late  # type: ignore[method-assign]


async def test_what_is_withdrawn_is_given_back_and_no_turn_takes_it(each_floor: Floor) -> None:
    async with open_world(each_floor, script=answers(["one"], ["two"])) as world:
        session = await world.session()
        await world.play(session, "go")
        await world.service.queues.followup(ME, session, user("first", "second"))
        await world.service.queues.steer(ME, session, user("quick"))
        later, steer = sorted(set(await seqs(world, session)))
        given = await world.service.queues.withdraw(ME, session, later)
        assert (given.seq, given.queue) == (later, "followup")
        assert [(index, message.content) for index, message in given.messages] == [(0, "first"), (1, "second")]
        assert await seqs(world, session) == [steer]
        await world.play(session, "again")
        assert [text for role, text in await world.talk(session) if role == "user"] == ["go", "again", "quick"]
        dropped = await world.facts(session, e.MessageDropped)
        assert [(fact.queued, fact.index, fact.why) for fact in dropped] == [
            (later, 0, "withdrawn"),
            (later, 1, "withdrawn"),
        ]


async def test_what_does_not_wait_is_not_withdrawn(each_floor: Floor) -> None:
    async with open_world(each_floor, script=answers(["one"], ["two"])) as world:
        session = await world.session()
        await world.play(session, "go")
        await world.service.queues.followup(ME, session, user("later"))
        (taken,) = await seqs(world, session)
        await world.play(session, "again")
        with pytest.raises(AlreadyTaken):
            await world.service.queues.withdraw(ME, session, taken)
        await world.service.queues.followup(ME, session, user("never"))
        (gone,) = await seqs(world, session)
        await world.service.queues.withdraw(ME, session, gone)
        for seq in (gone, 1, 99_999, 0):
            with pytest.raises(NotQueued):
                await world.service.queues.withdraw(ME, session, seq)
        with pytest.raises(SessionNotFound):
            await world.service.queues.withdraw(ME, "nobody", gone)


async def test_of_messages_sent_together_those_that_still_wait_are_given_back(each_floor: Floor) -> None:
    gate = anyio.Event()
    async with open_world(each_floor, script=answers(["one"], ["two"], ["three", gate])) as world:
        session = await world.session()
        await world.play(session, "go")
        await world.service.queues.followup(ME, session, user("F1", "F2"))
        await world.ask(session, "again")
        await world.until_fact(session, e.MessageTaken)
        ((seq),) = set(await seqs(world, session))
        given = await world.service.queues.withdraw(ME, session, seq)
        assert [(index, message.content) for index, message in given.messages] == [(1, "F2")]
        gate.set()
        await world.ended(session)
        assert [text for role, text in await world.talk(session) if role == "user"] == ["go", "again", "F1"]


@pytest.mark.parametrize("queue", ["steer", "followup"])
async def test_one_that_is_withdrawn_as_it_is_taken_is_not_taken(each_floor: Floor, queue: e.Queue) -> None:
    async with open_world(each_floor, script=answers(["one"], ["two"], ["three"])) as world:
        session = await world.session()
        await world.play(session, "go")
        say = world.service.queues.steer if queue == "steer" else world.service.queues.followup
        await say(ME, session, user("gone"))
        await say(ME, session, user("stays"))
        gone = (await seqs(world, session))[0]
        before(world, e.MessageTaken, lambda: world.service.queues.withdraw(ME, session, gone))
        await world.play(session, "again")
        assert [text for role, text in await world.talk(session) if role == "user"] == ["go", "again", "stays"]
        assert [fact.queued for fact in await world.facts(session, e.MessageDropped)] == [gone]


async def test_a_turn_that_can_t_end_because_of_a_message_ends_when_that_is_withdrawn(each_floor: Floor) -> None:
    async with open_world(each_floor, script=answers(["one"])) as world:
        session = await world.session()

        async def late() -> None:
            await world.service.queues.followup(ME, session, user("one more"))
            before(world, e.MessageTaken, withdrawn)

        async def withdrawn() -> None:
            await world.service.queues.withdraw(ME, session, (await seqs(world, session))[0])

        before(world, e.TurnEnded, late)
        await world.play(session, "go")
        assert await world.talk(session) == [("user", "go"), ("assistant", "one")]
        assert len(await world.facts(session, e.TurnEnded)) == 1


async def test_a_turn_that_was_opened_for_what_is_withdrawn_asks_no_model(each_floor: Floor) -> None:
    async with open_world(each_floor) as world:
        session = await world.session()
        await world.service.seats.attach(ME, session, "crew")
        assert isinstance(world.service.seats.seat(session), Seat)

        async def withdrawn() -> None:
            await world.service.queues.withdraw(ME, session, (await seqs(world, session))[0])

        before(world, e.MessageTaken, withdrawn)
        await world.service.queues.followup(ME, session, user("never mind"))
        head = await world.ended(session)
        assert (head.outcome, world.provider.requests) == ("normal", [])


async def test_whoever_comes_at_the_same_time_one_of_them_has_it(each_floor: Floor) -> None:
    """Twenty messages, a turn that takes them, and a person who withdraws each of them meanwhile."""
    given: list[int] = []
    async with open_world(each_floor, script=answers(*(["ok"] for _ in range(30)))) as world:
        session = await world.session()
        await world.play(session, "go")
        for number in range(20):
            await world.service.queues.followup(ME, session, user(str(number)))
        waiting = await seqs(world, session)

        async def withdraw(seq: int) -> None:
            with suppress(AlreadyTaken):
                given.append((await world.service.queues.withdraw(ME, session, seq)).seq)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.play, session, "again")
            for seq in reversed(waiting):
                await anyio.lowlevel.checkpoint()
                tasks.start_soon(withdraw, seq)
        taken = [fact.queued for fact in await world.facts(session, e.MessageTaken)]
        assert sorted(given + taken) == waiting
        assert await seqs(world, session) == []


async def test_of_two_servers_on_one_store_one_has_each_message(each_floor: Floor) -> None:
    """One takes them for its turn while somebody withdraws them, one after the other, at its neighbour."""
    given: list[int] = []
    async with (
        open_world(each_floor, script=answers(*(["ok"] for _ in range(30)))) as world,
        open_world(each_floor) as beside,
    ):
        session = await world.session()
        await world.play(session, "go")
        for number in range(20):
            await world.service.queues.followup(ME, session, user(str(number)))
        waiting = await seqs(world, session)

        async def withdraw() -> None:
            for seq in reversed(waiting):
                with suppress(AlreadyTaken):
                    given.append((await beside.service.queues.withdraw(ME, session, seq)).seq)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.play, session, "again")
            tasks.start_soon(withdraw)
        taken = [fact.queued for fact in await world.facts(session, e.MessageTaken)]
        assert sorted(given + taken) == waiting
        assert await seqs(beside, session) == []


# -- agent CLIs ---------------------------------------------------------------------------------


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_cli_is_not_told_what_is_withdrawn(tmp_path: Path) -> None:
    async with serving(tmp_path, Shelf()) as server:
        log = await server.spawn("", interactive=True)
        await server.until(log, lambda head: bool(head.provider_session))
        append, done = server.store.append, False

        async def late(*args: Any, **more: Any) -> Any:
            nonlocal done
            (fact, *_) = args[1] or [None]
            if isinstance(fact, e.MessageTaken) and not done:
                done = True
                await server.store.put(log, [e.MessageDropped(fact.queued, fact.index, "withdrawn")])
            return await append(*args, **more)

        server.store.append = late  # type: ignore[method-assign]
        await server.store.put(log, [e.MessageQueued("followup", (Message("user", "hush"),))])
        await server.until(log, lambda head: not head.queue)
        await server.store.put(log, [e.MessageQueued("followup", (Message("user", "speak"),))])
        head = await server.until(log, lambda head: bool(head.turn and head.turn.rounds))
        assert head.turn is not None
        await server.store.put(log, [e.CancelAsked(head.turn.id)])
        await server.ended(log)
        facts = await server.facts(log)
    said = [fact.message.content for fact in facts if isinstance(fact, e.MessageAdded) and fact.message]
    assert [text for text in said if text] == ["speak"]
    assert kinds(facts).count("MessageTaken") == 1


async def test_a_run_for_what_is_withdrawn_as_it_starts_never_was(tmp_path: Path) -> None:
    """It waited for the next run, whose process is started and then not wanted any more."""
    async with serving(tmp_path, Shelf()) as server:
        log = await server.spawn(play({"say": "first"}))
        append, wanted, fresh = server.store.append, True, True

        async def late(*args: Any, **more: Any) -> Any:
            nonlocal wanted, fresh
            facts = args[1]
            if wanted and any(isinstance(fact, e.TurnEnded) for fact in facts):
                wanted = False
                await server.store.put(log, [e.MessageQueued("followup", (Message("user", "more"),))])
            taken = next((fact for fact in facts if isinstance(fact, e.MessageTaken)), None)
            if fresh and taken is not None and any(isinstance(fact, e.RunStarted) for fact in facts):
                fresh = False
                await server.store.put(log, [e.MessageDropped(taken.queued, taken.index, "withdrawn")])
            return await append(*args, **more)

        server.store.append = late  # type: ignore[method-assign]
        head = await server.ended(log)
        facts = await server.facts(log)
        assert not fresh
    assert head.outcome == "normal", head.error
    assert kinds(facts).count("RunStarted") == 1 and "MessageTaken" not in kinds(facts)
    assert not list((tmp_path / "runs").iterdir())
