"""How long a list of 10 000 sessions takes: cold, warm, and while sessions are being written to.

Run: python bench/listing.py [FOLDER]
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from roost.core import events as e
from roost.core.ids import AnswerId, LogId, Micros, ServerId
from roost.core.messages import Message
from roost.stores.sqlite import Sqlite, open_sqlite

SESSIONS = 10_000


def opened(path: Path) -> Any:
    return open_sqlite(
        path, server=ServerId("bench"), now=lambda: Micros(time.time_ns() // 1000), grown=lambda log, events: None
    )


async def timed(what: Callable[[], Awaitable[Any]], times: int) -> str:
    costs = []
    for _ in range(times):
        started = time.perf_counter()
        await what()
        costs.append((time.perf_counter() - started) * 1000)
    costs.sort()
    return f"p50 {statistics.median(costs):6.2f} ms   p95 {costs[int(len(costs) * 0.95)]:6.2f} ms"


async def fill(store: Sqlite) -> None:
    async def one(count: int) -> None:
        template = e.Template(title=f"Session {count}", working_dir="/srv/app", attributes={"n": str(count)})
        await store.put(LogId(f"s{count}"), [e.SessionCreated(template), e.MessageWritten(Message("user", "hi" * 99))])

    started = time.perf_counter()
    for start in range(0, SESSIONS, 500):
        await asyncio.gather(*[one(start + count) for count in range(500)])
    print(f"made {SESSIONS} sessions in {time.perf_counter() - started:.1f} s")


async def write(store: Sqlite, who: int) -> None:
    log = LogId(f"s{who}")
    epoch = (await store.take(log)).epoch
    while True:
        await store.post(log, [e.TextAdded(AnswerId("a"), "word ")], epoch=epoch)
        await asyncio.sleep(0.01)


async def main(folder: Path) -> None:
    path = folder / "roost.db"
    async with opened(path) as store:
        await fill(store)
    async with opened(path) as store:
        print("cold         ", await timed(store.listing, 1))
        print("warm         ", await timed(store.listing, 200))

        async def after_a_change() -> None:
            await store.put(LogId("s5"), [e.TitleSet(str(time.time()))])
            await store.listing()

        print("after a write", await timed(after_a_change, 100))
        writers = [asyncio.create_task(write(store, who)) for who in range(50)]
        print("50 streaming ", await timed(store.listing, 200))
        for writer in writers:
            writer.cancel()
        assert len(await store.listing()) == SESSIONS


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else temporary)))
