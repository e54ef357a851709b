"""Files at http addresses on loopback, with ETags, redirects and whatever else a web server may do."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from fakes.registry import threaded


@dataclass
class Site:
    """What is served: content, where a path leads instead, and a status for all while it is down."""

    pages: dict[str, bytes] = field(default_factory=dict)
    leads: dict[str, str] = field(default_factory=dict)
    down: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None  # nothing is answered before it is set
    seen: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    url: str = ""


@contextmanager
def site(**pages: bytes) -> Iterator[Site]:
    """A site with these pages (`name` is at /name.yaml) until the block ends."""
    told = Site({f"/{name}.yaml": content for name, content in pages.items()})

    class Handler(_Handler):
        ours = told

    with threaded(Handler) as address:
        told.url = f"http://{address}"
        try:
            yield told
        finally:
            if told.hold is not None:
                told.hold.set()


class _Handler(BaseHTTPRequestHandler):
    ours: Site
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        site, path = self.ours, self.path.partition("?")[0]
        site.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
        if site.hold is not None:
            site.hold.wait(30)
        if site.down:
            self._answer(site.down, b"down")
        elif path in site.leads:
            self._answer(302, b"", Location=site.leads[path])
        elif path not in site.pages:
            self._answer(404, b"no such page")
        else:
            content = site.pages[path]
            mark = f'"{hash(content) & 0xFFFFFF:x}"'
            same = self.headers.get("if-none-match") == mark
            self._answer(304 if same else 200, b"" if same else content, ETag=mark)

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.ours.answered.append(status)
        self.send_response(status)
        for name, value in {**headers, **self.ours.headers}.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
