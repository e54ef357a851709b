"""Named pipes through which local tools give interactive sessions their messages: `<home>/fifos/<session>`.

A line is a message: `{"type": "user_message", "content": "…"}`, or the text itself.
"""

import errno
import logging
import os
import stat
from contextlib import suppress
from pathlib import Path

import anyio
import msgspec

from roost.core.errors import RoostError, SessionNotFound
from roost.core.ids import LogId
from roost.core.session import Head
from roost.service.desk import Desk
from roost.service.inputs import Inputs

log = logging.getLogger(__name__)

CHUNK = 65_536
AGAIN = 2.0  # seconds between two looks whether another server still has a pipe
LONGEST = 4 << 20  # bytes of a line; a longer one is dropped


class Fifos:
    """Opens the pipe of a session while its interactive turn runs, and removes it in the end."""

    def __init__(self, desk: Desk, inputs: Inputs) -> None:
        self._desk = desk
        self._inputs = inputs
        self._folder = desk.makers.home / "fifos"
        self._served: set[LogId] = set()

    def path(self, head: Head) -> Path:
        """Where a session's pipe is while it has one."""
        return self._folder / head.id

    async def restore(self) -> None:
        """At start: remove what a dead server left behind, and serve the interactive turns that go on."""
        heads = [head for head in await self._desk.store.heads() if _wants(head)]
        if self._desk.makers.home != Path():
            await anyio.to_thread.run_sync(self._tidy, {str(head.id) for head in heads})
        for head in heads:
            self.serve(head)

    def serve(self, head: Head) -> None:
        """Take lines for a session until its turn has ended."""
        session = LogId(head.id)
        if self._desk.makers.home == Path() or session in self._served or not _wants(head):
            return
        self._served.add(session)
        self._desk.bulkhead.start(self._serve, session, self.path(head), name=f"pipe of {session}")

    async def _serve(self, session: LogId, path: Path) -> None:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._take, session, path)
                await self._until_over(session)
                tasks.cancel_scope.cancel()
        finally:
            self._served.discard(session)

    async def _take(self, session: LogId, path: Path) -> None:
        while (pipe := _opened(path)) is None:  # a server beside this one reads it
            await self._desk.makers.clock.sleep(AGAIN)
        try:
            await self._read(session, pipe)
        finally:
            _removed(path, pipe)

    async def _until_over(self, session: LogId) -> None:
        while not self._desk.hub.closed:
            bell = self._desk.hub.bell(session)
            try:
                head = await self._desk.store.head(session)
            except SessionNotFound:
                return
            if head.deleted or not _wants(head):
                return
            await bell.wait()

    async def _read(self, session: LogId, pipe: int) -> None:
        lines = Lines()
        while True:
            await anyio.wait_readable(pipe)
            try:
                chunk = os.read(pipe, CHUNK)
            except BlockingIOError:
                continue
            for message in lines.feed(chunk):
                try:
                    await self._inputs.queue(session, message)
                except RoostError as error:
                    log.warning("a line for %s was dropped: %s", session, error, extra={"action": "line_dropped"})

    def _tidy(self, kept: set[str]) -> None:
        """Remove pipes that no session has any more; nothing else is touched."""
        if not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            if path.name not in kept and stat.S_ISFIFO(path.lstat().st_mode):
                path.unlink(missing_ok=True)


class Lines:
    """Bytes to messages: whole lines, blank ones left out."""

    def __init__(self) -> None:
        self._rest = b""
        self._flood = False  # in a line that is too long

    def feed(self, chunk: bytes) -> list[str]:
        """The messages of the lines that are complete now."""
        *lines, rest = (self._rest + chunk).split(b"\n")
        if lines and self._flood:
            del lines[0]
            self._flood = False
        if len(rest) > LONGEST:
            self._flood, rest = True, b""
        self._rest = b"" if self._flood else rest
        texts = (line.decode("utf-8", "replace").strip() for line in lines if len(line) <= LONGEST)
        return [said(text) for text in texts if text]


def said(line: str) -> str:
    """The message that a line is: its `content` where it is JSON that has one, else the line itself."""
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError):
        return line
    content = found.get("content") if isinstance(found, dict) else None
    return content if isinstance(content, str) else line


def _wants(head: Head) -> bool:
    """Whether a session has a pipe now."""
    return head.turn is not None and head.turn.interactive and bool(head.provider)


def _opened(path: Path) -> int | None:
    """A new pipe, open for reading and writing, so that no writer's leaving ends it; None where somebody reads it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if _read_elsewhere(path):
        return None
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    if not stat.S_ISFIFO(os.fstat(pipe).st_mode):
        os.close(pipe)
        raise OSError(errno.EINVAL, "somebody has put something else in the place of the pipe", str(path))
    return pipe


def _read_elsewhere(path: Path) -> bool:
    try:
        pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:  # it is not there, or a dead server's
        return False
    try:
        return stat.S_ISFIFO(os.fstat(pipe).st_mode)
    finally:
        os.close(pipe)


def _removed(path: Path, pipe: int) -> None:
    with suppress(FileNotFoundError):
        if os.path.samestat(path.lstat(), os.fstat(pipe)):
            path.unlink()
    os.close(pipe)
