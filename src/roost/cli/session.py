"""`roost session`: list, show, rename, limit and delete sessions."""

from collections.abc import Mapping

import click

from roost.cli import asking, bar, reach, show
from roost.client import requests, talk
from roost.client.blocking import Blocking
from roost.client.errors import Garbled, Refused
from roost.client.fleet import Session
from roost.client.shapes import Row

_COLUMNS = (
    show.Column("id", 8),
    show.Column("name", 24),
    show.Column("provider"),
    show.Column("model"),
    show.Column("status"),
    show.Column("created"),
    show.Column("tags", 24),
    show.Column("folder"),
)


@click.group(short_help="List, show, rename and delete sessions.")
def session() -> None:
    """List, show, rename and delete sessions."""


@session.command("list", short_help="List them, the newest first.")
@click.option("-p", "--provider", metavar="NAME", help="Only those of this provider.")
@click.option("--tag", metavar="TAG", help="Only those with this tag.")
@click.option("--name", metavar="NAME", help="Only those of this name.")
@click.option("--status", metavar="STATUS", help="Only those that are so: running, failed, …")
@click.option("-n", "--limit", type=click.IntRange(min=1), metavar="N", help="Only the newest N.")
@click.option("--global", "everywhere", is_flag=True, help="In all folders; they are anyway.")
@asking.as_json
@click.pass_context
def list_(
    ctx: click.Context,
    /,
    *,
    provider: str | None,
    tag: str | None,
    name: str | None,
    status: str | None,
    limit: int | None,
    everywhere: bool,
    as_json: bool,
) -> None:
    """List them, the newest first."""
    client = reach.client(ctx)
    sifted = name is not None or status is not None
    request = requests.sessions(
        tag=tag, provider=provider, limit=None if sifted else limit, everywhere=everywhere or None
    )
    raw = client.raw(request)
    found = client.read(request, raw)
    if sifted:
        kept = (one for one in found if name in (None, one.name) and status in (None, one.status))
        found = list(kept)[:limit]
    if as_json:
        show.document(found if sifted else raw)
    elif not found:
        show.nothing("sessions")
    else:
        rows = _rows(client)
        show.table(_COLUMNS, [_row(one, rows.get(one.session_id)) for one in found])


@session.command("show", short_help="Show one.")
@click.argument("session")
@asking.as_json
@click.pass_context
def show_(ctx: click.Context, /, *, session: str, as_json: bool) -> None:
    """Show one."""
    client = reach.client(ctx)
    raw = client.raw(request := requests.session(session))
    if as_json:
        show.document(raw)
    else:
        _show(client.read(request, raw))


@session.command(short_help="Change a name, a description or tags.")
@click.argument("session")
@click.option("--name", metavar="NAME", help="Its new name.")
@click.option("--description", metavar="TEXT", help="What it is about.")
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="One tag more; may be repeated.")
@click.option("--clear-tags", is_flag=True, help="Take its tags away first.")
@asking.as_json
@click.pass_context
def update(
    ctx: click.Context,
    /,
    *,
    session: str,
    name: str | None,
    description: str | None,
    tags: tuple[str, ...],
    clear_tags: bool,
    as_json: bool,
) -> None:
    """Change a name, a description or tags."""
    if name is None and description is None and not tags and not clear_tags:
        raise click.UsageError("say what to change: --name, --description, --tag or --clear-tags")
    client = reach.client(ctx)
    request = requests.update(session, name=name, description=description, tags=tags, clear_tags=clear_tags)
    raw = client.raw(request)
    if as_json:
        show.document(raw)
    else:
        _show(client.read(request, raw))


@session.command(short_help="Say what one may spend.")
@click.argument("session")
@click.option("--max-cost", type=click.FloatRange(min=0, min_open=True), metavar="USD", help="US dollars.")
@click.option("--max-tokens", type=click.IntRange(min=1), metavar="N", help="Tokens, read and written.")
@click.option("--max-time", metavar="DURATION", help="Time in turns, as 90s or 1h30m.")
@click.option("--tree", is_flag=True, help="Of it and all sessions below it.")
@click.option("--none", "nothing", is_flag=True, help="Take the budget away.")
@asking.as_json
@click.pass_context
def budget(
    ctx: click.Context,
    /,
    *,
    session: str,
    max_cost: float | None,
    max_tokens: int | None,
    max_time: str | None,
    tree: bool,
    nothing: bool,
    as_json: bool,
) -> None:
    """Say what one may spend; when that is used up, you are asked."""
    given = {"max_cost": max_cost, "max_tokens": max_tokens, "max_time": max_time}
    limits = {name: value for name, value in given.items() if value is not None}
    if bool(limits) == nothing:
        raise click.UsageError("say what it may spend: --max-cost, --max-tokens, --max-time; or --none")
    client = reach.client(ctx)
    found = client.ask(requests.session(session)).session_id
    raw = client.raw(talk.budget(found, None if nothing else limits, tree=tree))
    if as_json:
        show.document(raw)
    else:
        show.line(f"{found}  {'no budget' if nothing else 'budget set'}")


@session.command(short_help="Delete some.")
@click.argument("sessions", nargs=-1, required=True)
@asking.as_json
@click.pass_context
def delete(ctx: click.Context, /, *, sessions: tuple[str, ...], as_json: bool) -> None:
    """Delete some; one that runs is refused."""
    client = reach.client(ctx)
    for session in sessions:
        raw = client.raw(request := requests.delete(session))
        if as_json:
            show.document(raw)
        else:
            show.line(f"{client.read(request, raw).deleted}  deleted")


@session.command("import", short_help="Take over what other programs have kept.")
@asking.as_json
@click.pass_context
def import_(ctx: click.Context, /, *, as_json: bool) -> None:
    """Take over the histories that the agents' own programs have kept."""
    client = reach.client(ctx)
    with bar.following(client.server, "import", "importing histories"):
        raw = client.raw(request := requests.import_histories())
    if as_json:
        show.document(raw)
    else:
        show.line(f"{client.read(request, raw).imported} imported")


def _rows(client: Blocking) -> Mapping[str, Row]:
    """What the other door knows besides: what each session is at, and on which model."""
    try:
        return {row.id: row for row in client.list_sessions()}
    except (Refused, Garbled):  # it has no such door, or is of another make
        return {}


def _row(one: Session, row: Row | None) -> tuple[object, ...]:
    return (
        one.session_id,
        one.name or (row and row.title),
        one.provider,
        one.model or (row and row.model),
        (row and row.state) or one.status,
        show.moment(one.created_at),
        one.tags,
        one.worktree_path or (row and row.working_dir),
    )


def _show(one: Session) -> None:
    show.fields(
        [
            ("session", one.session_id),
            ("name", one.name),
            ("description", one.description),
            ("status", one.status),
            ("provider", one.provider),
            ("model", one.model),
            ("tags", one.tags),
            ("created", show.moment(one.created_at)),
            ("ended", show.moment(one.ended_at)),
            ("folder", one.worktree_path),
            ("worktree", one.worktree_name if one.is_worktree else None),
            ("sandbox", one.sandbox_name),
            ("owner", one.owner),
            ("depends on", one.dependencies),
            ("waits for", one.waiting_on),
            ("retry of", one.retried_from),
            ("interactive", one.interactive or None),
            ("its own id", one.provider_session_id),
            ("log", one.log_path),
        ]
    )
