"""`roost cancel`: end what sessions do."""

import click

from roost.cli import asking, reach, show
from roost.client import requests
from roost.client.errors import Refused


@click.command(short_help="End what sessions do.")
@click.argument("sessions", nargs=-1)
@asking.tag
@click.option("--reason", metavar="TEXT", help="Why; it stands in the log.")
@asking.as_json
@click.pass_context
def cancel(
    ctx: click.Context, /, *, sessions: tuple[str, ...], tag: str | None, reason: str | None, as_json: bool
) -> None:
    """End what sessions do.

    The exit code is 1 if one could not be cancelled; the others are all the same.
    """
    client = reach.client(ctx)
    target = asking.target(client, sessions, tag)
    tagged = client.ask(requests.sessions(tag=tag)) if tag else []
    named = [found.session_id for found in tagged if found.status not in asking.ENDED]
    done = []
    for session in dict.fromkeys([*target.ids, *named]):
        try:
            done.append({"session_id": session, "status": client.ask(requests.cancel(session, reason)).status})
        except Refused as error:
            done.append({"session_id": session, "status": "error", "error": error.message})
    if as_json:
        show.document(done)
    else:
        for one in done:
            show.line(
                f"{one['session_id']}  {one.get('error') or one['status']}", style="red" if "error" in one else None
            )
        if not done:
            show.nothing("session with this tag runs")
    ctx.exit(1 if any("error" in one for one in done) else 0)
