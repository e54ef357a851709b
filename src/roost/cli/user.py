"""`roost user`: the accounts of a server."""

import sys
from pathlib import Path

import click

from roost.cli import asking, reach, show
from roost.cli.columns import Column
from roost.client import requests

_password = click.option("--password", metavar="TEXT", help="Its password; without this it is asked for.")


@click.group(short_help="Add, list and remove accounts.")
def user() -> None:
    """Add, list and remove the accounts of a server.

    Only the server's own token may.
    """


@user.command(short_help="Add one.")
@click.argument("name", required=False)
@click.option("-u", "--username", metavar="NAME", help="The same as NAME.")
@click.option("--home-dir", metavar="DIR", required=True, help="Where its agents may work.")
@click.option("--force-sandbox", is_flag=True, help="Run its agents in a sandbox always.")
@_password
@asking.as_json
@click.pass_context
def add(
    ctx: click.Context,
    /,
    *,
    name: str | None,
    username: str | None,
    home_dir: str,
    password: str | None,
    force_sandbox: bool,
    as_json: bool,
) -> None:
    """Add one."""
    named = _named(name, username)
    reached = reach.find(ctx)
    folder = str(Path.cwd() / Path(home_dir).expanduser()) if reached.here else home_dir
    request = requests.add_user(named, secret(password), folder, force_sandbox=force_sandbox or None)
    _told(reached.client.raw(request), f"{named} added", as_json)


@user.command(short_help="Remove one; its files stay.")
@click.argument("name")
@asking.as_json
@click.pass_context
def remove(ctx: click.Context, /, *, name: str, as_json: bool) -> None:
    """Remove one; its files stay."""
    _told(reach.client(ctx).raw(requests.remove_user(name)), f"{name} removed", as_json)


@user.command("list", short_help="List them.")
@asking.as_json
@click.pass_context
def list_(ctx: click.Context, /, *, as_json: bool) -> None:
    """List them."""
    client = reach.client(ctx)
    raw = client.raw(request := requests.users())
    found = client.read(request, raw)
    if as_json:
        show.document(raw)
    elif not found:
        show.nothing("accounts")
    else:
        columns = (Column("name"), Column("folder", tail=True), Column("enabled"), Column("created", firm=True))
        rows = [(one.username, one.home_dir, one.enabled, show.moment(one.created_at)) for one in found]
        show.table(columns, rows)


@user.command(short_help="Set a password.")
@click.argument("name")
@_password
@asking.as_json
@click.pass_context
def passwd(ctx: click.Context, /, *, name: str, password: str | None, as_json: bool) -> None:
    """Set a password; who was logged in with the old one is not any more."""
    client = reach.client(ctx)
    _told(client.raw(requests.set_password(name, secret(password))), f"password of {name} set", as_json)


def secret(given: str | None) -> str:
    """A new password: on a terminal asked for twice, else the first line of stdin, where none was given.

    Raises:
        UsageError: it is empty.
    """
    password = _asked() if given is None else given
    if not password:
        raise click.UsageError("the password is empty: say it with --password, or on stdin")
    return password


def _asked() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


def _named(*given: str | None) -> str:
    names = [name for name in given if name]
    if len(names) != 1:
        raise click.UsageError("say the name once")
    return names[0]


def _told(raw: bytes, done: str, as_json: bool) -> None:
    show.document(raw) if as_json else show.line(done)
