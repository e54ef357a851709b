"""What a provider wants back word for word, kept in the log, and given back to that provider alone."""

from collections.abc import Sequence
from typing import Any

from roost.core.agents import ModelSpec
from roost.core.messages import Message


def keep(items: Sequence[dict[str, Any]], spec: ModelSpec, dialect: str) -> tuple[dict[str, Any], ...]:
    """The items for `Message.replay`, with a note of whose they are."""
    return ({"dialect": dialect, "provider": spec.provider, "model": spec.model, "items": list(items)},)


def items(message: Message, spec: ModelSpec, dialect: str) -> list[dict[str, Any]]:
    """What this very model said in this message; nothing where another one spoke."""
    whose = {"dialect": dialect, "provider": spec.provider, "model": spec.model}
    for kept in message.replay:
        if isinstance(kept, dict) and whose.items() <= kept.items():
            return [item for item in kept.get("items") or () if isinstance(item, dict)]
    return []
