"""What models cost and how much they can read, from the price list that is shipped along."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from roost.core import vendors
from roost.core.agents import ModelSpec
from roost.core.usage import Price
from roost.ports import ModelInfo

_NO_CHAT = re.compile(
    r"embed|moderation|robotics|nano-banana|omni|whisper|tts|dall|image|audio|realtime|transcribe|translate|davinci|babbage|curie|^ada$|rerank"
    r"|speech|ocr|search|computer-use|instruct|live|video|guard"
)
_PREFIX = re.compile(r"^(?:global|regional|us-gov|[a-z]{2}|apac)\.")
_NATIVE = {"bedrock": "amazon-bedrock", "google": "google", "anthropic": "anthropic"}
_LONGEST = (  # as the makers' pages have it; longer beginnings first
    ("gpt-4o", 16_384),
    ("gpt-4.1", 32_768),
    ("gpt-4-turbo", 4_096),
    ("gpt-3.5", 4_096),
    ("gpt-5-chat", 16_384),
    ("gpt-5", 128_000),
    ("o1-mini", 65_536),
    ("o1-preview", 32_768),
    ("o1", 100_000),
    ("o3", 100_000),
    ("o4-mini", 100_000),
    ("gemini-2.0", 8_192),
    ("gemini-2.5", 65_536),
    ("gemini-3", 65_536),
)


def price(spec: ModelSpec) -> Price | None:
    """What a model costs: the file's word, else the list's, else None."""
    if spec.price is not None:
        return spec.price
    model = _listed(spec)
    return _price(model) if model is not None else None


def context_limit(spec: ModelSpec) -> int:
    """Tokens of a model's window: the file's word, else the list's, else 0."""
    if spec.context_limit:
        return spec.context_limit
    model = _listed(spec)
    return int(model.context_window or 0) if model is not None else 0


def output_limit(spec: ModelSpec) -> int:
    """Tokens of a model's longest answer: the file's word, else what its maker says, else 0."""
    if spec.max_tokens:
        return spec.max_tokens
    vendor = vendors.vendor(spec.provider)
    if vendor is None or vendor.name not in ("openai", "google") or spec.base_url not in ("", vendor.base_url):
        return 0  # whoever answers there
    return next((limit for start, limit in _LONGEST if spec.model.startswith(start)), 0)


def models(provider: str, env: Mapping[str, str]) -> Iterator[ModelInfo]:
    """The models that can chat, of one provider of the catalogue."""
    listed = _provider(provider)
    for model in listed.models if listed is not None else ():
        if _NO_CHAT.search(model.id) or getattr(model, "deprecated", None):
            continue
        if provider == "google" and not model.id.startswith(("gemini", "gemma")):
            continue  # what others have made is spoken to otherwise
        name = _regional(model.id, env) if provider == "amazon-bedrock" else model.id
        yield ModelInfo(
            name=f"{provider}/{name}",
            ref=f"{provider}/{name}",
            provider=provider,
            model=name,
            catalog=True,
            family=_family(name),
            context_limit=int(model.context_window or 0),
            output_limit=output_limit(ModelSpec(name, provider, name, "")),
            **costs(_price(model)),
        )


def costs(price: Price | None) -> dict[str, Any]:
    """A price, as the fields of a ModelInfo."""
    if price is None:
        return {}
    return {
        "input_cost": price.input,
        "output_cost": price.output,
        "cache_read_cost": price.cache_read,
        "cache_write_cost": price.cache_write,
    }


def _family(model: str) -> str:
    name = _PREFIX.sub("", model.rsplit("/", 1)[-1])
    return re.split(r"[-\d]", re.sub(r"^[a-z]+\.(?=[a-z])", "", name), maxsplit=1)[0]


def _regional(model: str, env: Mapping[str, str]) -> str:
    """A model of Bedrock under the name that it has in the region."""
    region = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "us-east-1"
    area = {"ap": "apac", "ca": "us"}.get(region[:2], region[:2])
    return f"{area}.{model.removeprefix('regional.')}" if model.startswith("regional.") else model


def _listed(spec: ModelSpec) -> Any:
    """The list's entry for a model, under the name that the file has or, at Bedrock, without its region."""
    provider = spec.provider.lower()
    if vendors.vendor(provider) is None:  # of the file's own: it may be one that is known
        provider = _whose(spec.base_url) if spec.base_url else _NATIVE.get(spec.dialect, provider)
    found = _find(provider, spec.model)
    if found is None and spec.dialect == "bedrock":
        return _find(provider, _PREFIX.sub("", spec.model))
    return found


def _whose(base_url: str) -> str:
    """The vendor that a provider of the file's own turns out to be, by its address."""
    return next((vendor.name for vendor in vendors.VENDORS.values() if vendor.base_url == base_url), "")


def _snapshot() -> Any:
    from genai_prices import data_snapshot  # 0.3 s and 10 MB: only when somebody asks for a price

    return data_snapshot.get_snapshot()


def _provider(provider: str) -> Any:
    vendor = vendors.vendor(provider)
    if vendor is None or vendor.dialect in ("local", "scripted"):
        return None
    name = vendor.prices or vendor.name
    return next((listed for listed in _snapshot().providers if listed.id == name), None)


@lru_cache(maxsize=1024)
def _find(provider: str, model: str) -> Any:
    listed = _provider(provider)
    if listed is None or not model:
        return None
    snapshot = _snapshot()
    try:
        return snapshot.find_provider_model(model, listed, None, None)[1]
    except LookupError:
        return None


def _price(model: Any) -> Price | None:
    listed = model.get_prices(datetime.now(UTC))  # some change at a date, or at an hour of the day
    into, out = _rate(listed.input_mtok), _rate(listed.output_mtok)
    if into is None or out is None:
        return None
    read, write = _rate(listed.cache_read_mtok), _rate(listed.cache_write_mtok)
    return Price(into, out, into if read is None else read, into if write is None else write)


def _rate(listed: Any) -> float | None:
    base = getattr(listed, "base", listed)
    return float(base) if isinstance(base, Decimal | int | float) else None
