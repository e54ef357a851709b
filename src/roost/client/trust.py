"""How the asynchronous client knows that a server is the one, and errors of its libraries as ours."""

import os
import ssl
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import httpx2
from msgspec import Struct

from roost.client.dial import (
    LONGEST_SOCKET,
    careless,
    certificate,
    fingerprint,
    no_tls,
    reason,
    seen,
    verdict,
    verified,
)
from roost.client.errors import Cut, Unreachable, Untrusted
from roost.client.server import Server

K = TypeVar("K", bound=BaseException)

_KEPT_SECONDS = 2.0  # a line that has been idle for longer may be closed at the other end
_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)  # of X509: who pins a certificate has looked at it


class Trust(Struct, frozen=True):
    """How a server is reached: what its certificate is held against, and the path of its unix socket, or ""."""

    server: Server
    context: ssl.SSLContext | None
    socket: str

    def transport(self) -> httpx2.AsyncHTTPTransport:
        """A transport that speaks to no other."""
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=_KEPT_SECONDS)
        return httpx2.AsyncHTTPTransport(
            verify=self.context or careless(), trust_env=False, limits=limits, uds=self.socket or None
        )

    def meant(self, error: BaseException, limit: float | None = None) -> Unreachable | Untrusted:
        """An error of a library, as one of ours.  What a certificate is about, asks the server for it once more."""
        match error:
            case httpx2.ConnectTimeout():
                return Unreachable(self.server.url, "no connection in time")
            case httpx2.TimeoutException():
                return Unreachable(self.server.url, f"no answer within {limit:g} s" if limit else "no answer")
            case httpx2.RemoteProtocolError():
                return Cut(self.server.url, "it closed the connection")
            case httpx2.ConnectError() | OSError():
                return self._unconnected(error)
        below = _below(error, OSError)
        return Cut(self.server.url, reason(below) if below else "it closed the connection")

    def _unconnected(self, error: BaseException) -> Unreachable | Untrusted:
        url = self.server.url
        if (distrust := _below(error, ssl.SSLCertVerificationError)) is not None:
            return Untrusted(url, verdict(distrust), seen(self.server))
        if (tls := _below(error, ssl.SSLError)) is not None:
            return Unreachable(url, no_tls(tls))
        system = _below(error, OSError)
        return Unreachable(url, reason(system) if system else str(error))


def trusting(server: Server, held: ExitStack) -> Trust:
    """How a server is reached.  A certificate that is pinned is fetched now, and from then on it alone counts.

    What is needed for as long as the server is spoken to goes to `held`.

    Raises:
        Untrusted: the server shows another.
        Unreachable: nobody answers.
        BadValue: there is no such file of authorities.
    """
    place = server.place
    path = _socket(place.socket, held) if place.socket else ""
    return Trust(server, _context(server) if place.tls else None, path)


def _context(server: Server) -> ssl.SSLContext:
    if server.insecure:
        return careless()
    if not server.fingerprint:
        return verified(server)
    shown = certificate(server)
    if (found := fingerprint(shown)) != server.fingerprint:
        raise Untrusted(server.url, "it is not the one that this connection was made with", found)
    pinned = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    pinned.check_hostname = False
    pinned.load_verify_locations(cadata=shown)
    pinned.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    return pinned


def _socket(path: str, held: ExitStack) -> str:
    """A unix socket's path, however long: by way of its folder where an address can't hold it."""
    if len(os.fsencode(path)) <= LONGEST_SOCKET:
        return path
    try:
        folder = os.open(Path(path).parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise Unreachable(f"unix://{path}", reason(error)) from None
    held.callback(os.close, folder)
    return f"/proc/self/fd/{folder}/{Path(path).name}"


def _below(error: BaseException, kind: type[K]) -> K | None:
    """The cause of an error that is of a kind: the deepest that says something, else the first."""
    at: BaseException | None = error
    found: K | None = None
    while at is not None:
        if isinstance(at, kind) and (found is None or getattr(at, "strerror", None)):
            found = at
        group = at.exceptions[0] if isinstance(at, BaseExceptionGroup) else None
        at = group or at.__cause__ or at.__context__
    return found
