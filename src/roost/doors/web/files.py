"""The files of the page, read once at start: a table of paths, and no look into a folder afterwards."""

import gzip
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
from msgspec import Struct
from starlette.datastructures import Headers

from roost.doors.routes import Answer, Call, Handler, Reply, Route, asks

FOLDER = Path(__file__).parent / "static"

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
}
AT_ROOT = {"index.html": "/", "manifest.webmanifest": "/manifest.webmanifest", "sw.js": "/sw.js"}
"""What lies beside the API and not under `/static`: a service worker rules over what is beneath it."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SAFE = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}
WORKER = "/sw.js"
SMALLEST = 512  # bytes from which on it pays to send fewer


class File(Struct, frozen=True):
    """One file, as it is sent."""

    path: str
    kind: str
    raw: bytes
    tag: str

    @property
    def packed(self) -> bytes:
        """By gzip; b"" where that is no shorter."""
        return _packed(self.raw)


@cache
def files(folder: Path = FOLDER) -> tuple[File, ...]:
    """Those of a folder that browsers are to have; of any other kind none is served.

    The service worker is told which there are, and a version that changes with each of them.
    """
    found = list(_files(folder))
    version = hashlib.sha256("".join(file.tag for file in found).encode()).hexdigest()[:12]
    kept = [file.path for file in found if file.path != WORKER]
    told = b"self.__SHELL__ = " + msgspec.json.encode({"version": version, "files": kept}) + b"\n"
    return tuple(_file(file.path, file.kind, told + file.raw) if file.path == WORKER else file for file in found)


def routes(folder: Path = FOLDER) -> list[Route]:
    """A route for each, open to all: none holds data."""
    return [
        asks(method, file.path, _handler(file), "A file of the page", open=True, shown=False)
        for file in files(folder)
        for method in ("GET", "HEAD")
    ]


def _files(folder: Path) -> Iterator[File]:
    for place in sorted(folder.rglob("*")):
        name = place.relative_to(folder).as_posix()
        if place.suffix not in KINDS or any(part.startswith(".") for part in name.split("/")) or not place.is_file():
            continue
        yield _file(AT_ROOT.get(name, f"/static/{name}"), KINDS[place.suffix], place.read_bytes())


def _file(path: str, kind: str, raw: bytes) -> File:
    return File(path, kind, raw, hashlib.sha256(raw).hexdigest()[:20])


@cache
def _packed(raw: bytes) -> bytes:
    """Made when somebody asks for it first: a start does without."""
    packed = gzip.compress(raw, 9, mtime=0) if len(raw) >= SMALLEST else b""
    return packed if len(packed) < len(raw) else b""


def _handler(file: File) -> Handler:
    async def handle(call: Call) -> Answer:
        return answer(file, call.headers)

    return handle


def answer(file: File, headers: Headers) -> Reply:
    """The file, in the shorter form where the browser takes it; nothing where it has it already."""
    packed = bool(file.packed) and _takes_gzip(headers.get("accept-encoding", ""))
    tag = f'"{file.tag}-gz"' if packed else f'"{file.tag}"'
    head = {**SAFE, "etag": tag}
    if file.packed:
        head["vary"] = "accept-encoding"
    if _has(headers.get("if-none-match", ""), file.tag):
        return Reply(status=304, raw=b"", headers=head)
    if packed:
        head["content-encoding"] = "gzip"
    return Reply(raw=file.packed if packed else file.raw, kind=file.kind, headers=head)


def _takes_gzip(accepted: str) -> bool:
    for one in accepted.lower().split(","):
        name, _, rest = one.partition(";")
        if name.strip() in ("gzip", "*"):
            return rest.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _has(known: str, tag: str) -> bool:
    """Whether a browser knows the file, in whichever form."""
    for one in known.split(","):
        if one.strip() == "*" or one.strip().removeprefix("W/").strip('"').removesuffix("-gz") == tag:
            return True
    return False
