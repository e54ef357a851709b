"""The page that shows the API, and the document that it is made from."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from roost.doors.routes import Answer, Call, Reply, Route, asks
from roost.wire.json import encode_ordered

PAGES = Path(__file__).parent / "pages"

SAFE = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-cache",
}


def routes(document: Callable[[], dict[str, Any]]) -> list[Route]:
    """The document, the page, and what the page loads: all open, since none of it holds data.

    The document is made when somebody asks for it for the first time.
    """
    page, text = "text/html; charset=utf-8", "text/plain; charset=utf-8"
    return [
        _static("/openapi.json", lambda: encode_ordered(document()) + b"\n", "application/json", "This document"),
        _static("/docs", _file("docs.html"), page, "A page that shows this API"),
        _static("/docs/docs.js", _file("docs.js"), text.replace("plain", "javascript"), "Its script"),
        _static("/docs/docs.css", _file("docs.css"), text.replace("plain", "css"), "Its style"),
    ]


def _file(name: str) -> Callable[[], bytes]:
    return (PAGES / name).read_bytes


def _static(path: str, content: Callable[[], bytes], kind: str, summary: str) -> Route:
    kept = cache(content)

    async def handle(call: Call) -> Answer:
        return Reply(raw=kept(), kind=kind, headers=SAFE)

    return asks("GET", path, handle, summary, open=True, shown=False)
