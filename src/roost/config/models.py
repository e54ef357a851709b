"""The `models` and `providers` of an agent file to ModelSpecs, with all inheritance done."""

import re
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from roost.config.mentions import references, section
from roost.core.agents import ModelSpec, Route
from roost.core.usage import Price
from roost.core.vendors import API_TYPES, Vendor, openai_dialect, vendor

Data = dict[str, Any]

_INHERITED = (
    "temperature",
    "max_tokens",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "parallel_tool_calls",
    "track_usage",
    "thinking_budget",
)


def providers(data: Data) -> dict[str, ModelSpec]:
    """What an inline `provider/model` starts from, for each provider of the file's own."""
    return {name: spec(name, {"provider": name}, data) for name in section(data, "providers")}


def models(data: Data) -> dict[str, ModelSpec]:
    """The models of the file, and those inline ones that name a provider of the file's own."""
    entries = section(data, "models")
    found = {name: _named(name, data) for name in entries}
    for ref in _inline(data):
        provider, _, model = ref.partition("/")
        if ref not in found and provider in section(data, "providers"):
            found[ref] = spec(ref, {"provider": provider, "model": model}, data)
    return found


def _named(name: str, data: Data) -> ModelSpec:
    """A model of the file; a selector looks like its first candidate until one is chosen."""
    ref, entries = name, section(data, "models")
    while "first_available" in entries.get(ref, {}):  # the checks have seen that this ends
        ref = entries[ref]["first_available"][0].strip()
    if ref in entries:
        found = spec(name, entries[ref], data)
    elif "," in ref:
        found = spec(name, {"model": ref}, data)
    else:
        provider, _, model = ref.partition("/")
        found = spec(name, {"provider": provider, "model": model}, data)
    candidates = entries[name].get("first_available", ())
    return replace(found, candidates=tuple(candidate.strip() for candidate in candidates))


def _inline(data: Data) -> list[str]:
    """The references of the file to models that it does not list, each part of an alloy by itself."""
    parts = [part.strip() for _, text in references(data) for part in text.split(",")]
    return list(dict.fromkeys(part for part in parts if "/" in part))


def spec(name: str, entry: Data, data: Data) -> ModelSpec:
    """One model: its own values, then those of its provider, then what is known of the provider's kind."""
    provider = entry.get("provider", "")
    custom = section(data, "providers").get(provider)
    base: Data = custom or {}
    kind = base.get("provider", "openai") if custom is not None else provider
    known = vendor(kind)
    options = _options(base, entry)
    own_url = entry.get("base_url") or base.get("base_url", "")
    address, headers = (known.base_url, dict(known.headers)) if known is not None else ("", {})
    model = entry.get("model", "")
    merged: Data = {key: entry.get(key, base.get(key)) for key in _INHERITED if key in entry or key in base}
    return ModelSpec(
        name=name,
        provider=provider,
        model=model,
        dialect=_dialect(kind, model, options, own_url),
        base_url=own_url or address,
        token_key=_token_key(entry, base, None if custom is not None and own_url else known),
        headers=headers | base.get("headers", {}) | _headers(options),
        options=options,
        price=_price(entry.get("cost")),
        context_limit=_window(options),
        images=_capability(entry, options, "image", "supports_images"),
        pdf=_capability(entry, options, "pdf", "supports_pdf"),
        routing=tuple(Route(route["model"], tuple(route["examples"])) for route in entry.get("routing", ())),
        title_model=entry.get("title_model", ""),
        compaction_model=entry.get("compaction_model") or base.get("compaction_model", ""),
        compaction_threshold=float(entry.get("compaction_threshold", 0)),
        task_budget=_tokens(entry.get("task_budget") or base.get("task_budget") or 0),
        bypass_gateway=entry.get("bypass_models_gateway", False),
        auth=entry.get("auth") or base.get("auth", {}),
        **merged,
    )


def _token_key(entry: Data, base: Data, known: Vendor | None) -> str:
    """The variable with the key; a kind's own is for the kind's own address."""
    return entry.get("token_key") or base.get("token_key", "") or (known.token_key if known is not None else "")


def _window(options: Mapping[str, Any]) -> int:
    size = options.get("context_size")
    return size if isinstance(size, int) and not isinstance(size, bool) else 0


def _capability(entry: Data, options: Mapping[str, Any], name: str, option: str) -> bool | None:
    found = entry.get("capabilities", {}).get(name, options.get(option))
    return found if isinstance(found, bool) else None


def _tokens(budget: int | Data) -> int:
    """A task's budget, in either of its forms."""
    return int(budget["total"]) if isinstance(budget, dict) else budget


def _options(base: Data, entry: Data) -> Data:
    """Provider options, merged key by key; the model's win."""
    options: Data = dict(base.get("provider_opts", {}))
    if base.get("api_type"):
        options["api_type"] = base["api_type"]
    if base.get("unload_api"):
        options["unload_api"] = base["unload_api"]
    options |= entry.get("provider_opts", {})
    return options


def _headers(options: Mapping[str, Any]) -> dict[str, str]:
    headers = options.get("http_headers")
    return {name: str(value) for name, value in headers.items()} if isinstance(headers, dict) else {}


def _dialect(kind: str, model: str, options: Mapping[str, Any], own_url: str) -> str:
    if not kind or kind == "auto":
        return "auto"
    known = vendor(kind)
    if known is None:  # a provider of the original that is not built: whoever wants to use it is told
        return kind.lower()
    if known.dialect not in ("auto", "openai-chat", "openai-responses"):
        return known.dialect
    if chosen := API_TYPES.get(str(options.get("api_type"))):
        return chosen
    if known.dialect != "auto":
        return known.dialect
    genuine = not own_url or re.match(r"https://api\.openai\.com(/|$)", own_url) is not None
    return openai_dialect(model, genuine=genuine)


def _price(cost: Data | None) -> Price | None:
    if cost is None:
        return None
    return Price(*(float(cost.get(key, 0)) for key in ("input", "output", "cache_read", "cache_write")))
