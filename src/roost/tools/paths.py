"""Where a path leads, whether tools may go there, and opening it without being led elsewhere meanwhile."""

# ruff: noqa: PTH100, PTH118  (paths are text here: compared, joined and opened relative to descriptors)

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import BinaryIO, NamedTuple

from roost.tools.tool import Refused

_WALK = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OF_PROCESSES = re.compile(r"/proc/[0-9]")


class Spot(NamedTuple):
    """A place that tools may use: `real` has no symbolic link in it, `shown` is what people read."""

    real: str
    shown: str


class Entry(NamedTuple):
    """One name in a directory."""

    name: str
    real: str
    is_dir: bool
    is_file: bool


class Paths:
    """Paths as tools of one working directory may use them.

    With `confined` that is the working directory alone, whatever is allowed besides.  A path is resolved
    and checked first.  Then it is opened from the root down, each step relative to
    the directory before it and following no link: whoever swaps a directory for a link between the two
    gets an error, not a file.
    """

    def __init__(
        self,
        working_dir: str,
        env: Mapping[str, str],
        *,
        allow: Sequence[str] = (),
        deny: Sequence[str] = (),
        confined: bool = False,
    ) -> None:
        self.base = os.path.abspath(working_dir)
        self._home = env.get("HOME", "")
        self._limited = bool(allow)
        self._within = self.base if confined else ""  # not where a link leads that has taken its place
        self._allow = [os.path.realpath(self._absolute(root)) for root in allow]
        self._deny = [os.path.realpath(self._absolute(root)) for root in deny]

    def find(self, path: str) -> Spot:
        """Where a path leads.  It need not exist.

        Raises:
            Refused: tools may not go there, or it is no path.
        """
        absolute = self._absolute(path)
        real = os.path.realpath(absolute)
        if not self.allows(real):
            raise Refused(f"access to {path} is not allowed: {real} is outside of the directories that may be used")
        return Spot(real, absolute)

    def allows(self, real: str) -> bool:
        """Whether tools may use a place that has no symbolic link in it.

        What the kernel shows of processes is none: there lie the keys and the memory of this server.
        """
        if _OF_PROCESSES.match(real):
            return False
        if self._within and not _inside(real, self._within):
            return False
        if any(_inside(real, root) for root in self._deny):
            return False
        return not self._limited or any(_inside(real, root) for root in self._allow)

    def brief(self, real: str) -> str:
        """A place as it is called from the working directory."""
        base = os.path.realpath(self.base)
        return os.path.relpath(real, base) if _inside(real, base) else real

    def _absolute(self, path: str) -> str:
        if not path or "\0" in path:
            raise Refused("the path is empty" if not path else "the path holds a NUL byte")
        if re.match(r"[A-Za-z]:[\\/]|\\\\", path):
            raise Refused(f"{path} is a path of another operating system")
        if self._home and (path == "~" or path.startswith("~/")):
            path = self._home + path[1:]
        joined = os.path.join(self.base, path)
        return joined if ".." in joined.split("/") else os.path.normpath(joined)

    # -- opening ------------------------------------------------------------------------------------

    @contextmanager
    def folder(self, real: str, *, make: bool = False) -> Iterator[int]:
        """A descriptor of a directory, for use as `dir_fd`."""
        here = os.open("/", _WALK)
        try:
            for part in real.split("/"):
                if part:
                    there = _step(here, part, make=make, real=real)
                    os.close(here)
                    here = there
            yield here
        finally:
            os.close(here)

    def open(self, spot: Spot) -> BinaryIO:
        """A file, for reading.

        Raises:
            Refused: there is none, or it is no regular file.
        """
        with self._holding(spot) as (folder, name), _worded(spot):
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            descriptor = os.open(name, flags, dir_fd=folder)
        try:
            _regular(os.fstat(descriptor).st_mode, spot)
            return os.fdopen(descriptor, "rb")
        except BaseException:
            os.close(descriptor)
            raise

    def write(self, spot: Spot, data: bytes) -> None:
        """Put a file in place in one step, its directories too: a crash leaves the old one or the new one."""
        with self._holding(spot, make=True) as (folder, name), _worded(spot):
            try:
                old = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                old = None
            if old is not None:
                _regular(old.st_mode, spot)
            if old is not None and (old.st_nlink > 1 or not os.access(".", os.W_OK, dir_fd=folder)):
                _overwrite(folder, name, data)
            else:
                _replace(folder, name, data, old)

    def make(self, spot: Spot) -> None:
        """Make a directory and those it lies in; one that exists is left alone."""
        with _worded(spot), self.folder(spot.real, make=True):
            pass

    def remove(self, spot: Spot) -> None:
        """Remove an empty directory."""
        with self._holding(spot) as (folder, name), _worded(spot):
            try:
                os.rmdir(name, dir_fd=folder)
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    raise Refused(f"directory is not empty: {spot.shown}") from None
                raise

    def scan(self, spot: Spot) -> list[Entry]:
        """What a directory holds that may be seen, sorted by name.  Links are neither directory nor file."""
        with _worded(spot), self.folder(spot.real) as folder:
            listing = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
        try:
            with os.scandir(listing) as entries:
                found = [
                    Entry(
                        entry.name,
                        os.path.join(spot.real, entry.name),
                        entry.is_dir(follow_symlinks=False),
                        entry.is_file(follow_symlinks=False),
                    )
                    for entry in entries
                ]
        finally:
            os.close(listing)
        return sorted((entry for entry in found if self.allows(entry.real)), key=lambda entry: entry.name)

    @contextmanager
    def _holding(self, spot: Spot, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """The directory that a place lies in, and its name there."""
        parent, name = os.path.split(spot.real)
        if not name:
            raise Refused(f"{spot.shown} is the root directory")
        with _worded(spot), self.folder(parent, make=make) as folder:
            yield folder, name


def _inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def _step(here: int, part: str, *, make: bool, real: str) -> int:
    try:
        return os.open(part, _WALK, dir_fd=here)
    except FileNotFoundError:
        if not make:
            raise
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise Refused(f"{part} is not a directory, in {real}") from None
        raise
    with suppress(FileExistsError):
        os.mkdir(part, dir_fd=here)
    return os.open(part, _WALK, dir_fd=here)


@contextmanager
def _worded(spot: Spot) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise Refused(f"not found: {spot.shown}") from None
    except PermissionError:
        raise Refused(f"permission denied: {spot.shown}") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Refused(
                f"{spot.shown} is a symbolic link that was not there a moment ago, or leads to itself"
            ) from None
        if error.errno == errno.ENOTDIR:
            raise Refused(f"not a directory: {spot.shown}") from None
        raise Refused(f"{os.strerror(error.errno or 0)}: {spot.shown}") from None


def _regular(mode: int, spot: Spot) -> None:
    if stat.S_ISDIR(mode):
        raise Refused(f"{spot.shown} is a directory")
    if not stat.S_ISREG(mode):
        raise Refused(f"{spot.shown} is not a regular file")


def _overwrite(folder: int, name: str, data: bytes) -> None:
    """In place, where another name of the file, or a directory that can't be written, wants it so."""
    flags = os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, dir_fd=folder), "wb") as file:
        file.write(data)


def _replace(folder: int, name: str, data: bytes, old: os.stat_result | None) -> None:
    temporary = f".{name[:80]}.{secrets.token_hex(4)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o666, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
            if old is not None:
                with suppress(PermissionError):
                    os.fchown(descriptor, old.st_uid, old.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        raise
