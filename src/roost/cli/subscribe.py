"""`roost subscribe`: the events of all sessions as they happen."""

import click

from roost.cli import asking, kinds, reach, show
from roost.cli.listen import filters, formats, run
from roost.client import streams


@click.command(short_help="Print all sessions' events as they happen.")
@asking.tag
@click.option("--type", "type_", type=kinds.Kind(), metavar="TYPE", help="The same as --filter.")
@click.option("--global", "everywhere", is_flag=True, help="All sessions that you may see; they are anyway.")
@filters
@formats
@click.pass_context
def subscribe(
    ctx: click.Context,
    /,
    *,
    tag: str | None,
    type_: str | None,
    everywhere: bool,
    types: tuple[str, ...],
    form: str | None,
    show_thinking: bool,
    timestamps: bool,
) -> None:
    """Print what happens in all sessions from now on, until Ctrl-C.

    Sessions that begin later are among them. After a cut, what was missed comes first.
    """
    wanted = (*types, type_) if type_ else types
    found = streams.subscribe(reach.client(ctx), tag=tag, types=wanted, told=show.note)
    run(found, form, thinking=show_thinking or "reasoning" in wanted, timestamps=timestamps, session=True)
