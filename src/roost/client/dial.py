"""A line to a server: a socket that is open, and whose other end is the one it should be."""

import hashlib
import os
import socket
import ssl
from contextlib import suppress
from pathlib import Path

from roost.client.errors import Unreachable, Untrusted
from roost.client.server import Place, Server
from roost.core.errors import BadValue

CONNECT_SECONDS = 10.0
_LONGEST = 100  # bytes of a unix socket's path that every system takes


def dial(server: Server, *, timeout: float = CONNECT_SECONDS) -> socket.socket:
    """Open a line; whoever gets it waits without limit unless they set one.

    Raises:
        Unreachable: nobody answers.
        Untrusted: somebody does, whose certificate is not the one.
        BadValue: there is no such file of authorities.
    """
    place = server.place
    try:
        line = _unix(place.socket, timeout) if place.socket else _tcp(place, timeout)
    except TimeoutError:
        raise Unreachable(server.url, f"no connection within {timeout:g} s") from None
    except OSError as error:
        raise Unreachable(server.url, reason(error)) from None
    try:
        if place.tls:
            line = _encrypted(line, server, place)
        line.settimeout(None)
    except BaseException:
        line.close()
        raise
    return line


def reason(error: OSError) -> str:
    """What the system says, in a few words."""
    return (error.strerror or str(error) or type(error).__name__).lower()


def shown(server: Server, *, timeout: float = CONNECT_SECONDS) -> str:
    """The fingerprint of the certificate that a server shows, whoever it is."""
    context = _careless()
    place = server.place
    with _tcp(place, timeout) as line, context.wrap_socket(line, server_hostname=place.host) as wrapped:
        return _fingerprint(wrapped)


def _tcp(place: Place, timeout: float) -> socket.socket:
    line = socket.create_connection((place.host, place.port), timeout)
    with suppress(OSError):
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, seconds in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 4)):
            if option := getattr(socket, name, None):
                line.setsockopt(socket.IPPROTO_TCP, option, seconds)
    return line


def _unix(path: str, timeout: float) -> socket.socket:
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        line.settimeout(timeout)
        if len(os.fsencode(path)) <= _LONGEST:
            line.connect(path)
        else:  # longer than an address may be: by way of its folder
            folder = os.open(Path(path).parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                line.connect(f"/proc/self/fd/{folder}/{Path(path).name}")
            finally:
                os.close(folder)
    except BaseException:
        line.close()
        raise
    return line


def _encrypted(line: socket.socket, server: Server, place: Place) -> ssl.SSLSocket:
    context = _context(server)
    try:
        wrapped = context.wrap_socket(line, server_hostname=place.host)
    except ssl.SSLCertVerificationError as error:
        seen = _seen(server)
        raise Untrusted(server.url, _verdict(error), seen) from None
    except TimeoutError:
        raise Unreachable(server.url, "it does not finish the TLS handshake") from None
    except ssl.SSLError as error:
        raise Unreachable(server.url, f"no TLS there ({error.reason or error})") from None
    except OSError as error:
        raise Unreachable(server.url, reason(error)) from None
    if server.fingerprint and not server.insecure and (seen := _fingerprint(wrapped)) != server.fingerprint:
        wrapped.close()
        raise Untrusted(server.url, "it is not the one that this connection was made with", seen)
    return wrapped


def _context(server: Server) -> ssl.SSLContext:
    if server.insecure or server.fingerprint:
        return _careless()
    try:
        return ssl.create_default_context(cafile=server.ca)
    except (OSError, ssl.SSLError):
        raise BadValue(f"{server.ca} holds no certificates") from None


def _careless() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _seen(server: Server) -> str:
    try:
        return shown(server)
    except OSError as error:
        raise Unreachable(server.url, reason(error)) from None


def _verdict(error: ssl.SSLCertVerificationError) -> str:
    return (error.verify_message or str(error)).rstrip(".").lower()


def _fingerprint(line: ssl.SSLSocket) -> str:
    return hashlib.sha256(line.getpeercert(binary_form=True) or b"").hexdigest()
