"""Reviews: what is shown to the agent, and what git is not asked for."""

import shutil
import subprocess
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from roost.core.errors import BadValue, Denied, NoSandbox, Unfinished
from roost.ports import Confinement, Launch
from roost.service.orders import Request
from roost.service.reviews import Wanted
from service.fleets import BOSS, FleetWorld, open_fleet

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("git") is None, reason="git is missing: apt-get install git"),
]


def git(place: Path, *words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    done = subprocess.run(["git", *who, *words], cwd=place, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def repository(place: Path) -> str:
    """Two commits, a change that is not committed, and a new file; the newest commit."""
    git(place, "init")
    (place / "a.py").write_text("one = 1\n")
    git(place, "add", ".")
    git(place, "commit", "-m", "first")
    (place / "a.py").write_text("one = 1\ntwo = 2\n")
    git(place, "commit", "-am", "second")
    (place / "a.py").write_text("one = 1\ntwo = 2\nthree = 3\n")
    (place / "new file.py").write_text("fresh = True\n")
    return git(place, "rev-parse", "HEAD")


async def reviewed(world: FleetWorld, wanted: Wanted, **asked: Any) -> str:
    """What the mock, which repeats its prompt, was shown."""
    request = Request(provider="mock", **({"root": str(world.work)} | asked))
    return (await world.service.reviews.review(BOSS, wanted, request)).result


async def test_d20_d21_a_review_is_a_session_whose_result_is_the_answer(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        commit = repository(world.work)
        wanted = Wanted(uncommitted=True, title="Counting", prompt="Mind the numbers")
        text = await reviewed(world, wanted)
        assert "+three = 3" in text and "+fresh = True" in text and "+two = 2" not in text
        assert "Title: Counting" in text and text.endswith("Mind the numbers")
        assert "+two = 2" in await reviewed(world, Wanted(commit=commit))
        assert "+two = 2" in await reviewed(world, Wanted(base="HEAD~1"))
        head = (await world.store.heads())[0]
        request = Request(provider="mock", root=str(world.work))
        done = await world.service.reviews.review(BOSS, Wanted(commit=commit), request)
        assert done.head.id != head.id and (done.head.outcome, done.head.provider) == ("normal", "mock")


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(),
        Wanted(base="--output=/tmp/x"),
        Wanted(commit="-p"),
        Wanted(base="main..HEAD"),
        Wanted(base="a b"),
        Wanted(base="$(id)"),
        Wanted(commit="no-such-commit"),
    ],
)
async def test_what_can_not_be_reviewed(tmp_path: Path, wanted: Wanted) -> None:
    async with open_fleet(tmp_path) as world:
        repository(world.work)
        with pytest.raises(BadValue):
            await reviewed(world, wanted)
        assert await world.store.heads() == ()


async def test_nothing_to_review(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        with pytest.raises(BadValue, match="git"):
            await reviewed(world, Wanted(uncommitted=True))  # no repository
        repository(world.work)
        git(world.work, "checkout", "--", ".")
        (world.work / "new file.py").unlink()
        with pytest.raises(BadValue, match="nothing to review"):
            await reviewed(world, Wanted(uncommitted=True))


async def test_a_repository_runs_no_program_of_its_own(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    async with open_fleet(tmp_path) as world:
        repository(world.work)
        for name in ("core.fsmonitor", "diff.external", "diff.evil.command", "diff.evil.textconv", "core.pager"):
            git(world.work, "config", name, f"touch {mark};cat")
        (world.work / ".gitattributes").write_text("*.py diff=evil\n")
        assert "+three = 3" in await reviewed(world, Wanted(uncommitted=True))
        assert not mark.exists()


class Locked:
    """A sandbox that nothing gets into."""

    kind = "bubblewrap"

    async def trouble(self) -> str:
        return ""

    def confine(self, launch: Launch, confinement: Confinement) -> Launch:
        raise NoSandbox("locked")

    async def furnish(self, home: str, keeps: Sequence[str]) -> None:
        raise NoSandbox("locked")

    async def tidy(self, homes: str, living: Collection[str]) -> None: ...


async def test_d11_whoever_must_stay_in_a_sandbox_has_git_run_there(tmp_path: Path) -> None:
    async with open_fleet(tmp_path, sandbox=Locked()) as world:
        ann = world.account("ann")
        boxed = replace(ann, must_sandbox=True)
        asked = Request(provider="mock")
        with pytest.raises(Unfinished, match="locked"):
            await world.service.reviews.review(boxed, Wanted(uncommitted=True), asked)
        (head,) = await world.store.heads()
        order = await world.service.spawns.ordered(head)
        assert order.confined and "git diff HEAD" in order.prompt and order.command == "review"
        with pytest.raises(Denied):
            await world.service.reviews.review(ann, Wanted(uncommitted=True), replace(asked, root=str(world.work)))


async def test_a_review_that_fails_is_an_error(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        repository(world.work)
        with pytest.raises(Unfinished, match="broken"):
            await reviewed(world, Wanted(uncommitted=True, prompt='@mock {"fail": "broken"}'))
