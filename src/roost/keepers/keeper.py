"""The keeper of one program: starts it, feeds it, ends all that descends from it, and writes down how it ended.

The server starts this file by its path, `python -I -S keeper.py FOLDER`, with the order as JSON on
stdin; the answer is a line of JSON on stdout.  From then on the keeper lives by itself, in a session of
its own, until its program has ended: servers come and go.  It imports nothing but the standard library,
and little of that, since there is one keeper for each run.

In FOLDER: `out` and `err` are what the program writes, `in.jsonl` what it is to be fed (`bell` is a FIFO
that says when there is more), `run.json` who is who, `stop` how patiently to end it when SIGTERM asks for
that, `exit.json` how it ended: it comes last, by a rename.
"""

from __future__ import annotations

import ctypes
import errno
import json
import math
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

TYPE_CHECKING = False  # typing itself would take a quarter of the start
if TYPE_CHECKING:
    from typing import Any

MARK = "ROOST_RUN"
"""The environment variable by which a run's processes are known: its folder, with a suffix for those around it."""

KEEPER, BESIDE = "/keeper", "/beside"
GRACE = 5.0  # seconds between one signal and the next, where nobody says otherwise
LINGER = 1.0  # seconds that what a program leaves behind has for an end of its own
PATIENCE = 5.0  # seconds of killing what does not go
AFTER = 30.0  # seconds for all that is run afterwards
BUSY, IDLE = 0.1, 1.0  # seconds between two looks at the spool
SPEED = 1 << 30  # bytes a second that nobody writes faster than
CHUNK = 64 * 1024
EXIT_ROOM = 256  # bytes set aside for exit.json, for the day when the disk is full
INHERITED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGTERM, signal.SIGXFSZ)
STEPS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER


class Refused(Exception):
    """The program can't be started; worded for people."""


# -- the tree -----------------------------------------------------------------------------------


class Stat:
    """What the system says of a process."""

    __slots__ = ("gone", "parent", "pid", "started")

    def __init__(self, pid: int, parent: int, started: int, *, gone: bool) -> None:
        self.pid = pid
        self.parent = parent
        self.started = started  # clock ticks since boot
        self.gone = gone  # it has ended, and nobody has asked how


def stat_of(pid: int) -> Stat | None:
    """A process, or None where there is none with this number."""
    text = _read(f"/proc/{pid}/stat")
    if not text:
        return None
    fields = text[text.rindex(b")") + 2 :].split()
    return Stat(pid, int(fields[1]), int(fields[19]), gone=fields[0] in (b"Z", b"X"))


def processes() -> dict[int, Stat]:
    """All processes, by number."""
    found = (stat_of(int(name)) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208
    return {stat.pid: stat for stat in found if stat is not None}


def mark_of(pid: int) -> str:
    """The mark that a process bears, or ""."""
    _, found, rest = (b"\0" + _read(f"/proc/{pid}/environ")).partition(b"\0" + MARK.encode() + b"=")
    return rest.split(b"\0", 1)[0].decode(errors="replace") if found else ""


def descendants(stats: dict[int, Stat], roots: set[int]) -> set[int]:
    """All that descends from `roots`, without these."""
    children: dict[int, list[int]] = {}
    for stat in stats.values():
        children.setdefault(stat.parent, []).append(stat.pid)
    found: set[int] = set()
    todo = list(roots)
    while todo:
        new = [child for child in children.get(todo.pop(), ()) if child not in found]
        found.update(new)
        todo.extend(new)
    return found - roots


def family(mark: str, keeper: int) -> list[Stat]:
    """The living processes of a run: without its keeper, and without those beside it."""
    stats = processes()
    marks = {pid: mark_of(pid) for pid in stats}
    roots = {pid for pid, borne in marks.items() if borne == mark}
    beside = {pid for pid, borne in marks.items() if borne == mark + BESIDE}
    kin = roots | descendants(stats, roots | ({keeper} if keeper in stats else set()))
    kin -= beside | descendants(stats, beside) | {keeper, os.getpid(), 1}
    return [stats[pid] for pid in kin if not stats[pid].gone and marks[pid] != mark + KEEPER]


def relics(mark: str) -> list[Stat]:
    """The living processes that bear any mark of a run: its keeper and those beside it, too."""
    own = {mark, mark + KEEPER, mark + BESIDE}
    return [stat for pid, stat in processes().items() if mark_of(pid) in own and not stat.gone and pid != os.getpid()]


def send(stats: Sequence[Stat], number: int) -> int:
    """Signal these very processes, not later ones with their numbers; how many were there to be signalled."""
    reached = 0
    for stat in stats:
        try:
            pidfd = os.pidfd_open(stat.pid)
        except OSError:
            continue
        try:
            now = stat_of(stat.pid)
            if now is not None and now.started == stat.started:
                signal.pidfd_send_signal(pidfd, number)
                reached += 1
        except (ProcessLookupError, PermissionError):
            continue
        finally:
            os.close(pidfd)
    return reached


def _read(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        parts = []
        while part := os.read(fd, CHUNK):
            parts.append(part)
        return b"".join(parts)
    except OSError:
        return b""
    finally:
        os.close(fd)


# -- what a keeper carries ----------------------------------------------------------------------


class Feed:
    """Carries the lines of `in.jsonl` into the program's stdin, as far as it reads them."""

    def __init__(self, path: str, pipe: int) -> None:
        self.pipe = pipe
        self._file = os.open(path, os.O_RDONLY)
        self._half = bytearray()
        self._seen = 0  # bytes of it without a newline
        self._due = memoryview(b"")
        self._last = False

    def pump(self) -> bool:
        """Write what can be written now; whether something waits until the program reads."""
        while self.pipe >= 0:
            if self._due:
                try:
                    self._due = self._due[os.write(self.pipe, self._due) :]
                except BlockingIOError:
                    return True
                except OSError:  # nobody reads any more
                    self.close()
            elif self._last:
                self.close()
            elif not self._next():
                return False
        return False

    def close(self) -> None:
        """The end of the program's input."""
        if self.pipe >= 0:
            os.close(self.pipe)
            self.pipe = -1
            self._due = memoryview(b"")

    def _next(self) -> bool:
        """Take the next entry; whether there was a whole one."""
        while (end := self._half.find(b"\n", self._seen)) < 0:
            self._seen = len(self._half)
            chunk = os.read(self._file, CHUNK)
            if not chunk:
                return False
            self._half += chunk
        line = bytes(self._half[:end])
        del self._half[: end + 1]
        self._seen = 0
        try:
            entry = json.loads(line)
            text = entry.get("line", "")
            self._due = memoryview(text.encode(errors="surrogatepass") + b"\n" if text else b"")
            self._last = entry.get("close", False) is True
        except (ValueError, AttributeError, TypeError):  # torn by a crash of its writer
            pass
        return True


class Spool:
    """What the program writes: how much it is, and a copy of it, line by line, in the session's log."""

    def __init__(self, folder: str, log: str) -> None:
        self._files = [os.open(f"{folder}/{name}", os.O_RDONLY) for name in ("out", "err")]
        self._copied = [0, 0]
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.log_at = os.fstat(self._log).st_size

    @property
    def size(self) -> int:
        """Bytes in both files."""
        return sum(os.fstat(file).st_size for file in self._files)

    def copy(self, *, final: bool = False) -> None:
        """Bring the log up to date: whole lines, and at the end all."""
        try:
            for which, file in enumerate(self._files):
                while part := self._part(file, self._copied[which], final):
                    self._copied[which] += os.write(self._log, part)
                if final and self._copied[which] and os.pread(file, 1, self._copied[which] - 1) != b"\n":
                    os.write(self._log, b"\n")
        except OSError:
            pass  # no room: the spool has it all, for as long as the run is known

    @staticmethod
    def _part(file: int, at: int, final: bool) -> bytes:
        chunk = os.pread(file, CHUNK, at)
        if final or not chunk:
            return chunk
        return chunk[: chunk.rfind(b"\n") + 1] or (chunk if len(chunk) == CHUNK else b"")


# -- starting -----------------------------------------------------------------------------------


def spawn(argv: Sequence[str], env: dict[str, str], cwd: str, fds: Sequence[tuple[int, int]]) -> int:
    """Start a program in a session of its own; `fds` are pairs of ours and its own.

    Raises:
        Refused: it can't be started.
    """
    try:
        os.chdir(cwd)
    except OSError as error:
        raise Refused(f"the working directory {cwd} can't be used: {error.strerror}") from None
    actions = [(os.POSIX_SPAWN_DUP2, ours, theirs) for ours, theirs in fds]
    path = find(argv[0], env)
    try:
        return os.posix_spawn(
            path, list(argv), env, file_actions=actions, setsid=True, setsigmask=(), setsigdef=INHERITED
        )
    except OSError as error:
        raise Refused(_reason(error, path, argv, env)) from None
    except ValueError as error:
        raise Refused(f"{argv[0]} can't be started: {error} among its arguments or its environment") from None
    finally:
        os.chdir("/")


def find(program: str, env: dict[str, str]) -> str:
    """The path of a program, looked for as a shell would with this environment.

    Raises:
        Refused: there is none.
    """
    if "/" in program:
        if os.path.isdir(program):  # noqa: PTH112  pathlib alone would take a third of a keeper's start
            raise Refused(f"{program} is a directory, not a program")
        return program
    found = ""
    for folder in env.get("PATH", os.defpath).split(":"):
        path = f"{folder or '.'}/{program}"
        if os.path.isfile(path):  # noqa: PTH113
            if os.access(path, os.X_OK):
                return path
            found = found or path
    raise Refused(f"{found} is not executable" if found else f"{program} was not found on the PATH")


def _reason(error: OSError, path: str, argv: Sequence[str], env: dict[str, str]) -> str:
    if error.errno == errno.ENOENT:
        if os.path.exists(path):  # noqa: PTH110
            return f"{path} can't be started: the interpreter that its first line names is missing"
        return f"{path} was not found"
    if error.errno == errno.EACCES:
        return f"{path} is not executable"
    if error.errno == errno.ENOEXEC:
        return f"{path} is not a program that this machine can run"
    if error.errno == errno.E2BIG:
        longest = max(len(os.fsencode(word)) for word in argv)
        variables = sum(len(os.fsencode(f"{name}={value}")) for name, value in env.items())
        return (
            f"the argument list of {argv[0]} is too long: the longest of its arguments has {longest} bytes, and its "
            f"environment {variables}; the system takes 128 KiB in one argument.  A shorter prompt, or one in a file "
            f"that the agent is told to read, would do"
        )
    if error.errno in (errno.EAGAIN, errno.ENOMEM):
        return f"{argv[0]} can't be started: there is no room for another process ({error.strerror})"
    return f"{argv[0]} can't be started: {error.strerror}"


# -- the keeper ---------------------------------------------------------------------------------


class Keeper:
    """One program, from its start to its end."""

    def __init__(self, folder: str, order: dict[str, Any]) -> None:
        self._folder = folder
        self._order = order
        self._mark: str = order["mark"]
        self._env: dict[str, str] = order["env"]
        self._limit: int = order["spool"]
        self._program = 0
        self._beside: list[int] = []
        self._after: set[int] = set()
        self._ended: dict[int, int] = {}  # how the program ended, and those that are run after it
        self._wake, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        self._asked = False
        self._stopping = False
        self._step = -1  # of STEPS; -1 is before the first
        self._next_step = 0.0
        self._grace = GRACE
        self._killed = False
        self._flooded = False
        self._poll = select.poll()

    def start(self) -> None:
        """Start what stands beside the program, and the program.

        Raises:
            Refused: one of them can't be started; the others have ended again.
        """
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._ask)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self._reserve()
        try:
            for argv in self._order["beside"]:
                env = {**self._env, MARK: self._mark + BESIDE}
                self._beside.append(spawn(argv, env, "/", [(2, 1), (2, 2)]))
            self._start_program()
        except Refused:
            self._end_beside()
            raise
        self._introduce()

    def _start_program(self) -> None:
        reading, feeding = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(feeding, False)
        self._feed = Feed(f"{self._folder}/in.jsonl", feeding)
        self._spool = Spool(self._folder, self._order["log"])
        self._bell = os.open(f"{self._folder}/bell", os.O_RDWR | os.O_NONBLOCK)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        out, err = (os.open(f"{self._folder}/{name}", flags) for name in ("out", "err"))
        try:
            env, fds = {**self._env, MARK: self._mark}, ((reading, 0), (out, 1), (err, 2))
            self._program = spawn(self._order["argv"], env, self._order["cwd"], fds)
        finally:
            for fd in (reading, out, err):
                os.close(fd)

    def run(self) -> None:
        """See the program through to its end, and write down how it ended."""
        for stage in (self._attend, self._finish):
            try:
                stage()
            except Exception:
                sys.excepthook(*sys.exc_info())
                self._kill()
        self._write_exit()

    def _attend(self) -> None:
        for fd in (self._wake, self._bell):
            self._poll.register(fd, select.POLLIN)
        look, interval, size = 0.0, BUSY, 0
        self._pump()
        while self._program not in self._ended:
            self._wait(look)
            if time.monotonic() >= look:
                self._spool.copy()
                interval = BUSY if self._spool.size != size else min(2 * interval, IDLE)
                size = self._spool.size
                if size > self._limit and not self._flooded:
                    self._flooded = True
                    self._advance(STEPS.index(signal.SIGKILL))
                look = time.monotonic() + min(interval, max((self._limit - size) / SPEED, BUSY / 2))
            self._press()

    def _wait(self, look: float) -> None:
        """Sleep until something is to be done, and take in what has come."""
        until = min(look, self._next_step) if self._stopping else look
        for fd, _ in self._poll.poll(max(until - time.monotonic(), 0) * 1000):
            if fd != self._feed.pipe:
                _drain(fd)
        self._reap()
        self._pump()

    def _pump(self) -> None:
        pipe = self._feed.pipe
        if self._feed.pump():
            self._poll.register(pipe, select.POLLOUT)
        elif pipe >= 0:
            with suppress(KeyError):
                self._poll.unregister(pipe)

    def _reap(self) -> bool:
        """Bury whoever has ended, orphans that have become ours as well; whether anybody is left below us."""
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return True
                if pid == self._program or pid in self._after:
                    self._ended[pid] = status
        except ChildProcessError:
            return False

    # -- ending --

    def _ask(self, *_: object) -> None:
        self._asked = True

    def _press(self) -> None:
        """Ask the program to end, ever less politely."""
        now = time.monotonic()
        if self._asked:
            self._asked, self._killed = False, True
            self._grace = min(self._patience(), self._grace if self._stopping else math.inf)
            self._next_step = min(self._next_step, now + self._grace) if self._stopping else now
            self._stopping = True
        if self._stopping and now >= self._next_step:
            self._advance(self._step + 1)

    def _advance(self, step: int) -> None:
        self._stopping, self._step = True, min(step, len(STEPS) - 1)
        if STEPS[self._step] == signal.SIGKILL:
            self._kill()
            self._next_step = time.monotonic() + BUSY
        else:
            send(family(self._mark, os.getpid()), STEPS[self._step])
            self._next_step = time.monotonic() + self._grace

    def _patience(self) -> float:
        """How long to wait from signal to signal; that the file is gone says that the wish was heard."""
        path = f"{self._folder}/stop"
        try:
            return float(_read(path) or GRACE)
        except ValueError:
            return GRACE
        finally:
            _remove(path)

    def _kill(self) -> None:
        """Kill the program and all that descends from it, and whoever is born meanwhile."""
        for _ in _until(PATIENCE):
            kin = family(self._mark, os.getpid()) if self._reap() else []
            if not kin:
                return
            send(kin, signal.SIGKILL)
            time.sleep(0.002)

    def _finish(self) -> None:
        """End all that is left, and tidy up."""
        self._feed.close()
        if self._step < len(STEPS) - 1:
            self._part_from(lambda: family(self._mark, os.getpid()))
        self._kill()
        self._end_beside()
        self._spool.copy(final=True)
        self._run_after()
        for name in self._order["files"]:
            _remove(f"{self._folder}/files/{name}")

    def _part_from(self, left: Callable[[], list[Stat]]) -> None:
        """Ask those who are left to go, and give them a moment."""
        if self._reap():
            send(left(), signal.SIGTERM)
            for _ in _until(LINGER):
                if not self._reap() or not left():
                    return
                time.sleep(0.01)

    def _end_beside(self) -> None:
        self._part_from(self._those_beside)
        for _ in _until(PATIENCE):
            if not self._reap() or not send(self._those_beside(), signal.SIGKILL):
                return
            time.sleep(0.002)

    def _those_beside(self) -> list[Stat]:
        return [stat for stat in relics(self._mark) if mark_of(stat.pid) == self._mark + BESIDE]

    def _run_after(self) -> None:
        deadline = time.monotonic() + AFTER
        for argv in self._order["after"]:
            try:
                pid = spawn(argv, {**self._env, MARK: self._mark + BESIDE}, "/", [(2, 1), (2, 2)])
            except Refused as refusal:
                print(refusal, file=sys.stderr)
                continue
            self._after.add(pid)
            while pid not in self._ended and time.monotonic() < deadline:
                self._poll.poll(50)
                _drain(self._wake)
                self._reap()
            self._end_beside()

    # -- telling --

    def _introduce(self) -> None:
        """Write down who is who, for a server that finds us dead."""
        own, program = stat_of(os.getpid()), stat_of(self._program)
        text = json.dumps(
            {
                "keeper": os.getpid(),
                "started": own.started if own else 0,
                "boot_id": _read("/proc/sys/kernel/random/boot_id").decode().strip(),
                "program": self._program,
                "program_started": program.started if program else 0,
                "log_at": self._spool.log_at,
            }
        )
        path = f"{self._folder}/run.json"
        try:
            fd = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.write(fd, text.encode())
            os.close(fd)
            os.rename(path + ".new", path)  # noqa: PTH104
        except OSError:
            sys.excepthook(*sys.exc_info())

    def _reserve(self) -> None:
        fd = os.open(f"{self._folder}/exit.new", os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(fd, b" " * EXIT_ROOM)
        os.close(fd)

    def _write_exit(self) -> None:
        status = self._ended.get(self._program)
        number = os.WTERMSIG(status) if status is not None and os.WIFSIGNALED(status) else 0
        code = None if status is None else 128 + number if number else os.WEXITSTATUS(status)
        told = {"code": code, "signal": number, "killed": self._killed, "flooded": self._flooded}
        fd = os.open(f"{self._folder}/exit.new", os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(fd, json.dumps(told).encode().ljust(EXIT_ROOM))
        os.fsync(fd)
        os.rename(f"{self._folder}/exit.new", f"{self._folder}/exit.json")  # noqa: PTH104
        folder = os.open(self._folder, os.O_RDONLY)
        os.fsync(folder)


def _drain(fd: int) -> bytes:
    try:
        return os.read(fd, CHUNK)
    except BlockingIOError:
        return b""


def _remove(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)  # noqa: PTH108


def _until(seconds: float) -> Iterator[None]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield


def main() -> None:
    """Take the order, answer, and keep the program."""
    folder = sys.argv[1]
    order = json.loads(sys.stdin.buffer.read())
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    answering = os.dup(1)
    _at_rest(folder)
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    keeper = Keeper(folder, order)
    try:
        keeper.start()
        answer = {"error": ""}
    except (Refused, OSError) as refusal:
        answer = {"error": str(refusal)}
    with suppress(OSError):  # the server went meanwhile: whoever comes next finds us
        os.write(answering, json.dumps(answer).encode() + b"\n")
    os.close(answering)
    if not answer["error"]:
        keeper.run()
    sys.stderr.flush()
    os._exit(0)


def _at_rest(folder: str) -> None:
    """Hold on to nothing of the server's: input and output lead nowhere, complaints into the folder."""
    os.chdir("/")
    nothing = os.open("/dev/null", os.O_RDWR)
    log = os.open(f"{folder}/keeper.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for ours, number in ((nothing, 0), (nothing, 1), (log, 2)):
        os.dup2(ours, number)
    os.close(nothing)
    os.close(log)


if __name__ == "__main__":
    main()
