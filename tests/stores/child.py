"""A server on a SQLite file, in a process of its own: does what the lines of its stdin say."""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from roost.core import events as e
from roost.core.errors import RoostError
from roost.core.ids import AnswerId, Epoch, LogId, Micros, ServerId, TurnId
from roost.stores.sqlite import Sqlite, open_sqlite


def say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


async def obey(store: Sqlite, order: dict[str, Any], background: set[asyncio.Task[None]]) -> None:
    log = LogId(order.get("log", "log"))
    match order["do"]:
        case "create":
            await store.put(log, [e.SessionCreated(e.Template())])
            say(done=True)
        case "take":
            turn = e.TurnOpened(TurnId("turn"), source="s", agent="root", working_dir="/")
            owned = await store.take(log, [turn], force=order.get("force", False))
            say(epoch=owned.epoch)
        case "append":
            committed = await store.append(log, [e.Warned("w")], epoch=Epoch(order["epoch"]))
            say(last_seq=committed.head.last_seq)
        case "put":
            committed = await store.put(log, [e.Warned("w")])
            say(last_seq=committed.head.last_seq, at=time.monotonic())
        case "hammer":
            background.add(asyncio.create_task(hammer(store, log, Epoch(order["epoch"]))))
            say(done=True)


async def hammer(store: Sqlite, log: LogId, epoch: Epoch) -> None:
    """Write without end, and say how far it is on disk."""
    while True:
        for _ in range(5):
            await store.post(log, [e.TextAdded(AnswerId("a"), "x" * 200)], epoch=epoch)
        committed = await store.append(log, [e.Warned("w")], epoch=epoch)
        say(last_seq=committed.head.last_seq)


async def main(path: str, server: str) -> None:
    def grown(log: LogId, events: Any) -> None:
        if not events:
            say(rung=log, at=time.monotonic())

    background: set[asyncio.Task[None]] = set()
    now = lambda: Micros(time.time_ns() // 1000)  # noqa: E731
    async with open_sqlite(Path(path), server=ServerId(server), now=now, grown=grown) as store:
        say(ready=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            try:
                await obey(store, json.loads(line), background)
            except RoostError as error:
                say(refused=error.code)
        for task in background:
            task.cancel()


asyncio.run(main(*sys.argv[1:]))
