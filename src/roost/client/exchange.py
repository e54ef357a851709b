"""One request and its answer, apart from the line they go over: what is sent, and what came back."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec

from roost import __version__
from roost.client.errors import Cut, Garbled, Refused, refusal
from roost.client.request import Request, Stream
from roost.client.server import Server

T = TypeVar("T")

ANSWER_SECONDS = 60.0  # for what no agent has to work on
BUSY = (429, 503)  # the server has done nothing, and says when to come again
clock = time.monotonic
_PATIENCE = 30.0  # seconds that a busy server is waited for

Watch = Callable[[str, str, int, float], None]
"""Is told of each request: method, path, status and seconds."""


def target(request: Request[Any]) -> str:
    """Path and query."""
    return f"{request.path}?{urlencode(request.query)}" if request.query else request.path


def content(request: Request[Any]) -> bytes | None:
    """The body."""
    return None if request.body is None else msgspec.json.encode(request.body)


def headers(server: Server, request: Request[Any] | None = None) -> dict[str, str]:
    """What every request carries."""
    found = {"Accept": "application/json", "User-Agent": f"roost/{__version__}"}
    if request is not None and request.body is not None:
        found["Content-Type"] = "application/json"
    if request is not None and request.key:
        found["Idempotency-Key"] = request.key
    if server.token and not (request and request.public):
        found["Authorization"] = f"Bearer {server.token}"
    return found


def decode(request: Request[T], body: bytes) -> T:
    """An answer's bytes as its type; nothing, where nothing is to come.

    Raises:
        Garbled: they are none.
    """
    if request.answer is type(None):
        return None
    try:
        return msgspec.json.decode(body, type=request.answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Garbled(f"the server's answer to {request.method} {request.path} is not understood: {error}") from None


def refused(request: Request[Any] | Stream, status: int, body: bytes, header: Callable[[str], str | None]) -> Refused:
    """A server's no, in either door's words or a proxy's; who is shown the error as a whole sees what was asked."""
    text, code = body.decode("utf-8", "replace").strip(), header("x-roost-code") or ""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = None
    if isinstance(said, dict):
        text = str(said.get("error") or said.get("message") or "")
        code = code or str(said.get("code") or "")
    elif text.startswith("<"):
        text = ""  # a page for browsers
    error = refusal(status, text[:2000], code, _seconds(header("retry-after")))
    error.add_note(f"{request.method} {request.path}: {status} {code}".rstrip())
    return error


class Tries:
    """Whether a request that came to nothing is sent once more: only one that does no more when it is done twice."""

    def __init__(self, request: Request[Any], limit: float | None) -> None:
        self._repeatable = request.repeatable
        self._until = clock() + min(_PATIENCE, limit or _PATIENCE)
        self._cut = False

    def again(self, error: Refused | Cut) -> float:
        """How long to wait before it is.

        Raises:
            Refused, Cut: it is not.
        """
        if not self._repeatable:
            raise error
        if isinstance(error, Cut):
            if self._cut:
                raise error
            self._cut = True
            return 0.0
        if error.status not in BUSY or error.retry_after is None:
            raise error
        if clock() + error.retry_after > self._until:
            raise error
        return error.retry_after


def _seconds(said: str | None) -> float | None:
    """What `Retry-After` says: a number, or a date."""
    if said is None:
        return None
    with suppress(ValueError):
        return max(float(said), 0.0)
    with suppress(ValueError, TypeError):
        return max((parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds(), 0.0)
    return None
