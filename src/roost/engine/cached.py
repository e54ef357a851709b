"""Answers that are kept, and given again to the same words (`cache` of an agent)."""

import errno
import fcntl
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from anyio import to_thread
from msgspec import Struct

from roost import private
from roost.core.agents import Cache

log = logging.getLogger(__name__)

MOST: Final = 1_000  # answers of one place; the oldest go first
LARGEST: Final = 16 << 20  # bytes of a file
LONGEST: Final = 256 * 1024  # characters of an answer that is kept


class Kept(Struct, frozen=True):
    """One line of a file."""

    agent: str
    key: str
    answer: str


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Kept)


def key(text: str, cache: Cache) -> str:
    """What two messages share that get the same answer."""
    text = text.strip() if cache.trim_spaces else text
    return text if cache.case_sensitive else text.casefold()


class Answers:
    """The kept answers of a server: in files that sessions and servers share, else in memory.

    A file that can't be read or written is as good as an empty one; the log says so.
    """

    def __init__(self) -> None:
        self._memory: dict[tuple[str, str], dict[str, str]] = {}

    async def find(self, cache: Cache, source: str, agent: str, text: str, *, folder: str = "") -> str | None:
        """The answer to a message, or None.  A relative path of the cache starts at `folder`."""
        wanted = key(text, cache)
        if not cache.path:
            return self._memory.get((source, agent), {}).get(wanted)
        path = _place(folder, cache)
        try:
            kept = await to_thread.run_sync(_read, path)
        except OSError as error:
            log.warning("kept answers in %s can't be read: %s", path, error, extra={"action": "cache_unreadable"})
            return None
        return next((one.answer for one in reversed(kept) if (one.agent, one.key) == (agent, wanted)), None)

    async def keep(self, cache: Cache, source: str, agent: str, text: str, answer: str, *, folder: str = "") -> None:
        """Give this answer to the message from now on.  An empty or a huge one is not kept."""
        if not answer.strip() or len(answer) > LONGEST or len(text) > LONGEST:
            return
        one = Kept(agent, key(text, cache), answer)
        if not cache.path:
            place = self._memory.setdefault((source, agent), {})
            place.pop(one.key, None)
            place[one.key] = answer
            while len(place) > MOST:
                del place[next(iter(place))]
            return
        path = _place(folder, cache)
        try:
            await to_thread.run_sync(_add, path, one)
        except OSError as error:
            log.warning("an answer can't be kept in %s: %s", path, error, extra={"action": "cache_unwritable"})


def _place(folder: str, cache: Cache) -> Path:
    return Path(folder, os.path.expanduser(cache.path))  # noqa: PTH111  Path's own raises where there is no home


def _read(path: Path) -> list[Kept]:
    """What a file holds; lines that are none of ours are passed over.

    Raises:
        OSError: it can't be read, or is no regular file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        data = file.read(2 * LARGEST)
    kept = []
    for line in data.splitlines():
        try:
            kept.append(_decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return kept


def _add(path: Path, one: Kept) -> None:
    """One more answer, in place of an older one to the same words.

    Raises:
        OSError: it can't be written.
    """
    with _alone(path):
        lines = [_encoder.encode(k) for k in _read(path) if (k.agent, k.key) != (one.agent, one.key)]
        lines = [*lines, _encoder.encode(one)][-MOST:]
        while len(lines) > 1 and sum(map(len, lines)) + len(lines) > LARGEST:
            del lines[: max(len(lines) // 10, 1)]
        private.write(path, b"".join(line + b"\n" for line in lines))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """No other session or server writes the file meanwhile."""
    private.folder(path.parent)
    lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
