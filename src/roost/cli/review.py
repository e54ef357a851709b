"""`roost review`: have changes looked at."""

from typing import Any

import click

from roost.cli import asking, reach, show
from roost.client import requests


@click.command(short_help="Have an agent look at changes.")
@click.argument("prompt", required=False)
@click.option("--uncommitted", is_flag=True, help="What is not committed yet.")
@click.option("--base", metavar="BRANCH", help="What this branch does not have.")
@click.option("--commit", metavar="SHA", help="What this commit changed.")
@click.option("--title", metavar="TEXT", help="What it is called.")
@click.option("-p", "--provider", metavar="NAME", help="Who looks.")
@click.option("-m", "--model", metavar="NAME", help="With which model.")
@click.option("-r", "--root", metavar="DIR", help="The repository.  [default: the current folder]")
@click.option("-a", "--auto-approve", is_flag=True, help="Run every tool without asking.")
@click.option("--add-dir", "add_dirs", metavar="DIR", multiple=True, help="A further folder; may be repeated.")
@asking.as_json
@click.pass_context
def review(
    ctx: click.Context,
    /,
    *,
    prompt: str | None,
    uncommitted: bool,
    base: str | None,
    commit: str | None,
    title: str | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Have an agent look at changes, and print what it says; PROMPT adds to what it is to look for."""
    if not (uncommitted or base or commit):
        raise click.UsageError("say what to look at: --uncommitted, --base or --commit")
    reached = reach.find(ctx)
    order = asking.order(reached, prompt, flags)
    request = requests.review(order, uncommitted=uncommitted, base=base, commit=commit, title=title)
    with show.waiting("reviewing"):
        raw = reached.client.raw(request)
    if as_json:
        show.document(raw)
    else:
        show.text(reached.client.read(request, raw).result or "")
