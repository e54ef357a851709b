"""A server that is killed: it starts or adopts a run, and writes down what it has read of it.

`hold HOME` starts a program and waits; `start HOME` and `read HOME` are rounds of the fuzz, each killed
by whoever forked it.  The journal stands for the log of a real server: a line of it is one commit.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import anyio

from roost.core.ids import RunId, SessionId
from roost.keepers.keepers import open_keepers
from roost.ports import Launch

COUNT = 4000
WRITER = f"""
import sys, time
for n in range({COUNT}):
    print("line", n, "x" * (n % 300), flush=True)
    n % 50 or print("odd", n, file=sys.stderr)
    n % 8 or time.sleep(0.002)
"""
RUN, SESSION = RunId("fuzzed"), SessionId("fuzzed")
ENV = {"PATH": os.environ["PATH"]}


def commit(journal: Path, fact: dict[str, object]) -> None:
    with journal.open("ab", buffering=0) as file:
        file.write(json.dumps(fact).encode() + b"\n")


def committed(journal: Path) -> list[dict[str, object]]:
    whole = journal.read_bytes().rpartition(b"\n")[0] if journal.exists() else b""
    return [json.loads(line) for line in whole.split(b"\n") if line]


def mend(journal: Path) -> None:
    """Drop a commit that was cut off: it was none."""
    if journal.exists():
        os.truncate(journal, journal.read_bytes().rfind(b"\n") + 1)


async def serve(home: Path, journal: Path) -> None:
    """Start the run or go on with it, until its end."""
    mend(journal)
    facts = committed(journal)
    async with open_keepers(home) as keepers:
        if not facts:
            launch = Launch(argv=(sys.executable, "-I", "-S", "-c", WRITER), cwd="/", env=ENV)
            process = await keepers.start(RUN, SESSION, launch)
            commit(journal, {"pid": process.pid, "started": process.started, "boot_id": process.boot_id})
            out = err = 0
        else:
            process = await keepers.adopt(RUN, **facts[0])
            out, err = (facts[-1].get("out", 0), facts[-1].get("err", 0))
        while True:
            output = await process.read(out, err)
            out, err = output.out, output.err
            lines, errors = ([line.decode() for line in some] for some in (output.lines, output.errors))
            commit(journal, {"lines": lines, "errors": errors, "out": out, "err": err, "end": bool(output.exit)})
            if output.exit:
                return


async def hold(home: Path) -> None:
    """Start a program, say so, and wait."""
    async with open_keepers(home) as keepers:
        await keepers.start(RUN, SESSION, Launch(argv=("sleep", "1000"), cwd="/", env=ENV))
        print("started", flush=True)
        await anyio.sleep_forever()


def rounds(home: Path, journal: Path, count: int) -> None:
    """Serve again and again, killed at any moment once the run is known."""
    for _ in range(count):
        pid = os.fork()
        if not pid:
            anyio.run(serve, home, journal)
            os._exit(0)
        while not committed(journal):
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.05))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def starts(home: Path, count: int) -> None:
    """Start a run, killed at any moment of the start."""
    for number in range(count):
        pid = os.fork()
        if not pid:
            anyio.run(hold, home / str(number))
            os._exit(0)
        time.sleep(random.uniform(0, 0.15))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    what, home = sys.argv[1], Path(sys.argv[2])
    if what == "hold":
        anyio.run(hold, home)
    elif what == "rounds":
        rounds(home, Path(sys.argv[3]), int(sys.argv[4]))
    else:
        starts(home, int(sys.argv[3]))
