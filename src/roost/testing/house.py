"""A server in this process, on a port of its own, with everything around it scripted."""

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import msgspec

from roost.clock import SystemClock
from roost.core.ids import LogId, ServerId
from roost.core.session import Head
from roost.doors.app import make_app
from roost.doors.server import serve
from roost.engine.bulkhead import open_bulkhead
from roost.engine.house import House as Housekeeping
from roost.engine.hub import Hub
from roost.engine.runtime import Makers
from roost.engine.supervisor import open_supervisor
from roost.ports import Clock, Couriers, Logins
from roost.service.accounts import Accounts
from roost.service.browsers import Browsers
from roost.service.desk import Desk
from roost.service.notices import Notices
from roost.service.policy import Policy
from roost.service.service import Service, make_service
from roost.stores.memory import Shelf
from roost.testing.fakes import (
    BrittleStore,
    FakeAgents,
    FakeModels,
    FakeProvider,
    FakeSurroundings,
    FakeTool,
    FakeToolsets,
    Script,
    answers,
    crew,
)
from roost.wire import tls
from roost.wire.sse import Parser

PATIENCE = 20.0  # seconds of real time after which something has gone wrong


class Frame(msgspec.Struct, frozen=True):
    """An event of a stream, as a client sees it."""

    id: str
    data: dict[str, Any]

    @property
    def type(self) -> str:
        """Its type."""
        return str(self.data["type"])


class Frames:
    """A stream that is being read.  `raw` is every byte that has come."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self.raw = b""
        self.seen: list[Frame] = []
        self._parser = Parser()
        self._chunks = response.aiter_raw()
        self._ready: list[Frame] = []
        self._cursor = ""

    @property
    def cursor(self) -> str:
        """The newest id."""
        return self._parser.last_id

    async def next(self) -> Frame | None:
        """The next event; None at the end."""
        while not self._ready:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                return None
            self.raw += chunk
            named = b"id: " in chunk
            self._ready += [
                Frame(ev.id if named else "", msgspec.json.decode(ev.data)) for ev in self._parser.feed(chunk)
            ]
        frame = self._ready.pop(0)
        self.seen.append(frame)
        return frame

    async def until(self, kind: str) -> Frame:
        """Read on to the next event of a type.

        Raises:
            EOFError: the stream has ended without one.
        """
        with anyio.fail_after(PATIENCE):
            while (frame := await self.next()) is not None:
                if frame.type == kind:
                    return frame
        raise EOFError(f"no {kind}, but {[frame.type for frame in self.seen]}")

    async def more(self, size: int = 1) -> bytes:
        """So many bytes more, whatever they are."""
        start = len(self.raw)
        with anyio.fail_after(PATIENCE):
            while len(self.raw) < start + size:
                chunk = await anext(self._chunks)
                self.raw += chunk
                self._ready += [Frame(ev.id, msgspec.json.decode(ev.data)) for ev in self._parser.feed(chunk)]
        return self.raw[start:]

    async def rest(self) -> list[Frame]:
        """All that comes until the stream ends."""
        found = []
        with anyio.fail_after(PATIENCE):
            while (frame := await self.next()) is not None:
                found.append(frame)
        return found


class House:
    """The server, and a client of it."""

    def __init__(self, service: Service, store: BrittleStore, hub: Hub, url: str, closing: anyio.Event) -> None:
        makers = service.desk.makers
        self.service = service
        self.store = store
        self.hub = hub
        self.url = url
        self.closing = closing
        self.provider: FakeProvider = makers.models.one  # type: ignore[attr-defined]
        self.agents: FakeAgents = makers.agents  # type: ignore[assignment]
        self.toolsets: FakeToolsets = makers.toolsets  # type: ignore[assignment]
        self.client: httpx2.AsyncClient

    async def session(self, **body: Any) -> str:
        """A new session."""
        answer = await self.client.post("/api/sessions", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    @asynccontextmanager
    async def stream(self, method: str, path: str, **how: Any) -> AsyncIterator[Frames]:
        """A stream; leaving the block closes the connection."""
        async with self.client.stream(method, path, **how) as response:
            yield Frames(response)

    def running(self, session: str, *texts: str, agent: str = "crew", **how: Any) -> Any:
        """The stream of a new turn."""
        body = {"messages": [{"role": "user", "content": text} for text in texts], **how.pop("body", {})}
        return self.stream("POST", f"/api/sessions/{session}/agent/{agent}", json=body, **how)

    def events(self, session: str, **how: Any) -> Any:
        """The event stream of a session."""
        return self.stream("GET", f"/api/sessions/{session}/events", **how)

    async def run(self, session: str, *texts: str, **how: Any) -> list[Frame]:
        """A whole turn."""
        async with self.running(session, *texts, **how) as frames:
            assert frames.response.status_code == 200, await frames.response.aread()
            return list(await frames.rest())

    async def until(self, session: str, holds: Any) -> Head:
        """The head, once something holds for it."""
        with anyio.fail_after(PATIENCE):
            while True:
                bell = self.hub.bell(LogId(session))
                head = await self.store.head(LogId(session))
                if holds(head):
                    return head
                await bell.wait()


@asynccontextmanager
async def open_house(
    working_dir: Path,
    *,
    script: Script | None = None,
    tools: Sequence[FakeTool] = (),
    agents: FakeAgents | None = None,
    titles: bool = False,
    token: str = "",
    max_body: int = 1_048_576,
    bound: str = "127.0.0.1",
    quiet: float = 15.0,
    grace: float = 10.0,
    clock: Clock | None = None,
    shelf: Shelf | None = None,
    logins: Logins | None = None,
    couriers: Couriers | None = None,
    details: bool = False,
) -> AsyncIterator[House]:
    """Everything, open; leaving the block stops the server as SIGTERM does.

    Servers on one `shelf` share their sessions.
    """
    clock = clock or SystemClock()
    hub, closing = Hub(clock.monotonic), anyio.Event()
    shelf = shelf or Shelf()
    store = BrittleStore(clock.now, ServerId(f"server-{len(shelf.living)}"), hub.grown, shelf=shelf)
    models = FakeModels(script or answers(["hello"]), titles=titles)
    makers = Makers(store, agents or FakeAgents(crew()), models, FakeToolsets(tools), FakeSurroundings(), clock, {})
    async with AsyncExitStack() as stack:
        stack.callback(store.close)
        supervisor = await stack.enter_async_context(open_supervisor(makers, hub))
        bulkhead = await stack.enter_async_context(open_bulkhead())
        bulkhead.start(Housekeeping(makers, supervisor).keep, name="housekeeping")
        desk = Desk(makers, hub, supervisor, Policy(working_dir), bulkhead)
        accounts = Accounts(store.accounts, clock, token=token)
        browsers = Browsers(store.browsers, accounts, clock, token=token)
        notices = Notices(desk, browsers, couriers, store.tellings, details=details, place="https://roost.example")
        service = make_service(desk, accounts, browsers, notices, grace=grace, logins=logins)
        await accounts.refresh()
        bulkhead.start(accounts.watch, name="accounts")
        bulkhead.start(notices.watch, name="notices")
        app = make_app(
            service, closing=closing, version="1.2.3", lookup=accounts, max_body=max_body, bound=bound, quiet=quiet
        )
        url = await stack.enter_async_context(_listening(app, supervisor.retire, closing))
        house = House(service, store, hub, url, closing)
        headers = {"authorization": f"Bearer {token}"} if token else {}
        house.client = await stack.enter_async_context(
            httpx2.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE, trust_env=False, verify=tls.trusted())
        )
        yield house


@asynccontextmanager
async def _listening(app: Any, retire: Any, closing: anyio.Event) -> AsyncIterator[str]:
    """The app on a free port of loopback, and its address."""
    stop, up, down = anyio.Event(), anyio.Event(), anyio.Event()

    def on_stop() -> None:
        retire()
        closing.set()

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

        async def listen() -> None:
            try:
                await serve(app, [listener], stop=stop, on_start=up.set, on_stop=on_stop, grace=2)  # type: ignore[arg-type]
            finally:
                down.set()

        async with open_bulkhead() as bulkhead:
            bulkhead.start(listen, name="server")
            await up.wait()
            try:
                yield url
            finally:
                stop.set()
                with anyio.CancelScope(shield=True):
                    await down.wait()
