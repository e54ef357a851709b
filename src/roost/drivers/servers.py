"""Tool servers, from the shape of `mcpServers` to that of the Agent Client Protocol."""

from collections.abc import Mapping
from typing import Any

from roost.drivers import fields


class Untakeable(Exception):
    """A tool server that can't be given to this agent; the text says why."""


def servers(given: Mapping[str, Any], offered: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The servers as `session/new` wants them; `offered` is what the agent says of its `mcpCapabilities`.

    Raises:
        Untakeable: one has neither a command nor an address, or the agent does not speak its transport.
    """
    listed = fields.mapping(given.get("mcpServers")) or given
    return [_server(name, fields.mapping(entry), offered) for name, entry in listed.items()]


def _server(name: str, entry: Mapping[str, Any], offered: Mapping[str, Any]) -> dict[str, Any]:
    if command := fields.text(entry.get("command")):
        args = list(fields.strings(entry.get("args")))
        return {"name": name, "command": command, "args": args, "env": _pairs(entry.get("env"))}
    url = fields.text(entry.get("url") or entry.get("httpUrl"))
    if not url:
        raise Untakeable(f"the tool server {name!r} has neither a command nor a url")
    kind = "sse" if fields.text(entry.get("type")) == "sse" else "http"
    if offered.get(kind) is not True:
        raise Untakeable(f"the tool server {name!r} needs {kind}, which this agent does not speak")
    return {"type": kind, "name": name, "url": url, "headers": _pairs(entry.get("headers"))}


def _pairs(given: Any) -> list[dict[str, str]]:
    return [{"name": name, "value": str(value)} for name, value in fields.mapping(given).items()]
