"""One program: its start, what it is fed, what it writes, and its end."""

import asyncio
import os
import signal
import subprocess
import tempfile
from asyncio.subprocess import Process, create_subprocess_exec
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from typing import IO, NamedTuple

import anyio
from anyio import to_thread

from roost.process.family import MARK, OWNER, bearing, end, owner, signal_all

GRACE = 1.0  # seconds between the polite signal and the other
LINGER = 0.5  # seconds of reading on when the program has ended and a child of it holds the pipe
SHOWN = 64 * 1024  # bytes of output that are shown while the program runs
PAUSE = 0.05  # seconds in which output gathers before it is shown
CHUNK = 64 * 1024

Show = Callable[[str], Awaitable[None]]


class Output:
    """What a program wrote: its beginning and its end, within a bound of bytes."""

    def __init__(self, limit: int = 256 * 1024) -> None:
        self._half = max(limit // 2, 1)
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0

    def add(self, chunk: bytes) -> None:
        """Take more of it."""
        self.total += len(chunk)
        room = self._half - len(self._head)
        if room > 0:
            self._head += chunk[:room]
            chunk = chunk[room:]
        self._tail += chunk[-self._half :]
        if len(self._tail) > 2 * self._half:
            del self._tail[: -self._half]

    def text(self, limit: int | None = None) -> str:
        """It as text of at most `limit` characters; a line in the middle says how much is left out."""
        tail = bytes(self._tail[-self._half :])
        dropped = self.total - len(self._head) - len(tail)
        if not dropped:
            whole = (bytes(self._head) + tail).decode(errors="replace")
            if limit is None or len(whole) <= limit:
                return whole
            first, last = whole, whole
        else:
            first, last = self._head[: _boundary(self._head)].decode(errors="replace"), _whole_start(tail)
        if limit is not None:
            half = limit // 2
            first, last = first[:half], last[-half:]
        left_out = max(self.total - len(first.encode()) - len(last.encode()), 1)
        return f"{first}\n[... {left_out} bytes left out ...]\n{last}"


def _whole_start(data: bytes) -> str:
    """Text whose first character may be cut off."""
    start = next((i for i, byte in enumerate(data[:4]) if byte & 0xC0 != 0x80), len(data) if len(data) < 4 else 0)
    return data[start:].decode(errors="replace")


class Ended(NamedTuple):
    """How a program ended: `code` is its exit status, negative for a signal, None where it was stopped by us."""

    code: int | None
    timed_out: bool = False


async def run(
    argv: Sequence[str],
    *,
    cwd: str,
    env: Mapping[str, str],
    mark: str,
    output: Output,
    errors: Output | None = None,
    timeout: float | None = None,
    show: Show | None = None,
    feed: bytes = b"",
) -> Ended:
    """Run a program to its end, in a session of its own, with stdout and stderr in `output`.

    With `errors`, its stderr goes there.  It reads `feed` and then the end of its input.  After `timeout`
    seconds it and all its descendants are stopped.  When it is cancelled they are stopped before it returns.
    A descendant that outlives an ordinary end is left alone: `sweep` finds it by the mark.

    Raises:
        OSError: it can't be started.
    """
    with ExitStack() as stack:
        pipes = [stack.enter_context(_pipe(each)) for each in (output, errors) if each is not None]
        try:
            with anyio.CancelScope(shield=True):
                ends = (pipes[0].writing, pipes[-1].writing)
                process = await _spawn(argv, cwd, {**env, MARK: mark, OWNER: owner()}, ends, feed)
        finally:
            for pipe in pipes:
                pipe.writing.close()
        with anyio.move_on_after(timeout) as patience:
            try:
                return Ended(await _attend(process, pipes, show))
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await _stop(process, mark)
                    for pipe in pipes:
                        _drain(pipe.reading, pipe.output)
                raise
        assert patience.cancelled_caught
        return Ended(None, timed_out=True)


class _Pipe(NamedTuple):
    """What a program writes into, and where it goes."""

    reading: int
    writing: IO[bytes]
    output: Output


@contextmanager
def _pipe(output: Output) -> Iterator[_Pipe]:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    try:
        with os.fdopen(writing, "wb", 0) as end:
            yield _Pipe(reading, end, output)
    finally:
        os.close(reading)


@asynccontextmanager
async def attached(
    argv: Sequence[str], *, cwd: str, env: Mapping[str, str], mark: str, complaints: Output
) -> AsyncIterator[Process]:
    """A program to talk with through its stdin and stdout; what it writes to stderr comes to stand in `complaints`.

    Leaving the block stops it and all its descendants.

    Raises:
        OSError: it can't be started.
    """
    with anyio.CancelScope(shield=True), _named(argv[0]):
        process = await create_subprocess_exec(
            *argv,
            cwd=cwd,
            env={**env, MARK: mark, OWNER: owner()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    assert process.stderr is not None
    listening = asyncio.create_task(_listen(process.stderr, complaints), name="complaints of a program")
    try:
        yield process
    finally:
        with anyio.CancelScope(shield=True):
            await _stop(process, mark)
            with anyio.move_on_after(LINGER):
                await asyncio.wait([listening])
            listening.cancel()


@contextmanager
def _named(program: str) -> Iterator[None]:
    """Errors of a start that name the program; not every event loop has them do so."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or program
        raise


async def _listen(source: asyncio.StreamReader, output: Output) -> None:
    while chunk := await source.read(CHUNK):
        output.add(chunk)


async def _spawn(
    argv: Sequence[str], cwd: str, env: Mapping[str, str], ends: tuple[IO[bytes], IO[bytes]], feed: bytes
) -> Process:
    with _fed(feed) as source:
        return await create_subprocess_exec(
            *argv, cwd=cwd, env=env, stdin=source, stdout=ends[0], stderr=ends[1], start_new_session=True
        )


@contextmanager
def _fed(feed: bytes) -> Iterator[int | IO[bytes]]:
    if not feed:
        yield subprocess.DEVNULL
        return
    with tempfile.TemporaryFile() as file:
        file.write(feed)
        file.seek(0)
        yield file


async def _attend(process: Process, pipes: Sequence[_Pipe], show: Show | None) -> int:
    """Read what it writes, until it has ended and nobody writes any more (or too long after it has ended).

    Only what comes through the first pipe is shown.
    """
    window = _Window(show)
    dry = [anyio.Event() for _ in pipes]

    async def pump(pipe: _Pipe, done: anyio.Event) -> None:
        while chunk := await _read(pipe.reading):
            pipe.output.add(chunk)
            if pipe is pipes[0]:
                window.add(chunk)
        done.set()

    try:
        async with anyio.create_task_group() as tasks:
            for pipe, done in zip(pipes, dry, strict=True):
                tasks.start_soon(pump, pipe, done, name="output of a program")
            if show is not None:
                tasks.start_soon(window.keep_showing, name="showing output of a program")
            code = await process.wait()
            with anyio.move_on_after(LINGER):
                for done in dry:
                    await done.wait()
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    await window.flush()
    return code


async def _read(reading: int) -> bytes:
    while True:
        await anyio.wait_readable(reading)
        with suppress(BlockingIOError):
            return os.read(reading, CHUNK)


def _drain(reading: int, output: Output) -> None:
    """Take what is still in the pipe, and no more than a pipe holds."""
    with suppress(BlockingIOError):
        for _ in range(16):
            if not (chunk := os.read(reading, CHUNK)):
                return
            output.add(chunk)


class _Window:
    """What is shown of a program's output while it runs: the first `SHOWN` bytes, a little at a time."""

    def __init__(self, show: Show | None) -> None:
        self._show = show
        self._room = SHOWN
        self._waiting = bytearray()
        self._news = anyio.Event()

    def add(self, chunk: bytes) -> None:
        if self._show is None or self._room <= 0:
            return
        self._waiting += chunk[: self._room]
        self._room -= len(chunk)
        if self._room <= 0:
            self._waiting += b"\n[more output follows; the result holds its end]\n"
        self._news.set()

    async def keep_showing(self) -> None:
        while True:
            await self._news.wait()
            await anyio.sleep(PAUSE)
            self._news = anyio.Event()
            await self._send(final=False)

    async def flush(self) -> None:
        await self._send(final=True)

    async def _send(self, *, final: bool) -> None:
        cut = len(self._waiting) if final else _boundary(self._waiting)
        if self._show is None or not cut:
            return
        text = bytes(self._waiting[:cut]).decode(errors="replace")
        del self._waiting[:cut]  # before the await: whoever comes next starts behind it
        await self._show(text)


def _boundary(data: bytearray) -> int:
    """How many bytes can be decoded without cutting the last character."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte < 0x80:
            return len(data)
        if byte >= 0xC0:
            width = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) - back if width > back else len(data)
    return len(data)


async def _stop(process: Process, mark: str) -> None:
    """End it and all that descends from it: politely, then not."""
    marked = bearing({mark})
    await to_thread.run_sync(signal_all, process.pid, marked, signal.SIGTERM)
    with anyio.move_on_after(GRACE):
        await process.wait()
    await to_thread.run_sync(end, process.pid, marked)
    await process.wait()
