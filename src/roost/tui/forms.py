"""A form from a JSON schema: its fields, and what may stand in them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal["text", "number", "integer", "flag", "choice", "choices", "list", "json"]

FREE: Final = "response"
"""The name of the one field of a question that has no schema."""

MOST: Final = 100  # fields of a form

_PLAIN: Mapping[str, Kind] = {"string": "text", "number": "number", "integer": "integer", "boolean": "flag"}


@dataclass(frozen=True, slots=True)
class Option:
    """One of the values to choose from, and how it is called."""

    value: Any
    label: str


@dataclass(frozen=True, slots=True)
class Field:
    """One field.  `default` is None where there is none; `schema` is the part of the whole that is about it."""

    name: str
    title: str
    kind: Kind
    schema: Mapping[str, Any]
    required: bool = False
    description: str = ""
    default: Any = None
    options: tuple[Option, ...] = ()

    @property
    def secret(self) -> bool:
        """Whether nobody should read it over a shoulder."""
        return bool(self.schema.get("writeOnly")) or self.schema.get("format") == "password"

    @property
    def hint(self) -> str:
        """What may stand here, in a few words."""
        return ", ".join(_hints(self))

    @property
    def shown(self) -> str:
        """The default, as it is typed."""
        if self.default is None:
            return ""
        if self.kind == "list" and isinstance(self.default, list):
            return ", ".join(str(item) for item in self.default)
        return self.default if isinstance(self.default, str) else json.dumps(self.default, ensure_ascii=False)


def fields(schema: Mapping[str, Any] | None) -> tuple[Field, ...]:
    """The fields of an object's schema, in its order; without a schema a single text that may be left out."""
    if not schema:
        return (Field(FREE, "Your answer", "text", {}),)
    known = schema.get("properties")
    if not isinstance(known, Mapping):
        return ()
    needed = schema.get("required")
    wanted = set(needed) if isinstance(needed, list) else set()
    found = [_field(str(name), part, name in wanted) for name, part in known.items() if isinstance(part, Mapping)]
    return tuple(found[:MOST])


def _field(name: str, part: Mapping[str, Any], required: bool) -> Field:
    kind, options = _kind(part)
    return Field(
        name,
        _text(part.get("title")) or name,
        kind,
        part,
        required=required,
        description=_text(part.get("description")),
        default=part.get("default"),
        options=options,
    )


def _kind(part: Mapping[str, Any]) -> tuple[Kind, tuple[Option, ...]]:
    if options := _options(part):
        return "choice", options
    items = part.get("items")
    if plain_type(part) == "array":
        if isinstance(items, Mapping) and (options := _options(items)):
            return "choices", options
        plain = isinstance(items, Mapping) and plain_type(items) in _PLAIN
        return ("list" if plain else "json"), ()
    return _PLAIN.get(plain_type(part), "json"), ()


def plain_type(part: Mapping[str, Any]) -> str:
    """Its type; of several the first that is a value."""
    named = part.get("type", "string" if not {"anyOf", "oneOf", "allOf", "$ref"} & set(part) else "")
    names = named if isinstance(named, list) else [named]
    return next((str(name) for name in names if name != "null"), "")


def _options(part: Mapping[str, Any]) -> tuple[Option, ...]:
    if isinstance(values := part.get("enum"), list):
        names = part.get("enumNames")
        labels = names if isinstance(names, list) and len(names) == len(values) else values
        return tuple(Option(value, _label(label)) for value, label in zip(values, labels, strict=True))
    for key in ("oneOf", "anyOf"):
        branches = part.get(key)
        if isinstance(branches, list) and branches and all(isinstance(b, Mapping) and "const" in b for b in branches):
            return tuple(Option(b["const"], _text(b.get("title")) or _label(b["const"])) for b in branches)
    return (Option(part["const"], _label(part["const"])),) if "const" in part else ()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _label(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _hints(field: Field) -> list[str]:
    part, said = field.schema, []
    if field.kind in ("number", "integer"):
        said.append("a whole number" if field.kind == "integer" else "a number")
    elif field.kind == "list":
        said.append("with commas between")
    elif field.kind == "json":
        said.append("as JSON")
    elif field.kind == "choices":
        said.append("any of these")
    named = {
        "email": "an e-mail address",
        "uri": "an address",
        "date": "YYYY-MM-DD",
        "date-time": "YYYY-MM-DDThh:mm:ssZ",
    }
    if field.kind == "text" and part.get("format") in named:
        said.append(named[part["format"]])
    low, high = bounds(field)
    unit = {"text": " characters", "choices": " of them", "list": " of them"}.get(field.kind, "")
    if low is not None and high is not None:
        said.append(f"{low} to {high}{unit}")
    elif low is not None:
        said.append(f"at least {low}{unit}")
    elif high is not None:
        said.append(f"at most {high}{unit}")
    return said


def bounds(field: Field) -> tuple[Any, Any]:
    """The least and the most of it: characters or entries."""
    low, high = {
        "text": ("minLength", "maxLength"),
        "choices": ("minItems", "maxItems"),
        "list": ("minItems", "maxItems"),
    }.get(field.kind, ("minimum", "maximum"))
    return number(field.schema.get(low)), number(field.schema.get(high))


def number(value: Any) -> int | float | None:
    """It, if it is one."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
