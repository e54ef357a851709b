"""The one HTTP client of all providers: patience with the silent, and every failure one error."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import anyio
import httpx2
from msgspec import Struct

from roost.core.errors import ModelFailed
from roost.patience import Patience
from roost.providers import failures
from roost.wire import eventstream, sse, tls
from roost.wire.lines import TooLong

_ERROR_BODY = 64 * 1024  # bytes of an error's body that we read
_DRAIN = 0.25  # seconds that an answer which is complete has to close itself, so that its line can serve again


class Timeouts(Struct, frozen=True):
    """Seconds: until a line stands, until a request's first byte, and between any two.

    Only the provider's silence counts, never the time in which nobody asked for more.
    """

    connect: float = 10.0
    first_byte: float = 120.0
    idle: float = 120.0


PATIENCE = Timeouts()


class Http:
    """Posts requests and yields the events of their answers.  Made by `open_http`."""

    def __init__(self, client: httpx2.AsyncClient, timeouts: Timeouts) -> None:
        self._client = client
        self.timeouts = timeouts

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, *, secrets: Sequence[str] = ()) -> bytes:
        """A small request whose answer is read whole.

        Raises:
            ModelFailed: it came to nothing.
        """
        return await self._ask("POST", url, headers, body, secrets)

    async def get(self, url: str, headers: Mapping[str, str]) -> bytes:
        """The same without a body."""
        return await self._ask("GET", url, headers, b"", ())

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]
    ) -> bytes:
        response = await self._send(url, headers, body, secrets, self.timeouts, method=method)
        try:
            return await _whole(response, self.timeouts)
        except TooLong as error:
            raise ModelFailed("the answer is too large", kind="client") from error
        finally:
            await _close(response)

    async def events(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        secrets: Sequence[str] = (),
        timeouts: Timeouts | None = None,
    ) -> AsyncGenerator[sse.Event, None]:
        """Post, and yield the events of the stream; an answer in plain JSON is one event.

        Closing this generator closes the line.  `timeouts` are for this request alone.

        Raises:
            ModelFailed: the provider refused, was silent for too long, or the line was cut.
        """
        timeouts = timeouts or self.timeouts
        started = anyio.current_time()
        response = await self._send(url, headers, body, secrets, timeouts)
        try:
            kind = response.headers.get("content-type", "")
            if kind.startswith("application/json"):
                yield sse.Event(await _whole(response, timeouts))
                return
            left = max(timeouts.first_byte - (anyio.current_time() - started), 0.001)
            binary = kind.startswith(eventstream.KIND)
            parser, chunks = eventstream.Parser() if binary else sse.Parser(), _body(response)
            with Patience() as patience:
                while (chunk := await _next(chunks, patience, left)) is not None:
                    for event in parser.feed(chunk):
                        yield event
                    left = timeouts.idle
            for event in () if binary else parser.feed(b"\n\n"):  # a last event without its blank line
                yield event
        except eventstream.Damaged as error:
            raise failures.cut(f"the provider's stream can't be read: {error}") from error
        except TooLong as error:
            raise ModelFailed("the provider sent an event that is too large", kind="client") from error
        finally:
            await _close(response)

    async def _send(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        secrets: Sequence[str],
        timeouts: Timeouts,
        *,
        method: str = "POST",
    ) -> httpx2.Response:
        wait = httpx2.Timeout(None, connect=timeouts.connect)
        try:
            request = self._client.build_request(method, url, headers=dict(headers), content=body, timeout=wait)
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
            raise ModelFailed(f"this is no address of a provider: {url!r}", kind="client") from error
        response: httpx2.Response | None = None
        with anyio.move_on_after(timeouts.first_byte) as scope:
            response = await self._attempt(request, timeouts)
        if response is None or scope.cancelled_caught:
            raise failures.cut(_silent(request.url.host, timeouts.first_byte))
        if response.is_success:
            return response
        try:
            start = await _start(response, timeouts)
            raise failures.refused(response.status_code, response.headers, start, secrets=secrets)
        finally:
            await _close(response)

    async def _attempt(self, request: httpx2.Request, timeouts: Timeouts) -> httpx2.Response:
        host = request.url.host
        try:
            try:
                return await self._client.send(request, stream=True)
            except (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError):
                # A line that had served before, closed at the other end just as we took it again.
                return await self._client.send(request, stream=True)
        except httpx2.ConnectTimeout as error:
            raise failures.cut(f"no connection to {host} within {timeouts.connect:g} s") from error
        except httpx2.ConnectError as error:
            raise failures.cut(f"no connection to {host}: {_reason(error)}") from error
        except (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError) as error:
            raise ModelFailed(f"a request to {host} can't be made: {_reason(error)}", kind="client") from error
        except httpx2.HTTPError as error:
            raise failures.cut(f"{host} closed the connection without an answer: {_reason(error)}") from error


@asynccontextmanager
async def open_http(
    transport: httpx2.AsyncBaseTransport | None = None, timeouts: Timeouts = PATIENCE, *, loopback: bool = False
) -> AsyncIterator[Http]:
    """A client for as long as the block is open.  `transport` replaces the network.

    With `loopback` no proxy is asked, and no certificates are read.
    """
    client = httpx2.AsyncClient(
        transport=transport,
        timeout=None,
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=50, keepalive_expiry=30.0),
        headers={"user-agent": "roost", "accept-encoding": "identity"},
        trust_env=not loopback,
        verify=False if loopback else tls.trusted(),
    )
    async with client:
        yield Http(client, timeouts)


async def drain(events: AsyncIterator[sse.Event]) -> None:
    """Read an answer that is complete to its end, if that comes at once: then the line can serve again."""
    with anyio.move_on_after(_DRAIN), suppress(ModelFailed):
        async for _ in events:
            pass


async def _start(response: httpx2.Response, timeouts: Timeouts) -> bytes:
    """The beginning of an error's body; what can't be read is left out."""
    body = b""
    with anyio.move_on_after(min(timeouts.idle, 10.0)):
        try:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _ERROR_BODY:
                    break
        except httpx2.HTTPError:
            pass
    return body[:_ERROR_BODY]


async def _whole(response: httpx2.Response, timeouts: Timeouts) -> bytes:
    parts, size, chunks = [], 0, _body(response)
    with Patience() as patience:
        while (chunk := await _next(chunks, patience, timeouts.first_byte)) is not None:
            parts.append(chunk)
            size += len(chunk)
            if size > sse.LIMIT:
                raise TooLong(sse.LIMIT)
    return b"".join(parts)


def _body(response: httpx2.Response) -> AsyncIterator[bytes]:
    """The body as it comes: past httpx2's decoders where nothing is encoded, since they are a third of its cost."""
    plain = response.headers.get("content-encoding", "identity") == "identity"
    if plain and isinstance(response.stream, httpx2.AsyncByteStream):
        return aiter(response.stream)
    return response.aiter_bytes()


async def _next(chunks: AsyncIterator[bytes], patience: Patience, seconds: float) -> bytes | None:
    """The next bytes, or None at a proper end."""
    try:
        return await patience.wait(anext(chunks), seconds)
    except StopAsyncIteration:
        return None
    except TimeoutError:
        raise failures.cut(_silent("the provider", seconds)) from None
    except httpx2.HTTPError as error:
        raise failures.cut() from error


async def _close(response: httpx2.Response) -> None:
    with anyio.move_on_after(5, shield=True):
        await response.aclose()


def _silent(who: str, seconds: float) -> str:
    return f"timeout: {who} sent nothing for {seconds:g} s"


def _reason(error: Exception) -> str:
    return failures.clean(str(error)) or type(error).__name__
