"""`roost mcp`: tool servers that agents may use."""

from typing import Any

import click

from roost.cli import asking, rest, show
from roost.cli.columns import Column
from roost.cli.skills import told
from roost.client import requests

_COLUMNS = (Column("name", firm=True), Column("transport", firm=True), Column("runs"), Column("description", spare=1))

_root = click.option("-r", "--root", metavar="DIR", help="Those of this project.")


@click.group(short_help="List, add and remove tool servers.")
def mcp() -> None:
    """List, add and remove tool servers (MCP) that agents may use."""


@mcp.command("list", short_help="List them.")
@_root
@asking.as_json
@click.pass_context
def list_(ctx: click.Context, /, *, root: str | None, as_json: bool) -> None:
    """List them."""
    found = told(ctx, requests.mcp("list", root=root), as_json)
    if found:
        show.table(_COLUMNS, [_row(one) for one in found])
    elif found == []:
        show.nothing("tool servers")


@mcp.command("show", short_help="Show one.")
@click.argument("name")
@_root
@asking.as_json
@click.pass_context
def show_(ctx: click.Context, /, *, name: str, root: str | None, as_json: bool) -> None:
    """Show one."""
    if found := told(ctx, requests.mcp("show", name=name, root=root), as_json):
        show.fields(list(found.items()))


@mcp.command(cls=rest.Rest, rest="COMMAND...", short_help="Add one.")
@click.argument("name")
@click.option("--transport", type=click.Choice(["stdio", "http"]), help="How it is spoken to.")
@click.option("--url", metavar="URL", help="Where one that speaks HTTP is.")
@click.option("--env", "variables", metavar="K=V", multiple=True, help="A variable for it; may be repeated.")
@click.option("--description", metavar="TEXT", help="What it does.")
@click.option("--global", "everywhere", is_flag=True, help="For every project.")
@_root
@asking.as_json
@click.pass_context
def add(
    ctx: click.Context,
    /,
    *,
    name: str,
    transport: str | None,
    url: str | None,
    variables: tuple[str, ...],
    description: str | None,
    everywhere: bool,
    root: str | None,
    as_json: bool,
) -> None:
    """Add one: with --url, or with the COMMAND that starts it.

    \b
    roost mcp add files -- npx -y @modelcontextprotocol/server-filesystem .
    """
    words = rest.words(ctx)
    if bool(url) == bool(words):
        raise click.UsageError("say either --url, or the command that starts it behind `--`")
    fields: dict[str, Any] = {
        "name": name,
        "transport": transport or ("http" if url else "stdio"),
        "server_command": words[0] if words else None,
        "args": words[1:] or None,
        "url": url,
        "env": list(variables) or None,
        "description": description,
        "global": everywhere or None,
        "root": root,
    }
    if found := told(ctx, requests.mcp("add", **fields), as_json):
        show.text(str(found.get("path", "")))


@mcp.command(short_help="Remove one.")
@click.argument("name")
@_root
@asking.as_json
@click.pass_context
def remove(ctx: click.Context, /, *, name: str, root: str | None, as_json: bool) -> None:
    """Remove one."""
    if found := told(ctx, requests.mcp("remove", name=name, root=root), as_json):
        show.text(f"{name}  {found.get('status', '')}")


@mcp.command(short_help="Hand them to the providers' programs.")
@click.option("-p", "--provider", metavar="NAME", help="Only to this one.")
@_root
@asking.as_json
@click.pass_context
def sync(ctx: click.Context, /, *, provider: str | None, root: str | None, as_json: bool) -> None:
    """Hand them to the providers' programs."""
    if found := told(ctx, requests.mcp("sync", root=root, **{"from": provider}), as_json):
        show.text(f"{found.get('count', 0)} synced")


@mcp.command("import", short_help="Take over a provider's own.")
@click.option("--from", "source", metavar="NAME", help="Whose.  [default: claude]")
@_root
@asking.as_json
@click.pass_context
def import_(ctx: click.Context, /, *, source: str | None, root: str | None, as_json: bool) -> None:
    """Take over a provider's own."""
    if found := told(ctx, requests.mcp("import", root=root, **{"from": source}), as_json):
        for name in found.get("servers", ()):
            show.text(name)


def _row(one: dict[str, Any]) -> tuple[Any, ...]:
    runs = one.get("url") or " ".join([one.get("command") or "", *(one.get("args") or ())])
    return one.get("name"), one.get("transport"), runs, one.get("description")
