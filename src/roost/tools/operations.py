"""An OpenAPI document as operations: what each is called, takes and asks."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urljoin

from msgspec import Struct

from roost.tools.web import Request, segment

METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
LOOKING = frozenset({"GET", "HEAD", "OPTIONS"})
MOST = 2_000_000  # values of a document, those met twice counted twice
DEEPEST = 12  # levels of a schema
WIDEST = 3_000  # schemas of one operation
_KEPT = re.compile(
    "type|description|enum|items|properties|required|default|minimum|maximum|minLength|maxLength|minItems|maxItems"
    "|anyOf|oneOf|allOf|additionalProperties|const|title|nullable"
)
_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
_NOT_OURS = frozenset({"accept", "content-type", "authorization", "host", "content-length", "connection", "cookie"})


class Broken(Exception):
    """A document that is no OpenAPI 3."""


class Slot(Struct, frozen=True):
    """A parameter: where its value goes."""

    name: str
    place: str  # path, query or header
    explode: bool = True
    style: str = ""


class Operation(Struct, frozen=True):
    """One thing that can be asked."""

    name: str
    method: str
    path: str
    description: str
    parameters: dict[str, Any]
    slots: tuple[Slot, ...] = ()
    body: str = ""  # "", json (the arguments that begin with `body_`), whole (the argument `body`)

    def request(self, base: str, arguments: Mapping[str, Any]) -> Request:
        """The request that a call makes."""
        path, query, headers = self.path, list[tuple[str, str]](), dict[str, str]()
        for slot in self.slots:
            if slot.name not in arguments:
                continue
            value = arguments[slot.name]
            if slot.place == "path":
                path = path.replace("{" + slot.name + "}", segment(_joined(value)))
            elif slot.place == "query":
                query += _pairs(slot, value)
            else:
                headers[slot.name] = _joined(value)
        url = base.rstrip("/") + "/" + path.lstrip("/")
        if query:
            url += ("&" if "?" in url else "?") + "&".join(f"{quote(n, safe='')}={quote(v, safe='')}" for n, v in query)
        body = self._body(arguments)
        return Request(url, self.method, headers | ({"content-type": "application/json"} if body else {}), body)

    def _body(self, arguments: Mapping[str, Any]) -> bytes:
        if self.body == "whole":
            return json.dumps(arguments["body"]).encode() if "body" in arguments else b""
        own = {n.removeprefix("body_"): v for n, v in arguments.items() if n.startswith("body_")}
        return json.dumps(own, ensure_ascii=False).encode() if self.body == "json" else b""


class Document:
    """A document that was read, and what its references mean.

    Raises:
        Broken: it is no OpenAPI 3, or without measure.
    """

    def __init__(self, data: Any, url: str) -> None:
        if not isinstance(data, dict) or not str(data.get("openapi", "")).startswith("3."):
            raise Broken("this is no OpenAPI 3 document")
        if not isinstance(data.get("paths"), dict):
            raise Broken("the document has no paths")
        _measure(data)
        self._data = data
        self._url = url
        self._left = WIDEST

    def base(self) -> str:
        """The address that paths are added to: that of the first server, seen from the document's own."""
        servers = self._data.get("servers")
        first = servers[0] if isinstance(servers, list) and servers and isinstance(servers[0], dict) else {}
        url = str(first.get("url") or "/")
        variables = first.get("variables")
        for name, variable in (variables if isinstance(variables, dict) else {}).items():
            if isinstance(variable, dict):
                url = url.replace("{" + str(name) + "}", str(variable.get("default", "")))
        try:
            return urljoin(self._url, url)
        except ValueError:
            raise Broken("the address of its first server is malformed") from None

    def operations(self) -> Iterator[Operation]:
        """All of them, in the order of the document; no name is used twice."""
        used: set[str] = set()
        for path, item in self._data["paths"].items():
            found = self._found(item)
            if not isinstance(found, dict):
                continue
            for method, raw in found.items():
                if method in METHODS and isinstance(raw, dict):
                    name = _unused(_name(raw, method, str(path)), used)
                    yield self._operation(name, method, str(path), raw, found.get("parameters"))

    def _operation(self, name: str, method: str, path: str, raw: Mapping[str, Any], common: Any) -> Operation:
        self._left = WIDEST
        properties: dict[str, Any] = {}
        required: list[str] = []
        slots = []
        for parameter in self._parameters(common, raw.get("parameters")):
            slot = _slot(parameter)
            slots.append(slot)
            shape = self._schema(parameter.get("schema") or self._content(parameter))
            properties[slot.name] = _described(shape, parameter)
            if parameter.get("required") is True or slot.place == "path":
                required.append(slot.name)
        body = self._body(raw.get("requestBody"), properties, required)
        words = [str(raw[key]) for key in ("summary", "description") if isinstance(raw.get(key), str) and raw[key]]
        parameters = {"type": "object", "properties": properties, "required": required}
        description = "\n\n".join(words)[:2000] or f"{method.upper()} {path}"
        return Operation(name, method.upper(), path, description, parameters, tuple(slots), body)

    def _parameters(self, *lists: Any) -> list[dict[str, Any]]:
        """Those of the path and of the operation, which go first; without cookies and what is ours to say."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for each in lists:
            for raw in each if isinstance(each, list) else ():
                parameter = self._found(raw)
                if not isinstance(parameter, dict) or not isinstance(parameter.get("name"), str):
                    continue
                name, place = parameter["name"], parameter.get("in")
                if place in ("path", "query") or (place == "header" and name.lower() not in _NOT_OURS):
                    found[name, place] = parameter
        return list({parameter["name"]: parameter for parameter in reversed(found.values())}.values())[::-1]

    def _body(self, raw: Any, properties: dict[str, Any], required: list[str]) -> str:
        """Add the arguments of a JSON body; how they become one."""
        body = self._found(raw)
        shape = self._content(body) if isinstance(body, dict) else None
        if shape is None:
            return ""
        shape = self._schema(shape)
        if not isinstance(shape.get("properties"), dict):
            properties["body"] = _described(shape, body)
            required += ["body"] if body.get("required") is True else []
            return "whole"
        properties |= {f"body_{name}": inner for name, inner in shape["properties"].items()}
        if body.get("required") is True:
            required += [f"body_{name}" for name in shape.get("required", ()) if name in shape["properties"]]
        return "json"

    def _content(self, owner: Mapping[str, Any]) -> Any:
        """The schema of the JSON content of a body or a parameter; None where it takes none."""
        content = owner.get("content")
        for kind, media in (content if isinstance(content, dict) else {}).items():
            if re.match(r"application/([\w.-]+\+)?json", str(kind)) and isinstance(media, dict):
                return media.get("schema") or {}
        return None

    def _found(self, value: Any) -> Any:
        """What a value is once its references have been followed."""
        for _ in range(DEEPEST):
            if not isinstance(value, dict) or not isinstance(value.get("$ref"), str):
                return value
            value = self._at(value["$ref"])
        return None

    def _at(self, reference: str) -> Any:
        if not reference.startswith("#/"):
            return None  # of another document
        here: Any = self._data
        for step in reference[2:].split("/"):
            here = here.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(here, dict) else None
        return here

    def _schema(self, raw: Any, depth: int = 0) -> dict[str, Any]:
        """A schema with its references put in, down to a bound: what lies deeper may be anything."""
        self._left -= 1
        found = self._found(raw)
        if not isinstance(found, dict) or depth > DEEPEST or self._left < 0:
            return {}
        clean = {key: self._part(key, value, depth) for key, value in found.items() if _KEPT.fullmatch(str(key))}
        clean = {key: value for key, value in clean.items() if value is not None}
        if clean.pop("nullable", False) is True and isinstance(clean.get("type"), str):
            clean["type"] = [clean["type"], "null"]
        return _joint(clean)

    def _part(self, key: str, value: Any, depth: int) -> Any:
        """One keyword of a schema, or None where it makes no sense."""
        match key, value:
            case "properties", dict():
                return {str(name): self._schema(inner, depth + 1) for name, inner in value.items()}
            case (("anyOf" | "oneOf" | "allOf"), list()):
                return [self._schema(inner, depth + 1) for inner in value] or None
            case (("items" | "additionalProperties"), dict()):
                return self._schema(value, depth + 1)
        plain = _PLAIN.get(key)
        return plain(value) if plain is not None else None


def _type(value: Any) -> Any:
    if isinstance(value, list):
        return [each for each in value if isinstance(each, str) and each in _TYPES] or None
    return value if isinstance(value, str) and value in _TYPES else None


def _names(value: Any) -> Any:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else None


def _choices(value: Any) -> Any:
    return [each for each in value if _scalar(each)] or None if isinstance(value, list) else None


def _words(value: Any) -> Any:
    return value[:1000] if isinstance(value, str) else None


def _flag(value: Any) -> Any:
    return value if isinstance(value, bool) else None


def _count(value: Any) -> Any:
    return value if isinstance(value, int) and value >= 0 else None


def _number(value: Any) -> Any:
    return value if isinstance(value, int | float) else None


def _constant(value: Any) -> Any:
    return value if _scalar(value) else None


_PLAIN: Mapping[str, Callable[[Any], Any]] = {
    "type": _type,
    "required": _names,
    "enum": _choices,
    **dict.fromkeys(("description", "title"), _words),
    **dict.fromkeys(("additionalProperties", "nullable"), _flag),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _count),
    **dict.fromkeys(("minimum", "maximum"), _number),
    **dict.fromkeys(("default", "const"), _constant),
}
"""What stays of a keyword that holds no schema; None where it makes no sense."""


def _joint(schema: dict[str, Any]) -> dict[str, Any]:
    """The same with the properties of `allOf` as its own, where that is all it is made of."""
    parts = schema.get("allOf", [])
    if not parts or not all(part.get("type", "object") == "object" and "properties" in part for part in parts):
        return schema
    whole = [*parts, schema]
    rest = {key: value for key, value in schema.items() if key != "allOf"}
    properties = {name: inner for part in whole for name, inner in part.get("properties", {}).items()}
    required = list(dict.fromkeys(name for part in whole for name in part.get("required", ())))
    return {**rest, "type": "object", "properties": properties, "required": required}


def _scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def _slot(parameter: Mapping[str, Any]) -> Slot:
    style = str(parameter.get("style") or "")
    explode = parameter.get("explode")
    exploded = explode if isinstance(explode, bool) else style in ("", "form", "deepObject")
    return Slot(parameter["name"], parameter["in"], exploded, style)


def _described(shape: dict[str, Any], owner: Mapping[str, Any]) -> dict[str, Any]:
    words = owner.get("description")
    return {**shape, "description": words[:1000]} if isinstance(words, str) and words else shape


def _pairs(slot: Slot, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, list) and slot.explode:
        return [(slot.name, _joined(each)) for each in value]
    if isinstance(value, dict) and slot.style == "deepObject":
        return [(f"{slot.name}[{name}]", _joined(inner)) for name, inner in value.items()]
    if isinstance(value, dict) and slot.explode:
        return [(name, _joined(inner)) for name, inner in value.items()]
    return [(slot.name, _joined(value))]


def _joined(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(_joined, value))
    if isinstance(value, dict):
        return ",".join(f"{name},{_joined(inner)}" for name, inner in value.items())
    return value if isinstance(value, str) else json.dumps(value)


def _name(raw: Mapping[str, Any], method: str, path: str) -> str:
    wanted = raw.get("operationId")
    text = wanted if isinstance(wanted, str) and wanted.strip() else f"{method}_{path}"
    return re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9_-]", "_", text)).strip("_")[:64] or method


def _unused(name: str, used: set[str]) -> str:
    number, free = 1, name
    while free in used:
        number += 1
        free = f"{name[: 63 - len(str(number))]}_{number}"
    used.add(free)
    return free


def _measure(data: Any) -> None:
    """See that a document is finite: YAML can refer to itself, and unfold without end."""
    todo, seen = [data], 0
    while todo:
        value = todo.pop()
        seen += 1
        if seen > MOST:
            raise Broken("the document is too large")
        if isinstance(value, dict):
            todo += value.values()
        elif isinstance(value, list):
            todo += value
