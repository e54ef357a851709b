"""A service whose sessions are played by a real process under a keeper (`mock`), or by an agent file (`crew`)."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from roost.clock import SystemClock
from roost.core import events as e
from roost.core.ids import LogId, ServerId, fresh
from roost.core.messages import Message
from roost.core.orders import Order
from roost.core.principals import Principal
from roost.core.session import Head
from roost.drivers.mock import Mock
from roost.engine.bulkhead import open_bulkhead
from roost.engine.hub import Hub
from roost.engine.recovery import Recovery
from roost.engine.runtime import Makers
from roost.engine.supervisor import open_supervisor
from roost.keepers.keepers import Keepers
from roost.ports import Clock, Sandbox
from roost.service.accounts import Accounts
from roost.service.browsers import Browsers
from roost.service.capacity import Capacity
from roost.service.desk import Desk
from roost.service.orders import Request
from roost.service.policy import Policy
from roost.service.service import Service, make_service
from roost.service.spawns import Spawned
from roost.stores.memory import Memory, Shelf
from roost.testing.fakes import (
    FakeAgents,
    FakeModels,
    FakeSurroundings,
    FakeTool,
    FakeToolsets,
    Script,
    answers,
    crew,
)

PATIENCE = 30.0
BOSS = Principal(client="laptop", kind="super")


def play(*steps: dict[str, Any], **more: Any) -> str:
    """A prompt that tells the mock what to do."""
    return "@mock " + json.dumps({"steps": list(steps), **more})


HANG = play({"say": "wait"}, hang=True)


class FleetWorld:
    """A server in process, without its doors."""

    def __init__(self, service: Service, store: Memory, hub: Hub, place: Path) -> None:
        self.service = service
        self.store = store
        self.hub = hub
        self.place = place
        self.home = place / "home"
        self.work = place / "work"

    def account(self, name: str) -> Principal:
        """Somebody with an account, and a home of his own."""
        home = self.place / "homes" / name
        home.mkdir(parents=True, exist_ok=True)
        return Principal(name, name, kind="account", home=str(home))

    async def spawn(self, prompt: str = "hello", *, who: Principal = BOSS, **asked: Any) -> Spawned:
        """Start a session of the mock."""
        asked = {"provider": "mock", "root": "" if who.confined else str(self.work)} | asked
        return await self.service.spawns.spawn(who, Request(prompt=prompt, **asked))

    async def done(self, prompt: str = "hello", **asked: Any) -> Head:
        """Start a session, and return its head when it has ended."""
        return await self.ended((await self.spawn(prompt, **asked)).head.id)

    async def clear(self) -> None:
        """End all that runs."""
        for head in [head for head in await self.store.heads() if head.turn is not None]:
            await self.service.fleet.cancel(BOSS, head.id)
            await self.ended(head.id)

    async def until(self, session: str, holds: Callable[[Head], object]) -> Head:
        """The head, once something holds for it."""
        with anyio.fail_after(PATIENCE):
            while True:
                bell = self.hub.bell(LogId(session))
                head = await self.store.head(LogId(session))
                if holds(head):
                    return head
                await bell.wait()

    async def ended(self, session: str) -> Head:
        """The head when no turn is left."""
        return await self.until(session, lambda head: head.turn is None)

    async def until_fact(self, session: str, kind: type[e.Fact], times: int = 1) -> list[Any]:
        """The facts of a kind, once there are so many."""
        await self.until(session, lambda _: len(self._kind(session, kind)) >= times)
        return self._kind(session, kind)

    def _kind(self, session: str, kind: type[e.Fact]) -> list[Any]:
        return [event.fact for event in self.store._shelf.logs[LogId(session)].events if isinstance(event.fact, kind)]

    async def facts(self, session: str, *kinds: type) -> list[Any]:
        """The facts of a log, or those of some kinds."""
        events = await self.store.page(LogId(session), after=0, limit=100_000)
        return [event.fact for event in events if not kinds or isinstance(event.fact, kinds)]

    async def lay(self, *facts: e.Fact, session: str = "", order: Order | None = None, **template: Any) -> str:
        """A log with these facts, written by hand."""
        name = session or fresh()
        await self.store.put(LogId(name), [e.SessionCreated(e.Template(**template), order=order), *facts])
        return name


def told(text: str) -> e.MessageWritten:
    """Something that a user said."""
    return e.MessageWritten(Message("user", text))


@asynccontextmanager
async def open_fleet(
    place: Path,
    *,
    shelf: Shelf | None = None,
    name: str = "one",
    script: Script | None = None,
    tools: Sequence[FakeTool] = (),
    env: dict[str, str] | None = None,
    clock: Clock | None = None,
    mock: bool = True,
    force_sandbox: bool = False,
    sandbox: Sandbox | None = None,
    sessions: int = 0,
    per_account: int = 0,
    leave: bool = False,
) -> AsyncIterator[FleetWorld]:
    """Everything, open; leaving the block stops the server as SIGTERM does.

    What still runs is cancelled first, unless it is `leave`d for the next server on this shelf.
    """
    clock = clock or SystemClock()
    hub = Hub(clock.monotonic)
    home, work = place / "home", place / "work"
    home.mkdir(exist_ok=True)
    work.mkdir(exist_ok=True)
    keepers = Keepers(home)
    async with AsyncExitStack() as stack:
        store = Memory(clock.now, ServerId(name), hub.grown, shelf=shelf or Shelf())
        stack.callback(store.close)
        stack.callback(keepers.close)
        makers = Makers(
            store,
            FakeAgents(crew()),
            FakeModels(script or answers(["hello"])),
            FakeToolsets(tools),
            FakeSurroundings(),
            clock,
            {"PATH": "/usr/bin:/bin", "HOME": str(place / "user")} | (env or {}),
            drivers={"mock": Mock()} if mock else {},
            runs=keepers,
            home=home,
            sandbox=sandbox,
        )
        supervisor = await stack.enter_async_context(open_supervisor(makers, hub))
        bulkhead = await stack.enter_async_context(open_bulkhead())
        policy = Policy(work, force_sandbox=force_sandbox)
        capacity = Capacity(store, sessions=sessions, per_account=per_account)
        desk = Desk(makers, hub, supervisor, policy, bulkhead, capacity)
        accounts = Accounts(store.accounts, clock)
        service = make_service(desk, accounts, Browsers(store.browsers, accounts, clock), grace=10.0)
        recovery = Recovery(makers, hub, supervisor, "resume")
        await recovery.settle()
        await recovery.resume()
        await service.fifos.restore()
        world = FleetWorld(service, store, hub, place)
        try:
            yield world
        finally:
            if not leave:
                with anyio.CancelScope(shield=True):
                    await world.clear()
