"""Tool schemas as servers want them, and arguments as models wrote them."""

from collections.abc import Mapping
from typing import Any

import msgspec

_STRICT = frozenset(
    {"type", "properties", "required", "additionalProperties", "description", "enum", "items", "title", "const"}
)


def rooted(schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """The schema with an object at its root, and nothing else changed: some servers refuse any other."""
    whole = dict(schema or {})
    whole["type"] = "object"
    if not isinstance(whole.get("properties"), dict):
        whole["properties"] = {}
    return whole


def strict(schema: Mapping[str, Any]) -> bool:
    """Whether a server can hold the model to this schema as it stands.

    Strict mode wants every property required.  Where one is optional it would have to become
    nullable, and tools would be handed nulls that they never asked for: such a schema stays loose.
    """
    if not _STRICT.issuperset(schema):
        return False
    kind = schema.get("type")
    if kind == "array":
        items = schema.get("items")
        return isinstance(items, dict) and strict(items)
    if kind != "object":
        return isinstance(kind, str)
    properties = schema.get("properties", {})
    return (
        schema.get("additionalProperties") is False
        and set(schema.get("required", ())) == set(properties)
        and all(isinstance(value, dict) and strict(value) for value in properties.values())
    )


def arguments(text: str) -> dict[str, Any]:
    """A call's arguments as an object, whatever the model wrote: what is no object is kept as text inside one."""
    try:
        value = msgspec.json.decode(text or "{}")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {"invalid_arguments": text}
    return value if isinstance(value, dict) else {"invalid_arguments": text}
