"""A web site on loopback that answers as a test says, and writes down what it was asked."""

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import trustme

Answer = tuple[int, Mapping[str, str], bytes]
Page = Answer | Callable[["Asked", Any], Answer | None]
"""An answer, or what makes one; None where it has written to the socket by itself."""


@dataclass(frozen=True)
class Asked:
    """A request, as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Site:
    """Pages by path (without query); what is not there is a 404."""

    port: int
    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]

    def page(self, path: str, body: str | bytes, kind: str = "text/plain", status: int = 200, **headers: str) -> str:
        """Put a page there; its address."""
        data = body if isinstance(body, bytes) else body.encode()
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        self.pages[path] = (status, {"content-type": kind, **more}, data)
        return self.url + path


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def _any(self) -> None:
        site = self.server.site
        length = int(self.headers.get("content-length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers, self.rfile.read(length))
        site.asked.append(asked)
        page = site.pages.get(self.path.partition("?")[0], (404, {"content-type": "text/plain"}, b"nothing here"))
        with suppress(BrokenPipeError, ConnectionResetError):
            answer = page if isinstance(page, tuple) else page(asked, self)
            if answer is not None:
                self._send(*answer)

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_CONNECT = _any

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    site: Site

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away."""


@contextmanager
def open_site(certificate: trustme.LeafCert | None = None) -> Iterator[Site]:
    """A site for as long as the block is open."""
    server = _Server(("127.0.0.1", 0), _Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.site = Site(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.site
    finally:
        server.site.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def hang(asked: Asked, handler: Any) -> None:
    """Never answer."""
    handler.server.site.closing.wait(60)


def endless(asked: Asked, handler: Any) -> None:
    """Never stop."""
    handler.send_response(200)
    handler.send_header("content-type", "text/plain")
    handler.end_headers()
    while not handler.server.site.closing.is_set():
        handler.wfile.write(b"x" * 65536)


def drip(asked: Asked, handler: Any) -> None:
    """A byte now and then, for ever."""
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.site.closing.wait(0.02):
        handler.wfile.write(b"x")
        handler.wfile.flush()
