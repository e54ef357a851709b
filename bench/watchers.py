"""W4: one session with 1, 100 and 1000 watchers, its model at 100 chunks a second."""

import asyncio
import time

from bench.client import CHUNK, Line, Server
from bench.figures import Report, Table, quantile
from bench.targets import QUESTION, Target

WATCHERS = (1, 100, 1000)
READERS = 20  # of them read; the others count


class Watcher:
    """Somebody who follows a session to the end of its turn: one who `reads` every word, or one who only counts.

    A thousand who read would keep the load's core busier than the server's, and show its delay for ours.
    """

    def __init__(self, line: Line, *, reads: bool) -> None:
        self._line = line
        self._reads = reads
        self._rest = b""
        self.late: list[int] = []
        self.places: list[int] = []
        self.seen = 0
        self.wakes = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self, session: str) -> None:
        await self._line.start("GET", f"/api/sessions/{session}/events", sink=self._sink)

    def close(self) -> None:
        self._line.close()

    def _sink(self, piece: bytes) -> None:
        self.wakes += 1
        piece = self._rest + piece if self._rest else piece
        end = piece.rfind(b"\n\n") + 2 if not piece.endswith(b"\n\n") else len(piece)
        self._rest = piece[end:]
        whole = piece[:end]
        self.seen += whole.count(b'"agent_choice"')
        if self._reads:
            now = time.monotonic_ns()
            for place, sent in CHUNK.findall(whole):
                self.places.append(int(place))
                self.late.append(now - int(sent))
        if b'"stream_stopped"' in whole and not self.done.done():
            self.done.set_result(None)


async def measure(target: Target, seconds: int) -> Report:
    table = Table(
        "W4: one session, 100 chunks/s, and those who watch",
        ("watchers", "delivered/s", "p50 ms", "p99 ms", "CPU µs a delivery", "of a core", "events a send"),
    )
    report = Report([table])
    for watchers in WATCHERS:
        found = await one(target, watchers, 100 * seconds)
        report.raw[str(watchers)] = found
        table.rows.append(
            (
                str(watchers),
                f"{found['rate']:.0f}",
                f"{found['p50']:.2f}",
                f"{found['p99']:.2f}",
                f"{found['cpu_us']:.1f}",
                f"{found['load']:.0%}",
                f"{found['per_send']:.1f}",
            )
        )
    table.notes.append("From 40 watchers on a bell is held back by 25 µs for each, so that they share a wake-up.")
    return report


async def one(target: Target, watchers: int, count: int) -> dict[str, float]:
    async with Server(target.process.address) as server:
        session = await server.session("watched")
        step = max(watchers // READERS, 1)
        crowd = [Watcher(await server.dial(), reads=not place % step) for place in range(watchers)]
        for watcher in crowd:
            await watcher.open(session)
        cpu, began = target.process.cpu(), time.perf_counter()
        await server.ask("POST", f"/api/sessions/{session}/agent/n{count}r100", QUESTION)
        await asyncio.wait_for(asyncio.gather(*[watcher.done for watcher in crowd]), 60)
        lasted, used = time.perf_counter() - began, target.process.cpu() - cpu
        for watcher in crowd:
            watcher.close()
            if watcher.seen != count or watcher.places not in ([], list(range(count))):
                raise RuntimeError(f"a watcher saw {watcher.seen} chunks of {count}, or in another order")
    late = [value for watcher in crowd for value in watcher.late]
    deliveries = count * watchers
    return {
        "p50": quantile(late, 0.5) / 1e6,
        "p99": quantile(late, 0.99) / 1e6,
        "cpu_us": used / deliveries * 1e6,
        "load": used / lasted,
        "rate": deliveries / lasted,
        "per_send": deliveries / sum(watcher.wakes for watcher in crowd),
    }
