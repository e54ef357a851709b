"""A real server in a process of its own, and ways to speak to it that no decent client has."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import roost

SOURCES = Path(roost.__file__).parents[1]

SCRIPTED = """
version: "2"
agents:
  root:
    model: m
    description: plays a scenario
    toolsets:
    - type: filesystem
    - type: shell
models:
  m:
    provider: scripted
    model: m
    provider_opts:
      scenario:
        title: A title
        turns:
        - when: "^sh (?s:.*)"
          repeat: true
          answers:
          - - call: {name: shell, arguments: {cmd: "%(cmd)s", timeout: 60}}
          - - text: "done: {{tool}}"
        - when: "^read "
          repeat: true
          answers:
          - - call: {name: read_file, arguments: {path: "%(path)s"}}
          - - text: "done: {{tool}}"
        - when: "^long"
          repeat: true
          answers: [[{text: begun}, {wait: 600}, {text: end}]]
        - answers: ["You said: {{user}}"]
          repeat: true
"""


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """A server that listens, and where it keeps its things."""

    def __init__(self, process: "subprocess.Popen[bytes]", where: str, folder: Path, log: Path) -> None:
        self.process = process
        self.where = where
        self.folder = folder
        self.log = log
        self.unix = where.startswith("unix://")

    @property
    def host(self) -> str:
        return "localhost" if self.unix else self.where

    def dial(self, timeout: float = 15.0) -> socket.socket:
        if self.unix:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.settimeout(timeout)
            sock.connect(self.where.removeprefix("unix://"))
            return sock
        host, _, port = self.where.partition(":")
        return socket.create_connection((host, int(port)), timeout=timeout)

    def raw(self, data: bytes, *, timeout: float = 15.0) -> bytes:
        """Send bytes as they are; all that comes back until the server closes or is silent."""
        with self.dial(timeout) as sock:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                sock.sendall(data)
            return drained(sock)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        timeout: float = 60.0,
        **headers: str,
    ) -> Answer:
        """One request, and the whole answer.  Words of header names are parted by `_`."""
        connection = http.client.HTTPConnection("localhost", timeout=timeout)
        connection.sock = self.dial(timeout)
        data = raw if raw is not None else (b"" if body is None else json.dumps(body).encode())
        sent = {"Host": self.host}
        if data:
            sent["Content-Type"] = "application/json"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.headers), answer.read())
        finally:
            connection.close()

    def session(self, **template: Any) -> str:
        """The id of a new session."""
        answer = self.ask("POST", "/api/sessions", template)
        assert answer.status == 200, answer
        return str(answer.json["id"])

    def run(self, session: str, text: str, **query: str) -> list[dict[str, Any]]:
        """A turn, to its end; its events."""
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        answer = self.ask(
            "POST", f"/api/sessions/{session}/agent/agent?{asked}", {"messages": [{"role": "user", "content": text}]}
        )
        assert answer.status == 200, answer
        return events(answer.body)

    def alive(self) -> bool:
        """Whether it still answers."""
        return self.process.poll() is None and self.ask("GET", "/health").status == 200

    def memory(self) -> int:
        """Bytes that it holds in memory."""
        fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def stop(self, number: int = signal.SIGTERM, patience: float = 20.0) -> int:
        """Tell it to end; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(patience)

    @property
    def logged(self) -> str:
        return self.log.read_text(errors="replace")


def events(body: bytes) -> list[dict[str, Any]]:
    """The events in the body of a stream."""
    lines = body.decode().splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


def drained(sock: socket.socket) -> bytes:
    """All that comes until the other end closes, or is silent for the socket's timeout."""
    chunks = []
    with contextlib.suppress(TimeoutError, ConnectionResetError):
        while chunk := sock.recv(1 << 16):
            chunks.append(chunk)
    return b"".join(chunks)


def until(true: Callable[[], Any], *, patience: float = 20.0) -> Any:
    """What `true` says as soon as it says something."""
    deadline = time.monotonic() + patience
    while not (found := true()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)
    return found


@contextlib.contextmanager
def running(
    folder: Path,
    *flags: str,
    agents: str = SCRIPTED,
    cmd: str = "echo hello",
    path: str = "agent.yaml",
    listen: str = "127.0.0.1:0",
    env: Mapping[str, str] | None = None,
    **rest: Any,
) -> Iterator[Server]:
    """A server over one agent file, until the block is left."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "agent.yaml"
    if not file.exists():
        file.write_text(agents % {"cmd": cmd, "path": path} if "%(cmd)s" in agents else agents)
    log = folder / "stderr.txt"
    words = [sys.executable, "-m", "roost", "serve", "api", str(file), "--listen", listen, *flags]
    surroundings = {
        **os.environ,
        "HOME": str(folder),
        "ROOST_HOME": str(folder / "home"),
        "PYTHONPATH": str(SOURCES),
        **(env or {}),
    }
    with log.open("ab") as errors:
        process = subprocess.Popen(words, cwd=folder, env=surroundings, stdout=subprocess.PIPE, stderr=errors, **rest)
    try:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        assert line.startswith("Listening on "), log.read_text()
        yield Server(process, line.split()[-1], folder, log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()
