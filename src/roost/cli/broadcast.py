"""`roost broadcast`: one message for many sessions."""

import click

from roost.cli import asking, reach, show
from roost.cli import input as inputs
from roost.client import requests


@click.command(short_help="Send many sessions one message.")
@click.argument("message", required=False)
@click.option("--tag", metavar="TAG", help="Only sessions with this tag.")
@click.option("--global", "everywhere", is_flag=True, help="Sessions of all folders.")
@click.option("--raw", is_flag=True, help="Inside a session: do not say who sends it.")
@asking.as_json
@click.pass_context
def broadcast(
    ctx: click.Context, /, *, message: str | None, tag: str | None, everywhere: bool, raw: bool, as_json: bool
) -> None:
    """Send MESSAGE to all sessions, or to those with a tag, and print what each answers.

    The exit code is 1 if one did not get it.
    """
    text = asking.typed(message) or ""
    client = reach.client(ctx)
    request = requests.broadcast(text if raw else inputs.signed(text), tag=tag, everywhere=everywhere, raw=raw)
    with show.waiting("sending"):
        body = client.raw(request)
    found = client.read(request, body)
    if as_json:
        show.document(body)
    for one in () if as_json else found:
        answer = one.output.get("result") if isinstance(one.output, dict) else None
        show.line(f"{one.session_id}  {one.status}  {one.error or ''}".rstrip(), style=show.STATUS.get(one.status))
        if answer:
            show.text(str(answer))
    if not found and not as_json:
        show.nothing("sessions")
    ctx.exit(1 if any(one.status == "error" for one in found) else 0)
