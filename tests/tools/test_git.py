"""Questions to a real repository, and repositories that would have programs run."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fakes.calls import Session
from roost.core.messages import Result
from roost.tools.builtin import Builtin

pytestmark = pytest.mark.anyio


def git(folder: Path, *words: str) -> str:
    env = {"PATH": os.environ["PATH"], "HOME": str(folder.parent), "GIT_CONFIG_NOSYSTEM": "1"}
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@a.test", "-c", "init.defaultBranch=main")
    return subprocess.run(("git", *who, *words), cwd=folder, env=env, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "a.txt").write_text("one\ntwo\n")
    git(folder, "add", "."), git(folder, "commit", "-qm", "First")
    (folder / "a.txt").write_text("one\nTWO\n")
    (folder / "b c.txt").write_text("b\n")
    git(folder, "add", "."), git(folder, "commit", "-qm", "Second")
    return folder


async def ask(session: Session, name: str, **arguments: Any) -> Result:
    async with session.open("git", folder=session.folder / "repo") as toolset:
        return await session.call(toolset, name, **arguments)


async def test_questions(session: Session, repository: Path) -> None:
    log = (await ask(session, "git_log")).output
    assert log.index("Second") < log.index("First") and "Ann" in log and "HEAD -> main" in log
    assert "First" not in (await ask(session, "git_log", limit=1)).output
    assert "First" not in (await ask(session, "git_log", path="b c.txt")).output
    assert (await ask(session, "git_log", author="Bob")) == Result("(nothing)")
    show = (await ask(session, "git_show", revision="HEAD")).output
    assert "-two\n+TWO" in show and "b c.txt" in show
    assert "b c.txt" not in (await ask(session, "git_show", revision="HEAD", path="a.txt")).output
    assert await ask(session, "git_show", revision="HEAD~1:a.txt") == Result("one\ntwo")
    diff = await ask(session, "git_diff", revision="HEAD~1 HEAD", stat=True)
    assert "2 files changed" in diff.output
    blame = (await ask(session, "git_blame", path="a.txt", start_line=2)).output
    assert "TWO" in blame and "one" not in blame and "Ann" in blame
    assert "* main" in (await ask(session, "git_branches")).output
    assert await ask(session, "git_status") == Result("## main")
    (repository / "a.txt").write_text("changed\n")
    (repository / "new").touch()
    assert (await ask(session, "git_status")).output == "## main\n M a.txt\n?? new"
    assert "+changed" in (await ask(session, "git_diff")).output
    assert await ask(session, "git_diff", staged=True) == Result("(nothing)")
    git(repository, "add", ".")
    assert "+changed" in (await ask(session, "git_diff", staged=True)).output


async def test_what_goes_wrong(session: Session, repository: Path) -> None:
    (session.folder / "plain").mkdir()
    none = await ask(session, "git_status", repository=str(session.folder / "plain"))
    assert none.is_error and "not a git repository" in none.output
    for revision in ("--output=/tmp/x", "HEAD --exec=x", "-p"):
        for name in ("git_log", "git_diff", "git_show"):
            assert await ask(session, name, revision=revision) == Result(
                "a revision can't begin with a dash", is_error=True
            )
    assert (await ask(session, "git_show", revision="nothing")).output.startswith("git failed (exit status 128)")
    assert (await ask(session, "git_log", path=":(top)*")) == Result("(nothing)")
    assert (await ask(session, "git_blame", path="--contents=/etc/passwd")).is_error
    gone = await ask(session, "git_status", repository="gone")
    assert gone.is_error
    session.builtin = Builtin({"PATH": "/nowhere"}, state=session.home)
    assert await ask(session, "git_log") == Result("there is no git on this server", is_error=True)


async def test_much_is_cut(session: Session, repository: Path) -> None:
    (repository / "a.txt").write_text("x\n" * 100_000)
    diff = (await ask(session, "git_diff")).output
    assert len(diff) < 30_100 and "bytes left out" in diff


async def test_nothing_of_the_repository_runs(session: Session, repository: Path, tmp_path: Path) -> None:
    """Each of these would leave a file behind; git alone does run them."""
    hit = tmp_path / "hit"
    program = tmp_path / "program.sh"
    program.write_text(f"#!/bin/sh\necho $0 $* >> {hit}\ncat\n")
    program.chmod(0o755)
    for name in (
        "core.fsmonitor",
        "core.pager",
        "core.sshCommand",
        "diff.external",
        "diff.Odd.command",
        "diff.Odd.textconv",
        "filter.Odd.clean",
        "filter.Odd.smudge",
        "gpg.program",
        "pager.log",
        "pager.status",
        "alias.status",
    ):
        git(repository, "config", name, f"!{program}" if name.startswith("alias") else str(program))
    git(repository, "config", "filter.Odd.required", "true")
    git(repository, "config", "log.showSignature", "true")
    git(repository, "config", "core.hooksPath", str(tmp_path / "hooks"))
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks/post-index-change").symlink_to(program)
    (repository / ".gitattributes").write_text("*.txt filter=Odd diff=Odd\n")
    (repository / "a.txt").write_text("one\nmore\n")
    os.utime(repository / "b c.txt", (1, 1))
    assert "+more" in (await ask(session, "git_diff")).output
    for name, arguments in (
        ("git_status", {}),
        ("git_log", {}),
        ("git_diff", {"revision": "HEAD~1"}),
        ("git_show", {"revision": "HEAD"}),
        ("git_blame", {"path": "a.txt"}),
        ("git_branches", {}),
    ):
        result = await ask(session, name, **arguments)
        assert not result.is_error, result.output
    assert not hit.exists(), hit.read_text()
    git(repository, "diff", "--ext-diff")
    assert hit.exists()


async def test_settings_of_the_server_do_not_lead_elsewhere(session: Session, repository: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    env = {**os.environ, "GIT_DIR": str(other / ".git"), "GIT_EXTERNAL_DIFF": "false", "HOME": str(tmp_path)}
    session.builtin = Builtin(env, state=session.home)
    assert "Second" in (await ask(session, "git_log")).output
