"""Tool schemas as servers want them, and arguments as models wrote them."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

_STRICT = frozenset(
    {"type", "properties", "required", "additionalProperties", "description", "enum", "items", "title", "const"}
)

_BOUNDS = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "maxItems"}
    | {"uniqueItems", "minProperties", "maxProperties", "additionalProperties"}
)
_KNOWN: tuple[str, ...] = (
    "title",
    "description",
    "format",
    "nullable",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "pattern",
)
_KNOWN += ("minimum", "maximum", "minProperties", "maxProperties", "default", "example", "propertyOrdering")
_FORMATS = {"string": ("enum", "date-time"), "number": ("float", "double"), "integer": ("int32", "int64")}
_DEEPEST = 12  # levels of a schema that Gemini is shown


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


def closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema as Anthropic holds answers to one: objects take nothing else, and bounds are left out."""
    out: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _BOUNDS or (key == "minItems" and value not in (0, 1)):
            continue
        out[key] = _within(key, value, closed)
    if out.get("type") == "object":
        out["additionalProperties"] = False
    return out


def subset(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema as Gemini reads one: no references, one type each, and none of the words that it does not know.

    What refers to itself ends after a few rounds in anything at all.
    """
    return _gemini(schema, {key: schema[key] for key in ("$defs", "definitions") if key in schema}, 0)


def _within(key: str, value: Any, change: Callable[[Mapping[str, Any]], Any]) -> Any:
    """The value of a keyword with the schemas in it changed."""
    if key in ("properties", "$defs", "definitions") and isinstance(value, dict):
        return {name: change(inner) if isinstance(inner, dict) else inner for name, inner in value.items()}
    if key in ("anyOf", "oneOf", "allOf", "prefixItems") and isinstance(value, list):
        return [change(inner) if isinstance(inner, dict) else inner for inner in value]
    return change(value) if key in ("items", "not") and isinstance(value, dict) else value


def _gemini(schema: Any, defs: Mapping[str, Any], depth: int) -> dict[str, Any]:
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return {}
    given = _flat(schema, defs)
    out = {key: given[key] for key in _KNOWN if key in given}
    if isinstance(given.get("properties"), Mapping):
        out["properties"] = {name: _gemini(inner, defs, depth + 1) for name, inner in given["properties"].items()}
    if isinstance(choices := given.get("anyOf") or given.get("oneOf"), list):
        _choose(
            out, [_gemini(inner, defs, depth + 1) for inner in choices if not _null(inner)], any(map(_null, choices))
        )
    _typed(out, given)
    if out.get("type") == "array":
        out["items"] = _gemini(given.get("items"), defs, depth + 1)
    _listed(out, given)
    if "required" in given:
        out["required"] = [name for name in given["required"] or () if name in out.get("properties", {})]
    return {key: value for key, value in out.items() if value not in ([], None)}


def _flat(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> dict[str, Any]:
    """A schema with its reference followed, and all that must hold of it in one."""
    given, seen = dict(schema), set[str]()
    while isinstance(ref := given.pop("$ref", None), str) and ref not in seen:
        seen.add(ref)
        given = {**_found(ref, defs), **given}
    for part in given.pop("allOf", None) or ():
        inner = _flat(part, defs) if isinstance(part, Mapping) else {}
        merged = {**(given.get("properties") or {}), **(inner.get("properties") or {})}
        required = [*(given.get("required") or ()), *(inner.get("required") or ())]
        given = (
            {**inner, **given}
            | ({"properties": merged} if merged else {})
            | ({"required": required} if required else {})
        )
    return given


def _found(ref: str, defs: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference leads to; nothing where it leads nowhere."""
    _, _, path = ref.partition("#/")
    found: Any = defs
    for step in path.split("/") if path else ():
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _null(schema: Any) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == "null"


def _choose(out: dict[str, Any], choices: list[dict[str, Any]], nullable: bool) -> None:
    if nullable:
        out["nullable"] = True
    if len(choices) == 1:
        out.update({key: value for key, value in choices[0].items() if key not in out})
    elif choices:
        out["anyOf"] = choices


def _typed(out: dict[str, Any], given: Mapping[str, Any]) -> None:
    """One type, and the formats that go with it."""
    kind = given.get("type", out.get("type"))
    if isinstance(kind, list):
        kinds = [one for one in kind if one != "null"]
        if len(kinds) < len(kind):
            out["nullable"] = True
        if len(kinds) > 1 and "anyOf" not in out:
            out["anyOf"] = [{"type": one, **({"items": {}} if one == "array" else {})} for one in kinds]
        kind = kinds[0] if len(kinds) == 1 else None
    if kind is None and "anyOf" not in out and "properties" in out:
        kind = "object"
    out.pop("type", None)
    if kind is not None:
        out["type"] = kind
    if out.get("format") not in _FORMATS.get(str(kind), ()):
        out.pop("format", None)


def _listed(out: dict[str, Any], given: Mapping[str, Any]) -> None:
    """The values to choose from: only texts can be listed, so others are told in the description."""
    values = [given["const"]] if "const" in given else given.get("enum")
    if not isinstance(values, list):
        return
    values = [value for value in values if value is not None]
    if values and all(isinstance(value, str) for value in values) and out.get("type", "string") == "string":
        out["type"], out["enum"] = "string", values
    elif values:
        told = ", ".join(msgspec.json.encode(value).decode() for value in values)
        out["description"] = f"{out.get('description', '')} One of: {told}.".strip()
