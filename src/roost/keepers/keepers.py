"""The keepers of one home: starting programs under them, and finding these again."""

import errno
import json
import os
import select
import shutil
import signal
import struct
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path
from time import sleep
from typing import Any

import anyio
import msgspec
from anyio import to_thread

from roost import private
from roost.core.errors import LaunchFailed
from roost.core.ids import RunId, SessionId
from roost.keepers import keeper
from roost.keepers.growth import Growth
from roost.keepers.kept import Kept, Who
from roost.keepers.watch import boot
from roost.ports import Launch

PROMPTLY = 20.0  # seconds in which a keeper has said whether its program runs


class Keepers:
    """The runs of one home (`ports.Runs`).  Made by `open_keepers`."""

    def __init__(self, home: Path) -> None:
        self._home = home.resolve()  # its runs are known by their path
        self._growth = Growth()
        self._kept: dict[RunId, Kept] = {}
        self._starting: set[RunId] = set()

    def folder(self, run: RunId) -> Path:
        """The run's private folder, mode 0700; it need not exist yet.

        It is one within the run's own folder: a sandbox may show it, and what keeper and server share stays outside.
        """
        return self._place(run) / "files"

    def spawn_log(self, session: SessionId) -> Path:
        """Where the output of a session's runs can be read as it came."""
        return self._home / "logs" / "spawn" / f"{_name(session)}.log"

    async def start(self, run: RunId, session: SessionId, launch: Launch) -> Kept:
        """Start a program.  Cancellation waits until it is known how that went.

        Raises:
            LaunchFailed: it can't be started; the message says why, and nothing is left behind.
        """
        self._starting.add(run)
        try:
            with anyio.CancelScope(shield=True):
                pid, started = await to_thread.run_sync(self._start, run, session, launch)
            try:
                return self._know(run, session, pid, started, boot())
            except OSError as error:
                with anyio.CancelScope(shield=True):
                    await to_thread.run_sync(_undo, self._place(run))
                raise LaunchFailed(_no_room(self._place(run), error)) from None
        finally:
            self._starting.discard(run)

    async def adopt(self, run: RunId, *, pid: int, started: int, boot_id: str) -> Kept:
        """A program that an earlier server started, whether it still runs or not: its output is there either way.

        Raises:
            LaunchFailed: nothing is left of it.
        """
        known = self._kept.get(run)
        if known is not None and not known.cleared:
            return known
        try:
            return self._know(run, _session(self._place(run)), pid, started, boot_id)
        except (OSError, ValueError, KeyError) as error:
            raise LaunchFailed(f"nothing is left of this run: {error}") from None

    async def sweep(self, living: Sequence[RunId]) -> int:
        """End and remove what is left of runs that no session knows any more; how many there were.

        What another living server is just starting on the same home is spared.
        """
        spared = {*living, *self._starting, *(run for run, kept in self._kept.items() if not kept.cleared)}
        places = await to_thread.run_sync(lambda: [place for place in self._places() if place.name not in spared])
        async with anyio.create_task_group() as tasks:
            for place in places:
                tasks.start_soon(self._end, place, name=f"end of the forgotten run {place.name}")
        return len(places)

    def close(self) -> None:
        """Let go of all of them: they run on."""
        for kept in self._kept.values():
            kept.close()
        self._kept.clear()
        self._growth.close()

    def _place(self, run: RunId) -> Path:
        return self._home / "runs" / _name(run)

    def _know(self, run: RunId, session: str, pid: int, started: int, boot_id: str) -> Kept:
        log = self.spawn_log(SessionId(session))
        self._kept = {known: kept for known, kept in self._kept.items() if not kept.cleared}
        kept = Kept(self._place(run), log, self._growth, pid=pid, started=started, boot_id=boot_id)
        self._kept[run] = kept
        return kept

    # -- starting --

    def _start(self, run: RunId, session: SessionId, launch: Launch) -> tuple[int, int]:
        place = self._place(run)
        try:
            private.folder(place.parent)
            place.mkdir(mode=0o700)
        except FileExistsError:
            raise LaunchFailed(f"the run {run} has been started already") from None
        except OSError as error:
            raise LaunchFailed(_no_room(place, error)) from None
        try:
            self._furnish(place, session, launch)
            return _spawn(place, self._order(place, session, launch))
        except BaseException as error:
            _undo(place)
            if isinstance(error, OSError):
                raise LaunchFailed(_no_room(place, error)) from None
            raise

    def _furnish(self, place: Path, session: SessionId, launch: Launch) -> None:
        """Lay out the run's folder."""
        files = place / "files"
        files.mkdir(mode=0o700)
        for name, text in launch.files.items():
            path = files / name
            if not path.resolve().is_relative_to(files.resolve()):
                raise LaunchFailed(f"{name!r} does not lie in the run's folder")
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(path, text.encode())
        starter = keeper.stat_of(os.getpid())
        told = {"pid": os.getpid(), "started": starter.started if starter else 0, "boot_id": boot(), "session": session}
        _write(place / "starter.json", json.dumps(told).encode())
        _write(place / "in.jsonl", b"".join(msgspec.json.encode(given) + b"\n" for given in launch.inputs))
        _write(place / "note", launch.note.encode())
        for path in (place / "out", place / "err"):
            _write(path, b"")
        os.mkfifo(place / "bell", 0o600)
        log = self.spawn_log(session)
        private.folder(log.parent)
        os.close(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def _order(self, place: Path, session: SessionId, launch: Launch) -> dict[str, Any]:
        return {
            "mark": str(place),
            "argv": launch.argv,
            "cwd": launch.cwd,
            "env": launch.env,
            "beside": launch.beside,
            "after": launch.after,
            "files": list(launch.files),
            "spool": launch.spool,
            "log": str(self.spawn_log(session)),
        }

    # -- sweeping --

    def _places(self) -> list[Path]:
        runs = self._home / "runs"
        if not runs.is_dir():
            return []
        return [place for place in runs.iterdir() if place.is_dir() and not _in_hand(place)]

    async def _end(self, place: Path) -> None:
        who = await to_thread.run_sync(_who, place)
        with suppress(OSError, ValueError, KeyError):
            kept = self._know(RunId(place.name), _session(place), who.keeper, who.started, who.boot_id)
            await kept.stop(grace=1.0)
            await kept.clear()
        await to_thread.run_sync(_undo, place)


@asynccontextmanager
async def open_keepers(home: Path) -> AsyncIterator[Keepers]:
    """The keepers of a home.  Leaving the block ends none of them."""
    keepers = Keepers(home)
    try:
        yield keepers
    finally:
        keepers.close()


def _undo(place: Path) -> None:
    """Make sure that nothing is left of a run."""
    for _ in range(100):
        if not keeper.send(keeper.relics(str(place)), signal.SIGKILL):
            break
        sleep(0.005)
    shutil.rmtree(place, ignore_errors=True)


def _spawn(place: Path, order: Mapping[str, Any]) -> tuple[int, int]:
    """Start a keeper: its pid, and when it was started.

    The order is handed over in memory: a key in an environment never lies on a disk.
    """
    reading, answering = os.pipe2(os.O_CLOEXEC)
    stdin = os.memfd_create("order", os.MFD_CLOEXEC)
    try:
        os.write(stdin, json.dumps(order).encode())
        os.lseek(stdin, 0, os.SEEK_SET)
        argv = [sys.executable, "-I", "-S", "-X", "utf8", _program(), str(place)]
        actions = [(os.POSIX_SPAWN_DUP2, stdin, 0), (os.POSIX_SPAWN_DUP2, answering, 1)]
        env = {keeper.MARK: f"{place}{keeper.KEEPER}"}
        pid = os.posix_spawn(
            sys.executable, argv, env, file_actions=actions, setsid=True, setsigmask=(), setsigdef=keeper.INHERITED
        )
        os.close(answering)
        answering = -1
        stat = keeper.stat_of(pid)
        _await_answer(reading, pid)
        return pid, stat.started if stat else 0
    finally:
        for fd in (reading, answering, stdin):
            if fd >= 0:
                os.close(fd)


def _program() -> str:
    """The keeper's file: compiled, which halves a start, if that is of this very source."""
    source, compiled = Path(keeper.__file__), Path(cache_from_source(keeper.__file__))
    try:
        with compiled.open("rb") as file:
            magic, flags, changed, size = struct.unpack("<4sIII", file.read(16))
    except (OSError, struct.error):
        return str(source)
    now = source.stat()
    of_this = (MAGIC_NUMBER, 0, int(now.st_mtime) & 0xFFFFFFFF, now.st_size & 0xFFFFFFFF)
    return str(compiled if (magic, flags, changed, size) == of_this else source)


def _await_answer(reading: int, pid: int) -> None:
    """Return once the program runs.

    Raises:
        LaunchFailed: it does not; nor does the keeper any more.
    """
    text = b""
    poll = select.poll()  # unlike select() it takes any descriptor
    poll.register(reading, select.POLLIN)
    while poll.poll(PROMPTLY * 1000):
        part = os.read(reading, 64 * 1024)
        text += part
        if not part or text.endswith(b"\n"):
            break
    complaint = json.loads(text)["error"] if text.endswith(b"\n") else "its keeper did not start"
    if complaint:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)  # a child of ours that nobody has buried: it is no stranger
        os.waitpid(pid, 0)
        raise LaunchFailed(complaint)


def _write(path: Path, text: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(text)


def _name(id: str) -> str:
    """An id as the name of a file.

    Raises:
        LaunchFailed: it would lead elsewhere.
    """
    if not id or id.startswith(".") or "/" in id or "\0" in id:
        raise LaunchFailed(f"{id!r} can't be the name of a file")
    return id


def _session(place: Path) -> str:
    return str(json.loads((place / "starter.json").read_bytes())["session"])


def _in_hand(place: Path) -> bool:
    """Whether another server that lives is starting this run, or has it."""
    try:
        starter = json.loads((place / "starter.json").read_bytes())
        stat = keeper.stat_of(starter["pid"])
        lives = stat is not None and not stat.gone and stat.started == starter["started"]
        return lives and starter["boot_id"] == boot() and starter["pid"] != os.getpid()
    except (OSError, ValueError, KeyError):
        return False


def _who(place: Path) -> Who:
    """Who keeps a run: as written down, or as its mark tells."""
    with suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode((place / "run.json").read_bytes(), type=Who)
    for stat in keeper.relics(str(place)):
        if keeper.mark_of(stat.pid) == f"{place}{keeper.KEEPER}":
            return Who(keeper=stat.pid, started=stat.started, boot_id=boot())
    return Who(boot_id=boot())


def _no_room(place: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"there is no room left on the disk for what the program writes ({place.parent})"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "there are too many open files for another program"
    return f"the run's folder {place} can't be used: {error.strerror}"
