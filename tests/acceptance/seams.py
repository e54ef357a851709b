"""The real server, that can kill itself at a point of a turn, with tools that count their runs.

`ROOST_TEST_SEAM` names a file that says where: a JSON object with `point` (`before F`, `after F` or
`in TOOL`; F is a fact's name, or `any`), `log` (a session, or "" for any) and `nth` (1 is the next time).  The
file is removed before the kill.  `ROOST_TEST_RUNS` names a file to which each tool adds a line when
it starts and when it ends.  Toolsets of type `think` become the counting ones.  `ROOST_TEST_STUCK` is
how many seconds a client may take to read what it was sent.
"""

import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from roost import compose
from roost.__main__ import main
from roost.cli import front, host
from roost.core import events as e
from roost.core.agents import ToolsetSpec
from roost.core.ids import CallId, Epoch, LogId
from roost.core.messages import Annotations, Definition, Effect, Result
from roost.doors import streams
from roost.engine.runtime import Makers
from roost.ports import Committed, Condition, EventStore, Owned, Place, Toolset, Toolsets, Use

SEAM = Path(os.environ.get("ROOST_TEST_SEAM", os.devnull))
RUNS = Path(os.environ.get("ROOST_TEST_RUNS", os.devnull))


class Seam:
    """Kills this process at the point that the file names."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def pass_by(self, point: str, log: str = "") -> None:
        try:
            text = SEAM.read_text()
            armed = json.loads(text)
        except (FileNotFoundError, ValueError):
            return
        if armed["point"] != point or armed["log"] not in ("", log):
            return
        self._seen[text] = self._seen.get(text, 0) + 1
        if self._seen[text] >= armed["nth"]:
            SEAM.unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    def facts(self, when: str, log: LogId, facts: Sequence[e.Fact]) -> None:
        for fact in facts:
            self.pass_by(f"{when} {e.kind(fact)}", log)
            self.pass_by(f"{when} any", log)


class SeamedStore:
    """A store around a store."""

    def __init__(self, store: EventStore, seam: Seam) -> None:
        self._store = store
        self._seam = seam

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def take(
        self, log: LogId, facts: Sequence[e.Fact] = (), *, only_if: Condition | None = None, force: bool = False
    ) -> Owned:
        self._seam.facts("before", log, facts)
        owned = await self._store.take(log, facts, only_if=only_if, force=force)
        self._seam.pass_by("after take", log)
        self._seam.facts("after", log, facts)
        return owned

    async def post(self, log: LogId, facts: Sequence[e.Fact], *, epoch: Epoch) -> None:
        self._seam.facts("before", log, facts)
        await self._store.post(log, facts, epoch=epoch)
        self._seam.facts("after", log, facts)

    async def append(
        self, log: LogId, facts: Sequence[e.Fact], *, epoch: Epoch, only_if: Condition | None = None
    ) -> Committed:
        self._seam.facts("before", log, facts)
        committed = await self._store.append(log, facts, epoch=epoch, only_if=only_if)
        self._seam.facts("after", log, facts)
        return committed

    async def put(self, log: LogId, facts: Sequence[e.Fact], *, only_if: Condition | None = None) -> Committed:
        self._seam.facts("before", log, facts)
        committed = await self._store.put(log, facts, only_if=only_if)
        self._seam.facts("after", log, facts)
        return committed


def note(*words: object) -> None:
    """A line in the file of runs, on disk before this returns."""
    file = os.open(RUNS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, (" ".join(map(str, words)) + "\n").encode())
        os.fsync(file)
    finally:
        os.close(file)


class Counting:
    """A tool that counts its runs.  Its first try may take `seconds`."""

    def __init__(self, name: str, effect: Effect, seam: Seam, session: str) -> None:
        parameters = {"type": "object", "properties": {"seconds": {"type": "number"}}}
        annotations = Annotations(read_only=effect == "safe")
        self.definition = Definition(name, "count", f"Counts ({effect}).", parameters, annotations, effect=effect)
        self._seam = seam
        self._session = session

    async def run(self, arguments: dict[str, Any], use: Use) -> Result:
        name = self.definition.name
        note("start", name, use.call, use.attempt)
        self._seam.pass_by(f"in {name}", self._session)
        if use.attempt == 1:
            await anyio.sleep(float(arguments.get("seconds", 0)))
        note("end", name, use.call, use.attempt)
        return Result(f"{name} ran {use.call}")


class CountingSet:
    """The tools that count: `gated` is the one that has to be approved."""

    instructions = ""
    busy = False

    def __init__(self, seam: Seam, session: str) -> None:
        kinds: dict[str, Effect] = {"safe": "safe", "once": "once", "doubt": "ask", "gated": "once"}
        self._tools = [Counting(name, effect, seam, session) for name, effect in kinds.items()]

    async def tools(self) -> Sequence[Counting]:
        return self._tools


class CountingToolsets:
    """Puts the counting tools where `think` would be."""

    def __init__(self, toolsets: Toolsets, seam: Seam) -> None:
        self._toolsets = toolsets
        self._seam = seam

    def open(self, spec: ToolsetSpec, place: Place) -> AbstractAsyncContextManager[Toolset]:
        return self._counting(place) if spec.type == "think" else self._toolsets.open(spec, place)

    @asynccontextmanager
    async def _counting(self, place: Place) -> AsyncIterator[Toolset]:
        yield CountingSet(self._seam, place.session)

    async def end(self, call: CallId) -> None:
        await self._toolsets.end(call)


def wrap(makers: Makers) -> Makers:
    """The same makers, with seams."""
    seam = Seam()
    return replace(makers, store=SeamedStore(makers.store, seam), toolsets=CountingToolsets(makers.toolsets, seam))


if __name__ == "__main__":
    if stuck := os.environ.get("ROOST_TEST_STUCK"):
        streams.Streams.__init__.__kwdefaults__["stuck"] = float(stuck)
    host.open_server = front.open_server = partial(compose.open_server, wrap=wrap)
    sys.argv[0] = "roost"
    main()
