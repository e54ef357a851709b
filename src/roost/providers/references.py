"""Model references to providers: names of a file, inline `provider/model`, `auto`, and lists to pick from."""

import random
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from roost.core import vendors
from roost.core.agents import ModelSpec, Team
from roost.core.errors import BadModel, NotBuilt
from roost.core.usage import Price
from roost.core.vendors import Vendor
from roost.ports import Embedder, ModelInfo, ModelRequest, Piece, Provider
from roost.providers import local, prices
from roost.providers.dialects import Remote
from roost.providers.http import PATIENCE, Http, Timeouts, open_http
from roost.providers.scripted import Scripted

if TYPE_CHECKING:
    import httpx2

DEFAULTS = ("ROOST_DEFAULT_MODEL", "DOCKER_AGENT_DEFAULT_MODEL", "CAGENT_DEFAULT_MODEL")
"""The variables that say what `auto` is."""

GATEWAY_KEY = "DOCKER_TOKEN"


class Models:
    """Makes providers, and keeps those that it has made.  Made by `open_models`."""

    def __init__(
        self,
        env: Mapping[str, str],
        http: Http,
        engine: local.Engine,
        *,
        folder: Path,
        gateway: str = "",
        need_keys: bool = True,
        dice: random.Random | None = None,
    ) -> None:
        self._env = env
        self._http = http
        self._engine = engine
        self._folder = folder
        self._gateway = gateway.rstrip("/")
        self._need_keys = need_keys
        self._dice = dice or random.SystemRandom()
        self._made: dict[bytes, Provider] = {}

    def provider(self, team: Team, ref: str) -> Provider:
        """The provider for a name of the team's models, an inline `provider/model`, `auto`, or a comma list.

        Raises:
            BadModel: the reference leads nowhere, or its key is missing; the message says which variable.
            NotBuilt: its provider is one that this version does not speak to.
        """
        specs = self.specs(team, ref)
        if len(specs) == 1:
            return self._provider(specs[0])
        return Alloy(ref, [self._provider(spec) for spec in specs], self._dice)

    def specs(self, team: Team, ref: str, *, within: tuple[str, ...] = ()) -> list[ModelSpec]:
        """How to reach the model of a reference; a list has several.

        Raises:
            BadModel: it leads nowhere.
        """
        ref = ref.strip()
        if ref in within:
            raise BadModel(f"the model {ref!r} is made of itself")
        named = team.models.get(ref)
        if named is not None and not named.provider and "," in named.model:
            return self.specs(team, named.model, within=(*within, ref))
        if named is not None:
            return [self._complete(named)]
        if "," in ref:
            parts = [part for part in ref.split(",") if part.strip()]
            return [spec for part in parts for spec in self.specs(team, part, within=(*within, ref))]
        if ref in ("", "auto"):
            return self.specs(team, self._auto(), within=(*within, "auto"))
        provider, slash, model = ref.partition("/")
        if not slash and vendors.vendor(provider) is None:
            known = ", ".join(team.models) or "none"
            raise BadModel(f"there is no model {ref!r}: name one of the file ({known}), or provider/model")
        return [self._complete(self._inline(team, ref, provider, model))]

    def embedder(self, team: Team, ref: str) -> Embedder:
        """The embedding model of a reference.

        Raises:
            NotBuilt
        """
        raise NotBuilt(f"embeddings are not built yet (model {ref!r})")

    def missing(self, team: Team, agents: Sequence[str]) -> Sequence[str]:
        """The environment variables that the models of these agents need and that are not set, sorted."""
        return ()

    def listing(self, team: Team) -> Sequence[ModelInfo]:
        """The team's models first, then those of the catalogue whose provider has a key."""
        mine = [self._info(name, spec) for name, spec in team.models.items()]
        listed = [info for vendor in self._usable() for info in prices.models(vendor.name)]
        if local.installed():
            name = f"local/{vendors.LOCAL_MODEL}"
            listed.append(ModelInfo(name, name, "local", vendors.LOCAL_MODEL, True, context_limit=local.CONTEXT))
        return [*mine, *listed]

    # -- references

    def _auto(self) -> str:
        for variable in DEFAULTS:
            if wish := self._env.get(variable, "").strip():
                if wish == "auto":
                    raise BadModel(f"{variable} can't be auto itself")
                return wish
        for name, model in vendors.AUTO:
            vendor = vendors.VENDORS[name]
            if self._env.get(self._key_name(vendor)) or not self._need_keys:
                return f"{name}/{model}"
        if local.installed():
            return f"local/{vendors.LOCAL_MODEL}"
        keys = [vendors.VENDORS[name].token_key for name, _ in vendors.AUTO]
        raise BadModel(
            f"there is no model to use: set {', '.join(keys[:-1])} or {keys[-1]},"
            " or run `roost model install` for a small one on this machine"
        )

    def _inline(self, team: Team, ref: str, provider: str, model: str) -> ModelSpec:
        """A spec for a reference that no model of the file has, on a provider of the file or of the catalogue."""
        if own := team.providers.get(provider):
            return msgspec.structs.replace(own, name=ref, model=model)
        vendor = vendors.vendor(provider)
        return ModelSpec(ref, vendor.name if vendor is not None else provider, model, "auto")

    def _complete(self, spec: ModelSpec) -> ModelSpec:
        """The spec with what the catalogue knows; what the file says wins.

        Raises:
            BadModel: nobody knows the provider.
        """
        name = spec.provider.lower()
        vendor = vendors.vendor(name)
        if vendor is None and spec.dialect == "auto" and not spec.base_url:
            if name in vendors.NOT_BUILT:
                raise NotBuilt(f"the provider {spec.provider!r} is not built yet (model {spec.name!r})")
            raise BadModel(
                f"model {spec.name!r}: there is no provider {spec.provider!r};"
                f" known are {', '.join(sorted(vendors.VENDORS))}, and those of the file"
            )
        dialect = self._dialect(spec, vendor)
        if vendor is None:
            return msgspec.structs.replace(spec, dialect=dialect)
        return msgspec.structs.replace(
            spec,
            dialect=dialect,
            model=spec.model or (vendors.LOCAL_MODEL if dialect == "local" else ""),
            base_url=spec.base_url or self._address(vendor),
            token_key=spec.token_key or vendor.token_key,
            headers={**vendor.headers, **spec.headers},
        )

    def _dialect(self, spec: ModelSpec, vendor: Vendor | None) -> str:
        if spec.options.get("transport") == "websocket":
            raise NotBuilt(f"model {spec.name!r}: the transport websocket is not built yet; leave it out for sse")
        dialect = spec.dialect
        if dialect == "auto" and vendor is not None:
            dialect = vendor.dialect
        if dialect in ("auto", "openai-chat", "openai-responses") and (wish := spec.options.get("api_type")):
            if wish not in vendors.API_TYPES:
                raise BadModel(f"model {spec.name!r}: api_type is one of {', '.join(vendors.API_TYPES)}, not {wish!r}")
            return vendors.API_TYPES[wish]
        if dialect == "auto":
            address = spec.base_url or (vendor.base_url if vendor is not None else "")
            return vendors.openai_dialect(spec.model, genuine=address.startswith("https://api.openai.com/"))
        return dialect

    def _address(self, vendor: Vendor) -> str:
        def value(match: "re.Match[str]") -> str:
            if not (found := self._env.get(match[1])):
                raise BadModel(f"the provider {vendor.name} needs the variable {match[1]}")
            return found

        return re.sub(r"\$\{(\w+)\}", value, vendor.base_url)

    # -- providers

    def _provider(self, spec: ModelSpec) -> Provider:
        key = msgspec.json.encode(spec)
        if key not in self._made:
            self._made[key] = self._make(spec)
        return self._made[key]

    def _make(self, spec: ModelSpec) -> Provider:
        if spec.dialect == "scripted":
            return Scripted(spec, folder=self._folder)
        if spec.dialect == "local":
            local.check()
            return local.Local(spec, self._engine)
        if not spec.base_url:
            raise BadModel(f"model {spec.name!r}: the provider {spec.provider!r} has no base_url")
        if not spec.model:
            raise BadModel(f"model {spec.name!r}: it names no model of {spec.provider!r}")
        vendor = vendors.vendor(spec.provider)
        if self._gateway and vendor is not None and vendor.native and spec.base_url == vendor.base_url:
            token = self._key(spec, GATEWAY_KEY, needed=True)
            return Remote(spec, self._http, base_url=self._gateway, key=token, forward=spec.base_url)
        own_server = vendor is not None and spec.base_url != self._address(vendor)
        needed = not (own_server and vendor is not None and spec.token_key == vendor.token_key)
        return Remote(spec, self._http, base_url=spec.base_url, key=self._key(spec, spec.token_key, needed=needed))

    def _key(self, spec: ModelSpec, variable: str, *, needed: bool) -> str:
        """The key in a variable.  A server that the file names may do without that of the original one."""
        if not variable:
            return ""
        if found := self._env.get(variable, ""):
            return found
        if not self._need_keys:
            return "none"
        if needed:
            named = repr(spec.name) if spec.name == spec.ref else f"{spec.name!r} ({spec.ref})"
            raise BadModel(f"model {named} needs a key: set the variable {variable}")
        return ""

    def _key_name(self, vendor: Vendor) -> str:
        return GATEWAY_KEY if self._gateway and vendor.native else vendor.token_key

    # -- listing

    def _usable(self) -> Iterator[Vendor]:
        for vendor in vendors.VENDORS.values():
            if self._env.get(self._key_name(vendor)):
                yield vendor

    def _info(self, name: str, spec: ModelSpec) -> ModelInfo:
        return ModelInfo(
            name=name,
            ref=name,
            provider=spec.provider,
            model=spec.model,
            context_limit=local.CONTEXT if spec.provider == "local" else prices.context_limit(spec),
            **prices.costs(prices.price(spec)),
        )


class Alloy:
    """Several models in turn: each request goes to one of them, by chance.

    `spec` and `price` are those of the newest request's model once it is asked, so that its cost is its own.
    """

    def __init__(self, ref: str, members: Sequence[Provider], dice: random.Random) -> None:
        self._members = members
        self._dice = dice
        self._spec = ModelSpec(ref, ref, "", "alloy")
        self._now: Provider | None = None

    @property
    def spec(self) -> ModelSpec:
        """That of the member that was asked last; before, the whole list as a name."""
        return self._now.spec if self._now is not None else self._spec

    @property
    def takes_tools(self) -> bool:
        """Whether all do."""
        return all(member.takes_tools for member in self._members)

    @property
    def titles(self) -> bool:
        """Whether all are."""
        return all(member.titles for member in self._members)

    @property
    def context_limit(self) -> int:
        """The smallest window that is known."""
        return min((member.context_limit for member in self._members if member.context_limit), default=0)

    @property
    def price(self) -> Price | None:
        """What the member costs that was asked last."""
        return (self._now or self._members[0]).price

    @property
    def output_limit(self) -> int:
        """The largest that is known."""
        return max(member.output_limit for member in self._members)

    def route(self, text: str) -> Provider:
        """One of them, by chance."""
        return self._dice.choice(self._members).route(text)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Piece, None]:
        """Ask one of them."""
        self._now = self._dice.choice(self._members)
        async with aclosing(self._now.stream(request)) as pieces:
            async for piece in pieces:
                yield piece


@asynccontextmanager
async def open_models(
    env: Mapping[str, str],
    transport: "httpx2.AsyncBaseTransport | None" = None,
    *,
    timeouts: Timeouts = PATIENCE,
    gateway: str = "",
    need_keys: bool = True,
    folder: Path | None = None,
    dice: random.Random | None = None,
) -> AsyncIterator[Models]:
    """The maker of providers, for as long as the block is open.

    `transport` replaces the network, as a cassette does; where it plays, no keys are needed.  `gateway` is
    the base URL through which native providers are reached.  `folder` is where paths of scenarios begin.
    """
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(open_http(transport, timeouts))
        engine = await stack.enter_async_context(local.open_engine(env))
        yield Models(env, http, engine, folder=folder or Path.cwd(), gateway=gateway, need_keys=need_keys, dice=dice)
