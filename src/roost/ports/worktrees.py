"""Working copies for sessions."""

from typing import Protocol

from msgspec import Struct


class Worktree(Struct, frozen=True):
    """A working copy beside a repository's own."""

    name: str
    path: str
    repository: str


class Worktrees(Protocol):
    """Makes working copies for sessions."""

    async def make(self, directory: str, name: str = "") -> Worktree:
        """A new one of the repository that `directory` lies in; without a name it gets one that can't be guessed.

        Raises:
            LaunchFailed: there is no repository, no commit, or something of this name already.
        """
        ...

    async def leave(self, path: str, directory: str) -> bool:
        """Remove it, unless there is work in it that is nowhere else; whether it is gone."""
        ...
