"""A whole server in this process, with scripted models, and the terminal UI before it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import yaml
from textual.pilot import Pilot

from roost.cli.inprocess import InProcess
from roost.client.client import Client
from roost.compose import Running, open_server
from roost.config.settings import resolve
from roost.core import events as e
from roost.core.ids import LogId
from roost.tui.app import RoostApp

PATIENCE = 20.0
FORM = {
    "type": "object",
    "title": "Where to deploy",
    "properties": {
        "branch": {"type": "string", "title": "Branch", "minLength": 2},
        "count": {"type": "integer", "title": "Machines", "minimum": 1, "maximum": 9, "default": 3},
        "mail": {"type": "string", "format": "email", "title": "Tell"},
        "where": {"type": "string", "title": "Place", "enum": ["eu", "us"], "enumNames": ["Europe", "America"]},
        "with": {"type": "array", "title": "With", "items": {"enum": ["tests", "docs", "notes"]}, "minItems": 1},
        "sure": {"type": "boolean", "title": "Are you sure?"},
    },
    "required": ["branch", "where"],
}


def call(name: str, /, **arguments: Any) -> dict[str, Any]:
    return {"call": {"name": name, "arguments": arguments}}


TURNS: list[dict[str, Any]] = [
    {
        "when": "(?i)^run it",
        "answers": [[{"text": "I will."}, call("shell", cmd="git status --short")], "It ran: {{tool}}"],
    },
    {
        "when": "(?i)^run three",
        "answers": [
            [{"calls": [{"name": "shell", "arguments": {"cmd": f"touch {name}"}} for name in ("one", "two", "three")]}],
            "All three are done.",
        ],
    },
    {
        "when": "(?i)^edit",
        "answers": [
            [
                call(
                    "edit_file",
                    path="notes.md",
                    edits=[{"oldText": "Mind the gap.", "newText": "Mind the step.\nAnd the gap."}],
                )
            ],
            "Edited: {{tool}}",
        ],
    },
    {
        "when": "(?i)^ask me",
        "answers": [[call("user_prompt", message="Where shall it go?", schema=FORM)], "You said {{tool}}"],
    },
    {"when": "(?i)^just ask", "answers": [[call("user_prompt", message="What is your name?")], "You said {{tool}}"]},
    {
        "when": "(?i)^slow",
        "answers": [
            [{"text": "one two three four five six seven eight nine ten " * 40, "delay": 0.05}],
            "Steered: {{user}}",
        ],
    },
    {"when": "(?i)^long", "answers": [[call("write_file", path="x", content="line\n" * 60)], "Written."]},
    {
        "when": "(?i)^delegate",
        "answers": [[call("transfer_task", agent="helper", task="look", expected_output="news")], "It says: {{tool}}"],
    },
    {"when": "(?i)^loop", "answers": [[call("think", thought="again")]], "repeat": True},
    {"answers": ["Hello! You said: **{{user}}**."], "repeat": True},
]

AGENT: dict[str, Any] = {
    "agents": {
        "root": {
            "model": "talker",
            "description": "Talks, runs and asks.",
            "welcome_message": "Ask me to run something.",
            "instruction": "Do as you are told.",
            "toolsets": [{"type": "shell"}, {"type": "filesystem"}, {"type": "user_prompt"}, {"type": "think"}],
            "sub_agents": ["helper"],
            "commands": {"greet": {"description": "Say hello", "instruction": "Say hello to ${args[0]}"}},
        },
        "helper": {"model": "second", "description": "Looks things up.", "instruction": "Look."},
    },
    "models": {
        "talker": {
            "provider": "scripted",
            "model": "talker",
            "provider_opts": {"scenario": {"title": "A talk", "turns": TURNS, "context_limit": 8000}},
        },
        "second": {
            "provider": "scripted",
            "model": "second",
            "provider_opts": {"scenario": {"turns": [{"answers": ["Nothing new from {{user}}"], "repeat": True}]}},
        },
    },
}


class Brittle(httpx2.AsyncBaseTransport):
    """A transport that can be cut, and is then gone until it is mended."""

    def __init__(self, app: Any) -> None:
        self._inner = InProcess(app)
        self._cut = anyio.Event()

    def cut(self) -> None:
        """Every line goes dead, and no new one is opened."""
        self._cut.set()

    def mend(self) -> None:
        """Lines can be opened again."""
        self._cut = anyio.Event()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self._cut.is_set():
            raise httpx2.ConnectError("refused", request=request)
        response = await self._inner.handle_async_request(request)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        stream = _Breaking(response.stream, self._cut)
        return httpx2.Response(response.status_code, headers=response.headers, stream=stream)


class _Breaking(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, cut: anyio.Event) -> None:
        self._inner, self._cut = inner, cut

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = aiter(self._inner)
        while True:
            reading = asyncio.ensure_future(anext(chunks, None))
            cutting = asyncio.ensure_future(self._cut.wait())
            await asyncio.wait({reading, cutting}, return_when=asyncio.FIRST_COMPLETED)
            cutting.cancel()
            if self._cut.is_set():
                reading.cancel()
                raise httpx2.ReadError("cut")
            chunk = await reading
            if chunk is None:
                return
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


class Room:
    """The server, a client of it, and what its log says."""

    def __init__(self, running: Running, place: Path) -> None:
        self.running = running
        self.place = place
        self.work = place / "work"
        self.home = place / "home"
        self.client = self.caller()

    def caller(self) -> Client:
        """A client, as of another program."""
        return Client("http://localhost", token="tok", transport=InProcess(self.running.app))

    def app(self, session: str = "", **more: Any) -> RoostApp:
        """The terminal UI, not yet shown."""
        given: dict[str, Any] = {"working_dir": str(self.work), "home": self.home} | more
        return RoostApp(given.pop("client", self.client), session, "crew", **given)

    async def facts(self, session: str, *kinds: type) -> list[Any]:
        """What happened in a session, by its log."""
        store = self.running.service.desk.store
        events = await store.page(LogId(session), after=0, limit=10_000)
        return [event.fact for event in events if not kinds or isinstance(event.fact, kinds)]

    async def until_fact(
        self, session: str, kind: type, holds: Callable[[Any], object] = lambda fact: True, *, count: int = 1
    ) -> Any:
        """The newest of them, once there are so many."""
        service = self.running.service
        with anyio.fail_after(PATIENCE):
            while True:
                bell = service.desk.hub.bell(LogId(session))
                found = [fact for fact in await self.facts(session, kind) if holds(fact)]
                if len(found) >= count:
                    return found[-1]
                await bell.wait()

    async def ended(self, session: str, *, turns: int = 1) -> None:
        """A turn of it has ended, or so many."""
        await self.until_fact(session, e.TurnEnded, lambda fact: not fact.sub, count=turns)


@asynccontextmanager
async def open_room(place: Path, agent: dict[str, Any] = AGENT, **flags: Any) -> AsyncIterator[Room]:
    """A room of one's own; what still runs when it is left is stopped."""
    work = place / "work"
    work.mkdir(parents=True, exist_ok=True)
    (work / "notes.md").write_text("Mind the gap.\n")
    (place / "agents").mkdir(exist_ok=True)
    (place / "agents" / "crew.yaml").write_text(yaml.safe_dump(agent, sort_keys=False))
    home = place / "home"
    given = {"agents": str(place / "agents"), "session_db": str(place / "roost.db"), "auth_token": "tok", **flags}
    settings = resolve(given, {"ROOST_HOME": str(home), "HOME": str(place)}, None)
    env = {"PATH": "/usr/bin:/bin", "HOME": str(place)}
    async with open_server(settings, env) as running:
        await running.settle()
        await running.resume()
        room = Room(running, place)
        try:
            yield room
        finally:
            await room.client.aclose()


async def until(pilot: Pilot[Any], holds: Callable[[], object], what: str = "it") -> None:
    """Let the screen go on until something is so."""
    with anyio.move_on_after(PATIENCE):
        while not holds():
            await pilot.pause(0.02)
        return
    raise AssertionError(f"{what} did not come; the screen is\n{screen(pilot.app)}")


def screen(app: Any) -> str:
    """What is on it, as text."""
    lines = [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]
    return "\n".join(lines)


async def type_in(pilot: Pilot[Any], text: str, *keys: str) -> None:
    """Type, then press keys."""
    pilot.app.prompt.editor.insert(text)  # type: ignore[attr-defined]
    await pilot.pause()
    await pilot.press(*(keys or ("enter",)))


def words(rows: Sequence[Any]) -> str:
    """All that a conversation says."""
    return "\n".join(row.text for row in rows)
