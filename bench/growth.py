"""What an event costs in a session that is already long: 10², 10⁴ and 10⁶ events.

A short and a long answer are asked for in each session, in turn; what the long one costs more, divided by the
chunks that it has more, is the cost of one event, free of what a turn costs before its first word.  That beginning is
shown beside it: a turn reads the messages of its session, so it does depend on how much was said.
"""

import time
from pathlib import Path

from bench import processes
from bench.client import Server
from bench.figures import Aim, Report, Table, median, spread
from bench.processes import Process
from bench.targets import Chunk, roost

LENGTHS = (100, 10_000, 1_000_000)
SHORT, LONG = 50, 1050
DB = "growth.db"
GROWTH = 1.25  # times what it costs in the shortest session: noise stays below
AGENT = "    num_history_items: 10\n"  # the model is told of no more, whatever the length


async def measure(folder: Path, model: Process, rounds: int, lengths: tuple[int, ...] = LENGTHS) -> Report:
    began = time.perf_counter()
    processes.work("bench.seed", str(folder / DB), "long", *[str(length) for length in lengths])
    seeded = time.perf_counter() - began
    agents = folder / "growth"
    for count in (SHORT, LONG):
        processes.agent(agents, model, f"n{count}r0", more=AGENT)
    cost: dict[int, list[float]] = {length: [] for length in lengths}
    first: dict[int, list[float]] = {length: [] for length in lengths}
    with processes.roost(folder, agents, db=DB) as server:
        for count in range(rounds + 1):
            for length in lengths:
                short, opened = await _turn(server, length, SHORT)
                long, _ = await _turn(server, length, LONG)
                if count:  # the first one warms
                    cost[length].append((long - short) / (LONG - SHORT) * 1e6)
                    first[length].append(opened * 1000)
    table = Table(
        "An event in a long session",
        ("events already there", "CPU µs an event", "first chunk after ms"),
        [(f"{length:,}", spread(cost[length], 0), spread(first[length], 1)) for length in lengths],
        [f"Made in {seeded:.0f} s. Answers of {SHORT} and of {LONG} chunks; the cost is of what they differ in."],
    )
    ratio = median(cost[lengths[-1]]) / median(cost[lengths[0]])
    aim = Aim(f"growth: an event after {lengths[-1]:,} to one after {lengths[0]:,}", ratio, GROWTH, "×")
    raw = {str(length): {"cpu_us": cost[length], "first_ms": first[length]} for length in lengths}
    return Report([table], [aim], raw)


async def _turn(process: Process, length: int, count: int) -> tuple[float, float]:
    """The CPU seconds of a turn, and how long its first chunk took."""
    arrivals: list[tuple[Chunk, float]] = []
    async with Server(process.address) as server:
        line = await server.dial()
        cpu, began = process.cpu(), time.perf_counter()
        await roost(process).start(
            line, f"long-{length}", f"n{count}r0", lambda chunk: arrivals.append((chunk, time.perf_counter()))
        )
        await line.end()
        used = process.cpu() - cpu
        line.close()
    if [chunk[0] for chunk, _ in arrivals] != list(range(count)):
        raise RuntimeError(f"an answer of {len(arrivals)} chunks instead of {count}")
    return used, arrivals[0][1] - began
