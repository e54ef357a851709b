"""A real registry (Debian's docker-registry) on loopback, and one that asks who is there, in front of it."""

import base64
import http.client
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

PROGRAM = "docker-registry"
MISSING = f"`apt-get install {PROGRAM}` brings the registry that this needs"
START = 15.0  # seconds


def installed() -> bool:
    return shutil.which(PROGRAM) is not None


@contextmanager
def serve(folder: Path, *, port: int = 0) -> Iterator[str]:
    """A registry that keeps its content in `folder`; where it listens."""
    port = port or free()
    config = folder.with_name(f"{folder.name}.yml")
    config.write_text(
        f"version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {folder}}}, "
        f"delete: {{enabled: true}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
    )
    process = subprocess.Popen(
        [PROGRAM, "serve", str(config)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _listening(port, process)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def free() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _listening(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert process.poll() is None, "the registry ended"
        assert time.monotonic() < deadline, "the registry does not listen"
        time.sleep(0.01)


@dataclass
class Front:
    """Asks for a login (`basic`, `bearer`), and hands on what passes; `spoil` changes answers on their way."""

    behind: str
    kind: str = "bearer"
    name: str = "ann"
    password: str = "secret"
    identity: str = ""  # a refresh token that is taken in place of name and password
    anonymous: bool = False  # whether anybody gets a token
    spoil: dict[str, bytes] = field(default_factory=dict)  # part of a path -> the body that is sent instead
    seen: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)
    address: str = ""
    tokens: list[str] = field(default_factory=list)

    def asked(self, part: str) -> list[str]:
        """The methods of the requests whose path holds this."""
        return [method for method, path, _ in self.seen if part in path]


@contextmanager
def guarded(front: Front) -> Iterator[Front]:
    """Serve it until the block ends."""

    class Handler(_Handler):
        told = front

    with threaded(Handler) as address:
        front.address = address
        yield front


@contextmanager
def threaded(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """A server of this handler on loopback; where it listens."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    told: Front
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.told.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
        if self.path.startswith("/token"):
            self._token(body)
        elif self._welcome():
            self._hand_on(body)
        else:
            self._challenge()

    do_GET = do_HEAD = do_POST = do_PUT = _any

    def _welcome(self) -> bool:
        given = self.headers.get("authorization", "")
        if self.told.kind == "basic":
            return given == self._basic()
        return given.startswith("Bearer ") and given.removeprefix("Bearer ") in self.told.tokens

    def _basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.told.name}:{self.told.password}".encode()).decode()

    def _challenge(self) -> None:
        challenge = 'Basic realm="demo"'
        if self.told.kind == "bearer":
            repository = self.path.removeprefix("/v2/").partition("/manifests/")[0].partition("/blobs/")[0]
            scope = f"repository:{repository}:pull,push"
            challenge = f'Bearer realm="http://{self.told.address}/token",service="demo",scope="{scope}"'
        self._answer(401, b'{"errors":[{"code":"UNAUTHORIZED"}]}', {"WWW-Authenticate": challenge})

    def _token(self, body: bytes) -> None:
        if self.command == "POST":
            form = parse_qs(body.decode())
            ours = form.get("refresh_token") == [self.told.identity] and form.get("grant_type") == ["refresh_token"]
        else:
            query = parse_qs(urlsplit(self.path).query)
            ours = self.told.anonymous or self.headers.get("authorization") == self._basic()
            ours = ours and query.get("service") == ["demo"] and "scope" in query
        if not ours:
            self._answer(401, b"{}", {})
            return
        token = f"token-{len(self.told.tokens)}"
        self.told.tokens.append(token)
        self._answer(200, json.dumps({"access_token": token, "expires_in": 60}).encode(), {})

    def _hand_on(self, body: bytes) -> None:
        host, _, port = self.told.behind.partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("authorization", "connection")}
        try:
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        for part, instead in self.told.spoil.items():
            content = instead if part in self.path and self.command == "GET" else content
        kept = {k: v for k, v in answer.getheaders() if k.lower() not in ("content-length", "connection", "date")}
        self._answer(answer.status, content, kept)

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
