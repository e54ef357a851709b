"""Where the server's CPU goes, by its own `/debug/pprof/profile`, under the load of W1 or W3.

Run: python -m bench.hotspots turns|latency|FILE.pb.gz [SECONDS]

The profile itself is kept as `bench/profile.pb.gz`, for `go tool pprof` or a viewer of your own.
"""

import asyncio
import gzip
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bench import latency, processes, targets, turns
from bench.client import Server

KEPT = Path(__file__).parent / "profile.pb.gz"
SHOWN = 40


def fields(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protobuf message."""
    place = 0
    while place < len(raw):
        key, place = _varint(raw, place)
        if key & 7 == 0:
            value, place = _varint(raw, place)
            yield key >> 3, value
        else:
            size, place = _varint(raw, place)
            yield key >> 3, raw[place : place + size]
            place += size


def _varint(raw: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, place


def _numbers(packed: int | bytes) -> list[int]:
    if isinstance(packed, int):
        return [packed]
    found, place = [], 0
    while place < len(packed):
        value, place = _varint(packed, place)
        found.append(value)
    return found


class Profile:
    """Stacks of functions, each with the nanoseconds it took."""

    def __init__(self, raw: bytes) -> None:
        message = list(fields(gzip.decompress(raw)))
        strings = [value.decode() for key, value in message if key == 6 and isinstance(value, bytes)]
        names = {}
        for function in (dict(fields(value)) for key, value in message if key == 5 and isinstance(value, bytes)):
            file = strings[int(function.get(4, 0))]
            names[function[1]] = f"{strings[int(function[2])]}  {'/'.join(Path(file).parts[-2:])}"
        lines = [dict(fields(value)) for key, value in message if key == 4 and isinstance(value, bytes)]
        places = {line[1]: names[dict(fields(bytes(line[4])))[1]] for line in lines}  # type: ignore[arg-type]
        self.stacks: list[tuple[list[str], int]] = []
        for sample in (value for key, value in message if key == 2 and isinstance(value, bytes)):
            stack: list[int] = []
            spent: list[int] = []
            for key, value in fields(sample):
                if key in (1, 2):
                    (stack if key == 1 else spent).extend(_numbers(value))
            self.stacks.append(([places[place] for place in stack], spent[-1]))

    def table(self) -> str:
        """Functions by what they took themselves, and with all that they called."""
        alone: Counter[str] = Counter()
        within: Counter[str] = Counter()
        for stack, spent in self.stacks:
            if stack:
                alone[stack[0]] += spent
            for name in set(stack):
                within[name] += spent
        total = sum(spent for _, spent in self.stacks) or 1
        lines = [f"{total / 1e9:.2f} s of CPU", "", "   self  within"]
        lines += [
            f"{spent / total:7.1%} {within[name] / total:7.1%}  {name}" for name, spent in alone.most_common(SHOWN)
        ]
        lines += ["", " within    self"]
        lines += [
            f"{spent / total:7.1%} {alone[name] / total:7.1%}  {name}" for name, spent in within.most_common(SHOWN)
        ]
        return "\n".join(lines)


async def record(load: str, seconds: int) -> bytes:
    """A profile of the server while it bears a load."""
    with tempfile.TemporaryDirectory() as temporary, socket.create_server(("127.0.0.1", 0)) as taken:
        folder, port = Path(temporary), taken.getsockname()[1]
        taken.close()
        with processes.model(folder) as model:
            order = turns.ORDER if load == "turns" else f"n{10 * seconds}r10"
            processes.agent(folder / "agents", model, order)
            with processes.roost(folder, folder / "agents", "--pprof-addr", f"127.0.0.1:{port}") as process:
                target = targets.roost(process)
                await turns.one(target, 8, 80)
                bearing = asyncio.create_task(_bear(target, load, order))
                await asyncio.sleep(2 if load == "latency" else 0)
                async with Server(f"http://127.0.0.1:{port}") as pprof:
                    raw = await pprof.ask("GET", f"/debug/pprof/profile?seconds={seconds - 2}")
                bearing.cancel()
                await asyncio.gather(bearing, return_exceptions=True)
    return raw


async def _bear(target: targets.Target, load: str, order: str) -> None:
    while True:
        if load == "turns":
            await turns.one(target, 8, 400)
        else:
            await latency.one(target, order)


def main() -> None:
    load = sys.argv[1] if len(sys.argv) > 1 else "turns"
    if load in ("turns", "latency"):
        KEPT.write_bytes(asyncio.run(record(load, int(sys.argv[2]) if len(sys.argv) > 2 else 10)))
        load = str(KEPT)
    print(Profile(Path(load).read_bytes()).table())


if __name__ == "__main__":
    main()
