"""What an agent may be told of the place where it works: the directory, its repository, its notes."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path

import anyio.to_thread

NOTE_SIZE = 256 * 1024  # bytes of a prompt file that are read


class LocalSurroundings:
    """Looks at this machine's disk (`ports.Surroundings`)."""

    def __init__(self, home: Path) -> None:
        self._home = home

    async def exists(self, working_dir: str) -> bool:
        """Whether the directory is there."""
        return await anyio.to_thread.run_sync(os.path.isdir, working_dir)

    async def describe(self, working_dir: str) -> str:
        """The block of `add_environment_info`."""
        repository = await anyio.to_thread.run_sync(_in_repository, Path(working_dir))
        lines = (
            f"Working directory: {working_dir}",
            f"Is directory a git repo: {'Yes' if repository else 'No'}",
            f"Operating System: {platform.system().lower()}",
            f"CPU Architecture: {platform.machine()}",
        )
        return "\n".join(("Here is useful information about the environment you are running in:", *lines))

    async def prompt_files(self, working_dir: str, names: Sequence[str]) -> Sequence[str]:
        """The texts of the files so named: the nearest of the directory and its parents, then home."""
        return await anyio.to_thread.run_sync(_notes, Path(working_dir), self._home, tuple(names))


def _in_repository(directory: Path) -> bool:
    return any((place / ".git").exists() for place in (directory, *directory.parents))


def _notes(directory: Path, home: Path, names: Sequence[str]) -> Sequence[str]:
    texts: list[str] = []
    for name in names:
        nearest = next((p / name for p in (directory, *directory.parents) if (p / name).is_file()), None)
        found = dict.fromkeys(p for p in (nearest, home / name) if p is not None and p.is_file())
        texts += [_read(path) for path in found]
    return texts


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(NOTE_SIZE).decode("utf-8", "replace")
