"""A private HOME for a sandbox: a CLI's own credential and settings, copied in; what it writes stays there.

The folder belongs to one session and is kept between its runs, so that the CLI finds its history again.
Nothing is ever copied back: what a confined program wrote into its settings is not obeyed outside.
"""

import os
import secrets
import shutil
import stat
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

LARGEST = 8 << 20  # bytes of one file
MOST = 16 << 20  # bytes of all that one path names
DEEPEST = 8  # folders within folders

PAST = (
    "archived_sessions", "backups", "bin", "brain", "cache", "caches", "chats", "debug", "downloads", "file-history",
    "history", "history-session-state", "history.jsonl", "ide", "log", "logs", "models", "node_modules", "paste-cache",
    "projects", "session-env", "session-state", "sessions", "shell-snapshots", "shell_snapshots", "snapshot",
    "snapshots", "stats-cache.json", "statsig", "storage", "tasks", "telemetry", "tmp", "todos", "versions",
)  # fmt: skip
"""Where CLIs keep what they did and what they fetched: left out of a folder, unless it is named itself."""


def furnish(home: Path, keeps: Sequence[str], source: Path) -> None:
    """Make `home`, and copy into it what `keeps` names below `source` and is newer there.

    A file that the confined program has rewritten since stays as it is.  Sockets, devices, links that
    lead out of `source`, files over 8 MiB and the history of other sessions are left out.  What lies in
    `home` already is not trusted: no link in it is followed.

    Raises:
        ValueError: a name of `keeps` leads out of the home.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    root = Path(os.path.realpath(source))
    for name in keeps:
        parts = Path(name).parts
        if Path(name).is_absolute() or ".." in parts or not parts:
            raise ValueError(f"{name!r} is no path below a home")
        left = MOST
        for file, found in _files(root, Path(*parts)):
            left -= found.st_size
            if left < 0:
                break
            _bring(home, file.relative_to(root), file, found)


def clear(home: Path) -> None:
    """Remove it."""
    shutil.rmtree(home, ignore_errors=True)


def tidy(homes: Path, living: Collection[str]) -> None:
    """Remove the homes of sessions that are no more."""
    try:
        names = [place.name for place in homes.iterdir()]
    except OSError:
        return
    for name in names:
        if name not in living:
            clear(homes / name)


def _files(root: Path, name: Path, depth: int = 0) -> Iterator[tuple[Path, os.stat_result]]:
    """The plain files at or below a path, the newest first."""
    path = root / name
    try:
        if not Path(os.path.realpath(path)).is_relative_to(root):
            return
        found = path.stat()
        if stat.S_ISREG(found.st_mode):
            if found.st_size <= LARGEST:
                yield path, found
        elif stat.S_ISDIR(found.st_mode) and depth < DEEPEST and not (depth and path.is_symlink()):
            for entry in sorted(path.iterdir(), key=lambda entry: -entry.lstat().st_mtime_ns):
                if entry.name.lower() not in PAST:
                    yield from _files(root, name / entry.name, depth + 1)
    except OSError:
        return


def _bring(home: Path, name: Path, file: Path, found: os.stat_result) -> None:
    """Copy one file, by a new one that takes the place of the old."""
    with ExitStack() as stack, suppress(OSError):
        folder = _opened(stack, home, name.parent.parts)
        with suppress(FileNotFoundError):
            there = os.stat(name.name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISREG(there.st_mode) and there.st_mtime_ns >= found.st_mtime_ns:
                return
        fresh = f".{secrets.token_hex(8)}"
        mode = 0o700 if found.st_mode & 0o100 else 0o600
        target = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode, dir_fd=folder)
        try:
            with os.fdopen(target, "wb") as sink, file.open("rb") as source:
                shutil.copyfileobj(source, sink)
            os.utime(fresh, ns=(found.st_atime_ns, found.st_mtime_ns), dir_fd=folder)
            os.rename(fresh, name.name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            os.unlink(fresh, dir_fd=folder)
            raise


def _opened(stack: ExitStack, home: Path, parts: Sequence[str]) -> int:
    """A descriptor of a folder below the home, made where it is missing; no link is followed."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    folder = os.open(home, flags)
    stack.callback(os.close, folder)
    for part in parts:
        with suppress(FileExistsError):
            os.mkdir(part, 0o700, dir_fd=folder)
        folder = os.open(part, flags, dir_fd=folder)
        stack.callback(os.close, folder)
    return folder
