"""`roost search`: a text in the logs of sessions."""

from typing import Any

import click

from roost.cli import asking, reach, show
from roost.cli.columns import IDENT
from roost.client import requests
from roost.client.fleet import Match
from roost.client.requests import Query


@click.command(short_help="Search the logs of sessions.")
@click.argument("query", required=False)
@click.option("-e", "--regex", is_flag=True, help="QUERY is a regular expression.")
@click.option("-c", "--case-sensitive", is_flag=True, help="Capitals matter.")
@click.option("-p", "--provider", metavar="NAME", help="Only sessions of this provider.")
@click.option("--role", metavar="ROLE", help="Only messages of this role.")
@click.option("--tool", metavar="NAME", help="Only calls of tools with this in their name.")
@click.option("--tool-kind", metavar="KIND", help="Only calls of this kind: shell, file_read, file_edit, …")
@click.option("--from", "since", metavar="WHEN", help="Not before this: a date, or 3d, 2w for so long ago.")
@click.option("--to", "until", metavar="WHEN", help="Not after this.")
@click.option("--session", metavar="ID", help="Only this session.")
@click.option("--tag", metavar="TAG", help="Only sessions with this tag.")
@click.option("--global", "everywhere", is_flag=True, help="Sessions of all folders.")
@click.option("--count", is_flag=True, help="Print how many there are.")
@click.option("-n", "--limit", type=click.IntRange(min=1), metavar="N", help="Stop after N.")
@asking.as_json
@click.pass_context
def search(ctx: click.Context, /, *, as_json: bool, **flags: Any) -> None:
    """Search the logs of sessions.

    The exit code is 1 if nothing was found.
    """
    given = {name: value for name, value in flags.items() if value not in (None, False)}
    client = reach.client(ctx)
    raw = client.raw(request := requests.search(Query(**given)))
    found = client.read(request, raw)
    count = found.count or len(found.matches)
    if as_json:
        show.document(raw)
    elif flags["count"]:
        show.text(str(count))
    elif not count and show.terminal():
        show.nothing("matches")
    for match in () if as_json or flags["count"] else found.matches:
        _show(match)
    ctx.exit(0 if count else 1)


def _show(match: Match) -> None:
    kind = match.event.get("type", "") if isinstance(match.event, dict) else "reasoning"  # which has no event by itself
    session = match.session_id[:IDENT] if show.terminal() else match.session_id
    head = "  ".join(word for word in (session, match.provider, kind) if word)
    if show.terminal():
        show.line(head, style="cyan")
        show.text(f"    {show.short(match.snippet, 240)}")
    else:  # one line each, for grep
        show.text(f"{head}  {show.short(match.snippet, 1000)}")
