"""Files that are their owner's alone: written whole or not at all."""

import os
from pathlib import Path


def write(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Put `content` into a file that at no moment can be read by more than `mode` says; folders are made 0700.

    Raises:
        OSError: it can't be written.  What was there before still is.
    """
    folder(path.parent)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def folder(path: Path) -> Path:
    """A folder, made 0700 if it is not there, as are those above it: `Path.mkdir` leaves these to the umask."""
    for missing in reversed([one for one in (path, *path.parents) if not one.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    return path


def is_open(path: Path) -> bool:
    """Whether users other than the owner can read it; what is not there, nobody can."""
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False
