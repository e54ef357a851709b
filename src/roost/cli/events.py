"""`roost events`: what happened in a session."""

import click

from roost.cli import asking, feed, kinds, reach, show
from roost.client import frames, requests


@click.command(short_help="Print what happened in a session.")
@click.argument("session", required=False)
@asking.chosen
@click.option("--type", "type_", type=kinds.Kind(), metavar="TYPE", help="Only events of this type.")
@click.option("--last", type=click.IntRange(min=0), metavar="N", help="Only the last N.")
@click.option("--after-seq", type=click.IntRange(min=0), metavar="N", help="Only those behind number N.")
@click.option("--before-seq", type=click.IntRange(min=0), metavar="N", help="Only those before number N.")
@click.option("--count", is_flag=True, help="Print how many there are.")
@click.option("--show-thinking", is_flag=True, help="Print reasoning, too.")
@click.option("--timestamps", is_flag=True, help="Print the time of each.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each.")
@click.pass_context
def events(
    ctx: click.Context,
    /,
    *,
    session: str | None,
    latest: bool,
    active: bool,
    process: str | None,
    name: str | None,
    type_: str | None,
    last: int | None,
    after_seq: int | None,
    before_seq: int | None,
    count: bool,
    show_thinking: bool,
    timestamps: bool,
    as_json: bool,
) -> None:
    """Print what happened in a session so far."""
    client = reach.client(ctx)
    named = asking.pick(client, session, latest=latest, active=active, process=process, name=name)
    raw = client.raw(requests.events(named, type=type_, last=last, after_seq=after_seq, before_seq=before_seq))
    if as_json and not count:
        show.lines(raw)
        return
    found = frames.frames(raw)
    if count:
        show.document({"count": len(found)}) if as_json else show.text(str(len(found)))
        return
    if not found:
        show.nothing("events")
    speakers = feed.Speakers()
    for one in found:
        shown = speakers.line(one.event, thinking=show_thinking or type_ == "reasoning")
        if shown:
            text, style = feed.stamped(one.event, shown, timestamps=timestamps)
            show.line(text, style=style)
