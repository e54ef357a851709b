"""`roost ps`: the programs that run for sessions."""

from pathlib import Path

import click

from roost.cli import asking, reach, show
from roost.cli.columns import Column
from roost.client import requests
from roost.client.fleet import Process, Told
from roost.client.request import Request
from roost.core.errors import BadValue

_COLUMNS = (
    Column("id", ident=True),
    Column("pid", right=True),
    Column("session", ident=True),
    Column("provider", spare=1),
    Column("model", spare=2),
    Column("status", firm=True),
    Column("started", firm=True),
    Column("prompt"),
)

_listing = asking.combined(
    click.option("--running", is_flag=True, help="Only those that run."),
    click.option("-n", "--limit", type=click.IntRange(min=1), metavar="N", help="Only the newest N."),
    click.option("-p", "--provider", metavar="NAME", help="Only those of this provider."),
    click.option("--children", metavar="ID", help="Only those started by this session or process."),
    asking.as_json,
)


@click.group(invoke_without_command=True, short_help="List, stop and kill the programs of sessions.")
@_listing
@click.pass_context
def ps(
    ctx: click.Context,
    /,
    *,
    running: bool,
    limit: int | None,
    provider: str | None,
    children: str | None,
    as_json: bool,
) -> None:
    """List, stop and kill the programs of sessions.

    Without a command they are listed.
    """
    if ctx.invoked_subcommand is None:
        _list(ctx, running, limit, provider, children, as_json)


@ps.command("list", short_help="List them, the newest first.")
@_listing
@click.pass_context
def list_(
    ctx: click.Context,
    /,
    *,
    running: bool,
    limit: int | None,
    provider: str | None,
    children: str | None,
    as_json: bool,
) -> None:
    """List them, the newest first."""
    _list(ctx, running, limit, provider, children, as_json)


@ps.command("show", short_help="Show one of them.")
@click.argument("process")
@asking.as_json
@click.pass_context
def show_(ctx: click.Context, /, *, process: str, as_json: bool) -> None:
    """Show one of them."""
    client = reach.client(ctx)
    raw = client.raw(request := requests.process(process))
    if as_json:
        show.document(raw)
        return
    found = client.read(request, raw)
    show.fields(
        [
            ("process", found.id),
            ("pid", found.pid),
            ("session", found.session_id),
            ("provider", found.provider),
            ("model", found.model),
            ("command", found.command),
            ("status", found.live_status or found.status),
            ("exit code", found.exit_code),
            ("started", show.instant(found.started_at)),
            ("ended", show.instant(found.exited_at)),
            ("folder", found.root),
            ("started by", found.parent_session_id or found.parent_process_id),
            ("prompt", found.prompt),
        ]
    )


@ps.command(short_help="Ask one to end.")
@click.argument("process")
@asking.as_json
@click.pass_context
def stop(ctx: click.Context, /, *, process: str, as_json: bool) -> None:
    """Ask one to end."""
    _tell(ctx, requests.stop(process), process, as_json)


@ps.command(short_help="End one.")
@click.argument("process")
@click.argument("result", required=False)
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The same as RESULT, from a file.",
)
@asking.as_json
@click.pass_context
def kill(ctx: click.Context, /, *, process: str, result: str | None, file: Path | None, as_json: bool) -> None:
    """End one; RESULT is what its session is to have come to.

    Inside a session PROCESS may be `self`.
    """
    if file is not None and result is not None:
        raise click.UsageError("RESULT and --file say the same thing: give one")
    if file is not None:
        result = file.read_text("utf-8")
    if process == "self":
        process = _self()
    _tell(ctx, requests.kill(process, result=result), process, as_json)


def _self() -> str:
    # It is the process of whoever runs this command, which the server can't know.
    import os

    found = os.environ.get("ROOST_PROCESS_ID") or os.environ.get("ZAG_PROCESS_ID")
    if not found:
        raise BadValue("`self` means something inside a session only")
    return found


def _tell(ctx: click.Context, request: Request[Told], process: str, as_json: bool) -> None:
    client = reach.client(ctx)
    raw = client.raw(request)
    if as_json:
        show.document(raw)
    else:
        show.line(f"{process}  {client.read(request, raw).status}")


def _list(
    ctx: click.Context, running: bool, limit: int | None, provider: str | None, children: str | None, as_json: bool
) -> None:
    client = reach.client(ctx)
    request = requests.processes(running=running or None, limit=None if children else limit, provider=provider)
    raw = client.raw(request)
    found = client.read(request, raw)
    if children:
        found = [one for one in found if children in (one.parent_session_id, one.parent_process_id)][:limit]
    if as_json:
        show.document(found if children else raw)
    elif not found:
        show.nothing("processes")
    else:
        show.table(_COLUMNS, [_row(one) for one in found])


def _row(one: Process) -> tuple[object, ...]:
    return (
        one.id,
        one.pid,
        one.session_id,
        one.provider,
        one.model,
        one.live_status or one.status,
        show.moment(one.started_at),
        one.prompt,
    )
