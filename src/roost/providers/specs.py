"""How a model is named: references to complete specs, and what those lack."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

import msgspec

from roost.core import vendors
from roost.core.agents import Agent, ModelSpec, Team
from roost.core.errors import BadModel, NotBuilt
from roost.core.vendors import Vendor
from roost.providers import dmr, local
from roost.providers.keys import Keys

DEFAULTS = ("ROOST_DEFAULT_MODEL", "DOCKER_AGENT_DEFAULT_MODEL", "CAGENT_DEFAULT_MODEL")
"""The variables that say what `auto` is."""

CANDIDATES = "ROOST_AUTO_MODELS"
"""The variable with what `auto` tries in place of the usual table: references in their order, with commas."""


class Specs:
    """Reads references: names of a file, inline `provider/model`, `auto`, and lists to pick from."""

    def __init__(self, env: Mapping[str, str], keys: Keys) -> None:
        self._env = env
        self._keys = keys

    def find(self, team: Team, ref: str, *, within: tuple[str, ...] = (), choose: bool = True) -> list[ModelSpec]:
        """How to reach the model of a reference; a list has several.

        Without `choose`, the first of several candidates is taken where none of them has its key.

        Raises:
            BadModel: it leads nowhere.
        """
        ref = ref.strip()
        if ref in within:
            raise BadModel(f"the model {ref!r} is made of itself")
        inner = (*within, ref)
        named = team.models.get(ref)
        if named is not None and named.candidates:
            return self._first(team, named, inner, choose=choose)
        if named is not None and not named.provider and "," in named.model:
            return self.find(team, named.model, within=inner, choose=choose)
        if named is not None:
            return [self._complete(named)]
        if "," in ref:
            parts = [part for part in ref.split(",") if part.strip()]
            return [spec for part in parts for spec in self.find(team, part, within=inner, choose=choose)]
        if ref in ("", "auto"):
            return self.find(team, self._auto(team), within=(*within, "auto"), choose=choose)
        return [self._complete(self._direct(team, ref))]

    def _direct(self, team: Team, ref: str) -> ModelSpec:
        provider, slash, model = ref.partition("/")
        if not slash and vendors.vendor(provider) is None:
            known = ", ".join(team.models) or "none"
            raise BadModel(f"there is no model {ref!r}: name one of the file ({known}), or provider/model")
        return self._inline(team, ref, provider, model)

    def missing(self, team: Team, agents: Sequence[str]) -> Sequence[str]:
        """The environment variables that the models of these agents need and that are not set, sorted.

        References that lead nowhere lack none: whoever uses them is told.
        """
        wanted = [agent for name in agents if (agent := team.agent(name)) is not None and agent.harness is None]
        refs = [ref for agent in wanted for ref in _refs(agent)]
        seen, found = set[str](), set[str]()
        while refs:
            if (ref := refs.pop()) in seen:
                continue
            seen.add(ref)
            with suppress(BadModel, NotBuilt):
                for spec in self.find(team, ref, choose=False):
                    found.update(self._keys.missing(spec))
                    refs += [*(route.model for route in spec.routing), spec.title_model, spec.compaction_model]
            refs = [ref for ref in refs if ref]
        return sorted(found)

    def _first(self, team: Team, named: ModelSpec, within: tuple[str, ...], *, choose: bool) -> list[ModelSpec]:
        """The first candidate whose credentials are there, under the selector's name."""
        lacking: list[str] = []
        options = [self.find(team, ref, within=within, choose=choose) for ref in named.candidates]
        for specs in options:
            if all(self._keys.there(spec) for spec in specs):
                return [msgspec.structs.replace(spec, name=named.name) for spec in specs] if len(specs) == 1 else specs
            lacking += [name for spec in specs for name in self._keys.missing(spec) or (spec.token_key,) if name]
        if not choose:
            return options[0]
        tried = ", ".join(named.candidates)
        raise BadModel(
            f"model {named.name!r}: none of {tried} can be used: set one of {', '.join(dict.fromkeys(lacking))}"
        )

    def _auto(self, team: Team) -> str:
        for variable in DEFAULTS:
            if wish := self._env.get(variable, "").strip():
                if wish == "auto":
                    raise BadModel(f"{variable} can't be auto itself")
                return wish
        listed = [ref.strip() for ref in self._env.get(CANDIDATES, "").split(",") if ref.strip()]
        refs = listed or [f"{name}/{model}" for name, model in vendors.AUTO]
        if ref := self._usable_ref(team, refs):
            return ref
        if listed:
            raise BadModel(f"none of the models in {CANDIDATES} can be used: no key is set for any of them")
        if self._env.get(dmr.HOST):
            return f"dmr/{vendors.RUNNER_MODEL}"
        if local.installed():
            return f"local/{vendors.LOCAL_MODEL}"
        raise BadModel(
            f"there is no model to use: set {_either(vendors.AUTO)},"
            " or run `roost model install` for a small one on this machine"
        )

    def auto_embedder(self, team: Team) -> str:
        """The reference of the first embedding model whose key is there.

        Raises:
            BadModel: there is none.
        """
        refs = [f"{name}/{model}" for name, model in vendors.EMBEDDERS]
        if ref := self._usable_ref(team, refs):
            return ref
        if self._env.get(dmr.HOST):
            return f"dmr/{vendors.RUNNER_EMBEDDER}"
        raise BadModel(f"there is no embedding model to use: set {_either(vendors.EMBEDDERS)}, or name a model")

    def _usable_ref(self, team: Team, refs: Sequence[str]) -> str:
        """The first reference whose credentials are there."""
        for ref in refs:
            if all(self._keys.there(spec) for spec in self.find(team, ref, within=("auto",))):
                return ref
        return ""

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
            base_url=spec.base_url or vendor.base_url,
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


def _refs(agent: Agent) -> list[str]:
    """The models that an agent names."""
    more = [*agent.fallback.models, agent.compaction.model, *(toolset.model for toolset in agent.toolsets)]
    return [agent.model, *(ref for ref in more if ref)]


def _either(table: Sequence[tuple[str, str]]) -> str:
    *names, last = [vendors.VENDORS[name].token_key for name, _ in table]
    return f"{', '.join(names)} or {last}"
