"""`roost connect` and `disconnect`: send commands to another server."""

import os
import sys
from pathlib import Path

import click
from msgspec.structs import replace

from roost.cli import reach, show
from roost.client import connection, health, requests, server
from roost.client.blocking import Blocking
from roost.client.errors import Refused, Unreachable, Untrusted, colons
from roost.client.server import Server
from roost.core.errors import BadValue, ServerFailed

_TOKENS = ("ROOST_CONNECT_TOKEN", "ZAG_CONNECT_TOKEN")


@click.command(short_help="Send commands to a server from now on.")
@click.argument("url")
@click.option("--token", metavar="TOKEN", help="Its token.  [default: ROOST_CONNECT_TOKEN]")
@click.option("-u", "--username", metavar="NAME", help="Log in under this name instead.")
@click.option("--password", metavar="TEXT", help="With this password; without this it is asked for.")
@click.option("--fingerprint", metavar="SHA256", help="Trust the certificate with this fingerprint, and no other.")
@click.option("--insecure", is_flag=True, help="Trust any certificate: whoever is in between reads along.")
@click.option(
    "--ca",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Trust these authorities.",
)
def connect(
    *,
    url: str,
    token: str | None,
    username: str | None,
    password: str | None,
    fingerprint: str | None,
    insecure: bool,
    ca: Path | None,
) -> None:
    """Send commands to the server at URL from now on, until `roost disconnect`.

    The certificate of a server that made its own is not trusted by the system: its
    fingerprint, which the server prints when it starts, is shown and asked about, or given
    with --fingerprint.

    \b
    roost connect build.example:2100 --token 3f9a…
    roost connect https://build.example:2100 -u ann
    """
    if sum([bool(fingerprint), insecure, bool(ca)]) > 1:
        raise click.UsageError("--fingerprint, --insecure and --ca exclude each other")
    if token and username:
        raise click.UsageError("--token and --username exclude each other")
    if reach.session():
        raise BadValue("inside a session commands go to the server that started it, and no other")
    asked = Server(
        server.normal(url),
        fingerprint=server.plain(fingerprint) if fingerprint else None,
        insecure=insecure,
        ca=str(ca.absolute()) if ca else None,
    )
    found = trusted(asked)
    found, home_dir = _logged_in(found, username, password) if username else (_with_token(found, token), "")
    connection.write(reach.home(), found)
    health.forget(reach.home())
    whose = f" as {found.username}" + (f" (home: {home_dir})" if home_dir else "") if found.username else ""
    show.line(f"connected to {found.url}{whose}")
    if insecure:
        show.note("warning: any certificate is trusted; --fingerprint would be safe")


@click.command(short_help="Send commands to this machine again.")
def disconnect() -> None:
    """Send commands to this machine again; a login is ended."""
    home = reach.home()
    try:
        known = connection.read(home)
    except BadValue:
        known = None  # what can't be read can still be removed
    if known and known.username:
        _log_out(known)
    there = connection.forget(home)
    health.forget(home)
    show.line(f"disconnected from {known.url}" if known else "disconnected" if there else "not connected")


def trusted(asked: Server) -> Server:
    """The same, once the server there is known to be the one that is meant; whoever sits at the terminal is asked.

    Raises:
        ServerFailed: it does not answer, or is not to be trusted.
    """
    client = Blocking(asked)
    try:
        client.ask(requests.health())
    except Untrusted as error:
        if asked.fingerprint or not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise
        return _asked_about(asked, error)
    except Unreachable as error:
        raise _nearer(asked, error) from None
    finally:
        client.close()
    return asked


def _asked_about(asked: Server, error: Untrusted) -> Server:
    click.echo(f"The system does not trust the certificate of {asked.url}.", err=True)
    click.echo(f"SHA-256 fingerprint: {colons(error.fingerprint)}", err=True)
    if not click.confirm("Is that what the server printed when it started?", err=True):
        raise error
    return trusted(replace(asked, fingerprint=error.fingerprint, ca=None))


def _nearer(asked: Server, error: Unreachable) -> ServerFailed:
    if "no TLS there" not in error.why:
        return error
    return BadAddress(f"{error}\nIf it speaks plain HTTP: roost connect {asked.url.replace('https://', 'http://', 1)}")


class BadAddress(ServerFailed):
    """The address is one of another kind of server."""


def _with_token(found: Server, token: str | None) -> Server:
    """The same with a token that the server takes."""
    given = token or next((os.environ[name] for name in _TOKENS if os.environ.get(name)), "")
    if not given:
        raise BadValue(f"a token is needed: --token, or {_TOKENS[0]}, or a name with --username")
    made = replace(found, token=given.strip())
    client = Blocking(made)
    try:
        client.ask(requests.sessions(limit=1))
    except Refused as error:
        if error.status in (401, 403):
            raise Refused(error.status, f"the server does not take this token ({error})") from None
        raise
    finally:
        client.close()
    return made


def _logged_in(found: Server, username: str, password: str | None) -> tuple[Server, str]:
    """The same with the token of a login, and the home of the account."""
    secret = password if password is not None else click.prompt("Password", hide_input=True, err=True)
    client = Blocking(found)
    try:
        login = client.ask(requests.login(username, secret))
    finally:
        client.close()
    return replace(found, token=login.token, username=login.username or username), login.home_dir


def _log_out(known: Server) -> None:
    client = Blocking(known)
    try:
        client.ask(requests.logout(), timeout=health.LIMIT)
    except ServerFailed as error:
        show.note(f"the login could not be ended: {error}")
    finally:
        client.close()
