"""The real `zag`, with a home of its own; and a server that only takes down what it sends."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from acceptance.zag.rows import SID

PATIENCE = 60


class Zag:
    """Somebody who types `zag`."""

    def __init__(self, home: Path, program: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self._program = program
        self.env = {"HOME": str(home), "PATH": os.environ.get("PATH", os.defpath), "ZAG_NO_HEALTH_CHECK": "1"}

    def connected(self, url: str, token: str) -> "Zag":
        """As `zag connect` leaves it."""
        (self.home / ".zag").mkdir(exist_ok=True)
        (self.home / ".zag/connect.json").write_text(json.dumps({"url": url, "token": token}))
        return self

    @property
    def connection(self) -> Any:
        """What it is connected to; None for nothing."""
        file = self.home / ".zag/connect.json"
        return json.loads(file.read_text()) if file.exists() else None

    def start(self, *words: str, **env: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [self._program, *words],
            env={**self.env, **env},
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def type(self, *words: str, code: int = 0, **env: str) -> str:
        """A command that ends like this; what it prints."""
        with self.start(*words, **env) as running:
            out, err = running.communicate(timeout=PATIENCE)
        assert running.returncode == code, (words, running.returncode, out, err)
        return out if not code else out + err

    def json(self, *words: str) -> Any:
        """A command that prints JSON."""
        return json.loads(self.type(*words))


class Recorder:
    """A server that takes down requests, and says what keeps the client going."""

    def __init__(self, port: int, seen: list[tuple[str, str, str]]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.seen = seen

    def taken(self) -> list[tuple[str, str, str]]:
        """Method, path and body of what has come since the last time."""
        found, self.seen[:] = list(self.seen), []
        return found


ANSWERS: dict[str, Any] = {
    "spawn": {"session_id": SID, "pid": 1, "log_path": "/x", "interactive": False},
    "wait": [{"session_id": SID, "success": True, "error": None}],
    "output": {"session_id": SID, "result": "r"},
    "import": {"imported": 0},
}


@contextmanager
def recording() -> Iterator[Recorder]:
    """A recorder, while the block lasts."""
    seen: list[tuple[str, str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            assert self.headers["authorization"] == "Bearer t"
            assert not body or self.headers["content-type"] == "application/json"
            seen.append((self.command, self.path.removeprefix("/api/v1"), body))
            last = self.path.partition("?")[0].rpartition("/")[2]
            told = json.dumps(ANSWERS.get(last, {})).encode()
            self.send_response(201 if last == "spawn" else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        do_GET = do_POST = do_PATCH = do_DELETE = answer

        def log_message(self, *_: Any) -> None:
            """It says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield Recorder(server.server_port, seen)
        finally:
            server.shutdown()
            thread.join(10)
