"""Sessions that have a past, written through the store as a turn would write them.

Run: python -m bench.seed FILE many COUNT      COUNT sessions of one short turn each
     python -m bench.seed FILE long COUNT …    for each COUNT a session of about so many events, named `long-COUNT`
"""

import asyncio
import sys
import time
from pathlib import Path

from roost.core import events as e
from roost.core.ids import AnswerId, Epoch, LogId, Micros, ServerId, TurnId, fresh
from roost.core.messages import Message
from roost.core.usage import Usage
from roost.stores.sqlite import Sqlite, open_sqlite

AGENT, MODEL = "root", "bench/n32r0"
LONG_ANSWER = 480  # deltas; with them a turn has about 500 events


def now() -> Micros:
    return Micros(time.time_ns() // 1000)


def begun(turn: TurnId, answer: AnswerId) -> list[e.Fact]:
    """What a turn writes before the first word."""
    return [
        e.AgentShown(AGENT, MODEL, "Counts"),
        e.TeamShown((e.Teammate(AGENT, "Counts", "bench", "n32r0"),), AGENT),
        e.ToolsShown(AGENT, 0),
        e.UserSaid("Count for me, please.", 0),
        e.TurnStarted(AGENT),
        e.ToolsShown(AGENT, 0),
        e.ModelAsked(answer, AGENT, MODEL),
    ]


def ended(turn: TurnId, answer: AnswerId, text: str) -> list[e.Fact]:
    """What it writes after the last one."""
    message = Message("assistant", text, agent=AGENT, at=now(), model=MODEL)
    usage = e.UsageAdded(
        usage=Usage(10, 32), model=MODEL, agent=AGENT, cost=0.0, total_cost=0.0, input_tokens=10, output_tokens=32
    )
    return [e.MessageAdded(message, answer=answer, agent=AGENT), usage, e.TurnEnded(turn, "normal", AGENT)]


async def turn(store: Sqlite, log: LogId, epoch: Epoch, deltas: int) -> None:
    """A whole turn whose answer has so many deltas."""
    name, answer = TurnId(fresh()), AnswerId(fresh())
    opened = e.TurnOpened(name, source="n32r0", agent=AGENT, working_dir=str(Path.cwd()))
    said = e.MessageWritten(Message("user", "Count for me, please.", at=now()))
    await store.append(log, [opened, said, *begun(name, answer)], epoch=epoch)
    words = [f"{place}@{0} " for place in range(deltas)]
    await store.post(log, [e.TextAdded(answer, word, AGENT) for word in words], epoch=epoch)
    await store.append(log, ended(name, answer, "".join(words)), epoch=epoch)


async def session(store: Sqlite, log: LogId, title: str, *, events: int = 0, deltas: int = 12) -> None:
    """A session of one turn, or of as many as `events` take."""
    await store.put(log, [e.SessionCreated(e.Template(title=title, working_dir=str(Path.cwd())))])
    epoch = (await store.take(log)).epoch
    await turn(store, log, epoch, deltas)
    while events and (await store.head(log)).last_seq + deltas <= events:
        await turn(store, log, epoch, deltas)
    await store.release(log, epoch=epoch)


async def main(path: Path, shape: str, counts: list[int]) -> None:
    async with open_sqlite(path, server=ServerId(fresh()), now=now, grown=lambda log, events: None) as store:
        if shape == "long":
            await asyncio.gather(
                *[session(store, LogId(f"long-{n}"), f"{n}", events=n, deltas=min(LONG_ANSWER, n - 20)) for n in counts]
            )
            return
        for start in range(0, counts[0], 500):
            places = range(start, min(start + 500, counts[0]))
            await asyncio.gather(*[session(store, LogId(fresh()), f"Session {n}") for n in places])


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], [int(count) for count in sys.argv[3:]]))
