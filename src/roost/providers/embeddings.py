"""Models that turn texts into vectors: one class a wire format."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from roost.core.agents import ModelSpec
from roost.core.errors import ModelFailed
from roost.providers import azure, failures
from roost.providers.dialects import Ready
from roost.providers.http import Http

T = TypeVar("T")
Vectors = Sequence[Sequence[float]]

_LARGE = 100  # texts that Google takes at once


class Line:
    """Where a model is, and how its requests are made ready."""

    def __init__(
        self, http: Http, base_url: str, headers: Mapping[str, str], *, ready: Ready | None = None, secret: str = ""
    ) -> None:
        self._http = http
        self._base = base_url.rstrip("/")
        self._headers = {"content-type": "application/json", "accept": "application/json", **headers}
        self._ready = ready
        self._secret = secret

    async def ask(self, path: str, body: object, take: Callable[[dict[str, Any]], T]) -> T:
        """What `take` makes of the answer.

        Raises:
            ModelFailed: there is none, or none that can be read.
        """
        if self._base.endswith("/v1") and path.startswith("/v1/"):
            path = path.removeprefix("/v1")
        url, encoded, headers = self._base + path, msgspec.json.encode(body), self._headers
        if self._ready is not None:
            headers = await self._ready(url, headers, encoded)
        secrets = [secret for secret in (self._secret,) if secret]
        try:
            answer = await self._http.post(url, headers, encoded, secrets=secrets)
        except ModelFailed as error:
            failures.hide(error, secrets)
            raise
        try:
            return take(msgspec.json.decode(answer))
        except (msgspec.DecodeError, UnicodeDecodeError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise failures.cut(f"the provider sent vectors that can't be read: {error!r}") from error


class OpenAI:
    """`/embeddings`, which many servers have."""

    def __init__(self, spec: ModelSpec, line: Line, path: str = "/embeddings") -> None:
        self._spec = spec
        self._line = line
        self._path = path

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """A vector for each text."""
        if not texts:
            return []
        body: dict[str, Any] = {"model": self._spec.model, "input": list(texts)}
        if "dimensions" in self._spec.options:
            body["dimensions"] = self._spec.options["dimensions"]
        body |= self._spec.options.get("extra_body") or {}

        def take(answer: dict[str, Any]) -> list[list[float]]:
            ordered = sorted(enumerate(answer["data"]), key=lambda item: item[1].get("index", item[0]))
            return [_vector(item["embedding"]) for _, item in ordered]

        return _counted(await self._line.ask(self._path, body, take), texts)


class Google:
    """The Gemini Developer API, by the batch; `vertex` is the path of a project on Vertex AI."""

    def __init__(self, spec: ModelSpec, line: Line, *, vertex: str = "") -> None:
        self._spec = spec
        self._line = line
        self._vertex = vertex
        self._model = quote(spec.model.removeprefix("models/"), safe="-._~@")

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """A vector for each text."""
        out: list[Sequence[float]] = []
        step = 1 if self._vertex else _LARGE  # some models of Vertex AI take one text at a time
        for start in range(0, len(texts), step):
            part = texts[start : start + step]
            out += _counted(await (self._predicted(part) if self._vertex else self._batch(part)), part)
        return out

    async def _batch(self, texts: Sequence[str]) -> list[list[float]]:
        size = self._spec.options.get("dimensions")
        more = {} if size is None else {"outputDimensionality": size}
        name = f"models/{self._spec.model.removeprefix('models/')}"
        requests = [{"model": name, "content": {"parts": [{"text": text}]}, **more} for text in texts]
        path = f"/v1beta/models/{self._model}:batchEmbedContents"
        return await self._line.ask(
            path, {"requests": requests}, lambda answer: [_vector(one["values"]) for one in answer["embeddings"]]
        )

    async def _predicted(self, texts: Sequence[str]) -> list[list[float]]:
        path = f"/v1/{self._vertex}/publishers/google/models/{self._model}:predict"
        body = {"instances": [{"content": text} for text in texts]}
        return await self._line.ask(
            path, body, lambda answer: [_vector(one["embeddings"]["values"]) for one in answer["predictions"]]
        )


class Bedrock:
    """Amazon Bedrock: Titan takes one text at a time, Cohere many."""

    def __init__(self, spec: ModelSpec, line: Line) -> None:
        self._spec = spec
        self._line = line
        self._path = f"/model/{quote(spec.model, safe='')}/invoke"

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """A vector for each text."""
        if "cohere." in self._spec.model:
            return _counted(await self._cohere(texts), texts) if texts else []
        size = self._spec.options.get("dimensions")
        more = {} if size is None else {"dimensions": size}
        return [
            await self._line.ask(self._path, {"inputText": text, **more}, lambda answer: _vector(answer["embedding"]))
            for text in texts
        ]

    async def _cohere(self, texts: Sequence[str]) -> list[list[float]]:
        body = {"texts": list(texts), "input_type": "search_document", "embedding_types": ["float"]}

        def take(answer: dict[str, Any]) -> list[list[float]]:
            found = answer["embeddings"]
            return [_vector(one) for one in (found["float"] if isinstance(found, dict) else found)]

        return await self._line.ask(self._path, body, take)


def azure_path(spec: ModelSpec) -> str:
    """Where Azure has `/embeddings`."""
    return azure.path(spec, "/embeddings", deployed=True)


def _vector(raw: Any) -> list[float]:
    return [float(number) for number in raw]


def _counted(vectors: list[list[float]], texts: Sequence[str]) -> list[list[float]]:
    if len(vectors) != len(texts):
        raise failures.cut(f"the provider sent {len(vectors)} vectors for {len(texts)} texts")
    return vectors
