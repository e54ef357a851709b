"""`roost serve` and `roost serve api`: flags in, running server out."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from roost.cli import lazy, options
from roost.core.errors import BadValue
from roost.doors.listen import exposed, parse


@click.group(invoke_without_command=True, short_help="Serve agents over HTTPS, on 0.0.0.0:2100.")
@options.front
@options.database("~/.roost/roost.db")
@options.limits
@options.storage
@options.models
@options.behaviour
@options.page
@options.common
@click.pass_context
def serve(ctx: click.Context, /, **flags: Any) -> None:
    """Serve agents and agent CLIs at /api/v1 and /api, over TLS and with a token.

    \b
    roost serve
    roost serve --agents ./agents --port 8443
    roost serve --tls-cert cert.pem --tls-key key.pem
    """
    flags = options.given(flags)
    if ctx.invoked_subcommand is not None:
        if flags:
            raise click.UsageError("these flags are for `roost serve` alone; those of `roost serve api` come after it")
        return
    generate = flags.pop("generate_token", False)
    refuse(flags.get("agents", ()), flags)
    front, desk = lazy.front, lazy.desk
    mine = {name: value for name, value in flags.items() if name in front.FIELDS or name == "home"}
    rest = {name: value for name, value in flags.items() if name not in front.FIELDS}
    told = front.load(mine, os.environ, generate=generate)
    desk.refuse_plain(told, options.command("serve", {k: v for k, v in flags.items() if k not in ("host", "token")}))
    desk.run(told, options.placed(lazy.settings.load(rest, os.environ), rest.get("agents", ())), generate=generate)


@serve.command(short_help="Serve agents at /api, on 127.0.0.1:8080.")
@click.argument("agents")
@options.network
@options.limits
@options.database("session.db")
@options.storage
@options.models
@options.behaviour
@options.page
@options.common
def api(agents: str, **flags: Any) -> None:
    """Serve AGENTS at /api.

    AGENTS is an agent file, a folder of agent files, an http(s) address, the name of an
    agent in a registry (`org/name:tag`), an alias, or a built-in agent (`default`, `coder`).

    \b
    roost serve api agent.yaml
    roost serve api registry.example/team/reviewer:stable --pull-interval 10
    roost serve api ./agents --listen unix:///run/user/1000/roost.sock
    """
    flags = options.given(flags)
    refuse([agents], flags)
    settings = options.placed(lazy.settings.load(flags, os.environ), (agents,))
    refuse_open(
        settings.listen, agents, flags, token=settings.auth_token.reveal(), allowed=settings.allow_unauthenticated
    )
    lazy.host.run(settings)


def refuse(agents: Iterable[str], flags: dict[str, Any]) -> None:
    """Turn down flags that make no sense together, before anything is opened.

    Raises:
        BadValue: with what the user should read.
    """
    if "record" in flags and "fake" in flags:
        raise BadValue("--record and --fake can't be used together: one writes a cassette, the other plays one")
    names = tuple(agents)
    if flags.get("pull_interval") and names and all(Path(name).is_file() for name in names):
        raise BadValue("--pull-interval flag can only be used with OCI references, not local files")


def refuse_open(listen: str, agents: str, flags: dict[str, Any], *, token: str, allowed: bool) -> None:
    """Turn down an address that others can reach when nobody has to say who they are.

    Raises:
        BadValue: with the command that would do it all the same.
    """
    address = parse(listen)
    if token or allowed or not exposed(address):
        return
    raise BadValue(
        f"{listen} can be reached from other machines, and no token is set: anybody there could run your agents.\n"
        f"Set one with --auth-token (or ROOST_AUTH_TOKEN), or allow it:\n\n"
        f"    {options.command('serve', 'api', agents, flags)} --allow-unauthenticated\n"
    )
