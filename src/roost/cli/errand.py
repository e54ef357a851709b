"""One prompt on a server: start it, wait for its end, print its answer."""

import re
import sys
from typing import Any

import click
import msgspec

from roost.cli import bell, feed, show, wait
from roost.client import requests, streams
from roost.client.blocking import Blocking
from roost.client.errors import Refused
from roost.client.fleet import Spawned, WaitResult
from roost.client.requests import Order, Target
from roost.core.errors import ServerFailed

CRASHED = 2
_CRASH = re.compile(r"exited with code|killed by signal|died|not found on PATH", re.IGNORECASE)
_LATE = "Agent timed out"

FORMS = ("text", "json", "json-pretty", "stream-json")


def run(client: Blocking, order: Order, form: str) -> int:
    """Run one prompt in a new session; the exit code says how it ended.

    Raises:
        ServerFailed: the server said no, or is gone.
    """
    started = client.ask(requests.spawn(order))
    try:
        with bell.ringing(client.server, [started.session_id]):
            _watch(client, started, form)
            [ended] = client.read(requests.wait(_only(started)), wait.until(client, _only(started)))
    except KeyboardInterrupt:
        return _cancelled(client, started)
    if form in ("json", "json-pretty"):
        _whole(client, order, started, ended, pretty=form == "json-pretty")
    elif form == "text":
        _answer(client, started)
    if not ended.success:
        show.note(f"roost: session {started.session_id} failed: {ended.error or 'no reason was given'}")
    return code(ended)


def go_on(client: Blocking, session: str, message: str, form: str) -> int:
    """One more prompt in a session that there is."""
    with show.waiting("waiting for the answer"), bell.ringing(client.server, [session]):
        raw = client.raw(request := requests.send(session, message))
    answer = client.read(request, raw)
    if form == "text":
        show.text(answer.result or "")
    elif form == "json-pretty":
        show.document(raw)
    else:
        show.text(raw.decode())
    if answer.is_error:
        show.note(f"roost: session {session} failed: {answer.error_message or 'no reason was given'}")
    return 1 if answer.is_error else 0


def code(ended: WaitResult) -> int:
    """0 for an answer, 1 for a failure, 2 for a crash, 124 where the time was up."""
    error = ended.error or ""
    if ended.success:
        return 0
    if error.startswith(_LATE):
        return wait.LATE
    return CRASHED if _CRASH.search(error) else 1


def _only(started: Spawned) -> Target:
    return Target([started.session_id])


def _watch(client: Blocking, started: Spawned, form: str) -> None:
    """Show what it does, where somebody looks; elsewhere nothing is to be done until its end."""
    if form in ("stream-json", "events"):
        schema = "unified" if form == "stream-json" else None
        for one in streams.follow(client, started.session_id, schema=schema, told=show.note):
            click.echo(show.clean(one.text))
    elif form == "text" and sys.stderr.isatty():
        speakers = feed.Speakers()
        for one in streams.follow(client, started.session_id, types=("tool_call", "tool_result", "stderr")):
            if shown := speakers.line(one.event):
                show.aside(shown.text, dim=True)


def _answer(client: Blocking, started: Spawned) -> None:
    try:
        show.text(client.ask(requests.output(started.session_id)).result or "")
    except Refused as error:
        if error.status != 404:
            raise


def _cancelled(client: Blocking, started: Spawned) -> int:
    try:
        client.ask(requests.cancel(started.session_id, "Ctrl-C"))
        show.note("\ncancelled" if sys.stderr.isatty() else "cancelled")
    except ServerFailed as error:
        show.note(f"roost: session {started.session_id} could not be cancelled: {error}")
    return 130


def _whole(client: Blocking, order: Order, started: Spawned, ended: WaitResult, *, pretty: bool) -> None:
    """The answer with all that led to it, as clients of the original read it."""
    session = started.session_id
    events = client.raw(requests.events(session, schema="unified"))
    summaries = client.ask(requests.summary(Target([session])))
    figures = summaries[0] if summaries else None
    try:
        result = client.ask(requests.output(session)).result
    except Refused:
        result = None
    whole: dict[str, Any] = {
        "agent": (figures and figures.provider) or order.provider or "",
        "session_id": session,
        "events": msgspec.Raw(events),
        "result": result,
        "is_error": not ended.success,
        "error_message": ended.error,
        "total_cost_usd": figures and figures.total_cost_usd,
        "usage": figures and {"input_tokens": figures.input_tokens or 0, "output_tokens": figures.output_tokens or 0},
        "model": (figures and figures.model) or None,
        "log_path": started.log_path,
    }
    body = msgspec.json.encode({name: value for name, value in whole.items() if value is not None or name == "result"})
    show.document(body) if pretty else show.text(body.decode())
