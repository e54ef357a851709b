"""Which server a command talks to, and a client of it.

Inside a session it is the server that started the session, and no other.  Else it is the one that `roost connect`
named; else the one of this machine, which is started if it does not run.
"""

import os
from pathlib import Path

import click

from roost.cli import lazy, show
from roost.client import connection, health, here, local, server
from roost.client.blocking import Blocking
from roost.client.errors import Unreachable
from roost.client.server import Server

_NO_CHECK = ("ROOST_NO_HEALTH_CHECK", "ZAG_NO_HEALTH_CHECK")


class Gone(Unreachable):
    """The server that should answer does not, and nothing else is tried."""

    def __init__(self, why: str) -> None:
        Exception.__init__(self, why)
        self.why = why


class Reach:
    """A client, and whether the server is on this machine and sees the same files."""

    def __init__(self, client: Blocking, *, here: bool) -> None:
        self.client = client
        self.here = here


def client(ctx: click.Context) -> Blocking:
    """A client of the server that commands go to.

    Raises:
        ServerFailed: it does not answer, or can't be trusted.
    """
    return find(ctx).client


def find(ctx: click.Context) -> Reach:
    """The same, with where it is."""
    found = _find(ctx)
    ctx.call_on_close(found.client.close)
    if show.verbose():
        show.note(f"server: {found.client.server.url}")
    return found


def home() -> Path:
    """Roost's folder."""
    return server.home(os.environ)


def session() -> str:
    """The session that this process belongs to; "" for none."""
    return here.session(os.environ)


def _find(ctx: click.Context) -> Reach:
    if session():
        return Reach(of(here.find(os.environ)), here=True)
    if known := connection.read(home()):
        return Reach(_connected(ctx, known), here=False)
    return Reach(_local(), here=True)


def _connected(ctx: click.Context, known: Server) -> Blocking:
    found = of(known)
    if ctx.find_root().params.get("no_health_check") or any(os.environ.get(name) for name in _NO_CHECK):
        return found
    try:
        health.check(found, home())
    except Unreachable as error:
        raise Gone(
            f"{error}\n"
            f"The connection is kept. Try again, leave this check out with --no-health-check,\n"
            f"or go back to this machine with `roost disconnect`."
        ) from None
    return found


def _local() -> Blocking:
    if found := local.find(home()):
        near = of(found)
        try:
            near.open()
        except Unreachable:
            near.close()  # what it says of itself is out of date
        else:
            return near
    return of(lazy.background.start(home()))


def of(found: Server) -> Blocking:
    """A client of one server; nothing is asked yet."""
    return Blocking(found, watch=_watch if show.verbose() else None)


def _watch(method: str, path: str, status: int, seconds: float) -> None:
    show.note(f"{method} {path} {status} {seconds * 1000:.0f} ms")
