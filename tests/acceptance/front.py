"""Real `roost serve` processes: started, watched, and asked over real TLS."""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acceptance.house import ROOT, START, Reply
from fakes import relics

STARTING = "Starting zag server on "


class Front:
    """A process of `roost serve`, and what it has said."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self.lines: list[str] = []
        self.up = threading.Event()
        self._reader = threading.Thread(target=self._read, name="stderr", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.decode().rstrip("\n"))
            if self.lines[-1].startswith(STARTING):
                self.up.set()
        self.up.set()

    def until_up(self) -> "Front":
        assert self.up.wait(START), self.lines
        assert self.address, self.lines
        return self

    @property
    def address(self) -> str:
        """Where it says that it listens."""
        return next((line.removeprefix(STARTING) for line in self.lines if line.startswith(STARTING)), "")

    @property
    def opening(self) -> list[str]:
        """What it says up to the line that tools look for, without the log."""
        lines = self.lines[: self.lines.index(STARTING + self.address) + 1]
        return [line for line in lines if not line.startswith("{")]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @property
    def token(self) -> str:
        return next(line.removeprefix("Token: ") for line in self.lines if line.startswith("Token: "))

    def term(self) -> int:
        os.kill(self.process.pid, signal.SIGTERM)
        return self.until_dead()

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.until_dead()

    def until_dead(self) -> int:
        code = self.process.wait(20)
        self._reader.join(5)
        return code


@dataclass
class Yard:
    """A home of one's own, and the servers that were started with it."""

    folder: Path
    fronts: list[Front] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home = self.folder / ".roost"

    def env(self, more: Mapping[str, str]) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")]),
            **more,
        }

    def start(
        self,
        *flags: str,
        env: Mapping[str, str] | None = None,
        fds: tuple[int, ...] = (),
        program: tuple[str, ...] = ("-m", "roost"),
    ) -> Front:
        """Start a server, on a free port unless the flags say otherwise."""
        where = () if {"--port", "--listen"} & set(flags) else ("--port", "0")
        process = subprocess.Popen(
            [sys.executable, *program, "serve", *where, *flags],
            cwd=self.folder,
            env=self.env(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=fds,
            start_new_session=True,
        )
        front = Front(process)
        self.fronts.append(front)
        return front

    def serve(self, *flags: str, **more: Any) -> Front:
        """A server that listens."""
        return self.start(*flags, **more).until_up()

    def fails(self, *flags: str, **more: Any) -> str:
        """What a server says that can't start."""
        front = self.start(*flags, **more)
        assert front.until_dead() == 1, front.lines
        assert front.process.stdout is not None
        assert front.process.stdout.read() == b""
        return "\n".join(front.lines)

    def toml(self, text: str) -> Path:
        self.home.mkdir(mode=0o700, exist_ok=True)
        path = self.home / "serve.toml"
        path.write_text(text)
        path.chmod(0o600)
        return path

    def trust(self) -> ssl.SSLContext:
        """What a client needs that has seen the self-signed certificate."""
        return ssl.create_default_context(cafile=self.home / "tls" / "cert.pem")

    def ask(
        self,
        front: Front,
        path: str,
        *,
        token: str = "",
        method: str = "GET",
        host: str = "localhost",
        tls: ssl.SSLContext | None = None,
        body: Any = None,
    ) -> Reply:
        """One request, with a body of JSON where one is given."""
        connection: http.client.HTTPConnection
        if front.address.startswith("https://"):
            connection = http.client.HTTPSConnection(host, front.port, timeout=20, context=tls or self.trust())
        else:
            connection = http.client.HTTPConnection(host, front.port, timeout=20)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def close(self) -> None:
        for front in self.fronts:
            if front.process.poll() is None:
                front.kill()
            for pipe in (front.process.stdout, front.process.stderr):
                assert pipe is not None
                pipe.close()
        relics.end(str(self.folder))


@contextmanager
def opened(folder: Path) -> Iterator[Yard]:
    """A yard; leaving it ends all its servers, and the programs that would outlive them."""
    yard = Yard(folder)
    try:
        yield yard
    finally:
        yard.close()


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
