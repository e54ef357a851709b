"""Git worktrees for sessions that want a working copy of their own: made, judged, and removed again.

Git runs without what a repository's own settings would have it start (hooks, monitors, filters), since an
agent may have written them; files that a filter would change, as Git LFS does, are as they are stored.
"""

import hashlib
import os
import re
import secrets
import subprocess
from pathlib import Path

import anyio

from roost.core.errors import LaunchFailed
from roost.ports import Worktree

PATIENCE = 600  # seconds for a large checkout
BASE = "refs/worktree/roost-base"
"""Where a worktree began: a reference that no other worktree of the repository sees."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_QUIET = (
    "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.pager=cat", "protocol.ext.allow=never",
    "submodule.recurse=false", "gc.auto=0", "maintenance.auto=false",
)  # fmt: skip


class GitWorktrees:
    """Worktrees below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def make(self, directory: str, name: str = "") -> Worktree:
        """A new worktree of the repository that `directory` lies in, at its newest commit, on no branch.

        Raises:
            LaunchFailed: there is no repository, no commit, or something of this name already.
        """
        if name and (not _NAME.fullmatch(name) or ".." in name):
            raise LaunchFailed(f"{name[:64]!r} can't be the name of a worktree")
        name = name or f"roost-{secrets.token_hex(8)}"
        repository = await _git(directory, "rev-parse", "--show-toplevel")
        path = _free(self._folder / _key(repository) / name)
        still = await _unfiltered(repository)
        await _git(repository, *still, "worktree", "add", "--quiet", "--detach", str(path))
        await _git(str(path), "update-ref", BASE, "HEAD")
        return Worktree(name, str(path), repository)

    async def leave(self, path: str, directory: str) -> bool:
        """Remove a worktree of the repository that `directory` lies in, unless there is work in it that is
        nowhere else; whether it is gone.

        Such work is a change that is not committed, and a commit that was made there and that no
        remote has.  What can't be judged is kept.
        """
        if not Path(path).is_relative_to(self._folder):
            return False
        if not _there(path):
            return True
        try:
            if await _has_work(path):
                return False
            await _git(directory, "worktree", "remove", "--force", path)
        except LaunchFailed:
            return False
        return not _there(path)


def _free(path: Path) -> Path:
    if _there(str(path)):
        raise LaunchFailed(f"there is a worktree {path.name!r} already, at {path}")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def _there(path: str) -> bool:
    return os.path.lexists(path)


async def _has_work(path: str) -> bool:
    still = await _unfiltered(path)
    if await _git(path, *still, "status", "--porcelain", "--untracked-files=all"):
        return True
    based = await _git(path, "for-each-ref", "--format=%(refname)", BASE)
    return bool(await _git(path, "rev-list", "--max-count=1", "HEAD", "--not", "--remotes", *based.split()))


def _key(repository: str) -> str:
    """A folder's name for a repository: to be read by people, and one for each path."""
    shown = re.sub("[^A-Za-z0-9._-]", "-", Path(repository).name)[:40] or "repository"
    return f"{shown}-{hashlib.sha256(repository.encode()).hexdigest()[:12]}"


async def _unfiltered(directory: str) -> tuple[str, ...]:
    """Options that empty the filters which the repository's own settings define."""
    names = await _git(directory, "config", "--name-only", "--list", "-z")
    options: list[str] = []
    for name in sorted({name for name in names.split("\0") if name.startswith("filter.")}):
        value = "false" if name.endswith(".required") else ""
        options += ("-c", f"{name}={value}")
    return tuple(options)


async def _git(directory: str, *words: str) -> str:
    """What Git prints.

    Raises:
        LaunchFailed: it fails, or takes too long.
    """
    argv = ["git", "--no-pager", *(word for quiet in _QUIET for word in ("-c", quiet)), *words]
    try:
        with anyio.fail_after(PATIENCE):
            done = await anyio.run_process(
                argv, cwd=directory, env=_environment(), check=False, stdin=subprocess.DEVNULL
            )
    except TimeoutError:
        raise LaunchFailed(f"git took longer than {PATIENCE} seconds in {directory}") from None
    except OSError as error:
        raise LaunchFailed(f"git can't be run in {directory}: {error.strerror}") from None
    if done.returncode:
        raise LaunchFailed(f"git fails in {directory}: {_said(done.stderr)}")
    return done.stdout.decode(errors="surrogateescape").strip("\n")


def _said(errors: bytes) -> str:
    lines = [line for line in errors.decode(errors="replace").splitlines() if line.strip()]
    return next(
        (line for line in lines if line.startswith(("fatal:", "error:"))), lines[-1] if lines else "no word why"
    )


def _environment() -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none",
    }
