"""The routes as an OpenAPI 3.1 document."""

from collections.abc import Iterable
from typing import Any

import msgspec

from roost.doors.routes import Route, names

Schema = dict[str, Any]

SSE = "text/event-stream"
ERROR = "#/components/schemas/Error"
WORDS = {
    400: "Something in the request can't be used",
    401: "No token, or a wrong one",
    403: "Another origin, or a Host that is not served here",
    404: "There is no such thing",
    409: "Not now: it is busy, or nothing waits for this",
    413: "The body is too large",
    422: "The model can't be used",
    429: "The queue is full",
    500: "Our fault, or an agent file that does not load",
    501: "This is not built, or not for such a session",
    502: "A remote agent source can't be fetched",
    503: "Not ready in time, or shutting down",
    507: "The session store can't be written",
}
QUERY = {
    "limit": "How many at most",
    "offset": "How many to leave out, from the newest on",
    "timeout": "How long to wait, as `10s` or `1m30s`; at most five minutes",
    "wait": "How long to wait, as `10s`; for a DELETE `true`",
    "detail": "`full` for all that a screen wants to know",
    "last": "How many messages, the newest; at most 1000",
    "before": "The `id` of a message: those before it",
    "since": "The number of the last event seen; the header `Last-Event-ID` does the same",
    "detach": "`true` lets the turn go on when this client leaves",
    "state": "The state that the login was begun with",
    "code": "What the authorization server gave",
    "error": "Why the authorization server refused",
    "error_description": "The same, in words",
}


def document(routes: Iterable[Route], version: str) -> Schema:
    """The whole document."""
    shown = [route for route in routes if route.shown]
    kinds = [kind for route in shown for kind in (route.body, route.answer, route.full) if _is_type(kind)]
    described, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    schemas = dict(zip(map(repr, kinds), described, strict=True))
    paths: dict[str, Schema] = {}
    for route in shown:
        path = "/".join(f"{{{part[1:]}}}" if part.startswith(":") else part for part in route.path.split("/"))
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, schemas)
    message = {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]}
    whole: Schema = {
        "openapi": "3.1.0",
        "info": {
            "title": "Roost",
            "version": version or "0",
            "description": "One server for all of your agents. Every error is an object with a message.",
        },
        "security": [{"token": []}, {}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted({**components, "Error": message}.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
    plain: Schema = msgspec.json.decode(msgspec.json.encode(whole))  # tuples among the defaults become lists
    return plain


def _is_type(kind: Any) -> bool:
    return kind is not None and not isinstance(kind, str)


def _operation(route: Route, schemas: dict[str, Schema]) -> Schema:
    operation: Schema = {
        "operationId": _id(route),
        "summary": route.summary,
        "tags": [_tag(route.path)],
        "parameters": _parameters(route),
    }
    if route.body is not None:
        schema = schemas[repr(route.body)]
        operation["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    refused = {400, 403, 413, *route.refusals} if route.body is not None else {403, *route.refusals}
    operation["responses"] = {str(route.status): _success(route, schemas)} | {
        str(status): {"description": WORDS[status], "content": {"application/json": {"schema": {"$ref": ERROR}}}}
        for status in sorted(refused if route.open else refused | {401})
    }
    if route.open:
        operation["security"] = []
    return operation


def _success(route: Route, schemas: dict[str, Schema]) -> Schema:
    if route.answer == SSE:
        return {
            "description": "Events: `data:` lines, each a JSON object with a `type`; `id:` is the event's number",
            "content": {SSE: {"schema": {"type": "string"}}},
        }
    schema = {"type": "null"} if route.answer is None else schemas[repr(route.answer)]
    if route.full is not None:
        schema = {"anyOf": [schema, schemas[repr(route.full)]]}
    return {"description": "Done", "content": {"application/json": {"schema": schema}}}


def _parameters(route: Route) -> list[Schema]:
    path = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names(route.path)]
    query = [
        {"name": name, "in": "query", "description": QUERY[name], "schema": {"type": "string"}} for name in route.query
    ]
    return [*path, *query]


def _id(route: Route) -> str:
    words = [part.strip(":").replace("-", "_") for part in route.path.split("/") if part]
    return "_".join([route.method.lower(), *words])


def _tag(path: str) -> str:
    first = path.removeprefix("/api").strip("/").split("/")[0]
    return first if first in ("agents", "sessions", "waits") else "server"
