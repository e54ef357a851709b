"""Commands against a running server: how long a whole `roost spawn` takes, and how late `roost listen` shows a line.

Run: python -m bench.commands [ROUNDS]

A line counts from the moment at which it is seen in the spool file of the run, which is looked at every millisecond.
"""

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.figures import Aim, Table, quantile, verdicts
from bench.processes import ROOT

TOKEN = "b" * 32
GAP = 0.1  # seconds between two lines
_ADDRESS = re.compile(r"Starting zag server on (http\S+)")


def environment(folder: Path, home: str = "desk") -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ROOST_", "ZAG_"))}
    own = {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]), "HOME": str(folder)}
    return {**kept, **own, "ROOST_HOME": str(folder / home)}


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server with the mock."""
    flags = ["--host", "127.0.0.1", "--port", "0", "--insecure-http", "--enable-mock", "--token", TOKEN]
    with subprocess.Popen(
        [sys.executable, "-m", "roost", "serve", *flags],
        **{"env": environment(folder, "server"), "cwd": folder, "stderr": subprocess.PIPE, "text": True},
    ) as server:
        assert server.stderr is not None
        try:
            yield next(found[1] for line in server.stderr if (found := _ADDRESS.search(line)))
        finally:
            threading.Thread(target=server.stderr.read, daemon=True).start()
            server.terminate()
            server.wait(30)


def typed(folder: Path, *words: str) -> str:
    """What a command prints."""
    command = [sys.executable, "-m", "roost", *words]
    done = subprocess.run(command, env=environment(folder), cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def spawns(folder: Path, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds that each of some spawns takes, from its start to its end; and of CPU."""
    took, used = list[float](), list[float]()
    for _ in range(rounds):
        began, before = time.perf_counter(), spent()
        session = typed(folder, "spawn", "hello", "-p", "mock").strip()
        took.append(time.perf_counter() - began)
        used.append(spent() - before)
        typed(folder, "wait", session)
    return took, used


def spent() -> float:
    """Seconds of CPU of all commands that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def lines(folder: Path, count: int) -> list[float]:
    """Seconds from each line of a run in its spool to its event on the screen."""
    steps = [step for number in range(count) for step in ({"sleep_s": GAP}, {"say": f"word {number}"})]
    prompt = "@mock " + json.dumps({"steps": [{"sleep_s": 2}, *steps]})
    session = typed(folder, "spawn", prompt, "-p", "mock").strip()
    written: dict[str, float] = {}
    over = threading.Event()

    def watch() -> None:
        """Look at the newest spool."""
        spool = max((folder / "server").rglob("out"), key=lambda path: path.stat().st_mtime)
        seen = 0
        with spool.open("rb") as source:
            while not over.is_set():
                source.seek(seen)
                for line in source.read().splitlines(keepends=True):
                    if line.endswith(b"\n"):
                        seen += len(line)
                        event = json.loads(line)
                        written.setdefault(str(event.get("text", "")), time.perf_counter())
                time.sleep(0.001)

    watching = threading.Thread(target=watch)
    late = []
    with subprocess.Popen(
        [sys.executable, "-m", "roost", "listen", session, "--json"],
        **{"env": environment(folder), "cwd": folder, "stdout": subprocess.PIPE, "text": True},
    ) as listening:
        assert listening.stdout is not None
        watching.start()
        for line in listening.stdout:
            now, event = time.perf_counter(), json.loads(line)
            if event["type"] == "assistant_message":
                late.append(now - written.get(event["content"], now))
    over.set()
    watching.join()
    assert len(late) == count, len(late)
    return late


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as temporary, served(folder := Path(temporary)) as url:
        typed(folder, "connect", url, "--token", TOKEN)
        spawns(folder, 1)
        (took, used), late = spawns(folder, rounds), lines(folder, 2 * rounds)
    rows = [
        (what, str(len(values)), *(f"{quantile(values, share) * 1000:.1f}" for share in (0.5, 0.95, 1.0)))
        for what, values in (
            ("`roost spawn`, the whole process", took),
            ("CPU of it", used),
            ("a line of the spool in `roost listen`", late),
        )
    ]
    print(Table("Commands", ("", "times", "p50 ms", "p95 ms", "slowest ms"), rows).markdown())
    aims = [
        Aim("commands: spawn p50", quantile(took, 0.5), 0.3, "s"),
        Aim("commands: a line in listen p50", quantile(late, 0.5) * 1000, 50, "ms"),
    ]
    print(verdicts(aims).markdown())


if __name__ == "__main__":
    main()
