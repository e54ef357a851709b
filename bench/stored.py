"""W6: a server over 10 000 stored sessions: its start, its list, its memory."""

import asyncio
import json
import time
from pathlib import Path

from bench import processes
from bench.client import Server
from bench.figures import Aim, Report, Table, median, quantile, spread
from bench.processes import Process

SESSIONS = 10_000
DB = "stored.db"


async def measure(folder: Path, agents: Path, starts: int, lists: int) -> Report:
    began = time.perf_counter()
    processes.work("bench.seed", str(folder / DB), "many", str(SESSIONS))
    seeded = time.perf_counter() - began
    ready, fresh, listed, spent = [], [], [], []
    costs: list[float] = []
    for count in range(starts):
        with processes.roost(folder, agents, db=DB) as server:
            ready.append(await _ready(server))
            spent.append(server.cpu())
            fresh.append(server.memory())
            if count == starts - 1:
                costs = await _lists(server, lists)
                listed.append(server.memory())
                peak, threads = server.memory("VmHWM"), server.threads()
    table = Table(
        f"W6: {SESSIONS} stored sessions",
        (
            "start to ready s",
            "CPU of it s",
            "first list ms",
            "list p50 ms",
            "list p95 ms",
            "RSS at start MiB",
            "after lists",
            "peak",
        ),
        [
            (
                spread(ready),
                spread(spent),
                f"{costs[0]:.1f}",
                f"{quantile(costs[1:], 0.5):.1f}",
                f"{quantile(costs[1:], 0.95):.1f}",
                spread(fresh, 0),
                f"{listed[0]:.0f}",
                f"{peak:.0f}",
            )
        ],
        [f"{lists} lists, one after the other; {threads} threads; made in {seeded:.0f} s. Ready: /ready answers."],
    )
    aims = [
        Aim("W6: start to ready", median(ready), 0.6, "s"),
        Aim("W6: list p95", quantile(costs[1:], 0.95), 20, "ms"),
        Aim("W6: memory", listed[0], 150, "MiB"),
    ]
    raw = {
        "ready_s": ready,
        "ready_cpu_s": spent,
        "list_ms": costs,
        "rss_mib": fresh,
        "rss_after_lists_mib": listed,
        "peak_mib": peak,
    }
    return Report([table], aims, raw)


async def _ready(process: Process) -> float:
    """Seconds from the start of the program until /ready says yes."""
    began = time.perf_counter()
    async with Server(process.address) as server:
        await server.ask("GET", "/ready")
    return process.ready + time.perf_counter() - began


async def _lists(process: Process, times: int) -> list[float]:
    costs = []
    async with Server(process.address) as server:
        for count in range(times):
            if count % 10 == 5:
                await server.session("one more")  # so that a list is not only a copy of the last one
            began = time.perf_counter()
            body = await server.ask("GET", "/api/sessions")
            costs.append((time.perf_counter() - began) * 1000)
            if count == 0 and len(json.loads(body)) < SESSIONS:
                raise RuntimeError("the list is not whole")
            await asyncio.sleep(0)
    return costs
