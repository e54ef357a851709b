"""W3: how much later a chunk arrives for having gone through a server, with 200 sessions that stream at once."""

import asyncio
import gc
import time
from collections.abc import Sequence
from pathlib import Path

from bench import disk
from bench.client import Server
from bench.figures import Aim, Report, Table, median, quantile, spread
from bench.targets import Chunk, Target

SESSIONS = 200
FSYNC_GOOD = 0.2  # ms: on a slower disk the aims do not hold
RAMP = 1.0  # seconds over which the sessions start; chunks of the first second are not counted
Found = dict[str, float]


def orders(seconds: int) -> dict[int, str]:
    """The rates that are measured, each with its order."""
    return {10: f"n{10 * seconds}r10", 100: f"n{100 * min(seconds, 4)}r100"}


async def measure(targets: Sequence[Target], folder: Path, rounds: int, seconds: int) -> Report:
    report = Report()
    table = Table(
        f"W3: latency a chunk, {SESSIONS} sessions",
        ("chunks/s a session", "", "p50 ms", "p99 ms", "CPU µs a chunk", "of a core", "delivered/s"),
    )
    found: dict[tuple[int, str], list[Found]] = {}
    fsyncs: list[float] = []
    for count in range(rounds):
        for rate, order in orders(seconds).items():
            if rate > 10 and count:
                continue  # saturation is shown, not judged: once will do
            for target in targets:
                if target.name.endswith("per chunk") and (rate > 10 or count):
                    continue  # close to what it can do, or far beyond: once shows it, and often takes minutes
                fsyncs.append(disk.fsync(folder))
                found.setdefault((rate, target.name), []).append(await one(target, order))
    for (rate, name), each in sorted(found.items(), key=lambda item: item[0][0]):
        columns = {key: [run[key] for run in each] for key in each[0]}
        table.rows.append(
            (
                str(rate),
                name,
                spread(columns["p50"]),
                spread(columns["p99"]),
                spread(columns["cpu_us"], 0),
                f"{median(columns['load']):.0%}",
                f"{median(columns['rate']):.0f}",
            )
        )
        report.raw[f"{name}, {rate}/s"] = columns
    report.raw["fsync_ms"] = fsyncs
    table.notes.append(
        f"fsync p50 meanwhile: {spread(fsyncs)} ms. The row `model` is the client straight at the model."
    )
    report.tables.append(table)
    added = {
        key: median(report.raw["roost, 10/s"][key]) - median(report.raw["model, 10/s"]["p50"]) for key in ("p50", "p99")
    }
    holds = "" if median(fsyncs) <= FSYNC_GOOD else f" (fsync {median(fsyncs):.2f} ms: slower than the aim supposes)"
    report.aims.append(Aim("W3: added latency p50" + holds, added["p50"], 1.0, "ms"))
    report.aims.append(Aim("W3: added latency p99" + holds, added["p99"], 10.0, "ms"))
    return report


async def one(target: Target, order: str) -> Found:
    """Run one answer in every session at once, and see how late its chunks are."""
    count = int(order[1:].partition("r")[0])
    late: list[int] = []
    places = [0] * SESSIONS
    async with Server(target.process.address) as server:
        rooms = await target.rooms(server, SESSIONS)
        lines = [await server.dial() for _ in rooms]
        steady = time.monotonic_ns() + int((RAMP + 1.0) * 1e9)

        async def session(number: int) -> None:
            def arrived(chunk: Chunk) -> None:
                now = time.monotonic_ns()
                if chunk[0] != places[number]:
                    raise RuntimeError(f"{target.name}: chunk {chunk[0]} where {places[number]} was due")
                places[number] += 1
                if chunk[1] > steady:
                    late.append(now - chunk[1])

            await asyncio.sleep(RAMP * number / SESSIONS)
            await target.start(lines[number], rooms[number], order, arrived)
            await lines[number].end()

        gc.collect()
        gc.disable()
        cpu, began = target.process.cpu(), time.perf_counter()
        await asyncio.gather(*[session(number) for number in range(SESSIONS)])
        lasted, used = time.perf_counter() - began, target.process.cpu() - cpu
        gc.enable()
        for line in lines:
            line.close()
    if places != [count] * SESSIONS:
        raise RuntimeError(f"{target.name}: answers of {sorted(set(places))} chunks instead of {count}")
    return {
        "p50": quantile(late, 0.5) / 1e6,
        "p99": quantile(late, 0.99) / 1e6,
        "max": max(late, default=0) / 1e6,
        "cpu_us": used / (count * SESSIONS) * 1e6,
        "load": used / lasted,
        "rate": count * SESSIONS / lasted,
    }
