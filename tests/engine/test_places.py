"""Where a CLI's runs take place: in a sandbox, in a worktree, and never bare where that is not allowed."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace

from engine.test_driven import kinds, play, serving
from roost.core import events as e
from roost.engine.house import House
from roost.ports import Confinement, Launch
from roost.sandbox.bubblewrap import Bubblewrap
from roost.sandbox.choice import Choice
from roost.sandbox.view import Kept
from roost.stores.memory import Shelf
from roost.worktrees import GitWorktrees

pytestmark = pytest.mark.anyio

needs_bwrap = pytest.mark.skipif(shutil.which("bwrap") is None, reason="apt-get install bubblewrap brings it")


class Watched(Bubblewrap):
    """Remembers what it was given."""

    def __init__(self, kept: Kept) -> None:
        super().__init__(kept)
        self.confined: list[Launch] = []
        self.removed: list[str] = []

    async def remove(self, name: str) -> None:
        self.removed.append(name)

    def confine(self, launch: Launch, confinement: Confinement) -> Launch:
        confined = super().confine(launch, confinement)
        if launch.argv[0] != "/bin/true":  # the probe
            self.confined.append(confined)
        return confined


@needs_bwrap
async def test_a_confined_run_plays_in_the_sandbox_and_resumes_there(tmp_path: Path) -> None:
    sandbox = Watched(Kept(str(tmp_path / "owner"), str(tmp_path / "state")))
    (tmp_path / "state").mkdir()
    async with serving(tmp_path / "state", Shelf(), sandbox=sandbox) as server:
        server.work = tmp_path / "work"
        server.work.mkdir()
        log = await server.spawn(play({"say": "one"}), confined=True)
        head = await server.ended(log)
        assert head.outcome == "normal", head.error
        await server.open(log, "again", confined=True)
        head = await server.ended(log)
        assert head.outcome == "normal", head.error
        started = [fact for fact in await server.facts(log) if isinstance(fact, e.RunStarted)]
    assert [fact.sandbox for fact in started] == [launch.sandbox for launch in sandbox.confined]
    assert all(fact.sandbox.startswith(f"bubblewrap:roost-{log}-") for fact in started)
    assert started[1].resumed == head.provider_session
    assert (tmp_path / "state/homes" / log).is_dir()


@needs_bwrap
async def test_a_confined_run_that_ignores_signals_can_be_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roost.engine.run.STOPS_IN", 0.2)
    (tmp_path / "state").mkdir()
    sandbox = Bubblewrap(Kept(str(tmp_path / "owner"), str(tmp_path / "state")))
    async with serving(tmp_path / "state", Shelf(), sandbox=sandbox) as server:
        server.work = tmp_path / "work"
        server.work.mkdir()
        log = await server.spawn(play({"say": "on it"}, hang=True, ignore_signals=True), confined=True)
        head = await server.until(log, lambda head: bool(head.spoke))
        assert head.turn is not None
        await server.store.put(log, [e.CancelAsked(head.turn.id, "enough")])
        head = await server.ended(log)
    assert head.outcome == "canceled"


@needs_bwrap
async def test_a_keeper_that_went_without_a_word_leaves_no_sandbox(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    sandbox = Watched(Kept(str(tmp_path / "owner"), str(tmp_path / "state")))
    async with serving(tmp_path / "state", Shelf(), sandbox=sandbox) as server:
        server.work = tmp_path / "work"
        server.work.mkdir()
        log = await server.spawn(play({"say": "on it"}, hang=True), confined=True)
        head = await server.until(log, lambda head: bool(head.spoke))
        assert head.turn is not None
        assert head.turn.run is not None
        assert not sandbox.removed
        os.kill(head.turn.run.pid, signal.SIGKILL)
        await server.store.put(log, [e.CancelAsked(head.turn.id, "enough")])
        head = await server.ended(log)
        with anyio.fail_after(20):
            while not sandbox.removed:
                await anyio.sleep(0.02)
    assert [f"bubblewrap:{name}" for name in sandbox.removed] == [head.sandbox]


class Absent:
    """A sandbox that does not work."""

    kind = "absent"

    async def trouble(self) -> str:
        return "it is not installed"

    def confine(self, launch: Launch, confinement: Confinement) -> Launch:
        raise AssertionError("nobody asks for this")

    async def furnish(self, home: str, keeps: Sequence[str]) -> None: ...

    async def names(self) -> Sequence[str]:
        return ()

    async def remove(self, name: str) -> None: ...


@pytest.mark.parametrize("sandbox", [None, Absent(), Choice((Absent(),))])
async def test_where_there_is_no_sandbox_it_is_refused_and_nothing_starts(
    tmp_path: Path, sandbox: Absent | None
) -> None:
    async with serving(tmp_path, Shelf(), sandbox=sandbox) as server:
        log = await server.spawn(play({"say": "one"}), confined=True)
        head = await server.ended(log)
        assert "RunStarted" not in kinds(await server.facts(log))
    assert head.outcome == "error"
    assert "has to be confined" in head.error


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (folder := tmp_path / "repository").mkdir()
    (folder / "file").write_text("x")
    author = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    for words in (("init", "--quiet"), ("add", "."), (*author, "commit", "--quiet", "-m", "first")):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize("name", ["", "mine"])
async def test_a_session_works_in_a_worktree_that_goes_with_it(tmp_path: Path, repository: Path, name: str) -> None:
    worktrees = GitWorktrees(tmp_path / "worktrees")
    async with serving(tmp_path, Shelf(), worktrees=worktrees) as server:
        server.work = repository
        log = await server.spawn(play({"say": "one"}), worktree=name)
        head = await server.ended(log)
        assert head.outcome == "normal", head.error
        facts = await server.facts(log)
        await server.open(log, "again")
        await server.ended(log)
        again = await server.facts(log)
    (made,) = (fact for fact in facts if isinstance(fact, e.WorktreeMade))
    (left,) = (fact for fact in facts if isinstance(fact, e.WorktreeLeft))
    (started,) = (fact for fact in facts if isinstance(fact, e.RunStarted))
    assert (made.repository, made.name == name or not name) == (str(repository), True)
    assert started.working_dir == made.path
    assert left.removed
    assert (head.worktree, head.worktree_path) == (made.name, "")
    assert not Path(made.path).exists()
    assert [fact.path for fact in again if isinstance(fact, e.WorktreeMade)] == [made.path, made.path]


async def test_a_worktree_with_work_in_it_is_kept_and_used_again(tmp_path: Path, repository: Path) -> None:
    worktrees = GitWorktrees(tmp_path / "worktrees")
    async with serving(tmp_path, Shelf(), worktrees=worktrees) as server:
        server.work = repository
        log = await server.spawn(play({"ask": "Bash", "input": {"command": "x"}}, {"say": "two"}), worktree="mine")
        head = await server.until(log, lambda head: bool(head.worktree_path))
        (Path(head.worktree_path) / "new").write_text("work")
        assert head.turn is not None
        await server.store.put(log, [e.CancelAsked(head.turn.id, "enough")])
        head = await server.ended(log)
        left = [fact for fact in await server.facts(log) if isinstance(fact, e.WorktreeLeft)]
    assert [fact.removed for fact in left] == [False]
    assert (Path(head.worktree_path) / "new").read_text() == "work"


@pytest.mark.parametrize(("confined", "says"), [(True, "exclude each other"), (False, "not a git repository")])
async def test_a_worktree_that_can_not_be_is_an_error(tmp_path: Path, confined: bool, says: str) -> None:
    async with serving(tmp_path, Shelf(), worktrees=GitWorktrees(tmp_path / "worktrees")) as server:
        log = await server.spawn(json.dumps("x"), worktree="", confined=confined)
        head = await server.ended(log)
    assert head.outcome == "error"
    assert says in head.error


class Engine(Absent):
    """A Docker engine with containers."""

    kind = "docker"

    def __init__(self, *names: str) -> None:
        self.there = list(names)

    async def names(self) -> Sequence[str]:
        return tuple(self.there)

    async def remove(self, name: str) -> None:
        self.there.remove(name)


async def test_a_container_that_a_crash_left_is_removed_and_others_are_not(tmp_path: Path) -> None:
    engine = Engine("roost-mine", "roost-busy", "somebody-else-s")
    async with serving(tmp_path, Shelf(), sandbox=engine) as server:
        idle = await server.ended(await server.spawn(play({"say": "one"})))
        busy = await server.spawn(play({"ask": "Bash"}))
        working = await server.until(busy, lambda head: bool(head.waits))
        house = House(server.supervisor._makers, server.supervisor)
        heads = [replace(idle, sandbox="docker:roost-mine"), replace(working, sandbox="docker:roost-busy")]
        await house.sweep_sandboxes(heads)
        assert engine.there == ["roost-busy", "somebody-else-s"]
        await server.store.put(busy, [e.CancelAsked(working.turn.id, "enough")] if working.turn else [])
        await server.ended(busy)
