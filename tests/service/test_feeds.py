"""Events as they come: of one session to its last end, and of all that a caller may see."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path

import anyio
import pytest

from roost.core import events as e
from roost.core.errors import SessionNotFound
from roost.core.ids import LogId, TurnId
from roost.core.orders import Order
from roost.service.fleet import Label
from service.fleets import BOSS, HANG, FleetWorld, open_fleet, told

pytestmark = pytest.mark.anyio

TURN = TurnId("t")
OPENED = e.TurnOpened(TURN, "mock", "mock", "/", driver="mock")
ENDED = e.TurnEnded(TURN, "normal")


async def whole(world: FleetWorld, session: str, after: int = 0) -> list[int]:
    """The numbers of all events until the feed ends."""
    seen: list[int] = []
    with anyio.fail_after(20):
        async with aclosing(await world.service.feeds.session(BOSS, session, after=after)) as batches:
            async for batch in batches:
                seen += [event.seq for event in batch]
    return seen


async def test_d8_a_feed_that_is_opened_at_once_sees_the_session_from_its_first_event_to_its_last(
    tmp_path: Path,
) -> None:
    async with open_fleet(tmp_path) as world:
        session = (await world.spawn("hi")).head.id
        seen = await whole(world, session)
        head = await world.store.head(LogId(session))
        assert seen == list(range(1, head.last_seq + 1))
        assert await whole(world, session) == seen  # and again
        assert await whole(world, session, after=3) == seen[3:]
        assert await whole(world, session, after=head.last_seq) == []


async def test_a_feed_ends_at_the_last_end_and_not_at_an_earlier_one(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        facts = [OPENED, ENDED, OPENED, told("x"), ENDED, e.UserNoted("info", "late")]
        await world.lay(*facts, session="it-self", order=Order("mock", "x"))
        assert await whole(world, "it-self") == list(range(1, 8))
        assert await whole(world, "it-self", after=6) == [7]


async def test_a_feed_follows_a_session_that_runs_again_and_waits_for_one_that_never_ran(tmp_path: Path) -> None:
    async with open_fleet(tmp_path, leave=True) as world:
        await world.lay(OPENED, ENDED, OPENED, session="it-self", order=Order("mock", "x"))
        await world.lay(session="never-ran")
        seen: dict[str, list[int]] = {}

        async def follow(name: str) -> None:
            seen[name] = await whole(world, name)

        async with anyio.create_task_group() as tasks:
            for name in ("it-self", "never-ran"):
                tasks.start_soon(follow, name)
            await anyio.wait_all_tasks_blocked()
            assert seen == {}
            await world.store.put(LogId("it-self"), [told("more"), ENDED])
            await world.store.put(LogId("never-ran"), [OPENED, ENDED])
        assert seen == {"it-self": [1, 2, 3, 4, 5, 6], "never-ran": [1, 2, 3]}


async def test_d7_the_feed_of_a_session_that_is_deleted_ends(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        await world.lay(session="never-ran")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(whole, world, "never-ran")
            await anyio.wait_all_tasks_blocked()
            await world.service.fleet.delete(BOSS, "never-ran")
        with pytest.raises(SessionNotFound):
            await world.service.feeds.session(world.account("ann"), "never-ran")


async def nth(batches: AsyncIterator[Sequence[e.Event]], count: int) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    with anyio.fail_after(20):
        while len(found) < count:
            found += [(event.log, e.kind(event.fact)) for event in await anext(batches)]
    return found


async def test_d18_everything_has_sessions_that_are_born_later_and_nothing_of_before(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        await world.lay(told("old"), session="old-one")
        batches = world.service.feeds.everything(BOSS)
        async with aclosing(batches), anyio.create_task_group() as tasks:
            found: list[tuple[str, str]] = []

            async def read() -> None:
                found.extend(await nth(batches, 4))

            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            await world.store.put(LogId("old-one"), [told("new")])
            await world.lay(told("x"), session="new-one")
            await world.store.put(LogId("old-one"), [e.UserNoted("info", "x")])
        assert sorted(found) == [
            ("new-one", "MessageWritten"),
            ("new-one", "SessionCreated"),
            ("old-one", "MessageWritten"),
            ("old-one", "UserNoted"),
        ]


async def test_everything_is_what_a_caller_may_see_and_what_has_the_tag(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        await world.lay(session="anns-one", owner="ann", order=Order("mock", "x", tags=("Nightly",)))
        await world.lay(session="anns-other", owner="ann")
        await world.lay(session="bobs-one", owner="bob", order=Order("mock", "x", tags=("nightly",)))
        batches = world.service.feeds.everything(world.account("ann"), tag="nightly")
        async with aclosing(batches), anyio.create_task_group() as tasks:
            found: list[tuple[str, str]] = []

            async def read() -> None:
                found.extend(await nth(batches, 3))

            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            for session in ("bobs-one", "anns-other", "anns-one"):
                await world.store.put(LogId(session), [told("new")])
            await anyio.wait_all_tasks_blocked()
            await world.service.fleet.label(BOSS, "anns-other", Label(tags=("nightly",)))
            await world.store.put(LogId("anns-other"), [told("seen now")])
        assert found == [
            ("anns-one", "MessageWritten"),
            ("anns-other", "LabelSet"),
            ("anns-other", "MessageWritten"),
        ]


async def test_d33_many_looks_read_no_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_fleet(tmp_path) as world:
        session = (await world.spawn(HANG)).head.id
        await world.until_fact(session, e.MessageAdded)
        read: list[int] = []
        page = world.store.page

        async def counted(log: LogId, *, after: int, limit: int) -> Sequence[e.Event]:
            read.append(limit)
            return await page(log, after=after, limit=limit)

        monkeypatch.setattr(world.store, "page", counted)
        for _ in range(5):
            await world.service.fleet.view(BOSS, session)
            await world.service.fleet.listing(BOSS)
            await world.service.results.collect(BOSS, [session])
            await world.service.results.output(BOSS, session)
        await world.service.results.wait(BOSS, [session], timeout="1s")
        assert set(read) <= {1}  # one event at a time: that which holds the result
