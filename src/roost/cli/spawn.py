"""`roost spawn`: start a session and leave it to itself."""

from pathlib import Path
from typing import Any

import click

from roost.cli import asking, reach, show
from roost.client import requests


@click.command(short_help="Start a session in the background.")
@click.argument("prompt", required=False)
@asking.agent
@asking.metadata
@asking.isolation
@click.option("--depends-on", metavar="ID", multiple=True, help="Wait for this session first; may be repeated.")
@click.option("--inject-context", is_flag=True, help="Put their results before the prompt.")
@click.option("-I", "--interactive", is_flag=True, help="Stay, and take messages from `roost input`.")
@click.option(
    "--plan",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Put this plan before the prompt.",
)
@asking.as_json
@click.pass_context
def spawn(ctx: click.Context, /, *, prompt: str | None, as_json: bool, **flags: Any) -> None:
    """Start a session in the background, and print its id.

    PROMPT is read from stdin if it is `-`, or if it is left out and something is piped in.

    \b
    roost spawn "Rebuild the search index" -p claude --tag nightly
    roost spawn "Summarise" --depends-on 5f0c6c1e --inject-context
    """
    flags["timeout"] = asking.duration(flags["timeout"])
    prompt = asking.typed(prompt, wanted=not (flags["interactive"] or flags["files"] or flags["plan"]))
    reached = reach.find(ctx)
    raw = reached.client.raw(request := requests.spawn(asking.order(reached, prompt, flags)))
    if as_json:
        show.document(raw)
        return
    show.text(reached.client.read(request, raw).session_id)
