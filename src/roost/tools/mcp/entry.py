"""One entry of type `mcp` in an agent file, with its placeholders filled: where the server is, and how it is kept."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from roost.core.agents import ToolsetSpec
from roost.core.errors import ToolsetFailed
from roost.core.templates import expand
from roost.ports import Place
from roost.tools.cell import outward
from roost.tools.house import House
from roost.tools.mcp import mapping
from roost.tools.mcp.mapping import Stand
from roost.tools.mcp.rules import Rules, rules

DOCKER = "docker:"


class Program(Struct, frozen=True):
    """A server that is started here."""

    command: str
    args: tuple[str, ...]
    env: dict[str, str]  # all of it
    cwd: str


class Client(Struct, frozen=True):
    """What an agent file says of logging in: a client that was registered by hand."""

    id: str = ""
    secret: str = ""
    scopes: tuple[str, ...] = ()
    redirect_uri: str = ""


class Remote(Struct, frozen=True):
    """A server behind an address; `transport` is "", `streamable` or `sse`."""

    url: str
    transport: str = ""
    headers: dict[str, str] = {}
    client: Client = Client()


class Gateway(Struct, frozen=True):
    """A server of Docker's catalogue, behind Docker's gateway."""

    name: str
    config: Any
    secrets: dict[str, str]
    env: dict[str, str]
    cwd: str


class Entry(Struct, frozen=True):
    """The whole entry."""

    label: str  # what messages call the server
    server: Program | Remote | Gateway
    protocol: str = "auto"  # auto or legacy
    sampling: str = "ask"  # ask, allow or deny
    allow_private_ips: bool = False
    hints: bool = True  # whether it is believed that a tool only reads


def label_of(spec: ToolsetSpec) -> str:
    """What messages call the server: it is there before anything else is known."""
    options = spec.options
    remote = options.get("remote") or {}
    name = spec.name or options.get("ref") or remote.get("url") or Path(options.get("command") or "").name
    return f"MCP server {name!r}"


def rules_of(spec: ToolsetSpec) -> Rules:
    """Its lifecycle.  A server behind an address has no exit status: each end of a connection is a failure.

    Raises:
        ToolsetFailed: a duration can't be read.
    """
    told = rules(spec.options.get("lifecycle") or {})
    return replace(told, restart="always") if spec.options.get("remote") and told.restart != "never" else told


def read(spec: ToolsetSpec, place: Place, house: House) -> Entry:
    """The entry as it is to be used now: variables, request headers and `mcp.toml` are looked at anew.

    Raises:
        ToolsetFailed: a variable is missing, or something can't be what it says.
    """
    mapped = mapping.load(house.home)
    options = spec.options
    return Entry(
        label=label_of(spec),
        server=_server(options, place, house, mapped.docker),
        protocol=_word(options, "protocol", ("auto", "legacy")),
        sampling=_word(options, "sampling", ("ask", "allow", "deny")),
        allow_private_ips=bool(options.get("allow_private_ips")),
        hints=mapped.read_only_hints == "trust",
    )


def _word(options: Mapping[str, Any], key: str, words: tuple[str, ...]) -> str:
    word = options.get(key) or words[0]
    if word not in words:
        raise ToolsetFailed(f"{key} must be one of {', '.join(words)}, not {word!r}")
    return str(word)


def _server(
    options: Mapping[str, Any], place: Place, house: House, docker: Mapping[str, Stand]
) -> Program | Remote | Gateway:
    if command := options.get("command"):
        return _program(command, options.get("args") or (), options, place, house)
    if remote := options.get("remote"):
        return _remote(remote, place, house)
    ref = str(options.get("ref") or "")
    if not ref.startswith(DOCKER):
        raise ToolsetFailed(f"no MCP server is called {ref!r}: a ref names an entry of `mcps`, or docker:NAME")
    name = ref.removeprefix(DOCKER)
    stand = docker.get(name, Stand())
    if stand.command:
        own = {**options, "env": {**stand.env, **(options.get("env") or {})}}
        return _program(stand.command, (*stand.args, *(options.get("args") or ())), own, place, house)
    if stand.url:
        told = {"url": stand.url, "transport_type": stand.transport, "headers": stand.headers}
        return _remote(told, place, house)
    return Gateway(
        name, options.get("config"), _secrets(stand, house), _environment(options, place, house), place.working_dir
    )


def _program(
    command: str, args: tuple[str, ...] | list[str], options: Mapping[str, Any], place: Place, house: House
) -> Program:
    env = _environment(options, place, house)
    folder = house.expand(str(options.get("working_dir") or ""), "working_dir")
    cwd = Path(place.working_dir, Path(folder).expanduser() if folder.startswith("~") else folder)
    filled = tuple(expand(str(arg), house.env) for arg in args)
    return Program(expand(command, house.env), filled, env, str(cwd))


def _environment(options: Mapping[str, Any], place: Place, house: House) -> dict[str, str]:
    """The server's own environment, and over it what the entry says."""
    own = {name: house.expand(str(value), f"env {name}") for name, value in (options.get("env") or {}).items()}
    return {**outward(house.env, place), **own}


def _remote(told: Mapping[str, Any], place: Place, house: House) -> Remote:
    url = expand(str(told.get("url") or ""), house.env, place.headers)
    if urlsplit(url).scheme not in ("http", "https", "unix"):
        raise ToolsetFailed(f"remote.url must begin with http://, https:// or unix://, not {url!r}")
    if place.confined and _endpoint(url) not in house.endpoints:
        raise ToolsetFailed(
            f"{_endpoint(url)} can't be reached: this session is confined to a sandbox, and it is not one of the "
            "addresses that may be reached from there"
        )
    transport = str(told.get("transport_type") or "").removesuffix("-http")
    if transport not in ("", "streamable", "sse"):
        raise ToolsetFailed(f"remote.transport_type must be streamable or sse, not {transport!r}")
    headers = {
        name: expand(str(value), house.env, place.headers) for name, value in (told.get("headers") or {}).items()
    }
    return Remote(url, transport, {n: v for n, v in headers.items() if v}, _client(told.get("oauth") or {}, house))


def _endpoint(url: str) -> str:
    """Host and port of an address; a socket has none, and is itself."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return url
    return f"{parts.hostname or ''}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _client(oauth: Mapping[str, Any], house: House) -> Client:
    return Client(
        expand(str(oauth.get("clientId") or ""), house.env),
        expand(str(oauth.get("clientSecret") or ""), house.env),
        tuple(oauth.get("scopes") or ()),
        expand(str(oauth.get("callbackRedirectURL") or ""), house.env),
    )


def _secrets(stand: Stand, house: House) -> dict[str, str]:
    missing = sorted(variable for variable in stand.secrets.values() if not house.env.get(variable))
    if missing:
        raise ToolsetFailed(f"these environment variables are missing: {', '.join(missing)}")
    return {name: house.env[variable] for name, variable in stand.secrets.items()}
