"""A model, agents, tools and a store to script: as honest as what they stand for."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.lowlevel

from roost.core import events as e
from roost.core.agents import Agent, ModelSpec, Source, Team, ToolsetSpec
from roost.core.errors import AgentBroken, AgentNotFound, BadModel, StoreFull, ToolsetFailed
from roost.core.ids import CallId, Epoch, LogId, RunId
from roost.core.messages import Annotations, Definition, Result
from roost.core.usage import Price, Usage
from roost.ports import (
    CallPiece,
    Committed,
    Condition,
    Embedder,
    Finished,
    ModelInfo,
    ModelRequest,
    Owned,
    Piece,
    Place,
    TextPiece,
    Use,
)
from roost.stores.memory import Memory

Step = str | Piece | Exception | anyio.Event
Script = Callable[[ModelRequest], Sequence[Step]]
Work = Callable[[dict[str, Any], Use], Awaitable[Result | str]]

USED = Usage(input=10, output=2, cached_input=5)


def call(name: str, arguments: str = "{}", *, index: int = 0, id: str = "") -> CallPiece:
    """A whole tool call in one piece."""
    return CallPiece(index, id or f"call_{name}", name, arguments)


def answers(*scripts: Sequence[Step]) -> Script:
    """One list of steps for each request, in order; the last one for all that follow."""
    left = list(scripts)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


class FakeProvider:
    """Plays steps: text, pieces, an error to raise, an event to wait for; it can be cancelled before each."""

    takes_tools = True
    context_limit = 1000
    output_limit = 100
    price: Price | None = Price(1.0, 10.0, 0.5, 0.0)

    def __init__(self, script: Script, *, titles: bool) -> None:
        self.spec = ModelSpec("fake", "fake", "one", "scripted")
        self.titles = titles
        self.script = script
        self.requests: list[ModelRequest] = []

    def route(self, text: str) -> "FakeProvider":
        """See `ports.Provider`."""
        return self

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Piece, None]:
        """See `ports.Provider`."""
        self.requests.append(request)
        if request.max_tokens:  # nobody but the title asks for few
            yield TextPiece("A title")
            yield Finished()
            return
        finished = False
        for step in self.script(request):
            await anyio.lowlevel.checkpoint()
            if isinstance(step, Exception):
                raise step
            if isinstance(step, anyio.Event):
                await step.wait()
                continue
            piece = TextPiece(step) if isinstance(step, str) else step
            finished = isinstance(piece, Finished)
            yield piece
        if not finished:
            yield Finished("stop", USED)


class FakeModels:
    """References to one provider; those that begin with `bad` lead nowhere."""

    def __init__(self, script: Script, *, titles: bool = False) -> None:
        self.one = FakeProvider(script, titles=titles)

    def provider(self, team: Team, ref: str) -> FakeProvider:
        """See `ports.Models`."""
        if ref.startswith("bad"):
            raise BadModel(f"no model {ref!r}")
        return self.one

    def embedder(self, team: Team, ref: str) -> Embedder:
        """See `ports.Models`."""
        raise BadModel(f"no embeddings: {ref!r}")

    def missing(self, team: Team, agents: Sequence[str]) -> Sequence[str]:
        """See `ports.Models`."""
        return ()

    def listing(self, team: Team) -> Sequence[ModelInfo]:
        """See `ports.Models`."""
        priced = ModelInfo(
            "catalog/big", "catalog/big", "catalog", "big", catalog=True, input_cost=2.5, output_cost=10.0
        )
        return [ModelInfo("fake", "fake", "fake", "one"), priced]


class FakeAgents:
    """Agent files in a dict.  One whose name begins with `broken` does not load; `away` can't be fetched."""

    def __init__(self, *teams: Team) -> None:
        self.teams = {team.source: team for team in teams}
        self.broken: dict[str, str] = {}

    async def sources(self) -> Sequence[Source]:
        """See `ports.Agents`."""
        found = [Source(name, team) for name, team in self.teams.items()]
        found += [Source(name, error=error) for name, error in self.broken.items()]
        return sorted(found, key=lambda source: source.id)

    async def team(self, source: str, hash: str = "") -> Team:
        """See `ports.Agents`."""
        await anyio.lowlevel.checkpoint()
        if source in self.broken:
            raise AgentBroken(self.broken[source])
        for name in (source, source.removesuffix(".yaml")):
            if name in self.teams:
                return self.teams[name]
        if len(self.teams) == 1:
            (only,) = self.teams.values()
            if only.agent(source) is not None:
                return only
        raise AgentNotFound(source)


def crew(*agents: Agent, source: str = "crew", **changes: Any) -> Team:
    """An agent file: by default one agent with one toolset."""
    team = agents or (Agent("root", model="fake", description="Does it all", toolsets=(ToolsetSpec("fake"),)),)
    config = {"agents": [{"Name": agent.name, "model": agent.model} for agent in team], "metadata": {}}
    return Team(source, "hash-1", team, config=changes.pop("config", config), **changes)


async def _quiet(arguments: dict[str, Any], use: Use) -> Result | str:
    await anyio.lowlevel.checkpoint()
    return "done"


@dataclass
class FakeTool:
    """A tool that does what a test wants."""

    name: str
    work: Work = _quiet
    read_only: bool = False  # runs unasked
    runs: list[str] = field(default_factory=list)

    @property
    def definition(self) -> Definition:
        """See `ports.Tool`."""
        notes = Annotations(read_only=self.read_only)
        return Definition(self.name, "fake", f"does {self.name}", {"type": "object"}, notes, effect="once")

    async def run(self, arguments: dict[str, Any], use: Use) -> Result:
        """See `ports.Tool`."""
        self.runs.append(use.call)
        result = await self.work(arguments, use)
        return Result(result) if isinstance(result, str) else result


class FakeToolset:
    """Tools in a list."""

    instructions = ""
    busy = False

    def __init__(self, tools: Sequence[FakeTool]) -> None:
        self._tools = tools

    async def tools(self) -> Sequence[FakeTool]:
        """See `ports.Toolset`."""
        return self._tools


class FakeToolsets:
    """The same tools for each entry; one of type `broken` does not start."""

    def __init__(self, tools: Sequence[FakeTool]) -> None:
        self._tools = tools
        self.opened = 0

    @asynccontextmanager
    async def open(self, spec: ToolsetSpec, place: Place) -> AsyncIterator[FakeToolset]:
        """See `ports.Toolsets`."""
        if spec.type == "broken":
            raise ToolsetFailed("it does not start")
        self.opened += 1
        yield FakeToolset(self._tools)

    async def end(self, call: CallId) -> None:
        """See `ports.Toolsets`."""


class FakeSurroundings:
    """A place where every directory exists."""

    async def exists(self, working_dir: str) -> bool:
        """See `ports.Surroundings`."""
        return True

    async def describe(self, working_dir: str) -> str:
        """See `ports.Surroundings`."""
        return f"you are in {working_dir}"

    async def prompt_files(
        self, working_dir: str, names: Sequence[str], *, firm: bool = False, depth: int = 0
    ) -> Sequence[str]:
        """See `ports.Surroundings`."""
        return ()


class BrittleStore(Memory):
    """A store whose disk is full while `full` is set."""

    full = False

    def _look(self) -> None:
        if self.full:
            raise StoreFull("no space left on device")

    async def take(
        self, log: LogId, facts: Sequence[e.Fact] = (), *, only_if: Condition | None = None, force: bool = False
    ) -> Owned:
        """See `EventStore.take`."""
        self._look()
        return await super().take(log, facts, only_if=only_if, force=force)

    async def append(
        self, log: LogId, facts: Sequence[e.Fact], *, epoch: Epoch, only_if: Condition | None = None
    ) -> Committed:
        """See `EventStore.append`."""
        self._look()
        return await super().append(log, facts, epoch=epoch, only_if=only_if)

    async def put(self, log: LogId, facts: Sequence[e.Fact], *, only_if: Condition | None = None) -> Committed:
        """See `EventStore.put`."""
        self._look()
        return await super().put(log, facts, only_if=only_if)

    async def forget_runs(self, runs: Sequence[RunId]) -> None:
        """See `EventStore.forget_runs`."""
        self._look()
        await super().forget_runs(runs)

    async def probe(self) -> None:
        """See `EventStore.probe`."""
        self._look()
        await super().probe()
