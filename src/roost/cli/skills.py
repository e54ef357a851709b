"""`roost skills`: texts that teach agents something."""

from typing import Any

import click

from roost.cli import asking, reach, show
from roost.cli.columns import Column
from roost.client import requests
from roost.client.request import Request


@click.group(short_help="List, add and remove skills.")
def skills() -> None:
    """List, add and remove skills: texts that teach agents something."""


@skills.command("list", short_help="List them.")
@asking.as_json
@click.pass_context
def list_(ctx: click.Context, /, *, as_json: bool) -> None:
    """List them."""
    found = told(ctx, requests.skills("list"), as_json)
    if found:
        show.table(
            (Column("name", firm=True), Column("description")),
            [(one["name"], one.get("description")) for one in found],
        )
    elif found == []:
        show.nothing("skills")


@skills.command("show", short_help="Print one.")
@click.argument("name")
@asking.as_json
@click.pass_context
def show_(ctx: click.Context, /, *, name: str, as_json: bool) -> None:
    """Print one."""
    if found := told(ctx, requests.skills("show", name=name), as_json):
        show.text(found.get("body") or "")


@skills.command(short_help="Begin one.")
@click.argument("name")
@click.option("--description", metavar="TEXT", help="What it teaches.")
@asking.as_json
@click.pass_context
def add(ctx: click.Context, /, *, name: str, description: str | None, as_json: bool) -> None:
    """Begin one, and print where its file is."""
    if found := told(ctx, requests.skills("add", name=name, description=description), as_json):
        show.text(str(found.get("path", "")))


@skills.command(short_help="Remove one.")
@click.argument("name")
@asking.as_json
@click.pass_context
def remove(ctx: click.Context, /, *, name: str, as_json: bool) -> None:
    """Remove one."""
    if found := told(ctx, requests.skills("remove", name=name), as_json):
        show.text(f"{name}  {found.get('status', '')}")


@skills.command(short_help="Hand them to the providers' programs.")
@click.option("-p", "--provider", metavar="NAME", help="Only to this one.")
@asking.as_json
@click.pass_context
def sync(ctx: click.Context, /, *, provider: str | None, as_json: bool) -> None:
    """Hand them to the providers' programs."""
    if found := told(ctx, requests.skills("sync", provider=provider), as_json):
        show.text(f"{found.get('count', 0)} synced")


@skills.command("import", short_help="Take over a provider's own.")
@click.option("--from", "source", metavar="NAME", help="Whose.  [default: claude]")
@asking.as_json
@click.pass_context
def import_(ctx: click.Context, /, *, source: str | None, as_json: bool) -> None:
    """Take over a provider's own."""
    if found := told(ctx, requests.skills("import", **{"from": source}), as_json):
        for name in found.get("skills") or found.get("servers") or ():
            show.text(name)


def told(ctx: click.Context, request: Request[Any], as_json: bool) -> Any:
    """The answer; None where it has been printed as JSON."""
    client = reach.client(ctx)
    raw = client.raw(request)
    if as_json:
        show.document(raw)
        return None
    return client.read(request, raw)
