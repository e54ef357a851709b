"""Flags that several commands share, by what they are about.

A flag that is not given is None here: the environment, the settings file and the defaults come after.
"""

import os
import shlex
from collections.abc import Callable, Iterable
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from roost.cli import lazy

if TYPE_CHECKING:
    from roost.config.settings import Settings

Decorator = Callable[[Any], Any]


def _path(**kind: bool) -> click.Path:
    return click.Path(path_type=Path, resolve_path=False, **kind)


def _all(*decorators: Decorator) -> Decorator:
    def decorate(command: Any) -> Any:
        return reduce(lambda done, decorator: decorator(done), reversed(decorators), command)

    return decorate


def database(default: str) -> Decorator:
    """The flag that names the database."""
    return click.option(
        "-s", "--session-db", type=_path(dir_okay=False), metavar="PATH", help=f"The database.  [default: {default}]"
    )


network = _all(
    click.option("-l", "--listen", metavar="ADDR", help="host:port, unix://PATH or fd://N.  [default: 127.0.0.1:8080]"),
    click.option("--auth-token", metavar="TOKEN", help="Ask every client for this bearer token."),
    click.option(
        "--allow-unauthenticated", is_flag=True, default=None, help="Listen beyond this machine without a token."
    ),
)

limits = _all(
    click.option(
        "--max-request-size",
        type=click.IntRange(min=1),
        metavar="BYTES",
        help="Largest request body.  [default: 1048576]",
    ),
    click.option("--mcp-oauth-redirect-uri", metavar="URI", help="Where logins of remote tool servers come back to."),
    click.option("--pprof-addr", metavar="ADDR", hidden=True, help="Serve /debug/pprof/ there."),
)

front = _all(
    click.option("--host", metavar="HOST", help="A name or an address to listen on.  [default: 0.0.0.0]"),
    click.option("--port", type=click.IntRange(0, 65535), metavar="PORT", help="[default: 2100]"),
    click.option("--listen", metavar="ADDR", hidden=True, help="unix://PATH or fd://N in place of host and port."),
    click.option("--token", metavar="TOKEN", help="The token that clients need.  [default: the one in serve.toml]"),
    click.option("--generate-token", is_flag=True, default=None, help="Make a new token, save it, print it."),
    click.option("--tls-cert", type=_path(), metavar="PATH", help="The certificate (PEM).  [default: self-signed]"),
    click.option("--tls-key", type=_path(), metavar="PATH", help="Its key (PEM)."),
    click.option("--own-ca", is_flag=True, default=None, help="A certificate by an authority of our own, for phones."),
    click.option("--force-sandbox", is_flag=True, default=None, help="Run every session in a sandbox."),
    click.option("--insecure-http", is_flag=True, default=None, help="No TLS; on this machine only."),
    click.option("--insecure-http-anywhere", is_flag=True, default=None, help="With --insecure-http: anywhere."),
    click.option(
        "--agents",
        multiple=True,
        metavar="AGENTS",
        help="Serve these agents too: a file, a folder, a reference; may be repeated.",
    ),
    click.option("--stop-sessions", is_flag=True, default=None, help="End what runs when the server stops."),
    click.option("--idle-exit", metavar="TIME", help="Stop by itself after so long without any use."),
    click.option("--max-sessions", type=click.IntRange(min=0), metavar="N", help="At once; 0: any.  [default: 100]"),
    click.option(
        "--max-sessions-per-account", type=click.IntRange(min=0), metavar="N", help="Of each account.  [default: any]"
    ),
    click.option("--cors-origins", metavar="ORIGINS", help="Whose pages may use /api/v1.  [default: *]"),
    click.option("--enable-mock", is_flag=True, default=None, hidden=True, help="Offer the provider `mock`."),
)

storage = _all(
    click.option(
        "--working-dir",
        type=_path(exists=True, file_okay=False),
        metavar="DIR",
        help="Where agents work.  [default: the current folder]",
    ),
    click.option(
        "--session-workingdir-root",
        type=_path(exists=True, file_okay=False),
        metavar="DIR",
        help="Sessions may only work inside DIR.",
    ),
)

models = _all(
    click.option("--default-model", metavar="REF", help="What `auto` means, as provider/model."),
    click.option("--models-gateway", metavar="URL", help="Send model requests through this gateway."),
    click.option(
        "--env-from-file",
        type=_path(exists=True, dir_okay=False),
        metavar="FILE",
        multiple=True,
        help="Read variables (keys) from FILE; may be repeated.",
    ),
    click.option("--record", type=_path(), metavar="FILE", help="Record model traffic into a cassette."),
    click.option("--fake", type=_path(), metavar="FILE", help="Answer model requests from a cassette."),
    click.option("--code-mode-tools", is_flag=True, default=None, help="One JavaScript tool for all."),
)

safety = click.option(
    "--safety",
    type=click.Choice(["strict", "balanced", "restricted", "autonomous"]),
    help="Which tools of new sessions run unasked.  [default: what the agent file says]",
)

behaviour = _all(
    safety,
    click.option(
        "--pull-interval",
        type=click.FloatRange(min=0),
        metavar="MINUTES",
        help="Fetch remote agents anew this often.  [default: 0, never]",
    ),
    click.option(
        "--disconnect-grace",
        metavar="TIME",
        help="How long a turn outlives the client that started it, as in 10s or 1m30s.  [default: 10s]",
    ),
    click.option(
        "--resume",
        type=click.Choice(["resume", "ask", "fail"]),
        help="What becomes of turns that a crash cut off.  [default: resume]",
    ),
    click.option(
        "--sandbox",
        type=click.Choice(["auto", "docker", "bubblewrap", "none"]),
        help="What sandboxes are made with.  [default: auto]",
    ),
    click.option("--sandbox-image", metavar="IMAGE", help="A Docker image that is the system inside."),
    click.option("--permissions", metavar="JSON", help="Patterns that allow, ask and deny tools of every agent."),
    click.option("--hooks", metavar="JSON", help="Hooks of every agent, before those of hooks.d."),
)

page = _all(
    click.option("--public-url", metavar="URL", help="Where a proxy shows this server, as https://roost.example."),
    click.option("--notify", metavar="JSON", hidden=True, help="Who is told that something waits."),
    click.option("--no-qr", is_flag=True, default=None, help="Print no pairing link and no QR code."),
)

common = _all(
    click.option("--home", type=_path(file_okay=False), metavar="DIR", help="Roost's folder.  [default: ~/.roost]"),
    click.option(
        "--data-dir", type=_path(file_okay=False), metavar="DIR", help="Roost's own files.  [default: its folder]"
    ),
    click.option("--cache-dir", type=_path(file_okay=False), metavar="DIR", help="What can be fetched again."),
    click.option("--config-dir", type=_path(file_okay=False), metavar="DIR", help="Where settings are read from."),
    click.option("--debug", is_flag=True, default=None, help="Log more."),
    click.option("--log-file", type=_path(dir_okay=False), metavar="FILE", help="Log there, not to stderr."),
)


def given(flags: dict[str, Any]) -> dict[str, Any]:
    """The flags that were given, with their paths as seen from the folder in which the command was typed."""
    return {name: _absolute(value) for name, value in flags.items() if value is not None and value != ()}


def placed(settings: "Settings", names: Iterable[str]) -> "Settings":
    """The settings with these agents, where there are any: files and folders as seen from here, others as named."""
    from msgspec.structs import replace

    known = lazy.aliases.known(settings.aliases, settings.config_dir, os.environ)
    found = tuple(name if name in known else _seen(name) for name in names)
    return replace(settings, agents=found) if found else settings


def _seen(name: str) -> str:
    path = Path(name).expanduser()
    return str(path.absolute()) if name and path.exists() else name


def _absolute(value: Any) -> Any:
    match value:
        case Path():
            return str(value.expanduser().absolute())
        case tuple():
            return tuple(_absolute(item) for item in value)
    return value


def command(*words: str | dict[str, Any]) -> str:
    """A command line that can be pasted, its token left out."""
    line = ["roost"]
    for word in words:
        if isinstance(word, str):
            line.append(word)
            continue
        for name, value in word.items():
            line += _flag(f"--{name.replace('_', '-')}", value)
    return shlex.join(line)


def _flag(name: str, value: Any) -> list[str]:
    if value is True:
        return [name]
    values = value if isinstance(value, tuple) else (value,)
    return [part for item in values for part in (name, str(item))]
