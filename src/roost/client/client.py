"""A client that blocks: one request after the other, on a line that is kept open between them."""

import http.client
import select
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec

from roost import __version__
from roost.client.dial import CONNECT_SECONDS, dial, reason
from roost.client.errors import Cut, Garbled, Refused, Unreachable
from roost.client.requests import Request
from roost.client.server import Server

T = TypeVar("T")

ANSWER_SECONDS = 60.0  # for what no agent has to work on
_KEPT_SECONDS = 2.0  # a line that has been idle for longer may be closed at the other end

Watch = Callable[[str, str, int, float], None]
"""Is told of each request: method, path, status and seconds."""


class Client:
    """Asks one server.  It is for one thread."""

    def __init__(self, server: Server, *, watch: Watch | None = None) -> None:
        self.server = server
        self._watch = watch
        self._line: _Line | None = None
        self._used = 0.0

    def ask(self, request: Request[T], *, timeout: float | None = None) -> T:
        """The answer.

        Raises:
            Refused: the server said no.
            Unreachable: it did not answer; `Cut` where it may have done what was asked.
            Untrusted: it is not the one that it should be.
            Garbled: it answered with what is no answer.
        """
        return decode(request, self.raw(request, timeout=timeout))

    def raw(self, request: Request[Any], *, timeout: float | None = None) -> bytes:
        """The answer's bytes; else as `ask`."""
        limit = timeout or (None if request.patient else ANSWER_SECONDS)
        started = time.monotonic()
        status, body = self._exchange(request, limit)
        if self._watch:
            self._watch(request.method, request.path, status, time.monotonic() - started)
        if not 200 <= status < 300:
            raise Refused(status, refusal(body))
        return body

    def read(self, request: Request[T], body: bytes) -> T:
        """An answer's bytes as its type.

        Raises:
            Garbled: they are none.
        """
        return decode(request, body)

    def open(self) -> None:
        """Open the line now.

        Raises:
            Unreachable: nobody is there.
            Untrusted: it is not the one that it should be.
        """
        self._ready(None).connect()
        self._used = time.monotonic()

    def close(self) -> None:
        """Hang up."""
        if self._line:
            self._line.close()
            self._line = None

    def _exchange(self, request: Request[Any], limit: float | None) -> tuple[int, bytes]:
        path = self.server.place.prefix + request.path
        if request.query:
            path += "?" + urlencode(request.query)
        body = None if request.body is None else msgspec.json.encode(request.body)
        line = self._ready(limit)
        try:
            line.settimeout(limit)
            line.request(request.method, path, body, headers(self.server, request))
            response = line.getresponse()
            return response.status, response.read()
        except TimeoutError:
            self.close()
            raise Unreachable(self.server.url, f"no answer within {limit:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            self.close()
            why = reason(error) if isinstance(error, OSError) else "it closed the connection"
            raise Cut(self.server.url, why) from None
        except BaseException:
            self.close()
            raise
        finally:
            self._used = time.monotonic()

    def _ready(self, limit: float | None) -> "_Line":
        """The line that is open, if it is surely open still; else a new one."""
        if self._line and (time.monotonic() - self._used > _KEPT_SECONDS or self._line.stale()):
            self.close()
        if self._line is None:
            self._line = _Line(self.server, min(CONNECT_SECONDS, limit or CONNECT_SECONDS))
        return self._line


class _Line(http.client.HTTPConnection):
    def __init__(self, server: Server, patience: float) -> None:
        super().__init__(server.place.authority, timeout=None)
        self.sock: socket.socket | None
        self._server = server
        self._patience = patience

    def connect(self) -> None:
        self.sock = dial(self._server, timeout=self._patience)
        self.sock.settimeout(self.timeout)

    def settimeout(self, seconds: float | None) -> None:
        self.timeout = seconds
        if self.sock:
            self.sock.settimeout(seconds)

    def stale(self) -> bool:
        """Whether the other end has hung up, or says what nobody asked."""
        return self.sock is not None and bool(select.select([self.sock], [], [], 0)[0])


def headers(server: Server, request: Request[Any] | None = None) -> Mapping[str, str]:
    """What every request carries."""
    found = {"Accept": "application/json", "User-Agent": f"roost/{__version__}"}
    if request is not None and request.body is not None:
        found["Content-Type"] = "application/json"
    if server.token and not (request and request.public):
        found["Authorization"] = f"Bearer {server.token}"
    return found


def decode(request: Request[T], body: bytes) -> T:
    """An answer's bytes as its type.

    Raises:
        Garbled: they are none.
    """
    try:
        return msgspec.json.decode(body, type=request.answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Garbled(f"the server's answer to {request.method} {request.path} is not understood: {error}") from None


def refusal(body: bytes) -> str:
    """What a server says when it refuses: in either door's words, or a proxy's."""
    text = body.decode("utf-8", "replace").strip()
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = None
    if isinstance(said, dict):
        text = str(said.get("error") or said.get("message") or "")
    elif text.startswith("<"):
        text = ""  # a page for browsers
    return text[:2000]
