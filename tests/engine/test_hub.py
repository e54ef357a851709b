"""Bells, tails and cursors: in order, none twice, none lost."""

import anyio
import pytest

from engine.fakes import ME, Floor, answers, open_world
from roost.core import events as e
from roost.core.errors import StoreFull
from roost.core.ids import LogId, Micros
from roost.engine.follow import follow
from roost.engine.hub import TAIL, Hub

pytestmark = pytest.mark.anyio

LOG = LogId("log")


def events(first: int, last: int) -> list[e.Event]:
    return [e.Event(LOG, seq, Micros(seq), e.Warned(str(seq))) for seq in range(first, last + 1)]


def test_a_tail_holds_what_came_while_somebody_watched() -> None:
    hub = Hub(lambda: 0.0)
    hub.grown(LOG, events(1, 3))
    assert hub.tail(LOG, 0) is None
    with hub.watch(LOG):
        assert hub.tail(LOG, 3) is None
        hub.grown(LOG, events(4, 6))
        assert hub.tail(LOG, 2) is None  # only the store has 3
        assert [ev.seq for ev in hub.tail(LOG, 3) or ()] == [4, 5, 6]
        assert [ev.seq for ev in hub.tail(LOG, 5) or ()] == [6]
        assert hub.tail(LOG, 6) == ()
        assert hub.tail(LOG, 7) is None
    assert hub.tail(LOG, 3) is None


def test_a_tail_forgets_where_it_would_have_a_hole() -> None:
    hub = Hub(lambda: 0.0)
    with hub.watch(LOG):
        hub.grown(LOG, events(1, 3))
        hub.grown(LOG, ())  # it grew elsewhere
        assert hub.tail(LOG, 2) is None
        hub.grown(LOG, events(6, 7))
        assert hub.tail(LOG, 4) is None
        assert [ev.seq for ev in hub.tail(LOG, 5) or ()] == [6, 7]
        hub.grown(LOG, events(9, 9))
        assert hub.tail(LOG, 7) is None


def test_a_tail_is_bounded_and_long_ones_are_whole() -> None:
    hub = Hub(lambda: 0.0)
    with hub.watch(LOG):
        hub.grown(LOG, events(1, TAIL + 10))
        assert hub.tail(LOG, 9) is None
        assert [ev.seq for ev in hub.tail(LOG, 10) or ()] == list(range(11, TAIL + 11))
        assert [ev.seq for ev in hub.tail(LOG, TAIL - 90) or ()] == list(range(TAIL - 89, TAIL + 11))


def test_what_is_newest_is_known_while_somebody_watches() -> None:
    hub = Hub(lambda: 0.0)
    assert not hub.still(LOG, 3)
    with hub.watch(LOG):
        assert not hub.still(LOG, 0)  # nothing has come: only the store knows
        hub.grown(LOG, events(1, 3))
        assert hub.still(LOG, 3)
        assert not hub.still(LOG, 2)
        hub.grown(LOG, ())  # it grew elsewhere
        assert not hub.still(LOG, 3)


def test_only_named_watchers_are_followers() -> None:
    hub = Hub(lambda: 5.0)
    with hub.watch(LOG), hub.watch(LOG, "phone"):
        assert [(f.client, f.since) for f in hub.followers(LOG)] == [("phone", 5.0)]
    assert hub.followers(LOG) == []


async def test_a_crowd_is_woken_together_and_each_gets_all(each_floor: Floor) -> None:
    """500 cursors, from everywhere, while the log grows."""
    gate = anyio.Event()
    words = [f"{n} " for n in range(300)]
    async with open_world(each_floor, script=answers([*words[:150], gate, *words[150:]])) as world:
        session = await world.session()
        seen: dict[int, list[int]] = {}

        async def read(number: int, after: int) -> None:
            mine = seen[number] = []
            async for batch in world.service.turns.follow(ME, session, after=after):
                mine += [event.seq for event in batch]
                if any(isinstance(event.fact, e.TurnEnded) for event in batch):
                    return

        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                for number in range(500):
                    tasks.start_soon(read, number, number % 5)
                await world.ask(session, "go")
                await world.until_fact(session, e.TextAdded)
                gate.set()
        last = (await world.store.head(LogId(session))).last_seq
        assert all(seen[number] == list(range(number % 5 + 1, last + 1)) for number in range(500))


async def test_a_reader_from_the_start_and_one_from_the_tail_see_the_same(each_floor: Floor) -> None:
    async with open_world(each_floor) as world:
        session = await world.session()
        tail: list[e.Event] = []
        with world.hub.watch(LogId(session)):
            await world.play(session, "hi")
            tail += world.hub.tail(LogId(session), 1) or ()
        assert tail == (await world.events(session))[1:]


async def test_a_log_that_is_over_lets_its_readers_go(floor: Floor) -> None:
    async with open_world(floor) as world:
        session = await world.session()
        await world.service.sessions.delete(ME, session, wait=10)
        last = (await world.store.head(LogId(session))).last_seq
        with anyio.fail_after(5):
            for after in (0, last - 1, last):
                read = [
                    ev async for batch in follow(world.store, world.hub, LogId(session), after=after) for ev in batch
                ]
                assert [event.seq for event in read] == list(range(after + 1, last + 1))


async def test_readers_go_when_the_server_stops(floor: Floor) -> None:
    async with open_world(floor) as world:
        session = await world.session()
        ready = anyio.Event()

        async def read() -> None:
            async for _ in follow(world.store, world.hub, LogId(session)):
                ready.set()

        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read)
                await ready.wait()
                await anyio.wait_all_tasks_blocked()
                world.supervisor.retire()


async def test_a_log_that_can_not_go_on_tells_its_readers(floor: Floor) -> None:
    async with open_world(floor) as world:
        session = await world.session()
        with pytest.raises(StoreFull), anyio.fail_after(5):
            async for _ in follow(world.store, world.hub, LogId(session)):
                world.hub.break_off(LogId(session), StoreFull("no room"))
