"""Requests that a server leads us to: to its own origin, or to public addresses, and bounded."""

import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio

from roost.addresses import public
from roost.tools.mcp.http import bounded
from roost.wire import tls

if TYPE_CHECKING:
    import httpx2

PATIENCE = 15.0  # seconds
LONGEST = 1024 * 1024  # bytes of an answer


class Forbidden(Exception):
    """An address that a server must not lead us to."""


class Guarded:
    """Opens connections as `inner` does: to the address that was looked at, never by name."""

    def __init__(self, inner: Any, *, trusted: tuple[str, int], private: bool) -> None:
        self._inner = inner
        self._trusted = trusted
        self._private = private

    async def connect_tcp(self, host: str, port: int, **told: Any) -> Any:
        """Connect, if that may be."""
        if self._private or (host, port) == self._trusted:
            return await self._inner.connect_tcp(host, port, **told)
        try:
            found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise Forbidden(f"{host} can't be found: {error}") from None
        addresses = [str(entry[4][0]) for entry in found]
        if not addresses or not all(public(ipaddress.ip_address(address.partition("%")[0])) for address in addresses):
            raise Forbidden(
                f"{host} is a private address, and the server is not to lead there (allow_private_ips allows it)"
            )
        return await self._inner.connect_tcp(addresses[0], port, **told)

    async def connect_unix_socket(self, path: str, **told: Any) -> Any:
        """Never."""
        raise Forbidden(f"no server may lead to the socket {path}")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._inner.sleep(seconds)


@asynccontextmanager
async def requests(origin: str, *, private: bool) -> AsyncIterator["httpx2.AsyncClient"]:
    """A client for what a server at `origin` leads us to.  It follows no redirect."""
    import httpx2

    parts = urlsplit(origin)
    trusted = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))

    async def bound(response: "httpx2.Response") -> None:
        response.stream = bounded(response.stream, LONGEST)

    transport = httpx2.AsyncHTTPTransport(verify=tls.trusted(env=False), trust_env=False)
    pool: Any = transport._pool  # it takes no other way to connect as an argument
    pool._network_backend = Guarded(pool._network_backend, trusted=trusted, private=private)
    async with httpx2.AsyncClient(
        transport=transport, timeout=PATIENCE, event_hooks={"response": [bound]}, follow_redirects=False
    ) as client:
        yield client
