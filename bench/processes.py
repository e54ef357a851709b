"""Programs that are measured: started on a core of their own, and asked what they have used."""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import cores

ROOT = Path(__file__).parents[1]
_ADDRESS = re.compile(rb"[Ll]istening on (?:http://)?(?:127\.0\.0\.1:)?(\d+)")
_TICK = os.sysconf("SC_CLK_TCK")


class Process:
    """A program that listens.  `ready` is how many seconds it took to say so."""

    def __init__(self, command: Sequence[str], core: int, log: Path) -> None:
        started = time.perf_counter()
        self._log = log
        with log.open("wb") as stderr:
            self._child = subprocess.Popen(
                [sys.executable, *command],
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=ROOT,
                env=_environment(),
                preexec_fn=lambda: cores.pin(core),
            )
        self.pid = self._child.pid
        self.address = f"http://127.0.0.1:{self._port()}"
        self.ready = time.perf_counter() - started

    def cpu(self) -> float:
        """Seconds of CPU that it has used, all threads together."""
        try:
            threads = list(Path(f"/proc/{self.pid}/task").iterdir())
            return sum(int((thread / "schedstat").read_bytes().split()[0]) for thread in threads) / 1e9
        except FileNotFoundError:  # a thread that has just ended, or a kernel that does not count so
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / _TICK

    def memory(self, field: str = "VmRSS") -> float:
        """MiB that it has in memory (`VmHWM`: that it ever had)."""
        found = re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None
        return int(found[1]) / 1024

    def threads(self) -> int:
        """How many threads it has."""
        return len(list(Path(f"/proc/{self.pid}/task").iterdir()))

    def stop(self) -> None:
        """End it, politely at first."""
        self._child.terminate()
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        assert self._child.stdout is not None
        self._child.stdout.close()

    def errors(self) -> str:
        """What it wrote to stderr."""
        return self._log.read_text(errors="replace")

    def _port(self) -> int:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            if found := _ADDRESS.search(line):
                return int(found[1])
        raise RuntimeError(f"it does not listen:\n{self.errors()}")


@contextlib.contextmanager
def running(command: Sequence[str], core: int, log: Path) -> Iterator[Process]:
    """A program, until the block's end."""
    process = Process(command, core, log)
    try:
        yield process
    finally:
        process.stop()


def model(folder: Path) -> contextlib.AbstractContextManager[Process]:
    """The fake model."""
    return running(["-m", "bench.model", str(cores.MODEL)], cores.MODEL, folder / "model.log")


def bare(folder: Path, model: Process) -> contextlib.AbstractContextManager[Process]:
    """The bare handler."""
    port = model.address.rpartition(":")[2]
    command = ["-m", "bench.bare", str(cores.SERVER), port, str(folder / "bare.db")]
    return running(command, cores.SERVER, folder / "bare.log")


def roost(folder: Path, agents: Path, *flags: str, db: str = "roost.db") -> contextlib.AbstractContextManager[Process]:
    """Roost itself."""
    command = ["-m", "roost", "serve", "api", str(agents), "--listen", "127.0.0.1:0"]
    command += ["--session-db", str(folder / db), "--home", str(folder / "home"), *flags]
    return running(command, cores.SERVER, folder / f"{db}.log")


def agent(folder: Path, model: Process, order: str, *, more: str = "") -> None:
    """An agent file whose model gives answers of this order; `more` are further lines of its agent."""
    folder.mkdir(exist_ok=True)
    (folder / f"{order}.yaml").write_text(
        f"""providers:
  bench:
    base_url: {model.address}/v1
agents:
  root:
    model: bench/{order}
    description: Counts
    instruction: Count.
{more}"""
    )


def work(module: str, *arguments: str) -> None:
    """Run one of our own modules to its end, in a process of its own.

    Raises:
        CalledProcessError: it failed.
    """
    subprocess.run([sys.executable, "-m", module, *arguments], cwd=ROOT, env=_environment(), check=True)


def _environment() -> dict[str, str]:
    # As it is for users: settings at their defaults, and modules compiled once.
    left_out = ("ROOST_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    paths = [str(ROOT / "src"), str(ROOT), kept.get("PYTHONPATH", "")]
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
