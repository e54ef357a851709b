"""A line to a server: a socket that is open, and whose other end is the one it should be."""

import hashlib
import os
import socket
import ssl
from contextlib import suppress
from pathlib import Path

from roost.client.errors import Cut, Unreachable, Untrusted
from roost.client.server import Place, Server
from roost.core.errors import BadValue

CONNECT_SECONDS = 10.0
_PROBE_SECONDS = 2.0
LONGEST_SOCKET = 100  # bytes of a unix socket's path that every system takes


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
    known = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
    return (known or str(error) or type(error).__name__).lower()


def no_tls(error: ssl.SSLError) -> str:
    """What it means that there is no encrypted line."""
    hint = "; an address of a server without TLS begins with http://" if error.reason == "WRONG_VERSION_NUMBER" else ""
    return f"no TLS there ({error.reason or error}){hint}"


def unheard(server: Server, cut: Cut) -> Unreachable:
    """Why a line was cut to a server from which nothing has come yet: it may be one that speaks TLS."""
    if server.place.tls or server.place.socket:
        return cut
    try:
        with _tcp(server.place, _PROBE_SECONDS) as line, careless().wrap_socket(line):
            return Unreachable(server.url, "it speaks TLS, and such an address begins with https://")
    except OSError:
        return cut


def shown(server: Server, *, timeout: float = CONNECT_SECONDS) -> str:
    """The fingerprint of the certificate that a server shows, whoever it is."""
    place = server.place
    with _tcp(place, timeout) as line, careless().wrap_socket(line, server_hostname=place.host) as wrapped:
        return fingerprint(_certificate(wrapped))


def certificate(server: Server) -> bytes:
    """The certificate that a server shows, whoever it is, as DER has it.

    Raises:
        Unreachable: nobody answers, or not by TLS.
    """
    place = server.place
    try:
        with _tcp(place, CONNECT_SECONDS) as line, careless().wrap_socket(line, server_hostname=place.host) as wrapped:
            return _certificate(wrapped)
    except TimeoutError:
        raise Unreachable(server.url, "it does not finish the TLS handshake") from None
    except ssl.SSLError as error:
        raise Unreachable(server.url, no_tls(error)) from None
    except OSError as error:
        raise Unreachable(server.url, reason(error)) from None


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
        if len(os.fsencode(path)) <= LONGEST_SOCKET:
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
    context = careless() if server.insecure or server.fingerprint else verified(server)
    try:
        wrapped = context.wrap_socket(line, server_hostname=place.host)
    except ssl.SSLCertVerificationError as error:
        raise Untrusted(server.url, verdict(error), seen(server)) from None
    except TimeoutError:
        raise Unreachable(server.url, "it does not finish the TLS handshake") from None
    except ssl.SSLError as error:
        raise Unreachable(server.url, no_tls(error)) from None
    except OSError as error:
        raise Unreachable(server.url, reason(error)) from None
    if (
        server.fingerprint
        and not server.insecure
        and (found := fingerprint(_certificate(wrapped))) != server.fingerprint
    ):
        wrapped.close()
        raise Untrusted(server.url, "it is not the one that this connection was made with", found)
    return wrapped


def verified(server: Server) -> ssl.SSLContext:
    """What takes the certificates of the authorities in a file, or of those that the system trusts.

    Raises:
        BadValue: there is no such file.
    """
    try:
        return ssl.create_default_context(cafile=server.ca)
    except (OSError, ssl.SSLError):
        raise BadValue(f"{server.ca} holds no certificates") from None


def careless() -> ssl.SSLContext:
    """What takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def seen(server: Server) -> str:
    """The fingerprint of the certificate that a server shows.

    Raises:
        Unreachable: it is gone.
    """
    try:
        return shown(server)
    except OSError as error:
        raise Unreachable(server.url, reason(error)) from None


def verdict(error: ssl.SSLCertVerificationError) -> str:
    """Why a certificate is not trusted."""
    return (error.verify_message or str(error)).rstrip(".").lower()


def fingerprint(certificate: bytes) -> str:
    """The SHA-256 fingerprint of a certificate."""
    return hashlib.sha256(certificate).hexdigest()


def _certificate(line: ssl.SSLSocket) -> bytes:
    return line.getpeercert(binary_form=True) or b""
