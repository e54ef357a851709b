"""How the asynchronous client knows that a server is the one: a transport that speaks to no other."""

import os
import ssl
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import httpx2

from roost.client.dial import LONGEST_SOCKET, careless, certificate, fingerprint, reason, seen, verdict, verified
from roost.client.errors import Cut, Unreachable, Untrusted
from roost.client.server import Server

K = TypeVar("K", bound=BaseException)

_KEPT_SECONDS = 2.0  # a line that has been idle for longer may be closed at the other end
_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)  # of X509: who pins a certificate has looked at it


def transport_to(server: Server, held: ExitStack) -> httpx2.AsyncHTTPTransport:
    """A transport to a server; what it needs as long as it lives goes to `held`.

    Raises:
        Untrusted: the server shows another certificate than it should.
        Unreachable: nobody answers.
        BadValue: there is no such file of authorities.
    """
    place = server.place
    uds = socket_path(place.socket, held) if place.socket else None
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=_KEPT_SECONDS)
    trusted = context(server) if place.tls else careless()
    return httpx2.AsyncHTTPTransport(verify=trusted, trust_env=False, limits=limits, uds=uds)


def context(server: Server) -> ssl.SSLContext:
    """What a server's certificate is held against.  One that is pinned is fetched, and from then on it alone counts.

    Raises:
        Untrusted: the server shows another.
        Unreachable: nobody answers.
        BadValue: there is no such file of authorities.
    """
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


def socket_path(path: str, held: ExitStack) -> str:
    """A unix socket's path, however long: by way of its folder where an address can't hold it."""
    if len(os.fsencode(path)) <= LONGEST_SOCKET:
        return path
    try:
        folder = os.open(Path(path).parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise Unreachable(f"unix://{path}", reason(error)) from None
    held.callback(os.close, folder)
    return f"/proc/self/fd/{folder}/{Path(path).name}"


def meant(error: httpx2.TransportError, server: Server, limit: float | None) -> Unreachable | Untrusted:
    """An error of the library, as one of ours."""
    match error:
        case httpx2.ConnectTimeout():
            return Unreachable(server.url, "no connection in time")
        case httpx2.TimeoutException():
            return Unreachable(server.url, f"no answer within {limit:g} s" if limit else "no answer")
        case httpx2.ConnectError():
            return _unconnected(error, server)
        case httpx2.RemoteProtocolError():
            return Cut(server.url, "it closed the connection")
    below = _below(error, OSError)
    return Cut(server.url, reason(below) if below else "it closed the connection")


def _unconnected(error: httpx2.ConnectError, server: Server) -> Unreachable | Untrusted:
    below = _below(error, ssl.SSLCertVerificationError)
    if below is not None:
        return Untrusted(server.url, verdict(below), seen(server))
    tls = _below(error, ssl.SSLError)
    if tls is not None:
        return Unreachable(server.url, f"no TLS there ({tls.reason or tls})")
    system = _below(error, OSError)
    return Unreachable(server.url, reason(system) if system else str(error))


def _below(error: BaseException, kind: type[K]) -> K | None:
    """The first cause of an error that is of a kind, and says something where it can."""
    at: BaseException | None = error
    found: K | None = None
    while at is not None:
        if isinstance(at, kind) and (found is None or getattr(at, "strerror", None)):
            found = at
        group = at.exceptions[0] if isinstance(at, BaseExceptionGroup) else None
        at = group or at.__cause__ or at.__context__
    return found
