"""The HTTP requests of tools: to addresses that may be reached, bounded in time and in size."""

import re
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urljoin

import anyio
import httpx2
from msgspec import Struct

from roost.core.agents import ToolsetSpec
from roost.ports import Place
from roost.tools.house import House
from roost.tools.reach import NOWHERE, Reach, domains, normal
from roost.tools.tool import Refused
from roost.tools.veil import Veil
from roost.wire import tls

MOST = 1024 * 1024  # bytes of a body that are read
PATIENCE = 30.0  # seconds from the first look-up to the last byte
HOPS = 10
AGENT = "roost"
_CONNECT = 10.0  # seconds until a line to one address stands
_LOOK = re.compile(rb"""charset=["']?([\w.:-]+)""", re.IGNORECASE)

Hop = Callable[[str], Awaitable[None]]
"""Called with each address before it is asked; what it raises ends the request."""


class Request(Struct, frozen=True):
    """What is asked."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Reply(Struct, frozen=True):
    """What came back; `cut` says that the body is longer than what was read of it."""

    url: str  # after redirects
    status: int
    reason: str
    type: str
    body: bytes
    cut: bool = False

    @property
    def good(self) -> bool:
        """Whether the status says so."""
        return 200 <= self.status < 400

    @property
    def words(self) -> str:
        """The status as people read it."""
        return f"{self.status} {self.reason}".strip()

    def text(self) -> str:
        """The body as text, by the encoding that it names."""
        found = _LOOK.search(self.type.encode()) or _LOOK.search(self.body[:1024])
        try:
            return self.body.decode(found[1].decode() if found else "utf-8-sig", errors="replace")
        except (LookupError, UnicodeError):
            return self.body.decode("utf-8-sig", errors="replace")


class Web:
    """Asks over HTTP.  `headers` go with each request, and to no other host that it is redirected to."""

    def __init__(
        self,
        reach: Reach,
        env: Mapping[str, str],
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = PATIENCE,
    ) -> None:
        self._reach = reach
        self._env = env
        self.headers = {"user-agent": AGENT, **{n.lower(): v for n, v in (headers or {}).items()}}
        self.timeout = timeout

    async def ask(
        self, request: Request, *, timeout: float | None = None, most: int = MOST, hop: Hop | None = None
    ) -> Reply:
        """Ask, follow redirects, and read what comes.

        Raises:
            Refused: it can't be asked, may not be, or does not answer in time.  The message names the host alone.
        """
        seconds = timeout or self.timeout
        try:
            with anyio.fail_after(seconds):
                return await self._followed(request, most, hop)
        except TimeoutError:
            raise Refused(f"no complete answer within {seconds:g} s") from None
        except httpx2.HTTPError as error:
            raise Refused(_worded(error)) from None
        except (httpx2.InvalidURL, UnicodeError, ValueError):
            raise Refused("the request can't be made: its address or a header is malformed") from None

    @asynccontextmanager
    async def opened(self, request: Request) -> AsyncIterator[httpx2.Response]:
        """The answer while it comes, in no time and of no size but the caller's; redirects are not followed.

        Raises:
            Refused: see `ask`; also where reading fails inside of the block.
        """
        try:
            async with self._sent(request, _address(request.url), own=True) as response:
                yield response
        except httpx2.HTTPError as error:
            raise Refused(_worded(error)) from None
        except (httpx2.InvalidURL, UnicodeError):
            raise Refused("the request can't be made: its address or a header is malformed") from None

    async def _followed(self, request: Request, most: int, hop: Hop | None) -> Reply:
        own = True
        for _ in range(HOPS + 1):
            url = _address(request.url)
            if hop is not None:
                await hop(str(url))
            async with self._sent(request, url, own=own) as response:
                target = response.headers.get("location")
                if response.status_code not in (301, 302, 303, 307, 308) or not target:
                    return await _reply(response, str(url), most)
            there = _address(urljoin(str(url), target))
            own = own and _same(url, there)
            request = _redirected(request, str(there), response.status_code, own=own)
        raise Refused(f"more than {HOPS} redirects")

    @asynccontextmanager
    async def _sent(self, request: Request, url: httpx2.URL, *, own: bool) -> AsyncIterator[httpx2.Response]:
        host, port = normal(url.raw_host.decode()), url.port or (443 if url.scheme == "https" else 80)
        self._reach.host(host, port)
        headers = {**(self.headers if own else {"user-agent": AGENT}), **request.headers}
        headers |= {"host": url.netloc.decode(), "accept-encoding": "gzip", "connection": "close"}
        if (proxy := self._proxy(url.scheme, host)) and self._reach.by_name:
            made = httpx2.Request(request.method, url, headers=headers, content=request.body or None)
            transport = httpx2.AsyncHTTPTransport(verify=tls.trusted(), trust_env=False, proxy=proxy)
            async with transport, _answered(transport, [made]) as response:
                yield response
            return
        requests = [
            _to(request, url, address, headers=headers, host=host) for address in await self._addresses(host, port)
        ]
        transport = httpx2.AsyncHTTPTransport(verify=tls.trusted(), trust_env=False)
        async with transport, _answered(transport, requests) as response:
            yield response

    async def _addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host, each permitted: one that is not condemns them all."""
        try:
            found = await resolve(host, port)
        except OSError:
            found = []
        if not found:
            raise Refused(f"no address is known for {host}")
        for address in found:
            self._reach.address(host, address)
        return found

    def _proxy(self, scheme: str, host: str) -> str:
        """The proxy that the environment names for a host, or ""."""
        named = [f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY"]
        proxy = next((self._env[name] for name in named if self._env.get(name)), "")
        past = (self._env.get("no_proxy") or self._env.get("NO_PROXY") or "").replace(" ", "").lower().split(",")
        return "" if "*" in past or any(_within(host, each) for each in past if each) else proxy


def _within(host: str, domain: str) -> bool:
    return host == domain.lstrip(".") or host.endswith("." + domain.lstrip("."))


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, in the order in which they are to be tried."""
    found = await anyio.getaddrinfo(host, port, proto=6)
    return list(dict.fromkeys(str(place[0]) for *_, place in found))


def segment(text: str) -> str:
    """Text as a part of an address: it can't end that part, or lead out of it."""
    return quote(text, safe="") if text.strip(".") else text.replace(".", "%2E")


def web(spec: ToolsetSpec, place: Place, house: House, veil: Veil, more: Mapping[str, Any] | None = None) -> Web:
    """The requests of one toolset, as its entry (and `more` of it) wants them."""
    options = {**spec.options, **(more or {})}
    return Web(
        Reach(
            private=bool(options.get("allow_private_ips")),
            allowed=domains(options.get("allowed_domains") or (), "allowed_domains") or NOWHERE,
            blocked=domains(options.get("blocked_domains") or (), "blocked_domains") or NOWHERE,
            endpoints=house.endpoints if place.confined else None,
        ),
        house.env,
        headers=veil.headers(options.get("headers") or {}),
        timeout=float(options.get("timeout") or PATIENCE),
    )


def _address(text: str) -> httpx2.URL:
    url = httpx2.URL(text.strip())
    if url.scheme not in ("http", "https") or not url.host:
        raise Refused("only http:// and https:// addresses can be asked")
    return url


def _same(here: httpx2.URL, there: httpx2.URL) -> bool:
    """Whether what is meant for one address may be sent to the other: the same server, or its encrypted door."""

    def origin(url: httpx2.URL) -> tuple[str, str, int]:
        return url.scheme, normal(url.raw_host.decode()), url.port or (443 if url.scheme == "https" else 80)

    first, second = origin(here), origin(there)
    return first == second or (first[0::2], second[0::2], first[1]) == (("http", 80), ("https", 443), second[1])


def _redirected(request: Request, url: str, status: int, *, own: bool) -> Request:
    headers = dict(request.headers) if own else {}
    if status == 303 or (status in (301, 302) and request.method == "POST"):
        headers.pop("content-type", None)
        return Request(url, "HEAD" if request.method == "HEAD" else "GET", headers)
    if not own and request.body:
        raise Refused("the server passes a request with a body on to another host, which is not followed")
    return Request(url, request.method, headers, request.body)


def _to(request: Request, url: httpx2.URL, address: str, *, headers: Mapping[str, str], host: str) -> httpx2.Request:
    """The request to this very address, so that nobody looks up another one."""
    there = url.copy_with(host=address, username=None, password=None)
    login = httpx2.BasicAuth(url.username, url.password) if url.userinfo else None
    made = httpx2.Request(
        request.method, there, headers=dict(headers), content=request.body or None, extensions={"sni_hostname": host}
    )
    return next(login.sync_auth_flow(made)) if login else made


@asynccontextmanager
async def _answered(
    transport: httpx2.AsyncHTTPTransport, requests: list[httpx2.Request]
) -> AsyncIterator[httpx2.Response]:
    """The answer of the first that a line can be had to."""
    response = await _first(transport, requests)
    try:
        yield response
    finally:
        with anyio.move_on_after(1, shield=True):
            await response.aclose()


async def _first(transport: httpx2.AsyncHTTPTransport, requests: list[httpx2.Request]) -> httpx2.Response:
    for request in requests:
        request.extensions = {**request.extensions, "timeout": {"connect": _CONNECT}}
        try:
            return await transport.handle_async_request(request)
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            if request is requests[-1]:
                raise
    raise AssertionError("there is at least one")


async def _reply(response: httpx2.Response, url: str, most: int) -> Reply:
    body, cut = await _body(response, most)
    kind = response.headers.get("content-type", "")
    return Reply(url, response.status_code, response.reason_phrase, kind, body, cut)


async def _body(response: httpx2.Response, most: int) -> tuple[bytes, bool]:
    """The first bytes of a body; a compressed one is unpacked no further than that."""
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "", "gzip", "x-gzip", "deflate"):
        raise Refused(f"the answer is compressed in a way that was not asked for ({encoding[:40]})")
    unpack = None if encoding in ("identity", "") else zlib.decompressobj(wbits=47)
    body = bytearray()
    async for chunk in response.stream:
        try:
            body += chunk if unpack is None else unpack.decompress(chunk, most + 1 - len(body))
        except zlib.error:
            raise Refused("the answer is compressed, and broken") from None
        if len(body) > most:
            return bytes(body[:most]), True
    return bytes(body), False


def _worded(error: httpx2.HTTPError) -> str:
    match error:
        case httpx2.ConnectTimeout():
            return f"no connection within {_CONNECT:g} s"
        case httpx2.ConnectError():
            return f"no connection: {str(error)[:200] or 'refused'}"
        case httpx2.RemoteProtocolError():
            return "the server's answer is no HTTP, or was cut off"
        case httpx2.LocalProtocolError():
            return "the request can't be made: a header is malformed"
    return f"the connection broke: {type(error).__name__}"
