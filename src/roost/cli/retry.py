"""`roost retry`: the same again."""

import click

from roost.cli import asking, reach, show
from roost.client import requests


@click.command(short_help="Start sessions again, as they were started.")
@click.argument("sessions", nargs=-1)
@asking.tag
@click.option("--failed", is_flag=True, help="Only those that failed.")
@click.option("-m", "--model", metavar="NAME", help="With another model.")
@asking.as_json
@click.pass_context
def retry(
    ctx: click.Context,
    /,
    *,
    sessions: tuple[str, ...],
    tag: str | None,
    failed: bool,
    model: str | None,
    as_json: bool,
) -> None:
    """Start sessions again, as they were started, and print the new ids.

    The exit code is 1 if one could not be started.
    """
    client = reach.client(ctx)
    raw = client.raw(request := requests.retry(asking.target(client, sessions, tag), failed=failed, model=model))
    found = client.read(request, raw)
    if as_json:
        show.document(raw)
    for one in () if as_json else found:
        if one.new_session_id:
            show.line(f"{one.original_session_id}  {one.new_session_id}")
        else:
            show.line(f"{one.original_session_id}  not started  {one.error or ''}".rstrip(), style="red")
    if not found and not as_json:
        show.nothing("session had failed" if failed else "session to retry")
    ctx.exit(0 if all(one.retried for one in found) else 1)
