"""`roost watch`: run a command whenever something happens, or look on at a run at a terminal."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click
import msgspec

from roost.cli import asking, hangup, kinds, reach, rest, show, targets
from roost.cli.telling import Telling
from roost.client import local, streams
from roost.client.blocking import Blocking
from roost.client.errors import Unreachable
from roost.client.fleet import Event
from roost.client.frames import Frame

CUT_SECONDS = 1.0  # after which a run that does not answer is looked for
LARGEST = 120_000  # bytes of a variable that every system takes


@click.command(cls=rest.Rest, rest="COMMAND...", short_help="Run a command whenever something happens.")
@click.argument("session", metavar="[SESSION|TARGET]", required=False)
@asking.tag
@click.option("--latest", is_flag=True, help="The newest session.")
@click.option("--on", type=kinds.Kind(), metavar="TYPE", help="The type of event to wait for.")
@click.option("--filter", "filters", metavar="K=V", multiple=True, help="Only where this field is so; may be repeated.")
@click.option("--once", is_flag=True, help="End after the first; the command's exit code is ours.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as a line of JSON.")
@click.option("--new", "only_new", is_flag=True, help="Of a run at a terminal: only what happens from now on.")
@targets.data_dir
@click.pass_context
def watch(
    ctx: click.Context,
    /,
    *,
    session: str | None,
    tag: str | None,
    latest: bool,
    on: str | None,
    filters: tuple[str, ...],
    once: bool,
    as_json: bool,
    only_new: bool,
    data_dir: Path | None,
) -> None:
    """Run COMMAND whenever something happens in SESSION, or in any session.

    Without --on: look on at a run at a terminal (`roost run AGENT --listen ADDR`) until it
    ends. TARGET is its pid, its address or a part of the id of its session; without it, the
    newest is meant.

    In COMMAND's words {session_id}, {provider}, {event_type}, {seq} and {ts} are filled in; the
    whole event is in its variable ROOST_EVENT (and ZAG_EVENT). No shell is involved. Without
    COMMAND each event is printed.

    \b
    roost watch --on session_ended --filter success=false \\
      -- notify-send "{session_id} failed"
    roost watch 41230
    """
    if on is None:
        if tag or latest or filters or once or rest.words(ctx):
            raise click.UsageError("say which type of event to wait for: --on TYPE")
        ctx.exit(_look_on(ctx, session or "", data_dir, as_json=as_json, only_new=only_new))
    wanted, command = conditions(filters), rest.words(ctx)
    if not command:
        hangup.heed()
    client = reach.client(ctx)
    if latest:
        session = asking.pick(client, session, latest=True)
    for found in _frames(client, session, tag, on):
        if not matches(found, on, wanted):
            continue
        code = _told(found, command, as_json=as_json)
        if once:
            ctx.exit(code)


def _told(found: Frame, command: Sequence[str], *, as_json: bool) -> int:
    """Print an event, or run the command on it; the command's exit code."""
    if as_json or not command:
        click.echo(show.clean(found.text))
    return run(command, found) if command else 0


def _look_on(ctx: click.Context, target: str, data_dir: Path | None, *, as_json: bool, only_new: bool) -> int:
    """Print what happens in a run at a terminal until it ends."""
    run, client = targets.find(ctx, target, data_dir)
    hangup.heed()
    telling = Telling(sys.stdout, sys.stderr, heard=True)
    newest = client.snapshot(run.session_id, last=1).last_event_seq if only_new else 0
    while True:
        try:
            for frame in client.frames(run.session_id, newest, patience=CUT_SECONDS):
                newest = max(newest, frame.happening.seq)
                if as_json:
                    click.echo(show.clean(frame.data.decode()))
                    continue
                telling.show(frame.happening)
                telling.point(frame.happening, f"answer it with `roost approve --run {run.pid}`")
            break
        except Unreachable:
            if not local.alive(run.pid, run.start_time):
                break
    telling.end_line()
    show.note(f"the run with pid {run.pid} has ended")
    return 0


def conditions(given: Sequence[str]) -> Mapping[str, str]:
    """Which fields are to be what.

    Raises:
        BadParameter: one is not of this form.
    """
    found = {}
    for part in (part for item in given for part in item.split(",") if part.strip()):
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter(f"{part!r}: write --filter KEY=VALUE")
        found[name.strip()] = value.strip()
    return found


def matches(frame: Frame, on: str, wanted: Mapping[str, str]) -> bool:
    """Whether this is an event that somebody waits for."""
    if frame.event.type != on:
        return False
    fields = msgspec.json.decode(frame.text, type=dict[str, msgspec.Raw])
    return all(name in fields and _plain(fields[name]) == value for name, value in wanted.items())


def expanded(word: str, event: Event) -> str:
    """A word of the command with the event filled in."""
    for name, value in (
        ("session_id", event.session),
        ("provider", event.provider or ""),
        ("event_type", event.type),
        ("seq", str(event.seq)),
        ("ts", event.ts),
    ):
        word = word.replace(f"{{{name}}}", value)
    return word


def run(command: Sequence[str], frame: Frame) -> int:
    """Run it to its end; its exit code, 127 where there is no such program."""
    env = dict(os.environ)
    if len(frame.text.encode()) < LARGEST:
        env |= {"ROOST_EVENT": frame.text, "ZAG_EVENT": frame.text}
    else:
        show.note(f"event {frame.event.seq} is too large for a variable: the command goes without it")
    try:
        return subprocess.run([expanded(word, frame.event) for word in command], env=env, check=False).returncode
    except OSError as error:
        show.note(f"{command[0]}: {error.strerror}")
        return 127


def _frames(client: Blocking, session: str | None, tag: str | None, on: str) -> Iterator[Frame]:
    if session:
        return streams.follow(client, session, types=(on,), told=show.note)
    return streams.subscribe(client, tag=tag, types=(on,), told=show.note)


def _plain(raw: msgspec.Raw) -> str:
    value = msgspec.json.decode(raw)
    return value if isinstance(value, str) else bytes(raw).decode()
