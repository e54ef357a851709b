"""Runs at terminals that listen: a record of each in `<data-dir>/runs/<pid>.json`, and which of them is meant."""

import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from roost import private
from roost.client import local
from roost.client.server import Server
from roost.core.errors import BadValue

FOLDER = "runs"
LARGEST = 64 * 1024  # bytes of a record: what is larger is none


class Run(Struct, frozen=True, omit_defaults=True):
    """A run that listens.  A process of the same number that started at another time is none."""

    pid: int
    addr: str  # with its scheme
    session_id: str
    agent: str
    started_at: str
    start_time: int | None = None  # in ticks since the machine started, where the system tells
    token: str = ""  # where one is asked for; whoever may read the record may know it

    def __repr__(self) -> str:
        return f"Run({self.pid}, {self.addr!r})"

    @property
    def server(self) -> Server:
        """Where it is."""
        return Server(self.addr.rstrip("/"), token=self.token)


def folder(env: Mapping[str, str], home: Path, data_dir: Path | None = None) -> Path:
    """Where the records are.  `serve.toml` may say it, as the flag and the variable do."""
    given = data_dir or env.get("ROOST_DATA_DIR") or _told(home)
    return (Path(given).expanduser() if given else home) / FOLDER


def _told(home: Path) -> str:
    try:
        text = (home / "serve.toml").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    if "data" not in text:
        return ""
    # A tenth of what a command takes, where there is such a file.
    import tomllib

    with suppress(tomllib.TOMLDecodeError):
        table = tomllib.loads(text)
        found = table.get("data_dir", table.get("data-dir", ""))
        return found if isinstance(found, str) else ""
    return ""


def new(addr: str, session: str, agent: str, *, token: str = "") -> Run:
    """The record of this process."""
    pid = os.getpid()
    return Run(pid, addr, session, agent, datetime.now().astimezone().isoformat(), local.started(pid), token)


def write(folder: Path, run: Run) -> None:
    """Keep a record, for the owner's eyes alone.

    Raises:
        OSError: it can't be written.
    """
    private.folder(folder).chmod(0o700)
    private.write(_path(folder, run.pid), msgspec.json.encode(run) + b"\n")


def remove(folder: Path, run: Run) -> None:
    """Take it away again, unless somebody else's has its place."""
    path = _path(folder, run.pid)
    with suppress(OSError):
        found = _read(path)
        if found is not None and (found.pid, found.started_at) == (run.pid, run.started_at):
            path.unlink()


def living(folder: Path) -> list[Run]:
    """The runs that live, the newest first.  Records of those that do not are removed."""
    found = []
    for path in sorted(folder.glob("*.json")):
        run = _read(path)
        if run is None:
            continue  # not ours to remove: it may be that of a newer version
        if local.alive(run.pid, run.start_time):
            found.append(run)
        else:
            with suppress(OSError):
                path.unlink()
    return sorted(found, key=lambda run: _moment(run.started_at), reverse=True)


def select(runs: Sequence[Run], target: str) -> Run:
    """The one that is meant: by its pid, its address, or (a part of) the id of its session; else the newest.

    Raises:
        BadValue: there is none like that, or there are several.
    """
    target = target.strip()
    if not target:
        if not runs:
            raise BadValue("no live run: `roost run AGENT --listen ADDR` starts one")
        return runs[0]
    if target.isascii() and target.isdecimal():
        return _one([run for run in runs if run.pid == int(target)], f"no live run with pid {target}")
    if "://" in target:
        wanted = target.removesuffix("/")
        return _one([run for run in runs if run.addr.removesuffix("/") == wanted], f"no live run at {target}")
    exact = [run for run in runs if run.session_id == target]
    found = exact or [run for run in runs if target in run.session_id]
    if len(found) > 1:
        those = ", ".join(f"{run.session_id} (pid {run.pid})" for run in found)
        raise BadValue(f"{target!r} is ambiguous: it matches {those}")
    return _one(found, f"no live run matches {target!r}")


def _one(found: Sequence[Run], otherwise: str) -> Run:
    if not found:
        raise BadValue(f"{otherwise} (`roost runs` lists them)")
    return found[0]


def _path(folder: Path, pid: int) -> Path:
    return folder / f"{pid}.json"


def _read(path: Path) -> Run | None:
    """A record, however its keys are spelled; None for what is none, or may have been put there by somebody else."""
    try:
        raw = msgspec.json.decode(_ours(path), type=dict[str, Any])
        return msgspec.convert({_key(name): value for name, value in raw.items()}, Run)
    except (OSError, msgspec.MsgspecError):
        return None


def _ours(path: Path) -> bytes:
    """What is in a file of ours, which nobody else can write to; nothing, where it is another's, or no file at all."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        found = os.fstat(file.fileno())
        ours = stat.S_ISREG(found.st_mode) and found.st_uid in (os.geteuid(), 0) and not found.st_mode & 0o022
        return file.read() if ours and found.st_size <= LARGEST else b""


_NAMES = {name.replace("_", ""): name for name in Run.__struct_fields__}


def _key(name: str) -> str:
    plain = name.replace("_", "").replace("-", "").lower()
    return _NAMES.get(plain, name)


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
