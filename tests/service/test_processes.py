"""The processes of agent CLIs: listed, stopped, killed, and never mistaken for strangers."""

import os
from pathlib import Path
from typing import Any

import pytest

from roost.core import events as e
from roost.core.errors import BadValue, ProcessNotFound, SessionNotRunning, Unfinished
from roost.core.ids import LogId, Micros, RunId, SessionId, TurnId
from roost.core.orders import Order
from roost.core.session import Head
from roost.ports import RunRecord
from roost.service.processes import judged, lives, misfits
from service.fleets import BOSS, HANG, FleetWorld, open_fleet

pytestmark = pytest.mark.anyio

TURN = TurnId("t")


async def hanging(world: FleetWorld, **asked: Any) -> tuple[Head, str]:
    """A session whose process runs, and the process's id."""
    session = (await world.spawn(HANG, **asked)).head.id
    await world.until_fact(session, e.MessageAdded)
    head = await world.store.head(LogId(session))
    assert head.turn is not None and head.turn.run is not None
    return head, head.turn.run.id


def started(run: str, pid: int = 1, begun: int = 1, boot: str = "boot") -> e.RunStarted:
    return e.RunStarted(RunId(run), pid, begun, boot, "mock", prompt="hi")


async def test_the_list_is_filtered_before_it_is_cut(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        _, running = await hanging(world)
        for _ in range(2):
            await world.done("hi")
        processes = world.service.processes
        listed = await processes.listing(BOSS)
        assert [one.live for one in listed] == ["exited", "exited", "running"]
        assert listed[0].record.started_at >= listed[1].record.started_at
        assert [one.record.id for one in await processes.listing(BOSS, running=True, limit=1)] == [running]
        assert len(await processes.listing(BOSS, limit=2)) == 2
        assert await processes.listing(BOSS, provider="claude") == []
        one = await processes.show(BOSS, running)
        assert (one.status, one.live, one.record.fact.prompt[:5]) == ("running", "running", "@mock")


async def test_the_beginning_of_an_id_will_do_where_it_is_one_processs(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        _, run = await hanging(world)
        processes = world.service.processes
        assert (await processes.show(BOSS, run[:8])).record.id == run
        for unknown in (run[:3], "nobody"):
            with pytest.raises(ProcessNotFound):
                await processes.show(BOSS, unknown)
        head, _ = await hanging(world)
        await world.store.put(LogId(head.id), [started(f"{run[:8]}-twin")])
        with pytest.raises(BadValue, match=f"several processes begin with '{run[:8]}'"):
            await processes.stop(BOSS, run[:8])


async def test_d6_each_run_is_one_entry_with_its_own_end(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        head = await world.done('@mock {"steps": [{"say": "x"}], "fail": "broken", "exit_code": 3}')
        [one] = await world.service.processes.listing(BOSS)
        assert (one.record.session, one.status, one.live) == (head.id, "exited", "exited")
        assert one.record.ended is not None and one.record.ended.code == 3


async def test_stop_and_kill_end_the_whole_process(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        for end in (world.service.processes.stop, world.service.processes.kill):
            head, run = await hanging(world)
            await end(BOSS, run)
            ended = await world.ended(head.id)
            assert ended.outcome == "error" and ended.error
            assert (await world.service.processes.show(BOSS, run)).live in ("killed", "exited")
            with pytest.raises(SessionNotRunning):
                await end(BOSS, run)


async def test_what_is_not_there(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        _, run = await hanging(world)
        processes = world.service.processes
        for end in (processes.show, processes.stop, processes.kill):
            with pytest.raises(ProcessNotFound):
                await end(BOSS, "nobody")
            with pytest.raises(ProcessNotFound):
                await end(world.account("ann"), run)
            for wrong in ("self", "../x", ""):
                with pytest.raises(BadValue):
                    await end(BOSS, wrong)
        assert await processes.listing(world.account("ann")) == []


async def test_d36_a_pid_that_another_process_has_by_now_is_not_signalled(tmp_path: Path) -> None:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    opened = e.TurnOpened(TURN, "mock", "mock", "/", driver="mock")
    async with open_fleet(tmp_path, leave=True) as world:
        await world.lay(opened, started("stranger", os.getpid(), 1, boot), session="its-turn", order=Order("mock"))
        one = await world.service.processes.show(BOSS, "stranger")
        assert (one.status, one.live) == ("running", "dead")
        with pytest.raises(SessionNotRunning):
            await world.service.processes.kill(BOSS, "stranger")


def test_a_process_is_known_by_its_start_time() -> None:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    mine = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    assert lives(os.getpid(), mine, boot)
    assert not lives(os.getpid(), mine + 1, boot)
    assert not lives(os.getpid(), mine, "another boot")
    assert not lives(2**22 + 1, mine, boot)


async def test_a_kill_with_a_result_leaves_it_behind(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        head, run = await hanging(world)
        await world.service.processes.kill(BOSS, run, result="42")
        assert (await world.ended(head.id)).outcome == "normal"
        assert await world.service.results.output(BOSS, head.id) == "42"


async def test_a_result_that_does_not_fit_is_refused_and_nothing_is_ended(tmp_path: Path) -> None:
    schema = {"type": "object", "required": ["answer"], "properties": {"answer": {"type": "integer"}}}
    async with open_fleet(tmp_path) as world:
        head, run = await hanging(world, json_schema=schema)
        for wrong in ("no json", "{}", '{"answer": "x"}'):
            with pytest.raises(Unfinished, match="refused"):
                await world.service.processes.kill(BOSS, run, result=wrong)
        assert (await world.service.processes.show(BOSS, run)).live == "running"
        assert await world.facts(head.id, e.ResultSet) == []
        await world.service.processes.kill(BOSS, run, result='```json\n{"answer": 42}\n```')
        await world.ended(head.id)
        assert "42" in await world.service.results.output(BOSS, head.id)


@pytest.mark.parametrize(
    ("schema", "reasons"),
    [
        ({}, 0),
        ({"type": "string"}, 1),
        ({"pattern": "(a+)+$", "type": "integer"}, 0),
        ({"$ref": "http://127.0.0.1:1/never-asked"}, 0),
        ({"$ref": "#/nowhere"}, 1),
        ({"type": "nonsense"}, 1),
        ({"type": 7}, 1),
        ({"enum": 7}, 1),
    ],
)
def test_any_schema_is_borne(schema: dict[str, Any], reasons: int) -> None:
    assert len(misfits("1", schema)) == reasons


def test_a_process_that_went_without_a_word_has_exited() -> None:
    ended = e.RunEnded(RunId("r"))
    nobody = SessionId("")
    record = RunRecord(RunId("r"), LogId("l"), nobody, "", nobody, Micros(1), started("r"), Micros(2), ended)
    assert judged(record).live == "exited"
