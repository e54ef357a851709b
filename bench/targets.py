"""What a turn can be run on: Roost, the bare handler in its two ways, and the model itself."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.client import CHUNK, Line, Server
from bench.processes import Process

QUESTION = {"messages": [{"role": "user", "content": "Count for me, please."}]}

Chunk = tuple[int, int]
"""A chunk's place, and when the model sent it."""


@dataclass
class Target:
    """`path` makes the address of a turn from a session and an order; `sessions` says whether it has any."""

    name: str
    process: Process
    path: Callable[[str, str], str]
    sessions: bool = False

    async def rooms(self, server: Server, count: int) -> list[str]:
        """Sessions for turns to run in."""
        return [await server.session(f"bench {n}") if self.sessions else "" for n in range(count)]

    async def start(self, line: Line, room: str, order: str, chunk: Callable[[Chunk], None]) -> None:
        """Begin a turn; `chunk` is called with each chunk as it arrives.  `line.end()` waits for the end."""
        rest = b""

        def sink(piece: bytes) -> None:
            nonlocal rest
            rest += piece
            *frames, rest = rest.split(b"\n\n")
            for frame in frames:
                if b'"content":' in frame:
                    for place, sent in CHUNK.findall(frame):
                        chunk((int(place), int(sent)))

        await line.start(
            "POST",
            self.path(room, order),
            {"model": order, **QUESTION} if self.name == "model" else QUESTION,
            sink=sink,
        )


def roost(process: Process) -> Target:
    return Target("roost", process, lambda room, order: f"/api/sessions/{room}/agent/{order}", sessions=True)


def bare(process: Process, commit: str) -> Target:
    return Target(f"bare, a commit per {commit}", process, lambda room, order: f"/run/{commit}/{order}")


def model(process: Process) -> Target:
    return Target("model", process, lambda room, order: "/v1/chat/completions")
