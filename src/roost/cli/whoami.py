"""`roost whoami`: which server commands go to, and as whom."""

import click

from roost.cli import asking, reach, show
from roost.client import requests


@click.command(short_help="Say which server commands go to, and as whom.")
@asking.as_json
@click.pass_context
def whoami(ctx: click.Context, /, *, as_json: bool) -> None:
    """Say which server commands go to, and as whom."""
    reached = reach.find(ctx)
    client = reached.client
    raw = client.raw(request := requests.health(public=False))
    found = client.read(request, raw)
    server = client.server
    if as_json:
        told = {"status": found.status, "version": found.version, "url": server.url, "connected": not reached.here}
        show.document({**told, "username": server.username, "session_id": reach.session() or None})
        return
    show.fields(
        [
            ("server", server.url),
            ("version", found.version),
            ("reached", "this machine" if reached.here else "`roost connect`"),
            (
                "user",
                server.username
                or (
                    "the server's own token"
                    if server.token
                    else "whoever works on this machine: it asks for no token"
                    if reached.here
                    else "nobody: no token"
                ),
            ),
            ("session", reach.session()),
            ("certificate", "any is taken (--insecure)" if server.insecure else server.fingerprint or server.ca),
        ]
    )
