"""An HTTP transport around a transport: record what providers say, replay it without them.

The file is YAML in go-vcr's fourth form (version 2).  It holds no headers, and so no keys.  What is no
text (the binary streams of AWS) stands there as base64, in YAML's own way (`!!binary`).
"""

import logging
import os
import re
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import anyio
import anyio.to_thread
import httpx2
import msgspec
import yaml

from roost.core.errors import BadValue, ModelFailed
from roost.wire import eventstream, tls

log = logging.getLogger(__name__)

Talk = tuple[tuple[str, str], ...]  # who said what

_CALL_ID = re.compile(r"call_[a-z0-9-]+")
_LIMIT = re.compile(r'"(?:max_tokens|max_completion_tokens|max_output_tokens|maxOutputTokens)":\s*\d+\s*,?')
_THINKING = re.compile(r'"thinkingConfig":\s*\{[^{}]*\}\s*,?')
_FRESH = re.compile(
    r"(?<![0-9a-f])(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?=[0-9a-f]*\d)[0-9a-f]{16,})(?![0-9a-f])"
    r"|\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?|\b\d{10,}\b"
)
"""Ids and times."""


def path_of(name: str | Path) -> Path:
    """A cassette's file, named with or without `.yaml`."""
    path = Path(name)
    return path if path.suffix in (".yaml", ".yml") else path.with_name(path.name + ".yaml")


class _Tape(httpx2.AsyncByteStream):
    """A response's bytes, noted down as they pass."""

    def __init__(self, stream: httpx2.AsyncByteStream, take: "_Take") -> None:
        self._stream = stream
        self._take = take

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._take.body.extend(chunk)
            yield chunk

    async def aclose(self) -> None:
        self._take.seconds = time.monotonic() - self._take.started
        await self._stream.aclose()


class _Take:
    """One request and what came back, still being recorded."""

    def __init__(self, request: httpx2.Request, response: httpx2.Response, started: float) -> None:
        self.request = request
        self.response = response
        self.body = bytearray()
        self.started = started
        self.seconds = time.monotonic() - started

    def interaction(self, number: int) -> dict[str, Any]:
        """As it stands in the file."""
        code = self.response.status_code
        proto, major, minor = _protocol(self.response)
        return {
            "id": number,
            "request": {
                "proto": "HTTP/1.1",
                "proto_major": 1,
                "proto_minor": 1,
                "content_length": len(self.request.content),
                "host": _url(self.request).host,
                "body": self.request.content.decode("utf-8", "replace"),
                "url": str(_url(self.request)),
                "method": self.request.method,
            },
            "response": {
                "proto": proto,
                "proto_major": major,
                "proto_minor": minor,
                "content_length": -1,
                "body": _told(self.body, self.response.headers.get("content-type", "")),
                "headers": {},
                "status": f"{code} {_phrase(code)}".strip(),
                "code": code,
                "duration": f"{self.seconds:.6f}s",
            },
        }


class Recorder(httpx2.AsyncBaseTransport):
    """Passes requests on, and keeps them with their answers; streams pass through while they are recorded.

    The file is written when it is closed, whole or not at all.
    """

    def __init__(self, path: str | Path, inner: httpx2.AsyncBaseTransport | None = None) -> None:
        self.path = path_of(path)
        self._inner = inner or httpx2.AsyncHTTPTransport(
            verify=tls.trusted(), limits=httpx2.Limits(max_connections=None)
        )
        self._takes: list[_Take] = []
        self._closed = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Pass it on."""
        await request.aread()
        request.headers["accept-encoding"] = "identity"  # what is kept is text
        started = time.monotonic()
        response = await self._inner.handle_async_request(request)
        take = _Take(request, response, started)
        self._takes.append(take)
        if response.headers.get("content-encoding", "identity") != "identity":
            take.body.extend(await response.aread())
            return httpx2.Response(response.status_code, headers=_plain(response.headers), content=bytes(take.body))
        stream = response.stream
        assert isinstance(stream, httpx2.AsyncByteStream)
        taped = _Tape(stream, take)
        return httpx2.Response(
            response.status_code, headers=response.headers, stream=taped, extensions=response.extensions
        )

    async def aclose(self) -> None:
        """Write the file.  A second time does nothing."""
        if self._closed:
            return
        self._closed = True
        with anyio.CancelScope(shield=True):
            await self._inner.aclose()
            interactions = [take.interaction(number) for number, take in enumerate(self._takes)]
            await anyio.to_thread.run_sync(_write, self.path, interactions)

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class _Kept(msgspec.Struct):
    """One interaction to be replayed."""

    method: str
    url: str
    body: str  # normalised
    talk: Talk
    code: int
    answer: bytes
    used: bool = False


class Player(httpx2.AsyncBaseTransport):
    """Answers from a cassette, and never from the network.  Each interaction is used once.

    A request takes the first unused one that matches: by its whole body; else by its address and what
    was said, whatever the system prompt, the tools and the parameters (ids and times in results of tools
    may be others); else by its address alone, with a warning.  `delay` is the pause before each event of
    a stream, in seconds.

    Raises:
        BadValue: the file can't be read.
    """

    def __init__(self, path: str | Path, *, delay: float = 0.0) -> None:
        self.path = path_of(path)
        self._delay = delay
        self._kept = _read(self.path)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer it.

        Raises:
            ModelFailed: nothing on the cassette fits.
        """
        await request.aread()
        body = request.content.decode("utf-8", "replace")
        kept = self._find(request.method, str(_url(request)), body)
        if kept is None:
            raise ModelFailed(
                f"the cassette {self.path.name} has no unused answer for {request.method} {_url(request)}",
                kind="client",
                status=500,
            )
        kept.used = True
        kind = _kind(kept.answer)
        return httpx2.Response(
            kept.code, headers={"content-type": kind}, stream=_Replay(kept.answer, kind, self._delay)
        )

    def _find(self, method: str, url: str, body: str) -> _Kept | None:
        unused = [kept for kept in self._kept if not kept.used and (kept.method, kept.url) == (method, url)]
        plain, talk = normalised(body), conversation(body)
        exact = next((kept for kept in unused if kept.body == plain), None)
        if exact is not None:
            return exact
        said = next((kept for kept in unused if talk and kept.talk == talk), None)
        if said is not None:
            return said
        told = timeless(talk)
        alike = next((kept for kept in unused if talk and timeless(kept.talk) == told), None)
        if alike is not None:
            return alike
        if unused:
            log.warning(
                "the next answer for this address, though the request differs",
                extra={"action": "cassette_guess", "url": url},
            )
            return unused[0]
        return None


class _Replay(httpx2.AsyncByteStream):
    """A recorded body, event by event."""

    def __init__(self, body: bytes, kind: str, delay: float) -> None:
        self._events = _frames(body) if kind == eventstream.KIND else re.split(rb"(?<=\n\n)", body)
        self._delay = delay

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for event in self._events:
            if event:
                await anyio.sleep(self._delay)
                yield event


def _kind(body: bytes) -> str:
    """What a recorded body is, since its headers are not kept."""
    if eventstream.begins(body):
        return eventstream.KIND
    streamed = body.lstrip().startswith((b"data:", b"event:", b":", b"id:"))
    return "text/event-stream" if streamed else "application/json"


def _frames(body: bytes) -> list[bytes]:
    """A binary stream, frame by frame; what is damaged is left for the reader to complain of."""
    frames: list[bytes] = []
    while eventstream.begins(body):
        size = eventstream.prelude(body)[0]
        frames.append(body[:size])
        body = body[size:]
    return [*frames, body]


def _told(body: bytes | bytearray, kind: str) -> str | bytes:
    """A body as it stands in the file: as text, unless it is none."""
    if not kind.startswith(eventstream.KIND):
        return body.decode("utf-8", "replace")
    return bytes(body)


def normalised(body: str) -> str:
    """A body without what differs from run to run: ids of calls, limits, Gemini's thinking settings."""
    return _THINKING.sub("", _LIMIT.sub("", _CALL_ID.sub("call_ID", body)))


def timeless(talk: Talk) -> Talk:
    """A conversation without the ids and times that tools have made up."""
    return tuple((role, _FRESH.sub("…", text)) for role, text in talk)


def conversation(body: str) -> Talk:
    """Who said what: roles and texts, in any of the formats, without the system's."""
    try:
        data = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return ()
    if not isinstance(data, dict):
        return ()
    given = data.get("messages") or data.get("input") or data.get("contents") or ()
    if isinstance(given, str):
        return (("user", given),)
    return tuple(_said(item for item in given if isinstance(item, dict)))


def _said(items: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    for item in items:
        role, kind = str(item.get("role", "")), str(item.get("type", ""))
        if role in ("system", "developer") or kind == "reasoning":
            continue
        if kind.endswith("_output"):
            yield "tool", _text(item.get("output"))
            continue
        content = item.get("content") if "content" in item else item.get("parts")
        blocks = content if isinstance(content, list) else [content]
        results = [b for b in blocks if isinstance(b, dict) and _result(b) is not None]
        for block in results:
            yield "tool", _text(_result(block))
        if rest := [block for block in blocks if block not in results]:
            yield "assistant" if role in ("model", "") else role, _text(rest)


def _result(block: Mapping[str, Any]) -> Any:
    """What a tool returned, where the block is that, in any of the formats."""
    if block.get("type") == "tool_result":
        return block.get("content") or ""
    if isinstance(result := block.get("toolResult"), dict):
        return result.get("content") or ""
    if isinstance(result := block.get("functionResponse"), dict):
        response = result.get("response")
        return "\n".join(map(str, response.values())) if isinstance(response, dict) else str(response)
    return None


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        return "" if content.get("thought") is True else str(content.get("text") or "")
    return "\n".join(text for part in content or () if (text := _text(part)))


def _url(request: httpx2.Request) -> httpx2.URL:
    """Where a request really goes: behind a gateway, what it forwards to; and no key in the address."""
    url = request.url
    if forward := request.headers.get("x-cagent-forward"):
        query = f"?{url.query.decode()}" if url.query else ""
        url = httpx2.URL(forward.rstrip("/") + _tail(url.raw_path.decode().partition("?")[0], forward) + query)
    return url.copy_remove_param("key") if "key" in url.params else url


def _tail(path: str, forward: str) -> str:
    """The path that a dialect adds to its base."""
    ends = ("/v1/messages", "/chat/completions", "/responses", "/embeddings")
    tail = next((end for end in ends if path.endswith(end)), path)
    if "/v1beta/" in tail:
        tail = "/v1beta/" + tail.partition("/v1beta/")[2]
    base = httpx2.URL(forward).path.rstrip("/")
    return tail.removeprefix(base) if base and tail.startswith(base) else tail


def _plain(headers: httpx2.Headers) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in ("content-encoding", "content-length")}


def _phrase(code: int) -> str:
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return ""


def _protocol(response: httpx2.Response) -> tuple[str, int, int]:
    return ("HTTP/2.0", 2, 0) if response.http_version == "HTTP/2" else ("HTTP/1.1", 1, 1)


def _write(path: Path, interactions: list[dict[str, Any]]) -> None:
    data = {"version": 2, "interactions": interactions}
    text = yaml.dump(data, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=10**6)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)  # prompts are private
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("---\n" + text)
    draft.replace(path)


def _read(path: Path) -> list[_Kept]:
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        entries = (data or {}).get("interactions") or []
        return [_entry(entry["request"], entry["response"]) for entry in entries]
    except OSError as error:
        raise BadValue(f"the cassette {path} can't be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadValue(f"{path} is no cassette: {error}") from error


def _entry(request: Mapping[str, Any], response: Mapping[str, Any]) -> _Kept:
    body = str(request.get("body") or "")
    return _Kept(
        str(request.get("method") or "POST"),
        str(request["url"]),
        normalised(body),
        conversation(body),
        int(response.get("code") or 200),
        _bytes(response.get("body") or ""),
    )


def _bytes(body: object) -> bytes:
    return body if isinstance(body, bytes) else str(body).encode()
