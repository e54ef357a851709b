"""A `roost serve` whose HOME holds the settings of the agent CLIs, and clients of both of its doors."""

import contextlib
import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from acceptance.clis.cast import PATH, Cli
from acceptance.front import Front, Yard
from acceptance.house import Client, Reply, follower, free_port, until
from acceptance.sse import Follower
from acceptance.stored import facts
from fakes.llm import FakeLLM
from roost.core import events as e
from roost.keepers import keeper

TOKEN = "t"
PATIENCE = 60.0  # seconds: a CLI may take some to start on a busy machine
SOON, LATER = 0.05, 0.4  # seconds in which a listener comes back: a session that has ended may go on


class Listener:
    """A client of a session's WebSocket that comes back with its cursor after each break."""

    def __init__(self, url: str) -> None:
        self.frames: list[dict[str, Any]] = []  # without heartbeats
        self._url = url
        self._grown = threading.Condition()
        self._stop = threading.Event()
        self._socket: ClientConnection | None = None
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._thread.start()

    @property
    def last(self) -> int:
        return int(self.frames[-1]["seq"]) if self.frames else 0

    def _run(self) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        pause = SOON
        while not self._stop.is_set():
            before = len(self.frames)
            with contextlib.suppress(OSError, WebSocketException):
                address = f"{self._url}?after_seq={self.last}"
                with connect(address, additional_headers=headers, max_size=None) as self._socket:
                    for text in self._socket:
                        self._take(json.loads(text))
            pause = SOON if len(self.frames) > before else min(2 * pause, LATER)
            self._stop.wait(pause)

    def _take(self, frame: dict[str, Any]) -> None:
        if frame["type"] != "heartbeat":
            with self._grown:
                self.frames.append(frame)
                self._grown.notify_all()

    def until(self, kind: str, *, times: int = 1, timeout: float = PATIENCE) -> dict[str, Any]:
        """The frame of this type, the so-many-th."""
        with self._grown:
            there = self._grown.wait_for(lambda: len(self.of(kind)) >= times, timeout)
        assert there, f"no {kind}: {[(f['type'], f.get('message')) for f in self.frames]}"
        return self.of(kind)[times - 1]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The frames of this type."""
        return [frame for frame in self.frames if frame["type"] == kind]

    def stop(self) -> None:
        self._stop.set()
        if self._socket is not None:
            self._socket.close()
        self._thread.join(5)


@dataclass
class Theatre:
    """The server, and what is asked of it."""

    yard: Yard
    model: FakeLLM
    env: dict[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    path: str = PATH
    plays: int = 0
    watchers: list[Listener | Follower] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.yard.folder / "tmp").mkdir(exist_ok=True)
        self.front: Front
        self.api = Client(f"127.0.0.1:{self.port}", token=TOKEN)
        self.db = self.yard.home / "roost.db"

    def dress(self, cli: Cli, url: str = "") -> None:
        """Give a CLI its settings, before the server starts."""
        self.env |= cli.dress(self.yard.folder, url or self.model.url)

    def open(self, *flags: str) -> "Theatre":
        """Start the server; again on the same port after it was killed."""
        self.flags = flags or self.flags
        env = {"PATH": self.path, "TMPDIR": str(self.yard.folder / "tmp"), **self.env}
        own = ("--insecure-http", "--host", "127.0.0.1", "--port", str(self.port), "--token", TOKEN)
        self.front = self.yard.serve(*own, *self.flags, env=env)
        return self

    # -- asking

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """`/api/v1`: a good answer's JSON."""
        reply = self.reply(method, path, body)
        assert reply.status < 300, (path, reply)
        return reply.json

    def reply(self, method: str, path: str, body: Any = None) -> Reply:
        """`/api/v1`: any answer."""
        return self.api.ask(method, f"/api/v1{path}", body, timeout=PATIENCE)

    def work(self, name: str = "") -> Path:
        """A folder to work in."""
        self.plays += 1
        folder = self.yard.folder / "work" / (name or f"{os.getpid()}-{self.plays}")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def spawn(self, provider: str, prompt: str, **more: Any) -> str:
        """A new session's id."""
        body = {"provider": provider, "prompt": prompt, **more}
        body.setdefault("root", str(self.work()))
        return str(self.ask("POST", "/sessions/spawn", body)["session_id"])

    def status(self, session: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"/sessions/{session}/status")
        return found

    def over(self, session: str, timeout: float = PATIENCE) -> dict[str, Any]:
        """Its status, once it has ended."""
        ended = ("completed", "failed", "dead")
        found: dict[str, Any] = until(
            lambda: (status := self.status(session))["status"] in ended and status, timeout=timeout
        )
        return found

    def output(self, session: str) -> str:
        return str(self.ask("GET", f"/sessions/{session}/output")["result"])

    def completed(self, session: str) -> str:
        """Its output, once it has ended well."""
        status = self.over(session)
        assert status["status"] == "completed", (status, self.events(session)[-5:])
        return self.output(session)

    def failed(self, session: str, timeout: float = PATIENCE) -> str:
        """Its error, once it has ended badly."""
        status = self.over(session, timeout)
        assert status["status"] == "failed", (status, self.events(session)[-5:])
        return str(status["error"])

    def events(self, session: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("GET", f"/sessions/{session}/events")
        return found

    def wait(self, session: str) -> dict[str, Any]:
        """The question that is open in a session, as `/api/waits` has it."""

        def asked() -> Any:
            return next((wait for wait in self.api.get("/api/waits").json if wait["session_id"] == session), None)

        found: dict[str, Any] = until(asked, timeout=PATIENCE)
        return found

    @staticmethod
    def age(home: Path) -> None:
        """Have a minute pass for Gemini, which can't go on with a conversation in the minute of that one's birth."""
        for path in home.glob(".gemini/tmp/*/chats/session-*"):
            path.rename(path.with_name(re.sub(r"T\d\d-\d\d", "T00-00", path.name)))

    # -- watching

    def listen(self, session: str) -> Listener:
        """By WebSocket, from the first event on."""
        listener = Listener(f"ws://127.0.0.1:{self.port}/api/v1/sessions/{session}/stream")
        self.watchers.append(listener)
        return listener

    def follow(self, session: str) -> Follower:
        """By the events of `/api`, from the first on."""
        found = follower(lambda: self.api, session)
        self.watchers.append(found)
        return found

    def facts(self, session: str) -> list[e.Event]:
        """Its log, read past the server."""
        return facts(self.db, session)

    def run(self, session: str) -> e.RunStarted:
        """Its newest run, once there is one."""

        def started() -> Any:
            runs = [event.fact for event in self.facts(session) if isinstance(event.fact, e.RunStarted)]
            return runs[-1] if runs else None

        found: e.RunStarted = until(started, timeout=PATIENCE)
        return found

    def place(self, session: str) -> Path:
        """The folder of its newest run, which is gone when the run is over."""
        return self.yard.home / "runs" / self.run(session).run

    def close(self) -> None:
        """Nobody watches any more."""
        while self.watchers:
            self.watchers.pop().stop()


def alive(session: str) -> dict[int, str]:
    """The living processes that know the session from their environment, with their command lines: its whole tree.

    Keepers and proxies, which know it from their command line, are among them.
    """
    found, stats = {}, keeper.processes()
    for pid, stat in stats.items():
        if stat.started < stats[os.getpid()].started:  # not ours; there may be hundreds of them
            continue
        with contextlib.suppress(OSError):
            environ = Path(f"/proc/{pid}/environ").read_bytes()
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if not stat.gone and f"ROOST_SESSION_ID={session}".encode() in environ.split(b"\0"):
                found[pid] = command.replace(b"\0", b" ").decode(errors="replace").strip()
    return found


def gone(session: str) -> None:
    """Wait until no process of the session is left."""
    until(lambda: not alive(session), timeout=15)


@contextmanager
def opened(
    folder: Path,
    model: FakeLLM,
    casts: Mapping[str, Cli],
    *flags: str,
    path: str = PATH,
    env: Mapping[str, str] | None = None,
    make: type[Theatre] = Theatre,
) -> Iterator[Theatre]:
    """A theatre with these CLIs; leaving it ends its server and what it has started."""
    yard = Yard(folder)
    theatre = make(yard, model, dict(env or {}), path=path)
    for cli in casts.values():
        theatre.dress(cli)
    try:
        yield theatre.open(*flags)
    finally:
        theatre.close()
        yard.close()
        sweep(yard.home)
        shutil.rmtree(folder, ignore_errors=True)


def sweep(home: Path) -> None:
    """End what runs of this home are left: a killed server leaves its CLIs to the next one."""
    for place in (home / "runs").glob("*"):
        until(_ended(place), timeout=10)


def _ended(place: Path) -> Callable[[], bool]:
    return lambda: not keeper.send([*keeper.family(str(place), 0), *keeper.relics(str(place))], 9)
