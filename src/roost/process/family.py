"""A program and all that descends from it: how they are known, found and ended."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

MARK = "ROOST_CALL"
"""The environment variable by which a program's descendants are known, wherever they went."""

OWNER = "ROOST_OWNER"
"""The environment variable that says which server started a program."""

Marked = Callable[[int], bool]


def mark(session: str, call: str) -> str:
    """What the programs of one call are marked with: ids of calls are unique within a session alone."""
    return f"{session}/{call}"


def sweep(*marks: str) -> int:
    """Kill what is left of the calls with these marks, descendants included, and say how many it were.

    It blocks for some milliseconds: call it from a thread.  On a system without `/proc` it finds nothing.
    """
    return end(0, bearing(set(marks))) if marks else 0


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

    return end(0, lost)


def owner() -> str:
    """This process, told apart from a later one with the same number."""
    stat = _stat(os.getpid())
    return f"{os.getpid()}-{stat.start if stat else 0}"


def lives(owner: str) -> bool:
    """Whether that process is still there."""
    pid, _, start = owner.partition("-")
    stat = _stat(int(pid)) if pid.isdigit() else None
    return stat is not None and str(stat.start) == start and not stat.gone


def signal_all(leader: int, marked: Marked, number: int) -> None:
    """Signal a family."""
    with _family(leader, marked, set()) as family:
        for pidfd in family.values():
            _send_signal(pidfd, number)
    if not Path("/proc/self/stat").exists():
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, number)


def end(leader: int, marked: Marked, *, patience: float = 5.0) -> int:
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
    stats = {stat.pid: stat for stat in processes()}
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


def processes() -> Iterator[_Stat]:
    """All of this machine."""
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


def bearing(marks: set[str]) -> Marked:
    """Whether a process, by its number, has one of these marks."""
    return lambda pid: _variable(_environ(pid), MARK) in marks


def _environ(pid: int) -> bytes:
    try:
        return b"\0" + Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _variable(environ: bytes, name: str) -> str:
    _, found, rest = environ.partition(b"\0" + name.encode() + b"=")
    return rest.split(b"\0", 1)[0].decode(errors="replace") if found else ""
