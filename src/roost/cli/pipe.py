"""`roost pipe`: the results of sessions as the input of a new one."""

from typing import Any

import click

from roost.cli import asking, reach, rest, show
from roost.client import requests


@click.command(cls=rest.Rest, rest="PROMPT...", short_help="Give results of sessions to a new one.")
@click.argument("sessions", nargs=-1)
@click.option("--from-tag", "tag", metavar="TAG", help="The results of all sessions with this tag.")
@asking.agent
@asking.metadata
@asking.isolation
@click.option("--context", metavar="ID", help="Put the result of this session first.")
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["text", "json", "json-pretty"]),
    default="text",
    help="How to print the answer.",
)
@asking.as_json
@click.pass_context
def pipe(
    ctx: click.Context,
    /,
    *,
    sessions: tuple[str, ...],
    tag: str | None,
    context: str | None,
    form: str,
    as_json: bool,
    **flags: Any,
) -> None:
    """Give the results of SESSIONS to a new one, wait for it, and print its answer.

    The exit code is 1 if it fails.

    \b
    roost pipe 5f0c6c1e 77aa0b32 -p claude -- "Merge these reviews into one"
    """
    flags["timeout"] = asking.duration(flags["timeout"])
    prompt = asking.typed(" ".join(rest.words(ctx)) or None)
    reached = reach.find(ctx)
    if not sessions and not tag and len(flags["tags"]) == 1:  # what the original's --tag means
        tag, flags["tags"] = flags["tags"][0], ()
    target = asking.target(reached.client, sessions, tag)
    request = requests.pipe(target, asking.order(reached, prompt, flags), context=context)
    with show.waiting("waiting for the answer"):
        raw = reached.client.raw(request)
    answer = reached.client.read(request, raw)
    if as_json or form == "json-pretty":
        show.document(raw)
    elif form == "json":
        show.text(raw.decode())
    elif answer.result:
        show.text(answer.result)
    if answer.is_error and form == "text" and not as_json:
        show.note(f"failed: {answer.error_message or 'no reason was given'}")
    ctx.exit(1 if answer.is_error else 0)
