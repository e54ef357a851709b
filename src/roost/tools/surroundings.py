"""What an agent may be told of the place where it works: the directory, its repository, its notes."""

import os
import platform
from collections.abc import Iterator, Sequence
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

    async def prompt_files(
        self, working_dir: str, names: Sequence[str], *, firm: bool = False, depth: int = 0
    ) -> Sequence[str]:
        """The texts of the files so named: the nearest of the directory and its parents, then home.

        With `firm` one that lies in the working directory, or below, is left out where it is a link out of that.
        """
        return await anyio.to_thread.run_sync(
            lambda: _notes(Path(working_dir), self._home, names, firm=firm, depth=depth)
        )


def _in_repository(directory: Path) -> bool:
    return any((place / ".git").exists() for place in (directory, *directory.parents))


def _notes(directory: Path, home: Path, names: Sequence[str], *, firm: bool, depth: int) -> Sequence[str]:
    texts: list[str] = []
    below = list(_below(directory, depth))
    for name in names:
        nearest = next((p / name for p in (directory, *directory.parents) if (p / name).is_file()), None)
        found = dict.fromkeys(p for p in (nearest, home / name) if p is not None and p.is_file())
        found |= dict.fromkeys(p / name for p in below if (p / name).is_file())
        texts += [text for path in found if (text := _read(path, directory if firm else None)) is not None]
    return texts


def _below(directory: Path, depth: int) -> Iterator[Path]:
    """The directories below one, down to so many levels, without hidden ones and links."""
    if depth <= 0:
        return
    with os.scandir(directory) as entries:
        inner = sorted(e.name for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith("."))
    for name in inner:
        yield directory / name
        yield from _below(directory / name, depth - 1)


def _read(path: Path, within: Path | None) -> str | None:
    """Its text; None where it leads out of the directory `within` that it is found in, or at."""
    with path.open("rb") as file:
        real = Path(os.readlink(f"/proc/self/fd/{file.fileno()}"))  # noqa: PTH115
        if within is not None and path.parent == within and not real.is_relative_to(within):
            return None
        return file.read(NOTE_SIZE).decode("utf-8", "replace")
