"""Jobs: what takes long, who may see it, and what is remembered of it."""

import anyio
import pytest

from engine.fakes import FakeTool, Floor, make_team, open_world
from roost.core.agents import Agent, ToolsetSpec
from roost.core.errors import BadValue
from roost.core.principals import Principal
from roost.service.progress import KEPT, Job, Jobs
from roost.testing.clock import HandClock

pytestmark = pytest.mark.anyio

ADA, BOB = Principal("ada", kind="account"), Principal("bob", kind="account")


def test_work_is_seen_while_it_goes_on() -> None:
    jobs = Jobs(HandClock())
    with jobs.job("import", "histories", unit="sessions") as effort:
        effort.expect(3)
        effort.step()
        effort.step(2)
        [job] = jobs.seen(Principal())
        assert (job.what, job.title, job.done, job.total, job.unit, job.ended_at) == (
            "import",
            "histories",
            3,
            3,
            "sessions",
            0,
        )
        assert jobs.under_way() == [job]
    assert not jobs.seen(Principal())  # it was over at once
    assert not jobs.under_way()


async def test_what_took_long_is_remembered_for_a_while() -> None:
    clock = HandClock()
    jobs = Jobs(clock)
    with jobs.job("pull", "org/agent"):
        clock.wind(2)
    [job] = jobs.seen(Principal())
    assert job.ended_at - job.started_at == 2_000_000
    clock.wind(KEPT + 1)
    assert not jobs.seen(Principal())


def test_a_failure_is_remembered_with_its_reason_and_no_secret() -> None:
    jobs = Jobs(HandClock())
    with pytest.raises(BadValue), jobs.job("pull", "a"):
        raise BadValue("no such agent")
    with pytest.raises(TimeoutError), jobs.job("pull", "b"):
        raise TimeoutError
    with pytest.raises(ValueError, match="secret"), jobs.job("pull", "c"):
        raise ValueError("secret")
    errors = [job.error for job in jobs.seen(Principal())]
    assert errors == ["internal error; the server's log has the details", "it took too long", "no such agent"]


def test_accounts_see_their_own() -> None:
    jobs = Jobs(HandClock())
    with jobs.job("tools", "of ada", owner="ada"), jobs.job("recover", "turns"):
        assert [job.title for job in jobs.seen(ADA)] == ["of ada"]
        assert not jobs.seen(BOB)
        assert len(jobs.seen(Principal(kind="super"))) == 2


async def test_a_bell_rings_at_each_change() -> None:
    jobs = Jobs(HandClock())
    seen: list[list[tuple[int, bool]]] = []

    async def look() -> None:
        while True:
            bell = jobs.bell()
            seen.append([(job.done, bool(job.ended_at)) for job in jobs.seen(Principal())])
            await bell.wait()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(look)
        await anyio.wait_all_tasks_blocked()
        with jobs.job("gc", "old sessions") as effort:
            await anyio.wait_all_tasks_blocked()
            effort.step()
            await anyio.wait_all_tasks_blocked()
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert seen == [[], [(0, False)], [(1, False)], []]


class Kept:
    """A progress that keeps every state of every job."""

    def __init__(self, clock: HandClock) -> None:
        self.jobs = Jobs(clock)
        self.states: list[Job] = []
        put = self.jobs._put

        def kept(job: Job) -> None:
            self.states.append(job)
            put(job)

        self.jobs._put = kept  # type: ignore[method-assign]
        self.job = self.jobs.job

    def told(self, what: str) -> list[tuple[int, int]]:
        return [(job.done, job.total) for job in self.states if job.what == what]


async def test_tool_servers_that_start_are_counted(floor: Floor) -> None:
    kept = Kept(floor.clock)
    team = make_team(
        Agent("root", model="fake", toolsets=(ToolsetSpec("mcp"), ToolsetSpec("fake"), ToolsetSpec("lsp")))
    )
    async with open_world(floor, tools=[FakeTool("look")], team=team, more={"progress": kept}) as world:
        await world.play(await world.session(), "hi")
        await world.play(await world.session(), "hi")
    assert kept.told("tools") == [(0, 2), (1, 2), (2, 2)] * 2
    assert kept.states[0].title == "tool servers of root"


async def test_turns_that_were_cut_off_are_counted(each_floor: Floor) -> None:
    never = anyio.Event()
    async with open_world(each_floor, script=lambda _: [never]) as world:
        for _ in range(3):
            await world.ask(await world.session(), "hi")
        for session in [listing.id for listing in await world.store.listing()]:
            await world.until(session, lambda head: head.turn is not None and head.turn.answer)
        await world.crash()
    kept = Kept(each_floor.clock)
    async with open_world(each_floor, script=lambda _: ["ok"], more={"progress": kept}) as world:
        assert await world.recovery.settle() == 3
        await world.recovery.resume()
        for session in [listing.id for listing in await world.store.listing()]:
            await world.ended(session)
    assert kept.told("recover") == [(0, 3), (1, 3), (2, 3), (3, 3)] * 2


async def test_a_start_with_nothing_to_settle_is_no_job(floor: Floor) -> None:
    kept = Kept(floor.clock)
    async with open_world(floor, more={"progress": kept}) as world:
        assert await world.recovery.settle() == 0
        await world.recovery.resume()
    assert not kept.states
