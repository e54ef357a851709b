"""Defaults, skills and tool servers: what lies in files of ours."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from roost.core.errors import BadValue
from roost.doors.routes import Answer, Call
from roost.doors.zag import bodies
from roost.doors.zag.manners import said
from roost.service.service import Service
from roost.service.toolservers import ToolServer

Does = Mapping[str, Callable[[], Any]]


class Shelf:
    """One word says what is to be done."""

    def __init__(self, service: Service) -> None:
        self._shelf = service.shelf
        self._skills = service.skills
        self._servers = service.toolservers

    async def config(self, call: Call, body: bodies.Config) -> Answer:
        """POST /config."""
        shelf, who = self._shelf, call.principal
        match body.args:
            case []:
                return said(shelf.show(who))
            case ["init"]:
                return said({"created": shelf.create(who), "path": str(shelf.path)})
            case ["reset"]:
                shelf.reset(who)
                return said({"status": "reset", "path": str(shelf.path)})
            case ["path"]:
                shelf.show(who)
                return said({"path": str(shelf.path)})
            case ["list"]:
                return said(shelf.values(who))
            case ["unset", key]:
                shelf.unset(who, key)
                return said({"key": key, "status": "unset"})
            case ["get", key]:
                return said({"key": key, "value": shelf.value(who, key)})
            case [text] if "=" in text:
                key, _, value = text.partition("=")
                return said({"key": key, "value": shelf.set(who, key, value)})
            case [key]:
                return said({"key": key, "value": shelf.value(who, key)})
            case [key, value]:
                return said({"key": key, "value": shelf.set(who, key, value)})
            case _:
                raise BadValue("expected init, reset, path, list, get KEY, unset KEY, KEY, KEY=VALUE or KEY VALUE")

    async def skills(self, call: Call, body: bodies.Skills) -> Answer:
        """POST /skills."""
        skills, who, provider = self._skills, call.principal, body.from_ or body.provider or ""

        def add() -> Any:
            return {"status": "created", "path": skills.add(who, _name(body.name), body.description or "")}

        def remove() -> Any:
            skills.remove(who, _name(body.name))
            return {"status": "removed"}

        does: Does = {
            "list": lambda: skills.listing(who),
            "show": lambda: skills.show(who, _name(body.name)),
            "add": add,
            "remove": remove,
            "sync": lambda: {"status": "synced", "count": skills.sync(who, provider)},
            "import": lambda: {"status": "imported", "skills": skills.take_over(who, provider)},
        }
        return said(_one(does, body.command)())

    async def mcp(self, call: Call, body: bodies.Mcp) -> Answer:
        """POST /mcp."""
        servers, who, root = self._servers, call.principal, body.root or ""

        def add() -> Any:
            everywhere = body.global_ is not False
            return {"status": "added", "path": servers.add(who, _server(body), everywhere=everywhere, root=root)}

        def remove() -> Any:
            servers.remove(who, _name(body.name), root)
            return {"status": "removed"}

        does: Does = {
            "list": lambda: [_shown(one) for one in servers.listing(who, root)],
            "show": lambda: _shown(servers.show(who, _name(body.name), root)),
            "add": add,
            "remove": remove,
            "sync": lambda: {"status": "synced", "count": servers.sync(who, body.from_ or "", root)},
            "import": lambda: {"status": "imported", "servers": servers.take_over(who, body.from_ or "")},
        }
        return said(_one(does, body.command)())


def _one(does: Does, command: str) -> Callable[[], Any]:
    if command not in does:
        raise BadValue(f"unknown command {command[:40]!r}: {', '.join(does)}")
    return does[command]


def _name(name: str | None) -> str:
    if not name:
        raise BadValue("a name is required")
    return name


def _server(body: bodies.Mcp) -> ToolServer:
    transport = body.transport or ("http" if body.url else "stdio")
    if transport not in ("stdio", "http"):
        raise BadValue(f"invalid transport {transport[:40]!r}: stdio or http")
    return msgspec.convert(
        {
            "name": _name(body.name),
            "description": body.description or "",
            "transport": transport,
            "command": body.command_str or body.server_command or "",
            "args": body.args or (),
            "url": body.url or "",
            "env": bodies.pairs(body.env, "env"),
        },
        ToolServer,
    )


def _shown(server: ToolServer) -> Any:
    return msgspec.to_builtins(server)
