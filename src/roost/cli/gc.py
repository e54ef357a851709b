"""`roost gc`: clear away what is old."""

import click

from roost.cli import asking, bar, reach, show
from roost.client import requests
from roost.core import durations
from roost.core.errors import BadValue


def _age(_: click.Context, __: click.Parameter, given: str) -> str:
    try:
        durations.age(given)
    except BadValue as error:
        raise click.BadParameter(error.message) from None
    return given


@click.command(short_help="Clear away what is old.")
@click.option("--force", is_flag=True, help="Do it; without this it is only counted.")
@click.option("--older-than", metavar="AGE", default="7d", callback=_age, help="7d, 12h.  [default: 7d]")
@click.option("--keep-logs", is_flag=True, help="Leave the logs of sessions.")
@asking.as_json
@click.pass_context
def gc(ctx: click.Context, /, *, force: bool, older_than: str, keep_logs: bool, as_json: bool) -> None:
    """Clear away what is old; without --force, only say what that would be."""
    client = reach.client(ctx)
    with bar.following(client.server, "gc", "looking for what is old"):
        raw = client.raw(request := requests.sweep(force=force, older_than=older_than, keep_logs=keep_logs))
    if as_json:
        show.document(raw)
        return
    found = client.read(request, raw)
    show.fields(
        [
            ("process entries", found.process_entries_removed),
            ("lifecycle markers", found.lifecycle_markers_removed),
            ("spawn logs", found.spawn_logs_removed),
            ("session logs", found.session_logs_removed),
        ]
    )
    if found.dry_run:
        show.note("nothing was removed: --force does it")
