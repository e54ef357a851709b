"""Sessions found by any of their names, judged, labelled, cancelled and deleted."""

import os
from pathlib import Path
from typing import Any

import pytest

from roost.core import events as e
from roost.core.errors import BadValue, SessionBusy, SessionNotFound
from roost.core.ids import Micros, RunId, TurnId
from roost.core.messages import Message
from roost.core.orders import Order
from roost.service.fleet import MOST_TAGS, Label
from service.fleets import BOSS, HANG, FleetWorld, open_fleet, told

pytestmark = pytest.mark.anyio

TURN = TurnId("t")
OPENED = e.TurnOpened(TURN, "mock", "mock", "/srv", driver="mock")
ORDER = Order("mock", "hi", model="mock-small", name="indexer", tags=("Nightly",))


def ended(outcome: Any = "normal", error: str = "") -> e.TurnEnded:
    return e.TurnEnded(TURN, outcome, "mock", error)


def run(code: int | None = 0, **more: Any) -> list[e.Fact]:
    return [e.RunStarted(RunId("r"), 1, 1, "boot", "mock"), e.RunEnded(RunId("r"), code, **more)]


# -- names --------------------------------------------------------------------------------------


async def test_a_session_is_found_by_each_of_its_names(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        await world.lay(OPENED, e.Introduced("own-id"), ended(), session="abcd-1", order=ORDER)
        await world.lay(session="abcd-2")
        newest = await world.lay(session="zzzz")
        fleet = world.service.fleet
        for name, found in {
            "abcd-1": "abcd-1",
            "own-id": "abcd-1",
            "zzzz": newest,
            "abcd-2": "abcd-2",
            "latest": newest,
        }.items():
            assert (await fleet.find(BOSS, name)).id == found
        with pytest.raises(BadValue, match="abcd-2, abcd-1"):
            await fleet.find(BOSS, "abcd")
        for unknown in ("zzz", "abcd-3", "own"):  # three characters stand for nothing
            with pytest.raises(SessionNotFound):
                await fleet.find(BOSS, unknown)


@pytest.mark.parametrize("name", ["", "..", "../x", "/etc", "a/b", "a\0", "x" * 129, ".hidden", "a b", "$(id)"])
async def test_d12_what_can_not_be_an_id_is_looked_up_nowhere(tmp_path: Path, name: str) -> None:
    async with open_fleet(tmp_path) as world:
        with pytest.raises(BadValue):
            await world.service.fleet.find(BOSS, name)


async def test_an_account_sees_its_own_alone(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        ann, bob, fleet = world.account("ann"), world.account("bob"), world.service.fleet
        await world.lay(session="anns-one", owner="ann", order=ORDER)
        await world.lay(session="bobs-one", owner="bob", order=ORDER)
        assert [head.id for head in await fleet.listing(ann)] == ["anns-one"]
        assert [head.id for head in await fleet.listing(BOSS)] == ["bobs-one", "anns-one"]
        for name in ("anns-one", "anns"):
            with pytest.raises(SessionNotFound):
                await fleet.find(bob, name)
        assert (await fleet.find(bob, "latest")).id == "bobs-one"
        with pytest.raises(SessionNotFound):
            await fleet.label(bob, "anns-one", Label(name="mine"))
        with pytest.raises(SessionNotFound):
            await fleet.cancel(bob, "anns-one")
        with pytest.raises(SessionNotFound):
            await fleet.delete(bob, "anns-one")


async def test_d5_d24_the_list_has_every_session_newest_first_and_keeps_the_newest(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        for name in ("one", "two", "three"):
            await world.lay(session=name, order=ORDER, working_dir=f"/somewhere/{name}")
        await world.lay(session="other", order=Order("claude", "x", tags=("b",)))
        fleet = world.service.fleet
        assert [head.id for head in await fleet.listing(BOSS)] == ["other", "three", "two", "one"]
        assert [head.id for head in await fleet.listing(BOSS, limit=2)] == ["other", "three"]
        assert [head.id for head in await fleet.listing(BOSS, tag="NIGHTLY", limit=2)] == ["three", "two"]
        assert [head.id for head in await fleet.listing(BOSS, provider="claude")] == ["other"]
        assert [head.id for head in await fleet.listing(BOSS, tag="nightly", provider="claude")] == []


# -- how it is doing ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "word", "error"),
    [
        ([], "unknown", ""),
        ([OPENED], "running", ""),
        ([OPENED, ended()], "completed", ""),
        ([OPENED, *run(1), ended("error", "exited with code 1")], "failed", "exited with code 1"),
        ([OPENED, *run(None), ended("error", "it is gone")], "dead", "it is gone"),
        ([OPENED, *run(None, signal=9), ended("error", "killed")], "failed", "killed"),
        ([OPENED, ended("canceled", "cancelled: stop")], "failed", "cancelled: stop"),
        ([OPENED, ended("error", "x"), OPENED], "running", ""),
        ([OPENED, ended("error", "x"), OPENED, ended()], "completed", ""),
        ([OPENED, e.LimitHit("i", "mock", resume_at=Micros(9))], "idle", ""),
        ([OPENED, e.LimitHit("i", "mock", resume_at=Micros(9)), e.LimitResumed("i", "go", 1)], "running", ""),
    ],
)
async def test_the_status(tmp_path: Path, facts: list[e.Fact], word: str, error: str) -> None:
    async with open_fleet(tmp_path, leave=True) as world:
        await world.lay(*facts, session="it-self", order=ORDER)
        view = await world.service.fleet.view(BOSS, "it-self")
        assert (view.status.word, view.status.error) == (word, error)
        [listed] = await world.service.fleet.views([view.head])
        assert listed.status == view.status
        assert (view.heartbeat_at is not None) == (word in ("running", "idle"))


async def test_the_pid_is_that_of_the_newest_process(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        await world.lay(OPENED, *run(), ended(), session="ran-once", order=ORDER)
        await world.lay(session="never-ran")
        assert (await world.service.fleet.view(BOSS, "ran-once")).pid == 1
        assert (await world.service.fleet.view(BOSS, "never-ran")).pid == os.getpid()


async def test_what_a_program_may_know_of_its_session(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        await world.lay(OPENED, *run(), ended(), session="it-self", order=ORDER, working_dir="/srv")
        assert await world.service.fleet.env(BOSS, "latest") == {
            "ZAG_SESSION_ID": "it-self",
            "ZAG_PROVIDER": "mock",
            "ZAG_SESSION_NAME": "indexer",
            "ZAG_PROCESS_ID": "r",
            "ZAG_MODEL": "mock-small",
            "ZAG_ROOT": "/srv",
        }
        await world.lay(session="bare-one")
        assert await world.service.fleet.env(BOSS, "bare-one") == {"ZAG_SESSION_ID": "bare-one", "ZAG_PROVIDER": ""}


# -- changes ------------------------------------------------------------------------------------


async def test_labels_change_one_by_one(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        await world.lay(session="it-self", order=ORDER)
        fleet = world.service.fleet
        head = await fleet.label(BOSS, "it-self", Label(description="Finds things", tags=("nightly", "ci", "CI")))
        assert (head.name, head.description, head.tags) == ("indexer", "Finds things", ("Nightly", "ci"))
        head = await fleet.label(BOSS, "it-self", Label(name="", clear_tags=True, tags=("a",)))
        assert (head.name, head.description, head.tags) == ("", "Finds things", ("a",))
        assert (await fleet.label(BOSS, "it-self", Label())).tags == ("a",)
        for wrong in (
            Label(name="x" * 201),
            Label(description="x" * 4001),
            Label(tags=(" ",)),
            Label(tags=("x" * 101,)),
            Label(tags=tuple(str(n) for n in range(MOST_TAGS))),
        ):
            with pytest.raises(BadValue):
                await fleet.label(BOSS, "it-self", wrong)


async def test_notes_stand_in_the_log(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        await world.lay(session="it-self")
        fleet = world.service.fleet
        await fleet.note(BOSS, "it-self", "hello")
        await fleet.note(BOSS, "it-self", "odd", level="warn", data='{"k": [1]}')
        await fleet.note(BOSS, "it-self", "odd", level="error", data={"k": 2})
        assert await world.facts("it-self", e.UserNoted) == [
            e.UserNoted("info", "hello"),
            e.UserNoted("warn", "odd", {"k": [1]}),
            e.UserNoted("error", "odd", {"k": 2}),
        ]
        for wrong in ({"level": "fatal"}, {"data": "{"}, {"data": "[" * 100_000}):
            with pytest.raises(BadValue):
                await fleet.note(BOSS, "it-self", "x", **wrong)
        with pytest.raises(SessionNotFound):
            await fleet.note(BOSS, "nobody", "x")


async def _running(world: FleetWorld) -> str:
    session = (await world.spawn(HANG)).head.id
    await world.until_fact(session, e.MessageAdded)
    return session


async def test_a_cancel_ends_the_process_and_says_why(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        session = await _running(world)
        await world.service.fleet.cancel(BOSS, session, "superseded")
        head = await world.ended(session)
        assert (head.outcome, head.error) == ("canceled", "cancelled: superseded")
        [process] = await world.service.processes.listing(BOSS)
        assert process.live == "killed"
        before = head.last_seq
        assert (await world.service.fleet.cancel(BOSS, session)).last_seq == before  # no second end
        with pytest.raises(SessionNotFound):
            await world.service.fleet.cancel(BOSS, "nobody")


async def test_a_cancel_without_a_reason_has_one_all_the_same(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        session = await _running(world)
        await world.service.inputs.send(BOSS, session, "and then")
        await world.service.fleet.cancel(BOSS, session)
        head = await world.ended(session)
        assert head.error == "cancelled: cancelled by user"
        assert head.queue == ()  # what was waiting is dropped


async def test_d24_a_session_that_runs_is_not_deleted_and_one_that_is_deleted_is_gone(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        session = await _running(world)
        with pytest.raises(SessionBusy):
            await world.service.fleet.delete(BOSS, session)
        await world.service.fleet.cancel(BOSS, session)
        head = await world.ended(session)
        assert head.provider_session
        await world.service.fleet.delete(BOSS, head.provider_session)  # whichever of its names
        with pytest.raises(SessionNotFound):
            await world.service.fleet.find(BOSS, session)
        assert await world.service.fleet.listing(BOSS) == []


async def test_a_session_of_the_other_door_is_in_the_fleet_too(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        session = (await world.service.sessions.create(BOSS, e.Template(title="chat"))).id
        await world.service.turns.run(BOSS, session, "crew", [Message("user", "hi")], detach=True)
        await world.ended(session)
        view = await world.service.fleet.view(BOSS, session)
        assert (view.status.word, view.head.source) == ("completed", "crew")
        assert await world.service.results.output(BOSS, session) == "hello"


async def test_the_log_of_another_session_is_not_touched_by_a_prefix(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        await world.lay(told("hi"), session="abcdef")
        await world.lay(told("hi"), session="abcdeg")
        with pytest.raises(BadValue, match="several"):
            await world.service.fleet.delete(BOSS, "abcde")
        assert len(await world.service.fleet.listing(BOSS)) == 2
