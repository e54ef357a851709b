"""`roost summary`: sessions in figures."""

import click

from roost.cli import asking, reach, show
from roost.cli.columns import Column
from roost.client import requests
from roost.client.fleet import Summary

_COLUMNS = (
    Column("id", ident=True),
    Column("name", 24),
    Column("provider", spare=5),
    Column("status", firm=True),
    Column("time", right=True),
    Column("turns", right=True, spare=2),
    Column("tools", right=True, spare=3),
    Column("files", right=True, spare=4),
    Column("tokens in", right=True, spare=1),
    Column("tokens out", right=True, spare=1),
    Column("cost", right=True),
)


@click.command(short_help="Show sessions in figures.")
@click.argument("sessions", nargs=-1)
@asking.tag
@click.option("--stats", is_flag=True, help="Say which tools and files, too.")
@asking.as_json
@click.pass_context
def summary(ctx: click.Context, /, *, sessions: tuple[str, ...], tag: str | None, stats: bool, as_json: bool) -> None:
    """Show sessions in figures: time, turns, tools, files, tokens and cost."""
    client = reach.client(ctx)
    raw = client.raw(request := requests.summary(asking.target(client, sessions, tag), stats=stats))
    if as_json:
        show.document(raw)
        return
    found = client.read(request, raw)
    if not found:
        show.nothing("sessions")
        return
    show.table(_COLUMNS, [_row(one) for one in found])
    for one in found if stats else ():
        click.echo()
        _details(one)


def _row(one: Summary) -> tuple[object, ...]:
    return (
        one.session_id,
        one.name,
        one.provider,
        one.status,
        None if one.duration_secs is None else show.span(one.duration_secs),
        one.turns,
        one.total_tool_calls,
        len(one.files_modified),
        one.input_tokens,
        one.output_tokens,
        None if one.total_cost_usd is None else f"${one.total_cost_usd:.4f}",
    )


def _details(one: Summary) -> None:
    tools = ", ".join(f"{name} {count}" for name, count in sorted(one.tool_calls.items(), key=lambda item: -item[1]))
    show.fields(
        [
            ("session", one.session_id),
            ("tools", tools),
            ("files", one.files_modified),
            ("result", show.short(one.result or "", 200)),
            ("error", one.error),
        ]
    )
