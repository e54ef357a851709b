"""`roost listen`: a session's events as they happen."""

from collections.abc import Iterator

import click

from roost.cli import asking, feed, hangup, kinds, reach, show
from roost.client import streams
from roost.client.frames import Frame


def _types(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Names, given one by one or with commas between them."""
    return tuple(name.strip() for item in given for name in item.split(",") if name.strip())


filters = click.option(
    "--filter",
    "types",
    type=kinds.Kind(),
    metavar="TYPE",
    multiple=True,
    callback=_types,
    help="Only this type; may be repeated.",
)
formats = asking.combined(
    click.option("--json", "form", flag_value="json", help="Print a line of JSON for each."),
    click.option("--text", "form", flag_value="text", help="Print plain lines."),
    click.option("--rich-text", "form", flag_value="rich", help="Print lines in colour.  [default: on a terminal]"),
    click.option("--show-thinking", is_flag=True, help="Print reasoning, too."),
    click.option("--timestamps", is_flag=True, help="Print the time of each."),
)


@click.command(short_help="Print a session's events as they happen.")
@click.argument("session", required=False)
@asking.chosen
@filters
@formats
@click.option("--after-seq", type=click.IntRange(min=0), default=0, metavar="N", help="Begin behind number N.")
@click.pass_context
def listen(
    ctx: click.Context,
    /,
    *,
    session: str | None,
    latest: bool,
    active: bool,
    process: str | None,
    name: str | None,
    types: tuple[str, ...],
    form: str | None,
    show_thinking: bool,
    timestamps: bool,
    after_seq: int,
) -> None:
    """Print a session's events from its first on, and go on until it ends.

    A line that is cut goes on where it was: nothing is lost, and nothing comes twice.
    """
    client = reach.client(ctx)
    named = asking.pick(client, session, latest=latest, active=active, process=process, name=name)
    found = streams.follow(client, named, types=types, after=after_seq, told=show.note)
    run(found, form, thinking=show_thinking or "reasoning" in types, timestamps=timestamps)


def run(
    found: Iterator[Frame], form: str | None, *, thinking: bool = False, timestamps: bool = False, session: bool = False
) -> None:
    """Print frames as they come, for as long as somebody reads them."""
    hangup.heed()
    speakers = feed.Speakers()
    for one in found:
        if form == "json":
            click.echo(show.clean(one.text))
        elif shown := speakers.line(one.event, thinking=thinking):
            text, style = feed.stamped(one.event, shown, session=session, timestamps=timestamps)
            if form == "rich":
                click.echo(click.style(text, fg=style) if style else text, color=True)
            else:
                show.line(text, style=None if form == "text" else style)
