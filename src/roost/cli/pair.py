"""`roost pair`: let a browser in, list those that may come, send one away."""

import sys

import click

from roost.cli import asking, paper, reach, show
from roost.cli.columns import Column
from roost.client import devices
from roost.core.errors import BadValue


@click.command(short_help="Let a browser or a phone in.")
@click.option("--list", "listing", is_flag=True, help="List the browsers that may come in.")
@click.option("--revoke", metavar="ID", help="Send one away; what it has open ends at once.")
@click.option("--no-qr", is_flag=True, help="Print the link alone.")
@asking.as_json
@click.pass_context
def pair(ctx: click.Context, /, *, listing: bool, revoke: str | None, no_qr: bool, as_json: bool) -> None:
    """Let a browser or a phone in: print a link, and its QR code, that works once and for ten minutes.

    \b
    roost pair
    roost pair --list
    roost pair --revoke 3f9a1c
    """
    if listing and revoke:
        raise click.UsageError("--list and --revoke exclude each other")
    if listing:
        _list(ctx, as_json=as_json)
    elif revoke:
        _revoke(ctx, revoke, as_json=as_json)
    else:
        _pair(ctx, qr=not no_qr, as_json=as_json)


def _pair(ctx: click.Context, *, qr: bool, as_json: bool) -> None:
    client = reach.client(ctx)
    if client.server.place.socket:
        raise BadValue("the server here listens on a socket, which no browser reaches: start `roost serve`")
    raw = client.raw(request := devices.pair())
    if as_json:
        show.document(raw)
        return
    found = client.read(request, raw)
    if qr and sys.stderr.isatty():
        click.echo(paper.code(found.url), err=True)
    show.line(found.url)
    show.note("It lets one browser in, within ten minutes.")


def _list(ctx: click.Context, *, as_json: bool) -> None:
    client = reach.client(ctx)
    raw = client.raw(request := devices.devices())
    found = client.read(request, raw)
    if as_json:
        show.document(raw)
    elif not found:
        show.nothing("devices")
    else:
        columns = (Column("id", firm=True), Column("device"), Column("user"), Column("last seen", firm=True))
        rows = [(one.id, one.label, one.user or "-", show.moment(one.last_seen_at)) for one in found]
        show.table(columns, rows)


def _revoke(ctx: click.Context, named: str, *, as_json: bool) -> None:
    client = reach.client(ctx)
    meant = [one.id for one in client.ask(devices.devices()) if one.id.startswith(named)]
    if len(meant) > 1:
        raise click.UsageError(f"{named!r} is the beginning of several ids: {', '.join(meant)}")
    raw = client.raw(devices.revoke(meant[0] if meant else named))
    show.document(raw) if as_json else show.line(f"{meant[0] if meant else named} was sent away")
