"""Whom clients trust: the certificates of this machine, read once for all of them, and not before they are needed."""

import os
import ssl
from collections.abc import Iterable
from functools import cache
from typing import Any


class Trust(ssl.SSLContext):
    """Reads the certificates when the first server shows its own: a start does without.

    anyio asks contexts that are not the standard one in a thread, so that nobody waits for the reading.
    """

    places: tuple[str, str] = ("", "")  # a file and a folder that stand for those of the machine
    _protocols: Iterable[str] = ()

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Kept for whoever does the work."""
        self._protocols = alpn_protocols

    def wrap_bio(self, *args: Any, **more: Any) -> ssl.SSLObject:
        """A line over memory, to a server that has to be among the trusted."""
        return self._real().wrap_bio(*args, **more)

    def wrap_socket(self, *args: Any, **more: Any) -> ssl.SSLSocket:
        """The same over a socket."""
        return self._real().wrap_socket(*args, **more)

    def _real(self) -> ssl.SSLContext:
        context = _read(*self.places)
        context.set_alpn_protocols(self._protocols)
        return context


def trusted(*, env: bool = True) -> ssl.SSLContext:
    """What clients hold certificates against; `env` heeds `SSL_CERT_FILE` and `SSL_CERT_DIR`.

    All who ask share it, since reading hundreds of certificates takes longer than most requests.
    """
    return _trust(*(os.environ.get(name, "") if env else "" for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")))


@cache
def _trust(file: str, folder: str) -> Trust:
    trust = Trust(ssl.PROTOCOL_TLS_CLIENT)
    trust.places = (file, folder)
    return trust


@cache
def _read(file: str, folder: str) -> ssl.SSLContext:
    if file or folder:  # the file is the one that counts, as for other programs
        return ssl.create_default_context(cafile=file or None, capath=None if file else folder)
    import httpx2

    return httpx2.create_ssl_context(trust_env=False)
