"""`roost status`: how a session is doing."""

import click

from roost.cli import asking, reach, show
from roost.client import requests


@click.command(short_help="Say how a session is doing.")
@click.argument("session", required=False)
@asking.chosen
@asking.as_json
@click.pass_context
def status(
    ctx: click.Context,
    /,
    *,
    session: str | None,
    latest: bool,
    active: bool,
    process: str | None,
    name: str | None,
    as_json: bool,
) -> None:
    """Say how a session is doing.

    SESSION is an id, or the first characters of one.
    """
    client = reach.client(ctx)
    request = requests.status(asking.pick(client, session, latest=latest, active=active, process=process, name=name))
    raw = client.raw(request)
    if as_json:
        show.document(raw)
        return
    found = client.read(request, raw)
    show.fields(
        [
            ("session", found.session_id),
            ("status", "waiting" if found.waits and found.status == "idle" else found.status),
            ("provider", found.provider),
            ("model", found.model),
            ("name", found.name),
            ("pid", found.pid),
            ("error", found.error),
            ("waits for", found.waiting_on),
            ("waits for you", f"{found.waits}: see `roost approvals`" if found.waits else None),
            ("last heartbeat", show.instant(found.last_heartbeat_at)),
        ]
    )
