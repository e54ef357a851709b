"""The wire formats there are, and a model behind HTTP that speaks one of them."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, Protocol

import msgspec

from roost.core.agents import ModelSpec
from roost.core.errors import BadModel, ModelFailed
from roost.core.usage import Price
from roost.ports import Finished, ModelRequest, Piece, Provider
from roost.providers import azure, failures, prices
from roost.providers.anthropic import Messages
from roost.providers.bedrock import Converse
from roost.providers.google import Gemini
from roost.providers.http import Http, Timeouts, drain
from roost.providers.openai import Chat
from roost.providers.parts import Files, load
from roost.providers.responses import Responses
from roost.wire import sse

Ready = Callable[[str, dict[str, str], bytes], Awaitable[dict[str, str]]]
"""Called before each request with its address, headers and body: the headers as they go out, signed or with a token."""


class Answer(Protocol):
    """Reads one answer: fed events, it gives back pieces, and never waits."""

    done: bool

    def feed(self, event: sse.Event) -> list[Piece]:
        """The pieces of one event."""
        ...

    def end(self) -> list[Piece]:
        """The stream has ended: the last pieces, or ModelFailed where it was cut off."""
        ...


class Dialect(Protocol):
    """How a model is asked, without I/O."""

    path: str

    def headers(self, request: ModelRequest, key: str) -> dict[str, str]:
        """The headers of a request."""
        ...

    def body(self, request: ModelRequest, files: Files) -> dict[str, Any]:
        """The body of a request."""
        ...

    def answer(self) -> Answer:
        """A reader for one answer."""
        ...


class Remote:
    """A provider over HTTP.  `base_url` and `key` are where it really goes; `forward` is told to a gateway.

    `speaks` is the dialect, where the spec does not say it all.
    """

    def __init__(
        self,
        spec: ModelSpec,
        http: Http,
        *,
        base_url: str,
        key: str = "",
        forward: str = "",
        speaks: Dialect | None = None,
        ready: Ready | None = None,
    ) -> None:
        self._spec = spec
        self._http = http
        self._key = key
        self._forward = forward
        self._ready = ready
        self._timeouts = timeouts(spec.options, http.timeouts)
        self._dialect = speaks or dialect(spec, genuine=_genuine(forward or base_url))
        self._url = _url(base_url, self._dialect.path)

    @property
    def spec(self) -> ModelSpec:
        """What it was made from."""
        return self._spec

    @property
    def takes_tools(self) -> bool:
        """It does."""
        return True

    @property
    def titles(self) -> bool:
        """It is."""
        return True

    @property
    def context_limit(self) -> int:
        """Tokens of its window."""
        return prices.context_limit(self._spec)

    @property
    def output_limit(self) -> int:
        """Tokens of its longest answer."""
        if isinstance(self._dialect, Messages):
            return self._dialect.most(ModelRequest(()))
        return prices.output_limit(self._spec)

    @property
    def price(self) -> Price | None:
        """What it costs."""
        return prices.price(self._spec)

    def route(self, text: str) -> Provider:
        """Itself."""
        return self

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Piece, None]:
        """Ask, and yield what comes."""
        body = self._dialect.body(request, await load(request.messages))
        headers = self._headers(request)
        asked_again = False
        while True:
            try:
                async with aclosing(self._asked(headers, body)) as pieces:
                    async for piece in pieces:
                        yield piece
                return
            except ModelFailed as error:
                failures.hide(error, self._secrets())
                smaller = self._smaller(body, error)
                if smaller is None or asked_again:
                    raise
                body, asked_again = smaller, True

    async def _asked(self, headers: dict[str, str], body: Mapping[str, Any]) -> AsyncGenerator[Piece, None]:
        answer = self._dialect.answer()
        encoded = msgspec.json.encode(body)
        secrets = self._secrets()
        if self._ready is not None:
            headers = await self._ready(self._url, headers, encoded)
            secrets += headers.get("authorization", "").split()[-1:]
        answered = self._http.events(self._url, headers, encoded, secrets=secrets, timeouts=self._timeouts)
        async with aclosing(answered) as events:
            async for event in events:
                for piece in _fed(answer, event):
                    if isinstance(piece, Finished):
                        await drain(events)
                    yield piece
                if answer.done:
                    return
            for piece in answer.end():
                yield piece

    def _headers(self, request: ModelRequest) -> dict[str, str]:
        key = "" if self._forward else self._key
        headers = {"content-type": "application/json", "accept": "text/event-stream"}
        headers |= self._dialect.headers(request, key)
        if self._forward:
            headers |= {"authorization": f"Bearer {self._key}", "x-cagent-forward": self._forward}
        extra = {**self._spec.headers, **(self._spec.options.get("http_headers") or {})}
        return headers | {name.lower(): str(value) for name, value in extra.items()}

    def _secrets(self) -> list[str]:
        extra = {**self._spec.headers, **(self._spec.options.get("http_headers") or {})}
        words = [word for value in extra.values() for word in (str(value), *str(value).split()[-1:])]
        return [secret for secret in (self._key, *words) if secret]

    def _smaller(self, body: Mapping[str, Any], error: ModelFailed) -> dict[str, Any] | None:
        return self._dialect.again(body, error) if isinstance(self._dialect, Messages) else None


def _fed(answer: Answer, event: sse.Event) -> list[Piece]:
    """The pieces of one event, whatever shape the provider gave it."""
    try:
        return answer.feed(event)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise failures.cut(f"the provider sent an event that can't be read: {error!r}") from error


def dialect(spec: ModelSpec, *, genuine: bool = False) -> Dialect:
    """The dialect that a spec names.

    Raises:
        BadModel: it is none of ours.
    """
    match spec.dialect:
        case "anthropic":
            return Messages(spec)
        case "openai-responses":
            return Responses(spec, genuine=genuine)
        case "openai-chat":
            return Chat(spec, genuine=genuine)
        case "google":
            return Gemini(spec)
        case "bedrock":
            return Converse(spec)
        case "azure":
            return azure.dialect(spec)
        case unknown:
            raise BadModel(f"model {spec.name!r}: nothing here speaks the dialect {unknown!r}")


def timeouts(options: Mapping[str, Any], usual: Timeouts) -> Timeouts:
    """The usual ones, save those that a model's `provider_opts` name: `idle_timeout` and its like."""
    given = {name: options.get(f"{name}_timeout") for name in Timeouts.__struct_fields__}
    return msgspec.structs.replace(usual, **{name: seconds for name, seconds in given.items() if seconds is not None})


def _genuine(base_url: str) -> bool:
    return base_url.startswith("https://api.openai.com/")


def _url(base_url: str, path: str) -> str:
    base = base_url.rstrip("/")
    if base.endswith("/v1") and path.startswith("/v1/"):
        path = path.removeprefix("/v1")
    return base + path
