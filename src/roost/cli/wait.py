"""`roost wait`: until sessions have ended."""

import time
from collections.abc import Sequence

import click

from roost.cli import asking, bell, reach, show
from roost.client import requests
from roost.client.again import PATIENCE, Again
from roost.client.blocking import Blocking
from roost.client.errors import Cut, Unreachable
from roost.client.fleet import WaitResult
from roost.client.requests import Target
from roost.core import durations

LATE = 124


@click.command(short_help="Wait until sessions have ended.")
@click.argument("sessions", nargs=-1)
@asking.tag
@click.option("--latest", is_flag=True, help="The newest session.")
@click.option("--timeout", metavar="TIME", help="Wait no longer than that, as in 90s or 1h30m.")
@click.option("--any", "any_", is_flag=True, help="Wait for the first of them only.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each.")
@click.pass_context
def wait(
    ctx: click.Context,
    /,
    *,
    sessions: tuple[str, ...],
    tag: str | None,
    latest: bool,
    timeout: str | None,
    any_: bool,
    as_json: bool,
) -> None:
    """Wait until sessions have ended.

    The exit code is 0 if all of them completed, 1 if one failed, 124 if the time was up.
    """
    timeout = asking.duration(timeout)
    client = reach.client(ctx)
    target = asking.target(client, sessions, tag, latest=latest)
    what = f"waiting for {len(target.ids)} sessions" if len(target.ids) > 1 else "waiting"
    with show.waiting(what), bell.ringing(client.server, target.ids):
        raw = until(client, target, timeout=timeout, any=any_)
    results = client.read(requests.wait(target), raw)
    if as_json:
        show.lines(raw)
    else:
        _show(results)
    ctx.exit(code(results))


def until(client: Blocking, target: Target, *, timeout: str | None = None, any: bool = False) -> bytes:
    """Their ends; asked for anew where the line is cut meanwhile, since sessions outlive their server.

    Raises:
        ServerFailed: the server said no, or was gone for too long.
    """
    started, again, cut = time.monotonic(), Again(PATIENCE), False
    while True:
        left = timeout
        if timeout and cut:
            left = f"{max(1, round(durations.seconds(timeout) - (time.monotonic() - started)))}s"
        asked = time.monotonic()
        try:
            return client.raw(requests.wait(target, timeout=left, any=any))
        except Unreachable as error:
            if not cut and not isinstance(error, Cut):
                raise
            if time.monotonic() - asked > 1:
                again.alive()  # it had taken the question
            cut, delay = True, again.delay()
            if delay is None:
                raise
            if again.news(str(error)):
                show.note(f"{error}; trying again")
            time.sleep(delay)


def code(results: Sequence[WaitResult]) -> int:
    """The exit code for these."""
    if any(result.late for result in results):
        return LATE
    return 0 if all(result.success for result in results) else 1


def _show(results: Sequence[WaitResult]) -> None:
    for result in results:
        if result.success:
            show.line(f"{result.session_id}  completed", style="green")
        elif result.late:
            show.line(f"{result.session_id}  still running", style="yellow")
        else:
            show.line(f"{result.session_id}  failed  {show.short(result.error or '', 200)}".rstrip(), style="red")
