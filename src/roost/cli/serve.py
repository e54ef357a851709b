"""`roost serve`: flags in, running server out."""

import os
from pathlib import Path
from typing import Any

import click

from roost.cli import options
from roost.core.errors import BadValue, NotBuilt
from roost.doors.listen import exposed, parse


@click.group(invoke_without_command=True)
@click.pass_context
def serve(ctx: click.Context) -> None:
    """Serve agents over HTTP."""
    if ctx.invoked_subcommand is None:
        raise NotBuilt("`roost serve` (TLS, accounts, /api/v1) is not built yet; `roost serve api AGENTS` is")


@serve.command(short_help="Serve agents at /api, on 127.0.0.1:8080.")
@click.argument("agents")
@options.network
@options.database("session.db")
@options.storage
@options.models
@options.behaviour
@options.common
def api(agents: str, **flags: Any) -> None:
    """Serve AGENTS at /api.

    AGENTS is an agent file, a folder of agent files, or the name of a built-in agent
    (`default`).

    \b
    roost serve api agent.yaml
    roost serve api ./agents --listen unix:///run/user/1000/roost.sock
    """
    flags = options.given(flags)
    refuse(agents, flags)
    # What follows loads the whole server: help and completion do without.
    from roost.cli import host
    from roost.config.settings import load

    settings = load({**flags, "agents": options.agents(agents)}, os.environ)
    refuse_open(
        settings.listen, agents, flags, token=settings.auth_token.reveal(), allowed=settings.allow_unauthenticated
    )
    host.run(settings)


def refuse(agents: str, flags: dict[str, Any]) -> None:
    """Turn down flags that make no sense together, before anything is opened.

    Raises:
        BadValue: with what the user should read.
    """
    if "record" in flags and "fake" in flags:
        raise BadValue("--record and --fake can't be used together: one writes a cassette, the other plays one")
    if flags.get("pull_interval") and Path(agents).is_file():
        raise BadValue("--pull-interval flag can only be used with OCI references, not local files")
    if flags.get("code_mode_tools"):
        raise NotBuilt("--code-mode-tools is not built yet")


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
