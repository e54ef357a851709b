"""Clearing away: only what is old, over, and the caller's to remove."""

import os
from pathlib import Path

import pytest

from roost.core import events as e
from roost.core.errors import BadValue, Denied
from roost.core.ids import RunId, TurnId
from roost.core.orders import Order
from roost.service.upkeep import Swept
from roost.testing.clock import START, HandClock
from service.fleets import BOSS, FleetWorld, open_fleet, told

pytestmark = pytest.mark.anyio

DAY = 86_400
TURN = TurnId("t")
OPENED = e.TurnOpened(TURN, "mock", "mock", "/", driver="mock")
ENDED = e.TurnEnded(TURN, "normal")


def run(name: str) -> list[e.Fact]:
    return [e.RunStarted(RunId(name), 1, 1, "boot", "mock"), e.RunEnded(RunId(name), 0)]


async def laid(world: FleetWorld, clock: HandClock) -> None:
    order = Order("mock", "x")
    await world.lay(OPENED, *run("r1"), ENDED, session="old-ended", order=order)
    await world.lay(OPENED, *run("r2"), session="old-running", order=order)
    await world.lay(told("dear diary"), OPENED, ENDED, session="old-chat")  # of the other door
    logs = world.home / "logs" / "spawn"
    logs.mkdir(parents=True)
    for name in ("old-ended", "old-running", "young-ended"):
        (logs / f"{name}.log").write_text("x")
        when = START / 1e6 + (10 * DAY if name.startswith("young") else 0)
        os.utime(logs / f"{name}.log", (when, when))
    clock.wind(10 * DAY)
    await world.lay(OPENED, *run("r3"), ENDED, session="young-ended", order=order)


async def left(world: FleetWorld) -> tuple[set[str], set[str], set[str]]:
    heads = {head.id for head in await world.store.heads()}
    runs = {str(run.id) for run in await world.store.runs()}
    return heads, runs, {path.stem for path in (world.home / "logs" / "spawn").iterdir()}


async def test_without_force_it_is_only_counted(tmp_path: Path) -> None:
    clock = HandClock()
    async with open_fleet(tmp_path, clock=clock, leave=True) as world:
        await laid(world, clock)
        before = await left(world)
        assert await world.service.upkeep.collect(BOSS) == Swept(1, 1, 1, dry_run=True)
        assert await left(world) == before


async def test_what_is_old_and_over_goes(tmp_path: Path) -> None:
    clock = HandClock()
    async with open_fleet(tmp_path, clock=clock, leave=True) as world:
        await laid(world, clock)
        assert await world.service.upkeep.collect(BOSS, force=True, keep_logs=True) == Swept(1, 1, 0, dry_run=False)
        assert await left(world) == (
            {"old-ended", "old-running", "old-chat", "young-ended"},
            {"r2", "r3"},
            {"old-running", "young-ended"},
        )
        assert await world.service.upkeep.collect(BOSS, force=True) == Swept(0, 0, 1, dry_run=False)
        assert (await left(world))[0] == {"old-running", "old-chat", "young-ended"}
        clock.wind(1)
        assert await world.service.upkeep.collect(BOSS, force=True, older_than="0d") == Swept(1, 1, 1, dry_run=False)
        assert await left(world) == ({"old-running", "old-chat"}, {"r2"}, {"old-running"})


async def test_what_is_refused(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        for wrong in ("-1d", "7", "7m", "1d12h", ""):
            with pytest.raises(BadValue):
                await world.service.upkeep.collect(BOSS, older_than=wrong)
        with pytest.raises(Denied):
            await world.service.upkeep.collect(world.account("ann"), force=True)
