"""`roost input`: a message for a session."""

import os
from pathlib import Path
from xml.sax.saxutils import quoteattr

import click

from roost.cli import asking, listen, reach, show
from roost.client import requests, streams
from roost.client.blocking import Blocking
from roost.client.fleet import AgentOutput


@click.command("input", short_help="Send a session a message.")
@click.argument("message", required=False)
@click.option("--session", metavar="ID", help="The session.")
@asking.chosen
@click.option("--global", "everywhere", is_flag=True, help="Look in all folders; it does anyway.")
@click.option("--stream", is_flag=True, help="Print what happens then, until the session ends.")
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["text", "json", "json-pretty", "stream-json"]),
    default="text",
    help="How to print the answer.",
)
@click.option("--raw", is_flag=True, help="Inside a session: do not say who sends it.")
@click.option(
    "--file",
    "files",
    metavar="FILE",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Put a file before the message; may be repeated.",
)
@asking.as_json
@click.pass_context
def input_(
    ctx: click.Context,
    /,
    *,
    message: str | None,
    session: str | None,
    latest: bool,
    active: bool,
    process: str | None,
    name: str | None,
    everywhere: bool,
    stream: bool,
    form: str,
    raw: bool,
    files: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Send a session MESSAGE; it is read from stdin if it is `-`, or if it is left out.

    A session that runs gets it at its next pause. One that has ended goes on with it, and
    the answer is printed when it has ended again.
    """
    message = asking.typed(message, wanted=not files)
    client = reach.client(ctx)
    named = asking.pick(client, session, latest=latest, active=active, process=process, name=name)
    whole = asking.attached(message, files) or ""
    request = requests.send(named, whole if raw else signed(whole))
    streamed = stream or form == "stream-json"
    before = _newest(client, named) if streamed else 0
    with show.waiting("sent; waiting for the answer"):
        body = client.raw(request)
    if streamed:
        listen.run(streams.follow(client, named, after=before, told=show.note), "json" if form != "text" else None)
    elif as_json or form == "json-pretty":
        show.document(body)
    elif form == "json":
        show.text(body.decode())
    else:
        _show(client.read(request, body))


def signed(message: str) -> str:
    """The message with the name of the session that sends it, where one does."""
    sender = reach.session()
    if not sender:
        return message
    name = os.environ.get("ROOST_SESSION_NAME") or os.environ.get("ZAG_SESSION_NAME")
    names = f" name={quoteattr(name)}" if name else ""
    return f"<agent-message from={quoteattr(sender)}{names}>\n{message}\n</agent-message>"


def _newest(client: Blocking, session: str) -> int:
    return max((event.seq for event in client.ask(requests.events(session, last=1))), default=0)


def _show(answer: AgentOutput) -> None:
    if answer.result:
        show.text(answer.result)
    elif answer.is_error:
        raise click.ClickException(answer.error_message or "it failed")
    else:
        show.note("queued for its next pause" if answer.queued else "sent")
