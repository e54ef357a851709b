"""Fakes as honest as what they stand for: a model to script, tools to hold up, a server to kill."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any

import anyio
from anyio.abc import TaskGroup, TaskStatus

from roost.core import events as e
from roost.core.agents import Agent, ModelSpec, Source, Team, ToolsetSpec
from roost.core.errors import AgentNotFound, BadModel, ModelFailed, ToolsetFailed
from roost.core.history import History
from roost.core.ids import CallId, LogId, ServerId, TurnId, fresh
from roost.core.messages import Annotations, Definition, Effect, Message, Result
from roost.core.principals import Principal
from roost.core.session import Head
from roost.core.usage import Price
from roost.engine.bulkhead import Bulkhead, open_bulkhead
from roost.engine.hub import Hub
from roost.engine.recovery import Policy as Resume
from roost.engine.recovery import Recovery
from roost.engine.runtime import Makers
from roost.engine.supervisor import Supervisor
from roost.ports import EventStore, Finished, HookRunner, ModelInfo, ModelRequest, Piece, Place, TextPiece, Use
from roost.service.accounts import Accounts
from roost.service.browsers import Browsers
from roost.service.desk import Desk
from roost.service.policy import Policy
from roost.service.service import Service, make_service
from roost.stores.memory import Memory, Shelf
from roost.stores.sqlite import open_sqlite
from roost.testing.clock import PATIENCE, HandClock
from roost.testing.fakes import USED, Script, Step, Work

ME = Principal("ada", "laptop")
PHONE = Principal("ada", "phone")


# -- models -------------------------------------------------------------------------------------


def said(request: ModelRequest) -> list[tuple[str, str]]:
    """What a request holds, in short; system messages left out."""
    return [(m.role, m.content) for m in request.messages if m.role != "system"]


def answers(*scripts: Sequence[Step]) -> Script:
    """One list of steps for each request, in order."""
    left = list(scripts)
    return lambda _: left.pop(0)


class FakeProvider:
    """Plays steps: text, pieces, an error to raise, an event to wait for.  It can be cancelled before each.

    A script that does not end with a Finished ends with one of our own.
    """

    takes_tools = True
    context_limit = 1000
    output_limit = 100
    price: Price | None = Price(1.0, 10.0, 0.5, 0.0)

    def __init__(self, script: Script, spec: ModelSpec, *, titles: bool = False) -> None:
        self.spec = spec
        self.titles = titles
        self.requests: list[ModelRequest] = []
        self.dropped = 0
        self._script = script

    def route(self, text: str) -> "FakeProvider":
        return self

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Piece, None]:
        self.requests.append(request)
        ended = False
        try:
            for step in self._script(request):
                await anyio.lowlevel.checkpoint()
                if isinstance(step, Exception):
                    ended = True
                    raise step
                if isinstance(step, anyio.Event):
                    await step.wait()
                    continue
                piece = TextPiece(step) if isinstance(step, str) else step
                ended = isinstance(piece, Finished)
                yield piece
            if not ended:
                ended = True
                yield Finished("stop", USED, model="fake-1")
        finally:
            self.dropped += not ended


class FakeModels:
    """References to one provider, but for `others`; those that begin with `bad` lead nowhere."""

    def __init__(self, script: Script, *, titles: bool = False) -> None:
        self.others: dict[str, FakeProvider] = {}
        self.one = FakeProvider(script, ModelSpec("fake", "fake", "one", "scripted"), titles=titles)
        self.refs: list[str] = []

    def provider(self, team: Team, ref: str) -> FakeProvider:
        self.refs.append(ref)
        if ref.startswith("bad"):
            raise BadModel(f"no model {ref!r}")
        return self.others.get(ref, self.one)

    def missing(self, team: Team, agents: Sequence[str]) -> Sequence[str]:
        return ()

    def add(self, ref: str, script: Script, **limits: Any) -> FakeProvider:
        """Another model."""
        other = self.others[ref] = FakeProvider(script, ModelSpec(ref, "fake", ref, "scripted"))
        for name, value in limits.items():
            setattr(other, name, value)
        return other

    def listing(self, team: Team) -> Sequence[ModelInfo]:
        return [ModelInfo("fake", "fake/one")]


# -- agents and tools ---------------------------------------------------------------------------


async def _quiet(arguments: dict[str, Any], use: Use) -> Result | str:
    await anyio.lowlevel.checkpoint()
    return "done"


@dataclass
class FakeTool:
    """A tool, and every time it was run: its call and the attempt."""

    name: str
    work: Work = _quiet
    effect: Effect = "once"
    read_only: bool = True  # runs unasked
    runs: list[tuple[str, int]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)  # calls whose run came to an end, however that was

    @property
    def definition(self) -> Definition:
        notes = Annotations(read_only=self.read_only)
        return Definition(self.name, "fake", f"does {self.name}", {"type": "object"}, notes, effect=self.effect)

    async def run(self, arguments: dict[str, Any], use: Use) -> Result:
        self.runs.append((use.call, use.attempt))
        try:
            result = await self.work(arguments, use)
        finally:
            self.ended.append(use.call)
        return Result(result) if isinstance(result, str) else result


@dataclass
class FakeToolset:
    """Tools in a list that a test may change."""

    made: list[FakeTool]
    instructions: str = ""
    busy: bool = False
    failure: str = ""
    opened: int = 0
    closed: int = 0
    places: list[Place] = field(default_factory=list)

    async def tools(self) -> Sequence[FakeTool]:
        if self.failure:
            raise ToolsetFailed(self.failure)
        return list(self.made)


class FakeToolsets:
    """Opens the one toolset there is; a spec of type `broken` does not start."""

    def __init__(self, toolset: FakeToolset) -> None:
        self.toolset = toolset
        self.ended: list[CallId] = []

    @asynccontextmanager
    async def open(self, spec: ToolsetSpec, place: Place) -> AsyncIterator[FakeToolset]:
        if spec.type == "broken":
            raise ToolsetFailed("it does not start")
        self.toolset.places.append(place)
        self.toolset.opened += 1
        try:
            yield self.toolset
        finally:
            self.toolset.closed += 1

    async def end(self, call: CallId) -> None:
        self.ended.append(call)


class FakeAgents:
    """One team, under the id `crew`."""

    def __init__(self, team: Team) -> None:
        self.one = team

    async def sources(self) -> Sequence[Source]:
        return [Source("crew", self.one)]

    async def team(self, source: str, hash: str = "") -> Team:
        await anyio.lowlevel.checkpoint()
        if source != "crew":
            raise AgentNotFound(source, ("crew",))
        return self.one


class FakeSurroundings:
    """A place where every directory exists but those in `missing`."""

    missing: frozenset[str] = frozenset()

    async def exists(self, working_dir: str) -> bool:
        return working_dir not in self.missing

    async def describe(self, working_dir: str) -> str:
        return f"you are in {working_dir}"

    async def prompt_files(
        self, working_dir: str, names: Sequence[str], *, firm: bool = False, depth: int = 0
    ) -> Sequence[str]:
        return [f"text of {name}" for name in names]


def make_team(agent: Agent | None = None, **changes: Any) -> Team:
    """A team of one agent with one toolset."""
    one = agent or Agent("root", model="fake", instruction="Be brief.", toolsets=(ToolsetSpec("fake"),))
    return Team("crew", "hash-1", (one,), **changes)


# -- a server -----------------------------------------------------------------------------------


class Floor:
    """What outlives a server: a shelf in memory, or a file."""

    def __init__(self, kind: str, path: Path) -> None:
        self.kind = kind
        self.path = path
        self.clock = HandClock()
        self._shelf = Shelf()
        self._names = count(1)

    @asynccontextmanager
    async def open(self, grown: Callable[[LogId, Sequence[e.Event]], None]) -> AsyncIterator[EventStore]:
        """A store for one more server."""
        server = ServerId(f"server-{next(self._names)}")
        if self.kind == "memory":
            store = Memory(self.clock.now, server, grown, shelf=self._shelf)
            try:
                yield store
            finally:
                store.close()
        else:
            path = self.path / "roost.db"
            async with open_sqlite(path, server=server, now=self.clock.now, grown=grown) as file:
                yield file

    async def lay(self, facts: Sequence[e.Fact], log: str = "") -> LogId:
        """A log with these facts, left behind by a server that is dead."""
        name = LogId(log or fresh())
        async with self.open(lambda *_: None) as store:
            await store.put(name, facts[:1])
            owned = await store.take(name)
            if facts[1:]:
                await store.append(name, facts[1:], epoch=owned.epoch)
        return name


class World:
    """A server in process."""

    def __init__(self, floor: Floor, makers: Makers, hub: Hub, engine: Bulkhead, desk: Bulkhead, **how: Any) -> None:
        self.floor = floor
        self.clock = floor.clock
        self.makers = makers
        self.store = makers.store
        self.hub = hub
        self.supervisor = Supervisor(makers, hub, engine)
        policy = Policy(floor.path)
        self.bulkhead = desk
        accounts = Accounts(makers.store.accounts, makers.clock)
        self.service: Service = make_service(
            Desk(makers, hub, self.supervisor, policy, desk),
            accounts,
            Browsers(makers.store.browsers, accounts, makers.clock),
            grace=how.get("grace", 10.0),
        )
        self.recovery = Recovery(makers, hub, self.supervisor, how.get("policy", "resume"))
        self.models: FakeModels = makers.models
        self.provider = self.models.one
        self.toolset: FakeToolset = makers.toolsets.toolset
        self.die = anyio.Event()
        self.dead = anyio.Event()
        self.polite = False

    # -- what tests do --------------------------------------------------------------------------

    async def session(self, **template: Any) -> str:
        """A new session."""
        return (await self.service.sessions.create(ME, e.Template(**template))).id

    async def ask(self, session: str, *texts: str, who: Principal = ME, **how: Any) -> TurnId:
        """Open a turn that nobody observes."""
        messages = [Message("user", text) for text in texts]
        return (await self.service.turns.run(who, session, "crew", messages, **how)).turn

    async def play(self, session: str, *texts: str, **how: Any) -> list[e.Fact]:
        """Open a turn, and return its facts when it has ended."""
        run = await self.service.turns.run(ME, session, "crew", [Message("user", text) for text in texts], **how)
        await self.ended(session)
        return [event.fact for event in await self.events(session) if event.seq > run.after]

    async def facts(self, session: str, *kinds: type) -> list[Any]:
        """The facts of a log, or those of some kinds."""
        return [ev.fact for ev in await self.events(session) if not kinds or isinstance(ev.fact, kinds)]

    async def events(self, session: str) -> list[e.Event]:
        """All events of a log."""
        found: list[e.Event] = []
        while page := await self.store.page(LogId(session), after=len(found), limit=500):
            found += page
        return found

    async def until(self, session: str, holds: Callable[[Head], object]) -> Head:
        """The head, once something holds for it."""
        with anyio.fail_after(PATIENCE):
            while True:
                bell = self.hub.bell(LogId(session))
                head = await self.store.head(LogId(session))
                if holds(head):
                    return head
                await bell.wait()

    async def until_fact(self, session: str, holds: type | Callable[[e.Fact], object], times: int = 1) -> None:
        """Return when the log holds so many facts of a kind."""
        test = (lambda fact: isinstance(fact, holds)) if isinstance(holds, type) else holds
        with anyio.fail_after(PATIENCE):
            while True:
                bell = self.hub.bell(LogId(session))
                if sum(1 for event in await self.events(session) if test(event.fact)) >= times:
                    return
                await bell.wait()

    async def ended(self, session: str) -> Head:
        """The head when no turn is left, in the log or in a task."""
        head = await self.until(session, lambda head: head.turn is None)
        await self.still(session)
        return head

    async def still(self, session: str) -> None:
        """Return when no task plays the session."""
        with anyio.fail_after(PATIENCE):
            while self.supervisor.playing(LogId(session)):
                await anyio.sleep(0)

    async def waiting(self, session: str, count: int = 1) -> Head:
        """The head when so many waits are open."""
        return await self.until(session, lambda head: len(head.waits) >= count)

    async def history(self, session: str) -> History:
        """The messages."""
        return (await self.service.sessions.show(ME, session)).history

    async def talk(self, session: str) -> list[tuple[str, str]]:
        """Role and text of each message."""
        return [(message.role, message.content) for _, message in (await self.history(session)).messages()]

    async def crash(self) -> None:
        """The server is gone, as after a kill: not one more fact is written."""
        closed = self.store.close()
        if closed is not None:
            await closed
        self.die.set()
        await self.dead.wait()

    async def stop(self) -> None:
        """The server stops as on SIGTERM."""
        self.polite = True
        self.die.set()
        await self.dead.wait()


@asynccontextmanager
async def open_world(
    floor: Floor,
    *,
    script: Script = lambda _: ["hello"],
    tools: Sequence[FakeTool] = (),
    team: Team | None = None,
    titles: bool = False,
    env: Mapping[str, str] | None = None,
    grace: float = 10.0,
    policy: Resume = "resume",
    hooks: HookRunner | None = None,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> AsyncIterator[World]:
    """A server on a floor, with `more` of its makers; leaving the block kills it, if it lives."""

    async def host(task_status: TaskStatus[World]) -> None:
        hub = Hub(floor.clock.monotonic)
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(floor.open(hub.grown))
            toolsets = FakeToolsets(FakeToolset(list(tools)))
            models = FakeModels(script, titles=titles)
            agents, around = FakeAgents(team or make_team()), FakeSurroundings()
            makers = Makers(store, agents, models, toolsets, around, floor.clock, env or {}, hooks=hooks, **more)
            engine = await stack.enter_async_context(open_bulkhead())
            desk = await stack.enter_async_context(open_bulkhead())
            world = World(floor, makers, hub, engine, desk, grace=grace, policy=policy)
            task_status.started(world)
            await world.die.wait()
            if world.polite:
                await world.supervisor.stop()
        world.dead.set()

    tasks: TaskGroup
    async with anyio.create_task_group() as tasks:
        world: World = await tasks.start(host)
        try:
            yield world
        finally:
            with anyio.CancelScope(shield=True):
                if not world.dead.is_set():
                    await world.crash()


def cut(message: str = "the line was cut") -> ModelFailed:
    """A failure that deserves another try."""
    return ModelFailed(message, kind="retryable")


def kinds(facts: Sequence[e.Fact]) -> list[str]:
    """The names of facts; of neighbouring deltas of one kind, the first."""
    names = [e.kind(fact) for fact in facts]
    deltas = {kind.__name__ for kind in e.DELTAS}
    return [name for n, name in enumerate(names) if not (n and name in deltas and names[n - 1] == name)]
