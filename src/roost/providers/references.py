"""Model references to providers: names of a file, inline `provider/model`, `auto`, and lists to pick from."""

import random
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from roost.core import vendors
from roost.core.agents import ModelSpec, Team
from roost.core.errors import BadModel
from roost.core.vendors import Vendor
from roost.ports import Embedder, ModelInfo, Provider
from roost.providers import local, prices
from roost.providers.choices import Alloy, Routed
from roost.providers.connections import Connections
from roost.providers.http import PATIENCE, Timeouts, open_http
from roost.providers.keys import GATEWAY_KEY, Keys
from roost.providers.specs import Specs

if TYPE_CHECKING:
    import httpx2

CHANCE = random.SystemRandom()


class Models:
    """Makes providers, and keeps those that it has made.  Made by `open_models`."""

    def __init__(
        self,
        env: Mapping[str, str],
        connections: Connections,
        keys: Keys,
        *,
        gateway: str = "",
        dice: random.Random | None,
    ) -> None:
        self._env = env
        self._connections = connections
        self._keys = keys
        self._specs = Specs(env, keys)
        self._gateway = gateway
        self._dice = dice
        self._made: dict[bytes, Provider] = {}

    def provider(self, team: Team, ref: str) -> Provider:
        """The provider for a name of the team's models, an inline `provider/model`, `auto`, or a comma list.

        Raises:
            BadModel: the reference leads nowhere, or its key is missing; the message says which variable.
            NotBuilt: its provider is one that this version does not speak to.
        """
        providers = [self._provider(team, spec) for spec in self._specs.find(team, ref)]
        return providers[0] if len(providers) == 1 else Alloy(ref, providers, self._dice)

    def embedder(self, team: Team, ref: str) -> Embedder:
        """The embedding model of a reference; `auto` is the first whose key is there.

        Raises:
            BadModel: the reference leads nowhere, its key is missing, or its provider has no embeddings.
        """
        if ref.strip() in ("", "auto"):
            ref = self._specs.auto_embedder(team)
        (spec, *more) = self._specs.find(team, ref)
        if more:
            raise BadModel(f"{ref!r} is several models, and vectors of several can't be compared: name one")
        return self._connections.embedder(spec)

    def missing(self, team: Team, agents: Sequence[str]) -> Sequence[str]:
        """The environment variables that the models of these agents need and that are not set, sorted."""
        return self._specs.missing(team, agents)

    def listing(self, team: Team) -> Sequence[ModelInfo]:
        """The team's models first, then those of the catalogue whose provider has a key."""
        mine = [self._info(name, spec) for name, spec in team.models.items()]
        listed = [info for vendor in self._usable() for info in prices.models(vendor.name, self._env)]
        if local.installed():
            name = f"local/{vendors.LOCAL_MODEL}"
            listed.append(ModelInfo(name, name, "local", vendors.LOCAL_MODEL, True, context_limit=local.CONTEXT))
        return [*mine, *listed]

    # -- providers

    def _provider(self, team: Team, spec: ModelSpec) -> Provider:
        own = self._made_of(msgspec.structs.replace(spec, routing=()))
        if not spec.routing:
            return own
        return Routed(own, [(self._target(team, spec, route.model), route.examples) for route in spec.routing])

    def _target(self, team: Team, spec: ModelSpec, ref: str) -> Provider:
        """Where a route leads: to no model that has routes itself."""
        specs = self._specs.find(team, ref, within=(spec.name,))
        if any(inner.routing for inner in specs):
            raise BadModel(f"model {spec.name!r}: a route leads to {ref!r}, which has routes itself")
        return self.provider(team, ref)

    def _made_of(self, spec: ModelSpec) -> Provider:
        key = msgspec.json.encode(spec)
        if key not in self._made:
            self._made[key] = self._connections.open(spec)
        return self._made[key]

    # -- listing

    def _usable(self) -> Iterator[Vendor]:
        for vendor in vendors.VENDORS.values():
            names = (GATEWAY_KEY,) if self._gateway and vendor.native else (vendor.token_key, *vendor.spare_keys)
            signed = vendor.dialect == "bedrock" and self._keys.there(ModelSpec("", vendor.name, "", "bedrock"))
            if signed or any(self._env.get(name) for name in names):
                yield vendor

    def _info(self, name: str, spec: ModelSpec) -> ModelInfo:
        return ModelInfo(
            name=name,
            ref=name,
            provider=spec.provider,
            model=spec.model,
            context_limit=local.CONTEXT if spec.provider == "local" else prices.context_limit(spec),
            output_limit=prices.output_limit(spec),
            **prices.costs(prices.price(spec)),
        )


@asynccontextmanager
async def open_models(
    env: Mapping[str, str],
    transport: "httpx2.AsyncBaseTransport | None" = None,
    *,
    timeouts: Timeouts = PATIENCE,
    gateway: str = "",
    need_keys: bool = True,
    folder: Path | None = None,
    dice: random.Random | None = CHANCE,
) -> AsyncIterator[Models]:
    """The maker of providers, for as long as the block is open.

    `transport` replaces the network, as a cassette does; where it plays, no keys are needed.  `gateway` is
    the base URL through which native providers are reached.  `folder` is where paths of scenarios begin.
    Without `dice`, alloys choose by the words of a request.
    """
    gateway = gateway.rstrip("/")
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(open_http(transport, timeouts))
        engine = await stack.enter_async_context(local.open_engine(env))
        keys = Keys(env, gateway=gateway, needed=need_keys)
        connections = Connections(env, http, engine, keys, folder=folder or Path.cwd(), gateway=gateway)
        yield Models(env, connections, keys, gateway=gateway, dice=dice)
