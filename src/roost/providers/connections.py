"""From a complete spec to a provider: its address, its key, and what its requests need besides."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from roost.core.agents import ModelSpec
from roost.core.errors import BadModel
from roost.ports import Embedder, Provider
from roost.providers import aws, dmr, embeddings, local, vertex
from roost.providers.dialects import Ready, Remote
from roost.providers.embeddings import Line
from roost.providers.federation import Federation
from roost.providers.google import Gemini
from roost.providers.http import Http
from roost.providers.keys import Keys
from roost.providers.scripted import Scripted


class Connections:
    """Makes providers and embedders."""

    def __init__(
        self,
        env: Mapping[str, str],
        http: Http,
        engine: local.Engine,
        keys: Keys,
        *,
        folder: Path,
        gateway: str = "",
    ) -> None:
        self._env = env
        self._http = http
        self._engine = engine
        self._keys = keys
        self._folder = folder
        self._gateway = gateway

    def open(self, spec: ModelSpec) -> Provider:
        """The provider of a spec.

        Raises:
            BadModel: something is missing; the message says what.
        """
        if spec.dialect == "scripted":
            return Scripted(spec, folder=self._folder)
        if spec.dialect == "local":
            local.check()
            return local.Local(spec, self._engine)
        if not spec.model:
            raise BadModel(f"model {spec.name!r}: it names no model of {spec.provider!r}")
        match spec.dialect:
            case "dmr":
                return dmr.Runner(spec, self._http, self._env, offline=not self._keys.needed)
            case "bedrock":
                key, ready = self._aws(spec)
                return Remote(spec, self._http, base_url=aws.address(spec, self._env), key=key, ready=ready)
            case "google" if self._by_vertex(spec):
                base, where = vertex.address(spec, self._env)
                speaks = Gemini(spec, vertex=where)
                return Remote(spec, self._http, base_url=base, speaks=speaks, ready=self._google())
            case _:
                return self._plain(spec)

    def embedder(self, spec: ModelSpec) -> Embedder:
        """The embedder of a spec.

        Raises:
            BadModel: its provider has none, or something is missing.
        """
        match spec.dialect:
            case "local" | "scripted" | "anthropic":
                raise BadModel(f"model {spec.name!r}: the provider {spec.provider!r} has no embeddings")
            case _ if not spec.model:
                raise BadModel(f"model {spec.name!r}: it names no model of {spec.provider!r}")
            case "dmr":
                return _Local(spec, self._http, self._env, ask=self._keys.needed)
            case "bedrock":
                key, ready = self._aws(spec)
                headers = {"authorization": f"Bearer {key}"} if key else {}
                line = Line(self._http, aws.address(spec, self._env), headers, ready=ready, secret=key)
                return embeddings.Bedrock(spec, line)
            case "google" if self._by_vertex(spec):
                base, where = vertex.address(spec, self._env)
                return embeddings.Google(spec, Line(self._http, base, {}, ready=self._google()), vertex=where)
            case _:
                return self._embedder(spec)

    def _plain(self, spec: ModelSpec) -> Provider:
        """A provider at an address, with a key or a token."""
        base = self._address(spec)
        if self._keys.by_gateway(spec):
            return Remote(spec, self._http, base_url=self._gateway, key=self._keys.key(spec), forward=base)
        if spec.auth and self._keys.needed:
            if spec.dialect != "anthropic":
                raise BadModel(f"model {spec.name!r}: only Anthropic's models take auth in place of a key")
            ready = Federation(spec, self._env, base)
            return Remote(spec, self._http, base_url=base, ready=ready)
        speaks = msgspec.structs.replace(spec, base_url=base)
        return Remote(speaks, self._http, base_url=base, key=self._keys.key(spec))

    def _embedder(self, spec: ModelSpec) -> Embedder:
        base, key = self._address(spec), self._keys.key(spec)
        headers = _opened(spec, key, google=spec.dialect == "google", azure=spec.dialect == "azure")
        if self._keys.by_gateway(spec):
            headers = _opened(spec, key) | {"x-cagent-forward": base}
            base = self._gateway
        line = Line(self._http, base, headers, secret=key)
        if spec.dialect == "google":
            return embeddings.Google(spec, line)
        return embeddings.OpenAI(spec, line, embeddings.azure_path(spec) if spec.dialect == "azure" else "/embeddings")

    def _address(self, spec: ModelSpec) -> str:
        if base := self._keys.address(spec):
            return base
        hint = ", as in https://NAME.openai.azure.com" if spec.dialect == "azure" else ""
        raise BadModel(f"model {spec.name!r}: the provider {spec.provider!r} has no base_url{hint}")

    def _by_vertex(self, spec: ModelSpec) -> bool:
        return vertex.wanted(spec, self._env) and not self._keys.by_gateway(spec)

    def _aws(self, spec: ModelSpec) -> tuple[str, Ready | None]:
        """The bearer token for Bedrock, or else who signs."""
        key = self._env.get(spec.token_key, "") if spec.token_key else ""
        if key or not self._keys.needed:
            return key or "none", None
        return "", aws.Signer(spec, self._env)

    def _google(self) -> Ready | None:
        return vertex.Vertex(self._env) if self._keys.needed else None


class _Local:
    """Docker Model Runner's embeddings, wherever it turns out to be."""

    def __init__(self, spec: ModelSpec, http: Http, env: Mapping[str, str], *, ask: bool) -> None:
        self._spec = spec
        self._http = http
        self._env = env
        self._ask = ask

    async def embed(self, texts: Sequence[str]) -> embeddings.Vectors:
        """A vector for each text."""
        base = await dmr.address(self._spec, self._env, ask=self._ask)
        return await embeddings.OpenAI(self._spec, Line(self._http, base, {})).embed(texts)


def _opened(spec: ModelSpec, key: str, *, google: bool = False, azure: bool = False) -> dict[str, str]:
    """The headers of a request that is no chat."""
    more = {**spec.headers, **(spec.options.get("http_headers") or {})}
    named = {name.lower(): str(value) for name, value in more.items()}
    if not key:
        return named
    if google:
        return {"x-goog-api-key": key, **named}
    return {"api-key": key, **named} if azure else {"authorization": f"Bearer {key}", **named}
