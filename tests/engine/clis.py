"""Servers in process that run the mock CLI under real keepers."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from roost.clock import SystemClock
from roost.core import events as e
from roost.core.ids import LogId, ServerId, TurnId, fresh
from roost.core.limits import Limits
from roost.core.messages import Message
from roost.core.orders import Order
from roost.core.session import Head
from roost.drivers.mock import Mock
from roost.engine.house import House
from roost.engine.hub import Hub
from roost.engine.recovery import Recovery
from roost.engine.runtime import Makers
from roost.engine.supervisor import Supervisor, open_supervisor
from roost.keepers.keepers import Keepers
from roost.stores.memory import Shelf
from roost.testing.fakes import (
    BrittleStore,
    FakeAgents,
    FakeModels,
    FakeSurroundings,
    FakeToolsets,
    answers,
    crew,
)


class Server:
    """A server in process: everything but its doors."""

    def __init__(
        self, makers: Makers, store: BrittleStore, hub: Hub, supervisor: Supervisor, recovery: Recovery
    ) -> None:
        self.makers, self.store, self.hub = makers, store, hub
        self.supervisor, self.recovery = supervisor, recovery
        self.house = House(makers, supervisor)
        self.work = makers.home / "work"

    async def spawn(self, prompt: str, *, confined: bool = False, **order: Any) -> LogId:
        wanted = Order("mock", prompt=prompt, working_dir=str(self.work), **order)
        log = LogId(fresh())
        template = e.Template(working_dir=wanted.working_dir)
        await self.store.put(log, [e.SessionCreated(template, order=wanted)])
        await self.open(log, prompt, interactive=wanted.interactive, confined=confined)
        return log

    async def open(self, log: LogId, prompt: str, *, interactive: bool = False, confined: bool = False) -> None:
        opened = e.TurnOpened(
            turn=TurnId(fresh()),
            source="mock",
            agent="mock",
            working_dir=str(self.work),
            driver="mock",
            interactive=interactive,
            detached=True,
            confined=confined,
        )
        said = [e.MessageWritten(Message("user", prompt))] if prompt else []
        await self.supervisor.open(log, [opened, *said])

    async def until(self, log: LogId, holds: Callable[[Head], bool]) -> Head:
        with anyio.fail_after(30):
            while True:
                bell = self.hub.bell(log)
                head = await self.store.head(log)
                if holds(head):
                    return head
                await bell.wait()

    async def ended(self, log: LogId) -> Head:
        return await self.until(log, lambda head: head.turn is None)

    async def facts(self, log: LogId) -> list[e.Fact]:
        return [event.fact for event in await self.store.page(log, after=0, limit=100_000)]


@asynccontextmanager
async def serving(
    home: Path, shelf: Shelf, *, limits: Limits | None = None, name: str = "one", **more: Any
) -> AsyncIterator[Server]:
    clock = SystemClock()
    hub = Hub(clock.monotonic)
    keepers = Keepers(home)
    (home / "work").mkdir(exist_ok=True)
    async with AsyncExitStack() as stack:
        store = BrittleStore(clock.now, ServerId(name), hub.grown, shelf=shelf)
        stack.callback(store.close)
        stack.callback(keepers.close)
        env = {"PATH": "/usr/bin:/bin", "HOME": str(home)}
        makers = Makers(
            store,
            FakeAgents(crew()),
            FakeModels(answers(["hello"])),
            FakeToolsets(()),
            FakeSurroundings(),
            clock,
            env,
            limits=limits or Limits(),
            home=home,
            **{"drivers": {"mock": Mock()}, "runs": keepers, **more},
        )
        supervisor = await stack.enter_async_context(open_supervisor(makers, hub))
        recovery = Recovery(makers, hub, supervisor, "resume")
        await recovery.settle()
        await recovery.resume()
        yield Server(makers, store, hub, supervisor, recovery)


def play(*steps: dict[str, Any], **more: Any) -> str:
    return "@mock " + json.dumps({"steps": list(steps), **more})


def kinds(facts: Sequence[e.Fact]) -> list[str]:
    return [type(fact).__name__ for fact in facts]
