"""Runs of agent CLIs: how long a start takes, how late a line is read, what waiting costs, what an end takes.

Run: python -m bench.keepers [RUNS]
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import anyio

from bench.figures import quantile
from roost.core.ids import RunId, SessionId
from roost.keepers.keepers import Keepers, open_keepers
from roost.ports import Launch, Process

LINES = 200
WRITER = """
import sys, time
for _ in range(int(sys.argv[1])):
    time.sleep(0.02)
    print(time.monotonic_ns(), flush=True)
"""
ENV = {"PATH": os.environ["PATH"]}
Figures = dict[str, list[float]]


def _program(*argv: str) -> Launch:
    return Launch(argv=argv, cwd="/", env=ENV)


async def _read(process: Process, late: list[float]) -> None:
    out = err = 0
    while True:
        output = await process.read(out, err)
        now = time.monotonic_ns()
        late += [(now - int(line)) / 1e6 for line in output.lines]
        out, err = output.out, output.err
        if output.exit is not None:
            return


async def _one(keepers: Keepers, name: str, figures: Figures) -> None:
    begun = time.perf_counter()
    launch = _program(sys.executable, "-I", "-S", "-c", WRITER, str(LINES))
    process = await keepers.start(RunId(name), SessionId(name), launch)
    figures["start"].append((time.perf_counter() - begun) * 1e3)
    await _read(process, figures["late"])
    await process.clear()


async def _ends(keepers: Keepers, figures: Figures) -> None:
    """Nothing but starts and ends, one after the other."""
    for number in range(20):
        name = f"short-{number}"
        begun = time.perf_counter()
        process = await keepers.start(RunId(name), SessionId(name), _program("true"))
        figures["start alone"].append((time.perf_counter() - begun) * 1e3)
        await _read(process, [])
        figures["start to end"].append((time.perf_counter() - begun) * 1e3)
        await process.clear()


async def _idle(keepers: Keepers, runs: int) -> float:
    """The share of a core that waiting for silent programs takes."""
    async with anyio.create_task_group() as tasks:
        processes = [
            await keepers.start(RunId(f"idle-{n}"), SessionId(f"idle-{n}"), _program("cat")) for n in range(runs)
        ]
        for process in processes:
            tasks.start_soon(process.read, 0, 0)
        await anyio.sleep(0.2)
        begun, used = time.perf_counter(), time.process_time()
        await anyio.sleep(3)
        share = (time.process_time() - used) / (time.perf_counter() - begun)
        for process in processes:
            await process.stop(grace=1)
    return share


async def _main(runs: int) -> None:
    figures: Figures = {"start alone": [], "start to end": [], "start": [], "late": []}
    with tempfile.TemporaryDirectory() as folder:
        async with open_keepers(Path(folder)) as keepers:
            await _ends(keepers, figures)
            async with anyio.create_task_group() as tasks:
                for number in range(runs):
                    tasks.start_soon(_one, keepers, f"run-{number}", figures)
            share = await _idle(keepers, runs)
    for name, values in figures.items():
        print(f"{name:>13}: p50 {statistics.median(values):6.1f} ms, p99 {quantile(values, 0.99):6.1f} ms")
    print(f"waiting for {runs} silent programs takes {share:.1%} of a core")


if __name__ == "__main__":
    anyio.run(_main, int(sys.argv[1]) if len(sys.argv) > 1 else 8)
