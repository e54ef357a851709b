"""W5: clients whose line is cut again and again, and who come back with the last id they saw.

Every cut falls inside a frame, at a byte of its own; what came after it is lost.  In the end each
client must have seen every number once, in order, and the whole text.
"""

import asyncio
import random
import time
from dataclasses import dataclass, field
from itertools import pairwise

from bench.client import CHUNK, Line, Server
from bench.figures import Aim, Report, Table
from bench.targets import QUESTION, Target

CLIENTS = 500
CUTS = 20
FOLLOWED = 50  # sessions, followed by ten clients each
CHUNKS, RATE = 200, 20
PATIENCE = 120.0


@dataclass
class Reader:
    """One client.  `since` or `Last-Event-ID`: every other time the other one."""

    server: Server
    session: str
    cuts: list[int]  # the numbers of the frames that are cut
    ids: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    done_cuts: int = 0
    gaps: int = 0

    async def run(self) -> None:
        while not await self._follow():
            pass

    async def _follow(self) -> bool:
        """One connection; whether the turn's end was seen on it."""
        line = await self.server.dial()
        over: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        rest = b""

        def sink(piece: bytes) -> None:
            nonlocal rest
            if over.done():
                return  # it came after the cut: for this client it never did
            rest += piece
            *frames, rest = rest.split(b"\n\n")
            for frame in frames:
                self._take(frame, line, over)
                if over.done():
                    return
            if self.cuts and rest.startswith(b"id: %d\n" % self.cuts[0]):
                self._cut(line, over)

        last = self.ids[-1] if self.ids else 0
        query, headers = (f"?since={last}", "") if len(self.cuts) % 2 else ("", f"last-event-id: {last}\r\n")
        await line.start("GET", f"/api/sessions/{self.session}/events{query}", headers=headers, sink=sink)
        try:
            return await over
        finally:
            line.close()

    def _take(self, frame: bytes, line: Line, over: "asyncio.Future[bool]") -> None:
        if not frame.startswith(b"id: "):
            self.gaps += b'"gap"' in frame
            return
        number = int(frame[4:].partition(b"\n")[0])
        if self.cuts and number >= self.cuts[0]:
            self._cut(line, over)  # somewhere inside this frame: it does not count
            return
        self.ids.append(number)
        if b'"agent_choice"' in frame:
            self.places += [int(place) for place, _ in CHUNK.findall(frame)]
        elif b'"stream_stopped"' in frame:
            over.set_result(True)

    def _cut(self, line: Line, over: "asyncio.Future[bool]") -> None:
        self.cuts.pop(0)
        self.done_cuts += 1
        line.close()
        over.set_result(False)


async def measure(target: Target, clients: int = CLIENTS) -> Report:
    began = time.perf_counter()
    followed = max(clients // 10, 1)
    async with Server(target.process.address) as server:
        sessions = [await server.session(f"cut {n}") for n in range(followed)]
        dice = random.Random(5)
        readers = [
            Reader(server, sessions[n % followed], sorted(dice.sample(range(2, CHUNKS), CUTS))) for n in range(clients)
        ]
        runs = [server.ask("POST", f"/api/sessions/{s}/agent/n{CHUNKS}r{RATE}", QUESTION) for s in sessions]
        await asyncio.wait_for(asyncio.gather(*runs, *[reader.run() for reader in readers]), PATIENCE)
    return _report(readers, clients, time.perf_counter() - began)


def _report(readers: list[Reader], clients: int, lasted: float) -> Report:
    missing = doubled = disordered = wrong = 0
    for reader in readers:
        ids = reader.ids
        missing += len(set(range(1, max(ids) + 1)) - set(ids))
        doubled += len(ids) - len(set(ids))
        disordered += sum(after <= before for before, after in pairwise(ids))
        wrong += reader.places != list(range(CHUNKS))
    found = {
        "clients": clients,
        "cuts": sum(reader.done_cuts for reader in readers),
        "frames": sum(len(reader.ids) for reader in readers),
        "missing": missing,
        "doubled": doubled,
        "out of order": disordered,
        "texts not whole": wrong,
        "gaps": sum(reader.gaps for reader in readers),
    }
    table = Table("W5: clients that are cut", tuple(found), [tuple(str(value) for value in found.values())])
    table.notes.append(f"{lasted:.0f} s; a cut falls inside a frame, and what comes after it is lost.")
    aims = [
        Aim(f"W5: {what}", float(found[what]), 0) for what in ("missing", "doubled", "out of order", "texts not whole")
    ]
    return Report([table], aims, dict(found))
