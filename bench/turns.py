"""W1: turns a second, and what one costs, with 1, 8 and 64 clients.

Each answer is 32 chunks as fast as they go.  A session has five turns; making it is not counted.
"""

import asyncio
import time
from collections.abc import Sequence

from bench.client import Server
from bench.figures import Aim, Report, Table, median, spread
from bench.targets import Target

ORDER = "n32r0"
CHUNKS = 32
CLIENTS = (1, 8, 64)
TURNS_EACH = 5  # in a session
LIMIT = 5.0  # ms of CPU a turn


async def measure(targets: Sequence[Target], rounds: int, turns: int) -> Report:
    costs: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for target in targets:
        await one(target, 4, 40)  # warm
    for _ in range(rounds):
        for clients in CLIENTS:
            for target in targets:
                costs.setdefault((target.name, clients), []).append(await one(target, clients, turns))
    return _report(targets, costs)


async def one(target: Target, clients: int, turns: int) -> tuple[float, float]:
    """Turns a second, and ms of CPU for each."""
    each = max(turns // clients // TURNS_EACH, 1)  # sessions a client has
    async with Server(target.process.address) as server:
        rooms = await target.rooms(server, each * clients)
        lines = [await server.dial() for _ in range(clients)]

        async def client(number: int) -> None:
            for room in rooms[number * each : (number + 1) * each]:
                for _ in range(TURNS_EACH):
                    places: list[int] = []
                    await target.start(lines[number], room, ORDER, lambda chunk, places=places: places.append(chunk[0]))
                    await lines[number].end()
                    if places != list(range(CHUNKS)):
                        raise RuntimeError(f"{target.name}: an answer with the chunks {places}")

        cpu, began = target.process.cpu(), time.perf_counter()
        await asyncio.gather(*[client(number) for number in range(clients)])
        lasted, used = time.perf_counter() - began, target.process.cpu() - cpu
        for line in lines:
            line.close()
    done = each * clients * TURNS_EACH
    return done / lasted, used / done * 1000


def _report(targets: Sequence[Target], costs: dict[tuple[str, int], list[tuple[float, float]]]) -> Report:
    table = Table("W1: turns of 32 chunks", ("clients", "", "turns/s", "CPU ms a turn"))
    raw = {}
    for clients in CLIENTS:
        for target in targets:
            rounds = costs[target.name, clients]
            rates, cpus = [rate for rate, _ in rounds], [cpu for _, cpu in rounds]
            table.rows.append((str(clients), target.name, spread(rates, 0), spread(cpus)))
            raw[f"{target.name}, {clients} clients"] = {"turns_per_s": rates, "cpu_ms_per_turn": cpus}
    aims = [
        Aim(f"W1: CPU of a turn, {clients} client{'s' * (clients > 1)}", median(cpus), LIMIT, "ms")
        for clients in CLIENTS
        for cpus in [[cpu for _, cpu in costs["roost", clients]]]
    ]
    return Report([table], aims, raw)
