"""The sandbox of machines without a Docker engine: bubblewrap, with the host's system read-only."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path

from anyio import to_thread
from msgspec.structs import replace

from roost.core.errors import NoSandbox
from roost.ports import Confinement, Launch
from roost.sandbox import homes as furnished
from roost.sandbox.view import Kept, View, behold

ARGUMENTS = "sandbox-args"
STATUS = "inner.json"
"""The file in the run's folder where bubblewrap writes the pid of the namespace's first process.

One JSON object a line: `{"child-pid": 123, …}` at the start, `{"exit-code": 0}` at the end.  Killing
bubblewrap itself leaves the namespace running; killing that pid ends all that is in it.
"""

CLEAN = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
"""The environment outside; the program's own comes to it in a file, and loads no library into bubblewrap."""

_START = """trap '' INT TERM HUP; exec 8<"$1" 9>"$2"; shift 2; exec "$@" """
# Signals are for the program, not for bubblewrap: were that gone first, nobody would wait for its end.

_PROC = (
    "cmdline", "cpuinfo", "devices", "diskstats", "filesystems", "loadavg", "meminfo", "mounts", "net", "self", "stat",
    "swaps", "sys", "thread-self", "uptime", "version", "vmstat",
)  # fmt: skip
"""What is shown of /proc beside processes; the rest is covered, since root could write to some of it."""

TMP = 2 << 30  # bytes


class Bubblewrap:
    """Makes sandboxes with `bwrap`.

    No folder is let in that holds something of what is `kept`, and none as writable that lies in the
    server's own folder.  Private homes are furnished from the home of the server's user.
    """

    kind = "bubblewrap"

    def __init__(self, kept: Kept, *, program: str = "bwrap") -> None:
        self._kept = kept
        self._program = program

    async def trouble(self) -> str:
        """Why it can't be used on this machine, or ""."""
        return await to_thread.run_sync(self._trouble)

    def _trouble(self) -> str:
        path = shutil.which(self._program, path=CLEAN["PATH"])
        if path is None:
            return "bubblewrap (bwrap) is not installed: `apt-get install bubblewrap` brings it"
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder, "home")
            home.mkdir()
            (run := Path(folder, "run")).mkdir()
            launch = Launch(argv=("/bin/true",), cwd=str(home), env={"PATH": CLEAN["PATH"]})
            walls = Confinement(name="probe", home=str(home), writable=(), folder=str(run))
            try:
                confined = self.confine(launch, walls)
            except NoSandbox as error:
                return str(error)
            for name, text in confined.files.items():
                (run / name).write_text(text)
            return _tried(confined)

    def confine(self, launch: Launch, confinement: Confinement) -> Launch:
        """The same program, inside."""
        path = shutil.which(self._program, path=CLEAN["PATH"])
        if path is None:
            raise NoSandbox("bubblewrap (bwrap) is not installed")
        user = (os.geteuid() or 1000, os.getegid() or 1000)  # inside nobody is root
        view = behold(launch, confinement, user=user, kept=self._kept)
        folder = os.path.realpath(confinement.folder)
        arguments = "\0".join((*_arguments(view, user, confinement), *_extras(path))) + "\0"
        start = ("/bin/sh", "-c", _START, self.kind, f"{folder}/{ARGUMENTS}", f"{folder}/{STATUS}")
        return replace(
            launch,
            argv=(*start, path, "--args", "8", "--json-status-fd", "9", "--", *view.argv),
            cwd="/",
            env=dict(CLEAN),
            files={**view.files, ARGUMENTS: arguments},
            beside=view.beside,
            sandbox=f"{self.kind}:{confinement.name}",
        )

    async def furnish(self, home: str, keeps: Sequence[str]) -> None:
        """Make the private HOME, with what `keeps` names of the server's own."""
        await to_thread.run_sync(furnished.furnish, Path(home), tuple(keeps), Path(self._kept.home))

    async def tidy(self, homes: str, living: Collection[str]) -> None:
        """Remove the private homes of sessions that are no more."""
        await to_thread.run_sync(furnished.tidy, Path(homes), living)

    async def names(self) -> Sequence[str]:
        """None: they have no names that anybody knows but us."""
        return ()

    async def remove(self, name: str) -> None:
        """Nothing has this name but the processes, and they end with their keeper."""


def _arguments(view: View, user: tuple[int, int], confinement: Confinement) -> list[str]:
    args = ["--unshare-all", "--unshare-user", "--uid", str(user[0]), "--gid", str(user[1]), "--hostname", "sandbox"]
    args.append("--as-pid-1")  # bubblewrap's own would stay as long as anything runs inside
    args += ["--proc", "/proc", *_covered(), "--dev", "/dev"]
    args += ["--perms", "1777", "--size", str(TMP), "--tmpfs", "/tmp"]  # noqa: S108
    for target, link in view.links:
        args += ["--symlink", target, link]
    for hollow in view.hollows:
        args += ["--tmpfs", hollow]
    for mount in view.mounts:
        args += ["--bind" if mount.writable else "--ro-bind", mount.source, mount.target]
    return [*args, "--remount-ro", "/", "--chdir", view.cwd]


def _covered() -> list[str]:
    args = ["--ro-bind", "/proc/sys", "/proc/sys"]
    for entry in sorted(Path("/proc").iterdir()):
        if entry.name.isdigit() or entry.name in _PROC or entry.is_symlink():
            continue
        if entry.is_dir():
            args += ["--tmpfs", str(entry), "--remount-ro", str(entry)]
        else:
            args += ["--ro-bind", "/dev/null", str(entry)]
    return args


@cache
def _extras(path: str) -> tuple[str, ...]:
    """What newer versions can do."""
    shown = subprocess.run([path, "--help"], capture_output=True, text=True, check=False, env=CLEAN)
    return ("--disable-userns",) if "--disable-userns" in shown.stdout else ()


def _tried(launch: Launch) -> str:
    try:
        done = subprocess.run(
            launch.argv, cwd=launch.cwd, env=launch.env, capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not start: {error}"
    if done.returncode == 0:
        return ""
    said = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
    return f"bubblewrap can't make a sandbox here: {said}"
