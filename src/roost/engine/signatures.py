"""Tools as functions of a typed language: names, types from JSON schemas, and what they are for."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from roost.core.messages import Definition

DEEPEST: Final = 6  # levels of a type that are written out
LONGEST: Final = 4_000  # characters of one type
DESCRIBED: Final = 2_000  # characters of a description
_PLAIN = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}
_RESERVED = frozenset(
    re.findall(
        r"\w+",
        """
        arguments async await break case catch class console const continue debugger default delete do else enum eval
        export extends false finally for function globalThis if implements import in instanceof interface let new null
        package private protected public return static super switch this throw true try typeof undefined var void while
        with yield Array Boolean Date Error Infinity JSON Map Math NaN Number Object Promise RegExp Set String Symbol
        """,
    )
)


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """What each tool is called in a script: its name, made an identifier; no two are the same."""
    found: dict[str, str] = {}
    taken = set(_RESERVED)
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_$]", "_", name)
        plain = f"_{plain}" if not plain or plain[0].isdigit() else plain
        identifier, number = plain, 2
        while identifier in taken:
            identifier, number = f"{plain}_{number}", number + 1
        taken.add(identifier)
        found[name] = identifier
    return found


def signature(definition: Definition, name: str) -> str:
    """A tool as the declaration of a function, with a comment above."""
    parameters = definition.parameters or {}
    properties = parameters.get("properties")
    described = [
        f"@param args.{key} {_one_line(value['description'])}"
        for key, value in (properties.items() if isinstance(properties, dict) else ())
        if isinstance(value, dict) and isinstance(value.get("description"), str) and value["description"].strip()
    ]
    about = definition.description[:DESCRIBED].replace("*/", "* /").strip().splitlines()
    comment = "".join(f"\n * {line}".rstrip() for line in [*about, *described])
    optional = "" if parameters.get("required") else "?"
    taken = typed(parameters) if properties else "{}"
    returned = typed(definition.output_schema) if definition.output_schema else "string"
    return f"/**{comment}\n */\ndeclare function {name}(args{optional}: {taken}): {returned};"


def _one_line(text: str) -> str:
    return " ".join(text.replace("*/", "* /").split())[:DESCRIBED]


def typed(schema: Mapping[str, Any]) -> str:
    """The type that a JSON schema describes, as far as that can be said in short."""
    text = _Types(schema).of(schema, 0)
    return text if len(text) <= LONGEST else "any"


class _Types:
    """Types of one schema, with its definitions at hand."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root

    def of(self, schema: Any, depth: int) -> str:
        """The type of a part of the schema; `any` where nothing is known of it."""
        if not isinstance(schema, Mapping) or depth > DEEPEST:
            return "any"
        if isinstance(ref := schema.get("$ref"), str):
            return self.of(self._found(ref), depth + 1)
        if composed := self._composed(schema, depth):
            return composed
        kind = schema.get("type")
        if isinstance(kind, list):
            return _union([self._kind(str(one), schema, depth) for one in kind])
        return self._kind(str(kind) if kind else "object" if "properties" in schema else "", schema, depth)

    def _composed(self, schema: Mapping[str, Any], depth: int) -> str:
        """The type where it is made of values or of other types; "" where it is not."""
        if "const" in schema:
            return _literal(schema["const"])
        if isinstance(values := schema.get("enum"), Sequence) and values and not isinstance(values, str):
            return _union([_literal(value) for value in values])
        for key in ("anyOf", "oneOf"):
            if isinstance(kinds := schema.get(key), Sequence) and kinds:
                return _union([self.of(kind, depth + 1) for kind in kinds])
        if isinstance(parts := schema.get("allOf"), Sequence) and parts:
            return " & ".join(f"({self.of(part, depth + 1)})" for part in parts)
        return ""

    def _kind(self, kind: str, schema: Mapping[str, Any], depth: int) -> str:
        match kind:
            case "array":
                inner = self.of(schema.get("items"), depth + 1)
                return f"{inner}[]" if re.fullmatch(r"[\w\[\]]+", inner) else f"({inner})[]"
            case "object":
                return self._object(schema, depth)
        return _PLAIN.get(kind, "any")

    def _object(self, schema: Mapping[str, Any], depth: int) -> str:
        properties = schema.get("properties")
        rest = schema.get("additionalProperties")
        if not isinstance(properties, Mapping) or not properties:
            return f"Record<string, {self.of(rest, depth + 1)}>" if isinstance(rest, Mapping) else "Record<string, any>"
        required = schema.get("required")
        needed = required if isinstance(required, Sequence) else ()
        fields = [
            f"{_key(name)}{'' if name in needed else '?'}: {self.of(value, depth + 1)}"
            for name, value in properties.items()
        ]
        return "{" + "; ".join(fields) + "}"

    def _found(self, ref: str) -> Any:
        """What a reference inside the schema leads to."""
        found: Any = self._root
        for step in ref.removeprefix("#").strip("/").split("/") if ref.startswith("#") else ("",):
            key = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or (key and key not in found):
                return None
            found = found[key] if key else found
        return found if ref.startswith("#") else None


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_$][\w$]*", name) else json.dumps(name, ensure_ascii=False)


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _union(kinds: Sequence[str]) -> str:
    return " | ".join(dict.fromkeys(kinds)) if kinds else "any"
