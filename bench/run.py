"""All measurements, interleaved, with a table for each and what became of the aims.

Run: python -m bench [w1 w3 w4 w5 w6 growth] [--quick] [--folder DIR]

A whole run takes about five minutes; with --quick less than a minute and a half, and nothing is kept.  Without --quick
and without names the tables go into README.md, and all numbers into results.json.
"""

import argparse
import json
import os
import platform
import re
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from bench import cores, cuts, disk, growth, latency, processes, stored, targets, turns, watchers
from bench.figures import Aim, Report, verdicts
from bench.processes import Process

HERE = Path(__file__).parent
_MARKED = re.compile(r"(<!-- figures -->\n).*(<!-- end of figures -->)", re.S)


@dataclass
class Bench:
    """What all measurements share."""

    folder: Path
    quick: bool
    model: Process
    agents: Path
    stack: ExitStack
    _roost: targets.Target | None = None
    _bare: Process | None = None

    @property
    def rounds(self) -> int:
        return 1 if self.quick else 3

    @property
    def roost(self) -> targets.Target:
        """The server, started when it is first asked for."""
        if self._roost is None:
            self._roost = targets.roost(self.stack.enter_context(processes.roost(self.folder, self.agents)))
        return self._roost

    @property
    def bares(self) -> list[targets.Target]:
        """The bare handler in its two ways."""
        if self._bare is None:
            self._bare = self.stack.enter_context(processes.bare(self.folder, self.model))
        return [targets.bare(self._bare, "answer"), targets.bare(self._bare, "chunk")]


async def w1(bench: Bench) -> Report:
    return await turns.measure([bench.roost, *bench.bares], bench.rounds, 60 if bench.quick else 320)


async def w3(bench: Bench) -> Report:
    sides = [targets.model(bench.model), bench.roost, *bench.bares[: 1 if bench.quick else 2]]
    return await latency.measure(sides, bench.folder, bench.rounds, 4 if bench.quick else 6)


async def w4(bench: Bench) -> Report:
    return await watchers.measure(bench.roost, 2 if bench.quick else 5)


async def w5(bench: Bench) -> Report:
    return await cuts.measure(bench.roost, 100 if bench.quick else cuts.CLIENTS)


async def w6(bench: Bench) -> Report:
    return await stored.measure(bench.folder, bench.agents, 3 if bench.quick else 5, 60 if bench.quick else 200)


async def longer(bench: Bench) -> Report:
    lengths = growth.LENGTHS[:2] if bench.quick else growth.LENGTHS
    return await growth.measure(bench.folder, bench.model, 2 if bench.quick else 5, lengths)


MEASUREMENTS: dict[str, Callable[[Bench], Awaitable[Report]]] = {
    "w1": w1,
    "w3": w3,
    "w4": w4,
    "w5": w5,
    "w6": w6,
    "growth": longer,
}


def machine(folder: Path) -> dict[str, str]:
    """What was measured on."""
    model = (
        re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text()) if Path("/proc/cpuinfo").exists() else None
    )
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": model[1] if model else platform.processor(),
        "cores": f"{len(cores.CORES)} (server on {cores.SERVER}, load on {cores.LOAD}, model on {cores.MODEL})",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "fsync p50": f"{disk.fsync(folder, 200):.2f} ms",
    }


async def measure(names: list[str], quick: bool, folder: Path) -> tuple[str, dict[str, object]]:
    """The tables, and all numbers."""
    found, text = {}, []
    host = machine(folder)
    text.append("  \n".join(f"{name}: {value}" for name, value in host.items()) + "\n")
    print(text[0], flush=True)
    aims: list[Aim] = []
    with ExitStack() as stack:
        model = stack.enter_context(processes.model(folder))
        agents = folder / "agents"
        orders = [turns.ORDER, f"n{cuts.CHUNKS}r{cuts.RATE}"]
        orders += [order for seconds in (4, 6) for order in latency.orders(seconds).values()] + ["n200r100", "n500r100"]
        for order in orders:
            processes.agent(agents, model, order)
        bench = Bench(folder, quick, model, agents, stack)
        for name in names:
            began = time.perf_counter()
            report = await MEASUREMENTS[name](bench)
            report.raw["took_s"] = time.perf_counter() - began
            found[name] = report.raw
            aims += report.aims
            for table in report.tables:
                text.append(table.markdown())
                print(text[-1], flush=True)
    if aims:
        text.append(verdicts(aims).markdown())
        print(text[-1], flush=True)
    return "\n".join(text), {"machine": host, **found, "aims": [aim.row() for aim in aims]}


def keep(text: str, found: dict[str, object]) -> None:
    """Put the figures where people look for them."""
    (HERE / "results.json").write_text(json.dumps(found, indent=1) + "\n")
    readme = HERE / "README.md"
    if readme.exists():
        readme.write_text(_MARKED.sub(lambda marks: f"{marks[1]}\n{text}\n{marks[2]}", readme.read_text()))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure Roost.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {' '.join(MEASUREMENTS)}  [all]")
    parser.add_argument("--quick", action="store_true", help="one round of each, and smaller ones")
    parser.add_argument("--folder", type=Path, help="where the databases lie  [a temporary folder]")
    options = parser.parse_args()
    if unknown := set(options.names) - set(MEASUREMENTS):
        parser.error(f"no such measurement: {' '.join(sorted(unknown))}")
    began = time.perf_counter()
    cores.pin(cores.LOAD)
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        text, found = uvloop.run(measure(options.names or list(MEASUREMENTS), options.quick, Path(temporary)))
    print(f"{time.perf_counter() - began:.0f} s in all")
    if not options.quick and not options.names:
        keep(text, found)


if __name__ == "__main__":
    main()
