"""Tool servers (MCP) for agent CLIs: a TOML file each, kept in `<home>/mcp`, or for one project alone."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import msgspec
import tomlkit
from msgspec import Struct

from roost.core.errors import BadValue, NotKept
from roost.core.principals import Principal
from roost.service.desk import Desk
from roost.service.shelf import write

PREFIX = "roost-"
LONGEST = 4000  # characters of a text
MOST = 256  # arguments, variables, headers
JSON_PLACES: Mapping[str, str] = {
    "claude": ".claude.json",
    "gemini": ".gemini/settings.json",
    "copilot": ".copilot/mcp-config.json",
}
CODEX = ".codex/config.toml"
PROVIDERS = (*JSON_PLACES, "codex")

Transport = Literal["stdio", "http"]


class ToolServer(Struct, frozen=True, omit_defaults=False):
    """How to reach one."""

    name: str
    description: str = ""
    transport: Transport = "stdio"
    command: str = ""
    args: tuple[str, ...] = ()
    url: str = ""
    bearer_token_env_var: str = ""
    headers: dict[str, str] = {}
    env: dict[str, str] = {}


class ToolServers:
    """Looks after the files.  Only the server's own token may, where there are accounts."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._home = desk.makers.home
        self._user = Path(desk.makers.env.get("HOME") or "/nonexistent")

    def listing(self, principal: Principal, root: str = "") -> Sequence[ToolServer]:
        """All of them, by name; a project's own instead of the global one of that name."""
        self._desk.policy.admin(principal)
        found: dict[str, ToolServer] = {}
        for folder in self._folders(root):
            for path in sorted(folder.glob("*.toml")) if folder.is_dir() else ():
                found.setdefault(path.stem, read(path))
        return [found[name] for name in sorted(found)]

    def show(self, principal: Principal, name: str, root: str = "") -> ToolServer:
        """One of them.

        Raises:
            BadValue: that can't be a name.
            NotKept: there is none.
        """
        return read(self._path(principal, name, root))

    def add(self, principal: Principal, server: ToolServer, *, everywhere: bool = True, root: str = "") -> str:
        """Keep one, for all projects or (not `everywhere`) for the one at `root`; the path of its file.

        Raises:
            BadValue: that can't be a name, it is taken, or something is missing.
        """
        self._desk.policy.admin(principal)
        _check(server)
        folder = self._home / "mcp" if everywhere else self._project(root)
        path = folder / f"{self._desk.policy.name(server.name, 'tool server')}.toml"
        if path.exists():
            raise BadValue(f"there is a tool server {server.name!r} already")
        write(path, tomlkit.dumps({key: value for key, value in msgspec.to_builtins(server).items() if value}))
        return str(path)

    def remove(self, principal: Principal, name: str, root: str = "") -> None:
        """Forget one; what CLIs were told of it stays with them until the next sync.

        Raises:
            BadValue: that can't be a name.
            NotKept: there is none.
        """
        self._path(principal, name, root).unlink()

    def sync(self, principal: Principal, provider: str = "", root: str = "") -> int:
        """Tell a CLI, or each of them, of all tool servers; how many entries were written.

        Raises:
            BadValue: a provider that takes none, or a settings file of its that can't be read.
        """
        servers, count = self.listing(principal, root), 0
        for one in [_known(provider)] if provider else PROVIDERS:
            entries = {f"{PREFIX}{server.name}": entry(one, server) for server in servers}
            if one == "codex":
                _merge_toml(self._user / CODEX, entries)
            else:
                _merge_json(self._user / JSON_PLACES[one], entries)
            count += len(entries)
        return count

    def take_over(self, principal: Principal, provider: str = "") -> Sequence[str]:
        """Keep a CLI's own tool servers that are not here yet; their names.

        Raises:
            BadValue: a provider that has none, or a settings file of its that can't be read.
        """
        self._desk.policy.admin(principal)
        one = _known(provider or "claude")
        if one == "codex":
            entries = _toml(self._user / CODEX).get("mcp_servers")
        else:
            entries = _json(self._user / JSON_PLACES[one]).get("mcpServers")
        names = []
        for name, told in entries.items() if isinstance(entries, dict) else ():
            path = self._home / "mcp" / f"{self._desk.policy.name(name, 'tool server')}.toml"
            if not name.startswith(PREFIX) and isinstance(told, dict) and not path.exists():
                self.add(principal, _server(name, told))
                names.append(name)
        return names

    # -- places ---------------------------------------------------------------------------------

    def _folders(self, root: str) -> list[Path]:
        return [self._project(root), self._home / "mcp"]

    def _project(self, root: str) -> Path:
        place = root or self._desk.policy.default_dir
        return self._home / "projects" / (place.strip("/").replace("/", "-").replace("..", "-") or "root") / "mcp"

    def _path(self, principal: Principal, name: str, root: str) -> Path:
        self._desk.policy.admin(principal)
        self._desk.policy.name(name, "tool server")
        for folder in self._folders(root):
            if (path := folder / f"{name}.toml").is_file():
                return path
        raise NotKept("tool server", name)


def read(path: Path) -> ToolServer:
    """A tool server as its file has it.

    Raises:
        BadValue: it can't be read.
    """
    try:
        return msgspec.convert({"name": path.stem} | _toml(path), ToolServer)
    except msgspec.ValidationError as error:
        raise BadValue(f"{path} is no tool server: {error}") from None


def entry(provider: str, server: ToolServer) -> dict[str, Any]:
    """A tool server as a CLI's settings have it."""
    if server.transport == "stdio":
        found: dict[str, Any] = {"command": server.command, "args": list(server.args), "env": server.env}
        return {"type": "stdio"} | found if provider == "claude" else found
    if provider == "codex":
        found = {"url": server.url, "http_headers": server.headers}
        return found | ({"bearer_token_env_var": server.bearer_token_env_var} if server.bearer_token_env_var else {})
    headers = dict(server.headers)
    if server.bearer_token_env_var:
        headers.setdefault("Authorization", f"Bearer ${{{server.bearer_token_env_var}}}")
    return {"httpUrl" if provider == "gemini" else "url": server.url, "headers": headers} | (
        {} if provider == "gemini" else {"type": "http"}
    )


def _server(name: str, told: dict[str, Any]) -> ToolServer:
    """What a CLI's settings say of a tool server."""
    url = told.get("url") or told.get("httpUrl") or ""
    try:
        return msgspec.convert(
            {
                "name": name,
                "transport": "http" if url else "stdio",
                "command": told.get("command") or "",
                "args": told.get("args") or [],
                "url": url,
                "bearer_token_env_var": told.get("bearer_token_env_var") or "",
                "headers": told.get("headers") or told.get("http_headers") or {},
                "env": told.get("env") or {},
            },
            ToolServer,
        )
    except msgspec.ValidationError as error:
        raise BadValue(f"the tool server {name!r} can't be taken over: {error}") from None


def _check(server: ToolServer) -> None:
    if server.transport == "stdio" and not server.command.strip():
        raise BadValue("a tool server over stdio needs a command")
    if server.transport == "http" and not server.url.startswith(("http://", "https://")):
        raise BadValue("a tool server over http needs a url that begins with http:// or https://")
    texts = [server.description, server.command, server.url, *server.args, *server.env.values()]
    if any(len(text) > LONGEST or "\0" in text for text in texts) or len(server.args) + len(server.env) > MOST:
        raise BadValue(f"there are more than {MOST} arguments and variables, or one is longer than {LONGEST}")


def _known(provider: str) -> str:
    if provider not in PROVIDERS:
        raise BadValue(f"{provider[:40]!r} takes no tool servers (those that do: {', '.join(PROVIDERS)})")
    return provider


def _merge_json(path: Path, entries: Mapping[str, Any]) -> None:
    """Write our entries into a CLI's settings; what we wrote before and have no more goes."""
    settings = _json(path)
    known = settings.get("mcpServers")
    kept = (
        {name: told for name, told in known.items() if not name.startswith(PREFIX)} if isinstance(known, dict) else {}
    )
    settings["mcpServers"] = kept | dict(entries)
    write(path, json.dumps(settings, indent=2, ensure_ascii=False) + "\n")


def _merge_toml(path: Path, entries: Mapping[str, Any]) -> None:
    _toml(path)  # a broken file is not written over
    document = tomlkit.parse(path.read_text("utf-8")) if path.exists() else tomlkit.document()
    servers = document.setdefault("mcp_servers", tomlkit.table(is_super_table=True))
    for name in [name for name in servers if name.startswith(PREFIX)]:
        del servers[name]
    for name, told in entries.items():
        servers[name] = told
    write(path, tomlkit.dumps(document))


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise BadValue(f"{path} can't be read: {error}") from None
    if not isinstance(found, dict):
        raise BadValue(f"{path} holds no settings")
    return cast("dict[str, Any]", found)


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise BadValue(f"{path} can't be read: {error}") from None
