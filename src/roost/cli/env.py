"""`roost env`: the variables that a session's agent is given."""

import shlex

import click

from roost.cli import asking, reach, show
from roost.client import requests


@click.command(short_help="Print a session's variables.")
@click.argument("session", required=False)
@click.option("--shell", is_flag=True, help="As `export` lines, for `eval`.")
@asking.as_json
@click.pass_context
def env(ctx: click.Context, /, *, session: str | None, shell: bool, as_json: bool) -> None:
    """Print the variables that a session's agent is given; without SESSION, the newest one's."""
    client = reach.client(ctx)
    raw = client.raw(request := requests.variables(session or "latest"))
    if as_json:
        show.document(raw)
        return
    for name, value in client.read(request, raw).items():
        click.echo(f"export {name}={shlex.quote(value)}" if shell else show.clean(f"{name}={value}"))
