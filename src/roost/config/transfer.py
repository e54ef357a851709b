"""One whole answer over HTTP, bounded in size, time and redirects."""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from roost import __version__
from roost.core.errors import AgentUnreachable
from roost.wire import tls

if TYPE_CHECKING:
    import httpx2

CONNECT: Final = 5.0  # seconds until a line stands
SILENCE: Final = 10.0  # seconds without a byte
REDIRECTS: Final = 5
OK: Final = 200

Authorize = Callable[["httpx2.URL"], Mapping[str, str]]
"""The headers with secrets that an address gets; it is asked anew for each redirect."""


Told = Callable[[int], None]
"""Hears how many bytes have come."""


class Reply(Struct, frozen=True):
    """An answer; the names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def told(self) -> str:
        """What it says, for an error's sentence: the status, and the first words of the body."""
        words = " ".join(re.findall(r"[\w.,:'/-]+", self.body[:1000].decode("utf-8", "replace")))
        return f"HTTP {self.status}" + (f" ({words[:200]})" if words else "")


@asynccontextmanager
async def open_client(*, near: bool) -> AsyncIterator["httpx2.AsyncClient"]:
    """A client for a few requests; one for this machine asks no proxy."""
    import httpx2  # what is served from local files alone does without

    async with httpx2.AsyncClient(
        timeout=httpx2.Timeout(SILENCE, connect=CONNECT),
        headers={"user-agent": f"roost/{__version__}", "accept-encoding": "identity"},
        follow_redirects=False,
        trust_env=not near,
        verify=tls.trusted(env=not near),
    ) as client:
        yield client


def _nothing(_: "httpx2.URL") -> Mapping[str, str]:
    return {}


def unheard(_: int) -> None:
    """Nobody counts."""


async def ask(
    client: "httpx2.AsyncClient",
    method: str,
    url: str,
    *,
    most: int,
    headers: Mapping[str, str] | None = None,
    authorize: Authorize = _nothing,
    body: bytes = b"",
    told: Told = unheard,
) -> Reply:
    """Send a request, and read the answer whole; redirects of GET and HEAD are followed, from https to https alone.

    `told` hears of each piece of a good answer.

    Raises:
        AgentUnreachable: no answer, too many redirects, or more than `most` bytes.
    """
    import httpx2

    try:
        at = httpx2.URL(url)
        for _ in range(REDIRECTS + 1):
            reply = await _once(client, method, at, {**(headers or {}), **authorize(at)}, body, most, told)
            goes_on = method in ("GET", "HEAD") and reply.status in (301, 302, 303, 307, 308)
            if not goes_on or not reply.headers.get("location"):
                return reply
            at = leads(at, reply.headers["location"])
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, UnicodeError) as error:
        raise AgentUnreachable(f"this is no address: {url[:200]!r}") from error
    except httpx2.TimeoutException as error:
        raise AgentUnreachable(f"{_who(at)} does not answer") from error
    except httpx2.HTTPError as error:
        raise AgentUnreachable(f"{_who(at)} can't be reached: {error or type(error).__name__}") from error
    raise AgentUnreachable(f"{url[:200]} leads from one address to the next, more than {REDIRECTS} times")


def _who(url: "httpx2.URL") -> str:
    return url.netloc.decode("ascii", "replace")


def leads(at: "httpx2.URL", location: str) -> "httpx2.URL":
    """Where a redirect leads.

    Raises:
        AgentUnreachable: it is not followed.
    """
    there = at.join(location)
    if there.scheme != "https" and at.scheme == "https":
        raise AgentUnreachable(f"{at.host} redirects to an address without TLS, which is not followed")
    if there.scheme not in ("http", "https"):
        raise AgentUnreachable(f"{at.host} redirects to an address that is not http(s)")
    return there


async def _once(
    client: "httpx2.AsyncClient",
    method: str,
    url: "httpx2.URL",
    headers: Mapping[str, str],
    body: bytes,
    most: int,
    told: Told,
) -> Reply:
    async with client.stream(method, url, headers=dict(headers), content=body or None) as response:
        coding = response.headers.get("content-encoding", "identity")
        if coding != "identity" and method != "HEAD":
            raise AgentUnreachable(f"{url.host} sent a compressed answer ({coding[:20]}), though asked not to")
        parts, size = [], 0
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if size > most:
                raise AgentUnreachable(f"{url.host} sent more than {most} bytes")
            parts.append(chunk)
            if response.status_code == OK:
                told(len(chunk))
        return Reply(response.status_code, {k.lower(): v for k, v in response.headers.items()}, b"".join(parts))
