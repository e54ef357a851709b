"""`roost collect`: what came of several sessions."""

import click

from roost.cli import asking, reach, show
from roost.client import requests


@click.command(short_help="Print the results of several sessions.")
@click.argument("sessions", nargs=-1)
@asking.tag
@asking.as_json
@click.pass_context
def collect(ctx: click.Context, /, *, sessions: tuple[str, ...], tag: str | None, as_json: bool) -> None:
    """Print the results of several sessions.

    It waits for none: `roost wait` does.
    """
    client = reach.client(ctx)
    raw = client.raw(request := requests.collect(asking.target(client, sessions, tag)))
    if as_json:
        show.document(raw)
        return
    results = client.read(request, raw)
    for at, found in enumerate(results):
        if at:
            click.echo()
        head = "  ".join(word for word in (found.session_id, found.status, show.short(found.name or "")) if word)
        show.line(head, style=show.STATUS.get(found.status), bold=True)
        if found.error:
            show.line(f"error: {show.clean(found.error)}", style="red")
        if found.result_text:
            show.text(found.result_text)
