"""Real servers in a folder of their own: start, ask, stop and kill them."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acceptance.sse import Follower, Frame, Stream
from fakes import relics
from fakes.llm import FakeLLM

ROOT = Path(__file__).parents[2]
START = 30.0  # seconds in which a server must listen
LONGEST = 0.25  # seconds between two questions

AGENT = """\
providers:
  fake:
    base_url: {model}/v1
models:
  fast:
    provider: fake
    model: fake-model
agents:
  root:
    model: fast
    description: A helpful assistant
    instruction: Help.
{extra}"""


def agent_yaml(model: str, extra: str = "") -> str:
    """An agent file whose models are the fake at `model`; `extra` goes on inside `root`, then the file."""
    return AGENT.format(model=model, extra=extra)


@dataclass(frozen=True)
class Reply:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json["message"])


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Client:
    """Asks a server; each request is a connection of its own."""

    def __init__(self, address: str, *, token: str = "", agent: str = "") -> None:
        self.address = address
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.headers |= {"User-Agent": agent} if agent else {}

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if self.address.startswith("unix://"):
            return _UnixConnection(self.address.removeprefix("unix://"), timeout)
        host, _, port = self.address.rpartition(":")
        return http.client.HTTPConnection(host, int(port), timeout=timeout)

    def open(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 20.0,
    ) -> Stream:
        """Send a request; the answer is read as it comes.  Bytes and texts are sent as they are, the rest as JSON."""
        sent = {**self.headers, **(headers or {})}
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
            body = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
        connection = self._connection(timeout)
        try:
            connection.request(method, path, body, sent)
            return Stream(connection, connection.getresponse())
        except BaseException:
            connection.close()
            raise

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> Reply:
        stream = self.open(method, path, body, **more)
        try:
            return Reply(stream.status, stream.headers, stream.read())
        finally:
            stream.close()

    def get(self, path: str, **more: Any) -> Reply:
        return self.ask("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> Reply:
        return self.ask("POST", path, body, **more)

    def patch(self, path: str, body: Any = None, **more: Any) -> Reply:
        return self.ask("PATCH", path, body, **more)

    def delete(self, path: str, **more: Any) -> Reply:
        return self.ask("DELETE", path, **more)

    # -- what most tests do

    def create(self, **template: Any) -> str:
        """A new session's id."""
        reply = self.post("/api/sessions", template)
        assert reply.status == 200, reply
        return str(reply.json["id"])

    def start(self, session: str, text: str | Sequence[str], agent: str = "my-agent", **more: Any) -> Stream:
        """A run's stream."""
        texts = [text] if isinstance(text, str) else text
        query = "?detach=true" if more.pop("detach", False) else ""
        body = {"messages": [{"role": "user", "content": t} for t in texts], **more}
        stream = self.open("POST", f"/api/sessions/{session}/agent/{agent}{query}", body)
        assert stream.status == 200, stream.read()
        return stream

    def run(self, session: str, text: str | Sequence[str], agent: str = "my-agent", **more: Any) -> list[Frame]:
        """All frames of a run."""
        return [f for f in self.start(session, text, agent, **more) if not f.ping]

    def events(self, session: str, since: int | None = None, *, detail: str = "", **headers: str) -> Stream:
        """A session's event stream."""
        query = "" if since is None else f"?since={since}"
        more = f"{'&' if query else '?'}detail={detail}" if detail else ""
        stream = self.open("GET", f"/api/sessions/{session}/events{query}{more}", headers=headers)
        assert stream.status == 200, stream.read()
        return stream

    def snapshot(self, session: str) -> Any:
        reply = self.get(f"/api/sessions/{session}/snapshot")
        assert reply.status == 200, reply
        return reply.json

    def log(self, session: str, since: int = 0, *, detail: str = "") -> list[Frame]:
        """All that the store holds of a session now, as frames."""
        last = self.snapshot(session)["last_event_seq"]
        if last <= since:
            return []
        stream = self.events(session, since, detail=detail)
        try:
            return [f for f in stream.until(lambda f: f.id == last) if not f.ping]
        finally:
            stream.close()

    def resume(self, session: str, confirmation: str, **more: Any) -> Reply:
        return self.post(f"/api/sessions/{session}/resume", {"confirmation": confirmation, **more})

    def until_idle(self, session: str, timeout: float = 30.0) -> Any:
        """The snapshot, once no turn runs."""
        return until(lambda: (s := self.snapshot(session)) and not s["streaming"] and s, timeout=timeout)


def until(found: Callable[[], Any], *, timeout: float = 20.0) -> Any:
    """What `found` returns as soon as that is true: whoever has waited for long can wait a little longer."""
    start, pause = time.monotonic(), 0.005
    while not (value := found()):
        waited = time.monotonic() - start
        assert waited < timeout, "it did not come in time"
        time.sleep(pause)
        pause = min(0.005 + waited / 6, LONGEST)  # to ask costs the server what it needs for what is waited for
    return value


class Died(Exception):
    """The server ended before it listened."""


class Server(Client):
    """A server process, and a client of it."""

    def __init__(self, process: subprocess.Popen[bytes], errors: Path) -> None:
        super().__init__("")
        self.process = process
        self.errors = errors
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, name="stdout", daemon=True)
        self._listening = threading.Event()
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.decode().rstrip("\n"))
            if self.lines[-1].startswith("Listening on "):
                self.address = self.lines[-1].removeprefix("Listening on ")
                self._listening.set()
        self._listening.set()

    def until_listening(self) -> "Server":
        """Wait for the line that says so.

        Raises:
            Died: it ended before.
        """
        assert self._listening.wait(START), self.stderr()
        if not self.address:
            self.process.wait(10)
            raise Died(f"exit {self.process.returncode}\n{self.stderr()}")
        return self

    def stderr(self) -> str:
        return self.errors.read_text(errors="replace")

    @property
    def port(self) -> str:
        return self.address.rpartition(":")[2]

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.until_dead()

    def term(self, timeout: float = 20.0) -> int:
        """SIGTERM, and the exit code."""
        os.kill(self.process.pid, signal.SIGTERM)
        return self.until_dead(timeout)

    def until_dead(self, timeout: float = 20.0) -> int:
        code = self.process.wait(timeout)
        self._reader.join(5)
        return code

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def follow(self, session: str, *, since: int = 0) -> Follower:
        """A follower of this server alone."""
        return follower(lambda: self, session, since=since)


def follower(client: Callable[[], Client], session: str, *, since: int = 0) -> Follower:
    """Follows a session at whatever server `client` names at the time."""

    def opened(last: int) -> Stream:
        headers = {"Last-Event-ID": str(last), "Accept": "text/event-stream"} if last else {}
        return client().open("GET", f"/api/sessions/{session}/events", headers=headers, timeout=5.0)

    return Follower(opened, since=since)


@dataclass
class House:
    """A folder with agent files, a database and a fake model."""

    folder: Path
    model: FakeLLM
    servers: list[Server] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "home").mkdir(parents=True, exist_ok=True)
        (self.folder / "agents").mkdir(exist_ok=True)
        self.db = self.folder / "session.db"
        self.agents = self.folder / "agents"

    def agent(self, name: str = "my-agent", extra: str = "", text: str = "") -> Path:
        """Write an agent file."""
        path = self.agents / f"{name}.yaml"
        path.write_text(text or agent_yaml(self.model.url, extra))
        return path

    def env(self, **more: str) -> dict[str, str]:
        """What a server sees of the world: little."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder / "home"),
            "LANG": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")]),
            "PYTHONFAULTHANDLER": "1",
            **more,
        }

    def start(
        self,
        *flags: str,
        agents: Path | str | None = None,
        listen: str = "127.0.0.1:0",
        db: Path | None = None,
        program: Sequence[str] = ("-m", "roost"),
        env: Mapping[str, str] | None = None,
        fds: Sequence[int] = (),
    ) -> Server:
        """Start a server, and do not wait for it."""
        errors = self.folder / f"stderr-{len(self.servers)}.txt"
        where = str(agents or self.agents)
        command = [sys.executable, *program, "serve", "api", where]
        command += ["--listen", listen, "--session-db", str(db or self.db), *flags]
        with errors.open("wb") as err:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.env(**(env or {})),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=err,
                pass_fds=fds,
                start_new_session=True,
            )
        server = Server(process, errors)
        self.servers.append(server)
        return server

    def serve(self, *flags: str, **more: Any) -> Server:
        """A server that listens.

        Raises:
            Died: it does not.
        """
        return self.start(*flags, **more).until_listening()

    def close(self) -> None:
        """End what still runs."""
        for server in self.servers:
            if server.alive:
                os.kill(server.process.pid, signal.SIGKILL)
                server.until_dead()
            server.process.stdout.close()
        relics.end(str(self.folder))


@contextmanager
def opened(folder: Path, model: FakeLLM) -> Iterator[House]:
    """A house; leaving it ends all its servers, and the programs that would outlive them."""
    house = House(folder, model)
    try:
        yield house
    finally:
        house.close()
        shutil.rmtree(folder / "home", ignore_errors=True)


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
