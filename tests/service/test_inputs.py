"""Messages for sessions that are there: queued, resumed with, broadcast, and written into a pipe."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from roost.core import events as e
from roost.core.errors import BadValue, LaunchFailed, QueueFull, SessionNotFound, SessionNotRunning
from roost.core.orders import Order
from roost.service.fifos import Lines, said
from roost.service.inputs import WAITING
from roost.stores.memory import Shelf
from roost.testing.fakes import answers
from service.fleets import BOSS, HANG, FleetWorld, open_fleet, play

pytestmark = pytest.mark.anyio


async def answered(world: FleetWorld, session: str) -> list[str]:
    """What the agent has said."""
    added = await world.facts(session, e.MessageAdded)
    return [fact.message.content for fact in added if fact.message is not None and fact.message.content]


# -- into a turn that runs ----------------------------------------------------------------------


async def test_a_turn_that_runs_is_extended_by_a_message(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        session = (await world.spawn(play({"say": "one"}, {"sleep_s": 0.5}))).head.id
        await world.until_fact(session, e.MessageAdded)
        sent = await world.service.inputs.send(BOSS, session, "two")
        assert sent.queued and sent.output is None and sent.head.turn is not None
        head = await world.ended(session)
        assert (head.turns, head.outcome) == (1, "normal")
        assert await answered(world, session) == ["one", "two"]


async def test_a_full_queue_takes_no_more(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        session = (await world.spawn(HANG)).head.id
        await world.until_fact(session, e.MessageAdded)
        for number in range(WAITING):
            await world.service.inputs.send(BOSS, session, str(number))
        with pytest.raises(QueueFull):
            await world.service.inputs.send(BOSS, session, "one too many")


@pytest.mark.parametrize("provider", ["mock", "crew"])
async def test_an_interactive_session_answers_in_order_until_it_is_cancelled(tmp_path: Path, provider: str) -> None:
    script = answers(["one"], ["two"], ["three"])
    async with open_fleet(tmp_path, script=script) as world:
        spawned = await world.spawn("", provider=provider, interactive=True)
        session = spawned.head.id
        assert spawned.head.interactive
        for number, word in enumerate(("one", "two", "three"), 1):
            sent = await world.service.inputs.send(BOSS, session, word)
            assert sent.queued and sent.head.turn is not None and sent.head.turn.interactive
            await world.until_fact(session, e.MessageTaken, number)
        await world.until_fact(session, e.MessageAdded, 3)
        assert await answered(world, session) == ["one", "two", "three"]
        assert (await world.service.fleet.view(BOSS, session)).status.word in ("running", "idle")
        await world.service.fleet.cancel(BOSS, session)
        head = await world.ended(session)
        assert head.outcome == "canceled"
        assert await world.service.results.output(BOSS, session) == "three"


# -- as the beginning of another turn -----------------------------------------------------------


async def test_d16_a_session_that_rests_is_resumed_with_what_it_was_spawned_for(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        (world.work / "sub").mkdir()
        first = await world.done("one", root=str(world.work / "sub"), auto_approve=True, model="small")
        sent = await world.service.inputs.send(BOSS, first.id, "two")
        assert not sent.queued and sent.output is not None
        assert (sent.output.result, sent.output.is_error) == ("two", False)
        assert sent.output.events[0].__struct_config__.tag == "user_message"
        runs = await world.facts(first.id, e.RunStarted)
        assert [run.working_dir for run in runs] == [str(world.work / "sub")] * 2
        assert [run.model for run in runs] == ["small"] * 2
        assert runs[1].resumed == first.provider_session
        opened = await world.facts(first.id, e.TurnOpened)
        assert [turn.command for turn in opened] == ["exec", "input"]
        head = await world.store.head(first.id)  # type: ignore[arg-type]
        assert (head.turns, head.outcome, head.turn) == (2, "normal", None)


async def test_an_agent_file_is_resumed_too(tmp_path: Path) -> None:
    async with open_fleet(tmp_path, script=answers(["one"], ["two"])) as world:
        session = (await world.done("hi", provider="crew")).id
        sent = await world.service.inputs.send(BOSS, session, "more")
        assert sent.output is not None and sent.output.result == "two"


async def test_d11_whoever_must_stay_in_a_sandbox_resumes_in_one(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        session = (await world.done("one")).id
        ann = world.account("ann")
        own = await world.lay(owner="ann", order=Order("mock", "x", working_dir=ann.home), working_dir=ann.home)
        boxed = ann.__class__(ann.name, ann.client, kind="account", home=ann.home, must_sandbox=True)
        sent = await world.service.inputs.send(boxed, own, "two")
        assert sent.output is not None and sent.output.is_error  # there is no sandbox on this server
        (opened,) = await world.facts(own, e.TurnOpened)
        assert opened.confined and await world.facts(own, e.RunStarted) == []
        with pytest.raises(SessionNotFound):
            await world.service.inputs.send(ann, session, "two")


async def test_what_can_not_be_sent(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        session = (await world.done("one")).id
        send = world.service.inputs.send
        for wrong in ("", " \n", "a\0b"):
            with pytest.raises(BadValue):
                await send(BOSS, session, wrong)
        with pytest.raises(SessionNotFound):
            await send(BOSS, "nobody", "hi")
        with pytest.raises(SessionNotRunning):
            await send(BOSS, await world.lay(session="nobodys"), "hi")


async def test_a_cli_that_can_not_be_resumed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_fleet(tmp_path) as world:
        session = (await world.done("one")).id
        capability = world.service.desk.makers.drivers["mock"].capability
        monkeypatch.delitem(capability.features, "resume")
        monkeypatch.setitem(capability.features, "resume", type(capability.features["worktree"])())
        with pytest.raises(LaunchFailed, match="can't go on"):
            await world.service.inputs.send(BOSS, session, "two")


async def test_a_message_to_a_turn_that_is_being_cancelled_begins_another(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        session = (await world.spawn(HANG)).head.id
        await world.until_fact(session, e.MessageAdded)
        await world.service.fleet.cancel(BOSS, session)
        with anyio.fail_after(20):
            sent = await world.service.inputs.send(BOSS, session, "two")
        assert sent.output is not None and sent.output.result == "two"
        assert (await world.store.head(session)).turns == 2  # type: ignore[arg-type]


# -- to many ------------------------------------------------------------------------------------


async def test_a_broadcast_reaches_each_in_its_own_way(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        rests = (await world.done("one", tags=("t",))).id
        live = (await world.spawn("", interactive=True, tags=("t",))).head.id
        outside = (await world.done("one")).id
        broken = await world.lay(order=Order("claude", "x", tags=("t",)), working_dir="/gone")
        told = {one.session: one for one in await world.service.inputs.broadcast(BOSS, "hear me", tag="T")}
        assert set(told) == {rests, live, broken}
        output = told[rests].output
        assert output is not None and output.result == "hear me"
        assert (told[live].output, told[live].error) == (None, "")
        assert told[broken].error
        assert (await world.store.head(outside)).turns == 1  # type: ignore[arg-type]


async def test_a_broadcast_to_nobody(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        await world.lay(session="no-spawn")
        assert await world.service.inputs.broadcast(BOSS, "hear me") == []
        with pytest.raises(SessionNotFound):
            await world.service.inputs.broadcast(BOSS, "hear me", tag="nobody-has-it")
        with pytest.raises(BadValue):
            await world.service.inputs.broadcast(BOSS, " ")


async def test_an_account_reaches_its_own_alone(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        ann = world.account("ann")
        mine, other = (await world.done("one", who=ann)).id, (await world.done("one")).id
        told = await world.service.inputs.broadcast(ann, "hear me")
        assert [one.session for one in told] == [mine]
        assert (await world.store.head(other)).turns == 1  # type: ignore[arg-type]


# -- the pipe -----------------------------------------------------------------------------------


def write(path: Path, text: str) -> None:
    """What a local tool does: open for writing, write, close."""
    pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    try:
        os.write(pipe, text.encode())
    finally:
        os.close(pipe)


async def interactive(world: FleetWorld) -> tuple[str, Path]:
    spawned = await world.spawn("", interactive=True)
    path = world.service.fifos.path(spawned.head)
    with anyio.fail_after(10):
        while not path.exists():
            await anyio.sleep(0)
    return spawned.head.id, path


async def gone(path: Path) -> None:
    with anyio.fail_after(10):
        while path.exists():
            await anyio.sleep(0)


async def test_lines_of_a_pipe_are_messages(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        session, path = await interactive(world)
        mode = path.stat().st_mode
        assert stat.S_ISFIFO(mode) and stat.S_IMODE(mode) == 0o600
        assert path == world.home / "fifos" / session
        write(path, '{"type": "user_message", "content": "one"}\n\n')
        write(path, "two\n")
        write(path, "thr")
        write(path, "ee\n")
        await world.until_fact(session, e.MessageTaken, 3)
        await world.until_fact(session, e.MessageAdded, 3)
        assert await answered(world, session) == ["one", "two", "three"]
        await world.service.fleet.cancel(BOSS, session)
        await world.ended(session)
        await gone(path)


async def test_d7_a_stale_pipe_holds_nobody_up(tmp_path: Path) -> None:
    stale, innocent = tmp_path / "home" / "fifos" / "old-session", tmp_path / "home" / "fifos" / "notes.txt"
    stale.parent.mkdir(parents=True)
    os.mkfifo(stale)
    innocent.write_text("mine")
    async with open_fleet(tmp_path) as world:
        assert not stale.exists() and innocent.exists()
        session = (await world.done("one")).id
        os.mkfifo(stale.parent / session)
        with anyio.fail_after(20):
            sent = await world.service.inputs.send(BOSS, session, "two")
        assert sent.output is not None


async def test_the_pipe_of_an_interactive_session_is_there_again_after_a_restart(tmp_path: Path) -> None:
    shelf = Shelf()
    async with open_fleet(tmp_path, shelf=shelf, leave=True) as world:
        session, path = await interactive(world)
        await world.service.inputs.send(BOSS, session, "one")
        await world.until_fact(session, e.MessageAdded)
    assert not path.exists()
    async with open_fleet(tmp_path, shelf=shelf, name="two") as world:
        with anyio.fail_after(10):
            while not path.exists():
                await anyio.sleep(0)
        write(path, "two\n")
        await world.until_fact(session, e.MessageAdded, 2)
        assert await answered(world, session) == ["one", "two"]
        await world.service.fleet.cancel(BOSS, session)
        await world.ended(session)
        await gone(path)


@pytest.mark.parametrize("cut", range(1, 30))
def test_lines_survive_any_cut(cut: int) -> None:
    stream, lines = b'one\n\n{"content": "two"}\nthree\n', Lines()
    assert lines.feed(stream[:cut]) + lines.feed(stream[cut:]) == ["one", "two", "three"]


def test_a_line_that_is_too_long_is_dropped_and_no_other() -> None:
    lines = Lines()
    assert lines.feed(b"one\n" + b"x" * (5 << 20)) == ["one"]
    assert lines.feed(b"x" * (5 << 20)) == []
    assert lines.feed(b"xx\ntwo\n") == ["two"]
    assert lines.feed(b"y" * (5 << 20) + b"\nthree\n") == ["three"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"type": "user_message", "content": "hi"}', "hi"),
        ('{"content": 1}', '{"content": 1}'),
        ("[1]", "[1]"),
        ("{", "{"),
        ("[" * 5000, "[" * 5000),
    ],
)
def test_a_line_is_its_content_or_itself(line: str, message: Any) -> None:
    assert said(line) == message


async def test_of_two_servers_one_reads_the_pipe(tmp_path: Path) -> None:
    shelf = Shelf()
    async with open_fleet(tmp_path, shelf=shelf) as one:
        session, path = await interactive(one)
        async with open_fleet(tmp_path, shelf=shelf, name="two", leave=True):
            write(path, "one\n")
            await one.until_fact(session, e.MessageAdded)
        write(path, "two\n")
        await one.until_fact(session, e.MessageAdded, 2)
        assert await answered(one, session) == ["one", "two"]


async def test_a_pipe_is_taken_over_when_nobody_reads_it_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roost.service.fifos.AGAIN", 0.05)
    shelf = Shelf()
    async with open_fleet(tmp_path, shelf=shelf, leave=True) as world:
        session, path = await interactive(world)
    os.mkfifo(path)
    other = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    async with open_fleet(tmp_path, shelf=shelf, name="two") as world:
        await anyio.wait_all_tasks_blocked()  # it has looked, and waits
        write(path, "for the other one\n")
        assert os.read(other, 100) == b"for the other one\n"
        os.close(other)
        with anyio.fail_after(10):
            while not await world.facts(session, e.MessageQueued):
                with suppress(OSError):  # nobody reads it yet
                    write(path, "hello\n")
                await anyio.sleep(0.01)
        await world.until_fact(session, e.MessageAdded)
        assert set(await answered(world, session)) == {"hello"}
