"""Whole screens on `/api/live`: one that follows 64 sessions, then ten of which one reads nothing.

Run: python -m bench.live [RATE]

Each session's model says RATE chunks a second (default: 200, which is more than a server can take: it shows that all
sessions and all screens then get their share).  How late a chunk is counts from the model's send to the screen.
"""

import asyncio
import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import cores, processes
from bench.client import Server
from bench.figures import quantile
from bench.processes import Process
from bench.targets import QUESTION

SESSIONS = 64
SECONDS = 10  # for which each model speaks
PATIENCE = 240  # seconds after which a measurement has failed
_TOLD = re.compile(rb'"session":"([^"]+)","id":(\d+)|(\d+)@(\d+) |"(stream_stopped)"')
_UPGRADE = (
    "GET /api/live HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
Late = dict[bytes, list[float]]


class Screen(asyncio.Protocol):
    """A page's line, as little of it as can be.  One that `reads` looks at each chunk, others count what has ended."""

    def __init__(self, sessions: list[str], *, reads: bool) -> None:
        self._sessions = sessions
        self._reads = reads
        self._buffer = bytearray()
        self._open = False
        self._of = b""
        self._next: dict[bytes, int] = {}
        self._seen: dict[bytes, int] = {}
        self.late: Late = {}
        self.messages = self.bytes = self.ended = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.transport.write(_UPGRADE.encode())

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(f"a screen was cut: {error}"))
            self.done.exception()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._open:
            head, found, rest = bytes(self._buffer).partition(b"\r\n\r\n")
            if not found:
                return
            if b" 101 " not in head:
                raise RuntimeError(head.decode())
            self._open, self._buffer = True, bytearray(rest)
            for session in self._sessions:
                self._send(b'{"follow":"%b"}' % session.encode())
        while (message := self._message()) is not None:
            self.messages += 1
            self.bytes += len(message)
            self._take(message)

    def _message(self) -> bytes | None:
        """The next message; the server sends each in one frame, unmasked."""
        if len(self._buffer) < 2:
            return None
        size, at = self._buffer[1], 2
        if size > 125:
            at += 2 if size == 126 else 8
            size = int.from_bytes(self._buffer[2:at], "big")
        if len(self._buffer) < at + size:
            return None
        message = bytes(self._buffer[at : at + size])
        del self._buffer[: at + size]
        return message

    def _send(self, text: bytes) -> None:
        self.transport.write(bytes((0x81, 0x80 | len(text), 0, 0, 0, 0)) + text)

    def _take(self, message: bytes) -> None:
        if self._reads:
            self._read(message)
        else:
            self.ended += message.count(b'"stream_stopped"')
        if self.ended == len(self._sessions) and not self.done.done():
            self.done.set_result(None)

    def _read(self, message: bytes) -> None:
        now = time.monotonic_ns()
        for session, number, place, sent, stopped in _TOLD.findall(message):
            if session:
                if int(number) <= self._seen.get(session, 0):
                    raise RuntimeError(f"{session.decode()} told {number.decode()} again")
                self._of, self._seen[session] = session, int(number)
            elif stopped:
                self.ended += 1
            else:
                if int(place) != self._next.get(self._of, 0):
                    raise RuntimeError(f"{self._of.decode()} told chunk {place.decode()} out of order")
                self._next[self._of] = int(place) + 1
                self.late.setdefault(self._of, []).append((now - int(sent)) / 1e6)


async def measured(process: Process, rate: int, *, screens: int, deaf: int) -> dict[str, Any]:
    """So many screens, and some more that read nothing, beside sessions that all speak."""
    order = f"n{rate * SECONDS}r{rate}"
    async with Server(process.address) as server:
        sessions = [await server.session(f"live {n}") for n in range(SESSIONS)]
        host, _, port = process.address.removeprefix("http://").rpartition(":")
        before = process.memory()

        async def dial(reads: bool) -> Screen:
            loop = asyncio.get_running_loop()
            return (await loop.create_connection(lambda: Screen(sessions, reads=reads), host, int(port)))[1]

        crowd = [await dial(not n) for n in range(screens)]
        asleep = [await dial(False) for _ in range(deaf)]
        await server.ask("GET", "/api/sessions")
        for screen in asleep:
            screen.transport.pause_reading()
        cpu, began = process.cpu(), time.perf_counter()
        await asyncio.gather(
            *(
                server.ask("POST", f"/api/sessions/{session}/agent/{order}?detach=true", QUESTION)
                for session in sessions
            )
        )
        await asyncio.wait_for(asyncio.gather(*(screen.done for screen in crowd)), PATIENCE)
        lasted, used = time.perf_counter() - began, process.cpu() - cpu
        for screen in (*crowd, *asleep):
            screen.transport.abort()
    reader = crowd[0]
    said = sum(map(len, reader.late.values()))
    if said != SESSIONS * rate * SECONDS:
        raise RuntimeError(f"a screen saw {said} chunks")
    late = [one for each in reader.late.values() for one in each]
    medians = sorted(statistics.median(each) for each in reader.late.values())
    return {
        "screens": screens,
        "deaf": deaf,
        "chunks_a_second": round(said / lasted),
        "p50_ms": round(quantile(late, 0.5), 1),
        "p99_ms": round(quantile(late, 0.99), 1),
        "best_session_p50_ms": round(medians[0], 1),
        "worst_session_p50_ms": round(medians[-1], 1),
        "of_a_core": round(used / lasted, 2),
        "cpu_us_a_chunk": round(used / said * 1e6, 1),
        "chunks_a_message": round(said / reader.messages, 1),
        "message_bytes": round(reader.bytes / reader.messages),
        "memory_grew_mib": round(process.memory("VmHWM") - before, 1),
    }


async def main(rate: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with processes.model(folder) as model:
            processes.agent(folder / "agents", model, f"n{rate * SECONDS}r{rate}")
            for screens, deaf in ((1, 0), (9, 1)):
                with processes.roost(folder, folder / "agents", db=f"{screens}.db") as process:
                    found = await measured(process, rate, screens=screens, deaf=deaf)
                    print({"load": round(os.getloadavg()[0], 1)} | found, flush=True)
                    for line in process.errors().splitlines():
                        if '"level": "info"' not in line:
                            print(line)


if __name__ == "__main__":
    cores.pin(cores.LOAD)
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
