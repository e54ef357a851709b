"""`roost output`: the text that a session ended with."""

import click

from roost.cli import asking, reach, show
from roost.client import requests


@click.command(short_help="Print a session's result.")
@click.argument("session", required=False)
@click.option("--latest", is_flag=True, help="The newest session.")
@click.option("--name", metavar="NAME", help="The newest session of this name.")
@click.option("--tag", metavar="TAG", help="The newest session with this tag.")
@asking.as_json
@click.pass_context
def output(
    ctx: click.Context,
    /,
    *,
    session: str | None,
    latest: bool,
    name: str | None,
    tag: str | None,
    as_json: bool,
) -> None:
    """Print a session's result: its last answer.

    The exit code is 1 where there is none.
    """
    client = reach.client(ctx)
    named = asking.pick(client, session, latest=latest, name=name, tag=tag)
    raw = client.raw(request := requests.output(named))
    if as_json:
        show.document(raw)
    else:
        show.text(client.read(request, raw).result or "")
