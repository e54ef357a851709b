"""What models cost and how much they can read, from the price list that is shipped along."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from roost.core import vendors
from roost.core.agents import ModelSpec
from roost.core.usage import Price
from roost.ports import ModelInfo

_NO_CHAT = re.compile(
    r"embed|moderation|whisper|tts|dall|image|audio|realtime|transcribe|translate|davinci|babbage|curie|^ada$|rerank"
    r"|speech|ocr|search|computer-use|instruct|live|video|guard"
)


def price(spec: ModelSpec) -> Price | None:
    """What a model costs: the file's word, else the list's, else None."""
    if spec.price is not None:
        return spec.price
    model = _find(spec.provider.lower(), spec.model)
    return _price(model) if model is not None else None


def context_limit(spec: ModelSpec) -> int:
    """Tokens of a model's window: the file's word, else the list's, else 0."""
    if spec.context_limit:
        return spec.context_limit
    model = _find(spec.provider.lower(), spec.model)
    return int(model.context_window or 0) if model is not None else 0


def output_limit(spec: ModelSpec) -> int:
    """Tokens of a model's longest answer: the file's word, else 0."""
    return spec.max_tokens or 0


def models(provider: str) -> Iterator[ModelInfo]:
    """The models that can chat, of one provider of the catalogue."""
    listed = _provider(provider)
    for model in listed.models if listed is not None else ():
        if _NO_CHAT.search(model.id) or getattr(model, "deprecated", None):
            continue
        cost = _price(model)
        yield ModelInfo(
            name=f"{provider}/{model.id}",
            ref=f"{provider}/{model.id}",
            provider=provider,
            model=model.id,
            catalog=True,
            family=_family(model.id),
            context_limit=int(model.context_window or 0),
            **costs(cost),
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
    return re.split(r"[-\d]", model.rsplit("/", 1)[-1], maxsplit=1)[0]


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
