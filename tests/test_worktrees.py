"""Worktrees: made beside the repository, removed where nothing is lost, kept where something would be."""

import shutil
import subprocess
from pathlib import Path

import pytest

from roost.core.errors import LaunchFailed
from roost.worktrees import GitWorktrees

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("git") is None, reason="apt-get install git brings it"),
]


def git(folder: Path, *words: str) -> str:
    author = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org", "-c", "init.defaultBranch=main")
    return subprocess.run(["git", *author, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (folder := tmp_path / "a repository").mkdir()
    git(folder, "init", "--quiet")
    (folder / "file").write_text("first")
    (folder / "below").mkdir()
    (folder / "below/file").write_text("x")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    return folder


@pytest.fixture
def worktrees(tmp_path: Path) -> GitWorktrees:
    return GitWorktrees(tmp_path / "state/worktrees")


async def test_it_is_a_working_copy_of_its_own(worktrees: GitWorktrees, repository: Path, tmp_path: Path) -> None:
    made = await worktrees.make(str(repository / "below"), "mine")
    assert (made.name, made.repository) == ("mine", str(repository))
    assert Path(made.path).is_relative_to(tmp_path / "state/worktrees")
    assert (Path(made.path) / "file").read_text() == "first"
    (Path(made.path) / "file").write_text("second")
    assert (repository / "file").read_text() == "first"
    assert git(Path(made.path), "rev-parse", "--abbrev-ref", "HEAD") == "HEAD\n"


async def test_without_a_name_it_gets_one_that_can_not_be_guessed(worktrees: GitWorktrees, repository: Path) -> None:
    made = [await worktrees.make(str(repository)) for _ in range(2)]
    assert made[0].name != made[1].name
    assert all(one.name.startswith("roost-") and len(one.name) == 22 for one in made)


async def test_one_without_work_is_removed_whatever_the_current_folder(
    worktrees: GitWorktrees, repository: Path
) -> None:
    made = await worktrees.make(str(repository), "mine")
    assert await worktrees.leave(made.path, str(repository / "below"))
    assert not Path(made.path).exists()
    assert made.path not in git(repository, "worktree", "list")
    assert await worktrees.leave(made.path, str(repository))  # a second time is no error
    assert (await worktrees.make(str(repository), "mine")).path == made.path


@pytest.mark.parametrize("work", ["changed", "new", "staged", "committed", "on a branch"])
async def test_one_with_work_is_kept(worktrees: GitWorktrees, repository: Path, work: str) -> None:
    made = await worktrees.make(str(repository), "mine")
    tree = Path(made.path)
    (tree / ("new" if work == "new" else "file")).write_text("work")
    if work == "on a branch":
        git(tree, "switch", "--quiet", "-c", "branch")
    if work in ("staged", "committed", "on a branch"):
        git(tree, "add", ".")
    if work in ("committed", "on a branch"):
        git(tree, "commit", "--quiet", "-m", "work")
    assert not await worktrees.leave(made.path, str(repository))
    assert tree.exists()


async def test_one_whose_work_was_pushed_is_removed(worktrees: GitWorktrees, repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "remote")
    git(repository, "remote", "add", "origin", str(tmp_path / "remote"))
    made = await worktrees.make(str(repository), "mine")
    (Path(made.path) / "file").write_text("work")
    git(Path(made.path), "commit", "--quiet", "-am", "work")
    git(Path(made.path), "push", "--quiet", "origin", "HEAD:refs/heads/work")
    assert await worktrees.leave(made.path, str(repository))


async def test_what_the_repository_would_start_is_not_started(worktrees: GitWorktrees, repository: Path) -> None:
    trap = repository / "trap"
    (repository / ".gitattributes").write_text("* filter=evil\n")
    git(repository, "add", ".gitattributes")
    git(repository, "commit", "--quiet", "-m", "attributes")
    for name in ("filter.evil.smudge", "filter.evil.clean", "filter.evil.process", "core.fsmonitor"):
        git(repository, "config", name, f"echo {name} >> '{trap}'; cat")
    git(repository, "config", "filter.evil.required", "true")
    for hook in ("post-checkout", "reference-transaction", "post-index-change"):
        path = repository / ".git/hooks" / hook
        path.write_text(f"#!/bin/sh\necho {hook} >> '{trap}'\n")
        path.chmod(0o755)
    made = await worktrees.make(str(repository), "mine")
    assert await worktrees.leave(made.path, str(repository))
    assert not trap.exists(), trap.read_text()


async def test_where_it_can_not_be_made_it_says_why(worktrees: GitWorktrees, repository: Path, tmp_path: Path) -> None:
    (empty := tmp_path / "empty").mkdir()
    with pytest.raises(LaunchFailed, match="not a git repository"):
        await worktrees.make(str(empty))
    with pytest.raises(LaunchFailed, match="can't be run"):
        await worktrees.make(str(tmp_path / "none"))
    git(empty, "init", "--quiet")
    with pytest.raises(LaunchFailed, match="git fails"):
        await worktrees.make(str(empty))
    await worktrees.make(str(repository), "mine")
    with pytest.raises(LaunchFailed, match="already"):
        await worktrees.make(str(repository), "mine")


@pytest.mark.parametrize("name", ["../x", "a/b", "-x", ".", "a..b", "x" * 65, "a\nb"])
async def test_a_name_that_leads_elsewhere_is_refused(worktrees: GitWorktrees, repository: Path, name: str) -> None:
    with pytest.raises(LaunchFailed, match="can't be the name"):
        await worktrees.make(str(repository), name)


async def test_what_is_not_ours_is_left_alone(worktrees: GitWorktrees, repository: Path) -> None:
    assert not await worktrees.leave(str(repository), str(repository))
    assert (repository / "file").exists()
