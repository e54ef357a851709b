"""`roost log`: a line of one's own in a session's log."""

import click
import msgspec

from roost.cli import asking, reach, show
from roost.client import requests


@click.command(short_help="Write a line into a session's log.")
@click.argument("message")
@click.option("--session", metavar="ID", help="The session.  [default: the one this runs in]")
@click.option(
    "--level", type=click.Choice(["info", "warn", "error", "debug"]), default="info", help="How much it matters."
)
@click.option("--data", metavar="JSON", help="What goes with it.")
@asking.as_json
@click.pass_context
def log(
    ctx: click.Context, /, *, message: str, session: str | None, level: str, data: str | None, as_json: bool
) -> None:
    """Write a line into a session's log, where streams and lists show it."""
    named = session or reach.session()
    if not named:
        raise click.UsageError("say which session with --session: this runs in none")
    if data is not None:
        try:
            msgspec.json.decode(data)
        except msgspec.DecodeError as error:
            raise click.BadParameter(f"--data is no JSON: {error}") from None
    raw = reach.client(ctx).raw(requests.note(named, message, level=level, data=data))
    if as_json:
        show.document(raw)
