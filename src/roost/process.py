"""Start a program, feed it, stop it and all its children."""

import asyncio
import os
import signal
import subprocess
import tempfile
from asyncio.subprocess import Process, create_subprocess_exec
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import IO, NamedTuple

import anyio
from anyio import to_thread

MARK = "ROOST_CALL"
"""The environment variable by which a program's descendants are known, wherever they went."""

OWNER = "ROOST_OWNER"
"""The environment variable that says which server started a program."""

GRACE = 1.0  # seconds between the polite signal and the other
LINGER = 0.5  # seconds of reading on when the program has ended and a child of it holds the pipe
SHOWN = 64 * 1024  # bytes of output that are shown while the program runs
PAUSE = 0.05  # seconds in which output gathers before it is shown
CHUNK = 64 * 1024

Show = Callable[[str], Awaitable[None]]
Marked = Callable[[int], bool]


def mark(session: str, call: str) -> str:
    """What the programs of one call are marked with: ids of calls are unique within a session alone."""
    return f"{session}/{call}"


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


# -- stopping -----------------------------------------------------------------------------------


async def _stop(process: Process, mark: str) -> None:
    """End it and all that descends from it: politely, then not."""
    marked = _bearing({mark})
    await to_thread.run_sync(_signal, process.pid, marked, signal.SIGTERM)
    with anyio.move_on_after(GRACE):
        await process.wait()
    await to_thread.run_sync(_end, process.pid, marked)
    await process.wait()


def sweep(*marks: str) -> int:
    """Kill what is left of the calls with these marks, descendants included, and say how many it were.

    It blocks for some milliseconds: call it from a thread.  On a system without `/proc` it finds nothing.
    """
    return _end(0, _bearing(set(marks))) if marks else 0


def sweep_lost(call: str) -> int:
    """`sweep` for a call whose server is dead, by its id alone: what a living server has started is spared.

    Ids of calls are not unique, but whatever it finds beyond the call has lost its server, too.
    """
    alive: dict[str, bool] = {}

    def lost(pid: int) -> bool:
        environ = _environ(pid)
        by = _variable(environ, OWNER)
        if not by or not _variable(environ, MARK).endswith("/" + call):
            return False
        if by not in alive:
            alive[by] = lives(by)
        return not alive[by]

    return _end(0, lost)


def owner() -> str:
    """This process, told apart from a later one with the same number."""
    stat = _stat(os.getpid())
    return f"{os.getpid()}-{stat.start if stat else 0}"


def lives(owner: str) -> bool:
    """Whether that process is still there."""
    pid, _, start = owner.partition("-")
    stat = _stat(int(pid)) if pid.isdigit() else None
    return stat is not None and str(stat.start) == start and not stat.gone


def _signal(leader: int, marked: Marked, number: int) -> None:
    with _family(leader, marked, set()) as family:
        for pidfd in family.values():
            _send_signal(pidfd, number)
    if not Path("/proc/self/stat").exists():
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, number)


def _end(leader: int, marked: Marked, *, patience: float = 5.0) -> int:
    """Kill a family, and whoever was born meanwhile, until nobody is left."""
    if not Path("/proc/self/stat").exists():
        if leader:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(leader, signal.SIGKILL)
        return 0
    seen: set[tuple[int, int]] = set()
    deadline = monotonic() + patience
    while True:
        with _family(leader, marked, seen) as family:
            alive = [known for known, pidfd in family.items() if _send_signal(pidfd, signal.SIGKILL)]
        seen.update(alive)
        if not alive or monotonic() > deadline:
            return len(seen)
        sleep(0.002)


def _send_signal(pidfd: int, number: int) -> bool:
    """Whether it was there to be signalled.  What belongs to another user can't be."""
    try:
        signal.pidfd_send_signal(pidfd, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


class _Stat(NamedTuple):
    pid: int
    start: int
    parent: int
    group: int
    session: int
    gone: bool


@contextmanager
def _family(leader: int, marked: Marked, seen: set[tuple[int, int]]) -> Iterator[dict[tuple[int, int], int]]:
    """Descriptors of all living members, by pid and start time.

    A member is the leader, whoever is in its group or session, whoever is `marked`, and all
    that descends from one of these or from those `seen` before.  What has left the session *and* cleared
    its environment *and* lost its parents is not found.
    """
    stats = {stat.pid: stat for stat in _processes()}
    own = {os.getpid(), 1}
    members = {
        pid
        for pid, stat in stats.items()
        if (leader and leader in (pid, stat.group, stat.session)) or (pid, stat.start) in seen or marked(pid)
    } - own
    members |= _descendants(members, stats) - own
    pidfds: dict[tuple[int, int], int] = {}
    try:
        for pid in members:
            if not stats[pid].gone and (pidfd := _pidfd(stats[pid])) is not None:
                pidfds[pid, stats[pid].start] = pidfd
        yield pidfds
    finally:
        for pidfd in pidfds.values():
            os.close(pidfd)


def _descendants(members: set[int], stats: Mapping[int, _Stat]) -> set[int]:
    children: dict[int, list[int]] = {}
    for stat in stats.values():
        children.setdefault(stat.parent, []).append(stat.pid)
    found: set[int] = set()
    todo = list(members)
    while todo:
        new = [child for child in children.get(todo.pop(), ()) if child not in found and child not in members]
        found.update(new)
        todo.extend(new)
    return found


def _pidfd(stat: _Stat) -> int | None:
    """A descriptor of this very process, not of a later one with the same number."""
    try:
        pidfd = os.pidfd_open(stat.pid)
    except OSError:
        return None
    now = _stat(stat.pid)
    if now is not None and now.start == stat.start:
        return pidfd
    os.close(pidfd)
    return None


def _processes() -> Iterator[_Stat]:
    for name in os.listdir("/proc"):  # noqa: PTH208  half the time of Path.iterdir, and it runs at each stop
        if name.isdigit() and (stat := _stat(int(name))) is not None:
            yield stat


def _stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    fields = text[text.rindex(b")") + 2 :].split()
    state, parent, group, session = fields[:4]
    return _Stat(pid, int(fields[19]), int(parent), int(group), int(session), gone=state in (b"Z", b"X"))


def _bearing(marks: set[str]) -> Marked:
    return lambda pid: _variable(_environ(pid), MARK) in marks


def _environ(pid: int) -> bytes:
    try:
        return b"\0" + Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _variable(environ: bytes, name: str) -> str:
    _, found, rest = environ.partition(b"\0" + name.encode() + b"=")
    return rest.split(b"\0", 1)[0].decode(errors="replace") if found else ""
