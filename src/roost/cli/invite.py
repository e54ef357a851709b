"""What `roost serve` shows a person at its start: a link, and its QR code, by which a phone comes in."""

import socket
import sys

import click

from roost import addresses
from roost.cli import paper
from roost.compose import Running
from roost.config.settings import Settings
from roost.core.errors import RoostError
from roost.doors.listen import host, parse
from roost.service.accounts import OPERATOR

MINUTES = 10


async def show(running: Running, settings: Settings, sock: socket.socket, *, secure: bool) -> None:
    """Print them, where somebody looks and there is a token to come in by."""
    place = where(settings, sock, secure=secure)
    if settings.no_qr or not settings.auth_token or not place or not sys.stderr.isatty():
        return
    try:
        offer = await running.service.browsers.offer(OPERATOR)
    except RoostError as error:
        click.echo(f"no pairing link: {error}", err=True)
        return
    url = f"{place}/#pair={offer.code}"
    click.echo(paper.code(url), err=True)
    click.echo(f"Open it on a phone, or here: {url}", err=True)
    click.echo(f"(lets one browser in, within {MINUTES} minutes; `roost pair` makes another)", err=True)


def where(settings: Settings, sock: socket.socket, *, secure: bool) -> str:
    """The address of the page, as other devices reach it; "" for one that no browser does."""
    if settings.public_url:
        return settings.public_url
    if sock.family == socket.AF_UNIX:
        return ""
    scheme, name = "https" if secure else "http", host(parse(settings.listen))
    return addresses.url(scheme, addresses.reachable(name), sock.getsockname()[1])
