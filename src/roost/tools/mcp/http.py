"""A tool server behind an address: streamable HTTP, the older SSE, or either over a local socket."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from roost.core.errors import ToolsetFailed
from roost.tools.mcp.entry import Remote
from roost.tools.mcp.frames import LONGEST
from roost.wire import tls

if TYPE_CHECKING:
    import httpx2
    from mcp.client._transport import TransportStreams

CONNECT = 30.0  # seconds until a line stands, and for what is sent on it
SESSION = "mcp-session-id"
PATH = "/mcp"  # where a server behind a socket is, if its address does not say


class Seen:
    """What the answers of a server have shown that its messages do not."""

    def __init__(self) -> None:
        self.status = 0  # of the newest refusal
        self.challenge = ""  # why a login is needed: `WWW-Authenticate`
        self.refused = False  # a login is needed
        self.lost = False  # the server knows our session no more
        self.retry_after = 0.0

    async def note(self, response: "httpx2.Response") -> None:
        """Look at an answer, and bound what is read of it."""
        if response.status_code < 400:
            self.refused = False
        else:
            self.status = response.status_code
            self.retry_after = _seconds(response.headers.get("retry-after", ""))
        if response.status_code == 401:
            self.refused, self.challenge = True, response.headers.get("www-authenticate", "")
        if response.status_code in (400, 404) and SESSION in response.request.headers:
            self.lost = True
        if "text/event-stream" not in response.headers.get("content-type", ""):
            response.stream = bounded(response.stream)


def _seconds(text: str) -> float:
    return min(float(text), 3600.0) if text.isdigit() else 0.0


def bounded(stream: Any, longest: int = LONGEST) -> Any:
    """A body that breaks off where it is too long."""
    import httpx2

    class Bounded(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            size = 0
            async for chunk in stream:
                size += len(chunk)
                if size > longest:
                    raise httpx2.StreamError(f"the answer is longer than {longest >> 20} MiB")
                yield chunk

        async def aclose(self) -> None:
            await stream.aclose()

    return Bounded()


def client(remote: Remote, seen: Seen, auth: "httpx2.Auth | None") -> "httpx2.AsyncClient":
    """What the requests to a server are sent with.  It waits for answers as long as whoever asked does."""
    import httpx2

    socket = _socket(remote.url)[0]
    return httpx2.AsyncClient(
        verify=tls.trusted(),
        headers=remote.headers,
        auth=auth,
        timeout=httpx2.Timeout(CONNECT, read=None),
        transport=httpx2.AsyncHTTPTransport(verify=tls.trusted(), uds=socket) if socket else None,
        event_hooks={"response": [seen.note]},
    )


def _socket(url: str) -> tuple[str, str]:
    """The path of the socket, and the address as HTTP has it; `unix:///run/x.sock:/path` names a path, too."""
    if urlsplit(url).scheme != "unix":
        return "", url
    socket, _, path = url.removeprefix("unix://").partition(":")
    if not socket.startswith("/"):
        raise ToolsetFailed(f"remote.url: the path of a socket must be absolute, as in unix:///run/x.sock, not {url!r}")
    return socket, f"http://localhost{path or PATH}"


@asynccontextmanager
async def streamable(
    remote: Remote, seen: Seen, auth: "httpx2.Auth | None"
) -> AsyncGenerator["TransportStreams", None]:
    """A server's messages, both ways, by streamable HTTP."""
    from mcp.client.streamable_http import streamable_http_client

    async with client(remote, seen, auth) as http:
        url = _socket(remote.url)[1]
        async with streamable_http_client(url, http_client=http, max_sse_event_size=LONGEST) as streams:
            yield streams


@asynccontextmanager
async def sse(remote: Remote, seen: Seen, login: "httpx2.Auth | None") -> AsyncGenerator["TransportStreams", None]:
    """The same, as servers had it before: one stream of events, and requests beside it."""
    from mcp.client.sse import sse_client

    def made(headers: Any = None, timeout: Any = None, auth: Any = None) -> "httpx2.AsyncClient":
        return client(remote, seen, login)

    async with sse_client(_socket(remote.url)[1], httpx_client_factory=made) as streams:
        yield streams
