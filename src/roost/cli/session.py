"""`roost session`: list, show, rename, limit and delete sessions."""

from contextlib import suppress

import click

from roost.cli import asking, bar, reach, show
from roost.cli.columns import Column
from roost.client import requests, talk
from roost.client.blocking import Blocking
from roost.client.errors import Garbled, Refused
from roost.client.fleet import Session
from roost.client.shapes import Row

_COLUMNS = (
    Column("id", ident=True),
    Column("name", 48),
    Column("provider", spare=2),
    Column("model", 24, spare=4),
    Column("status", firm=True),
    Column("created", firm=True),
    Column("tags", 24, spare=3),
    Column("folder", tail=True, spare=1),
)
_SHOWN_ALONE = ("new", "queued", "waiting", "canceled")  # words that screens have and the list does not
_LISTED_ALONE = ("dead", "unknown")  # the other way round
_WORDS = ("running", "waiting", "queued", "idle", "completed", "failed", "canceled", "new", "dead", "unknown")
BUSY = 409  # a turn runs there
AT_ONCE = 50  # sessions on a terminal, unless another limit is set


@click.group(short_help="List, show, rename and delete sessions.")
def session() -> None:
    """List, show, rename and delete sessions."""


@session.command("list", short_help="List them, the newest first.")
@click.option("-p", "--provider", metavar="NAME", help="Only those of this provider.")
@click.option("--tag", metavar="TAG", help="Only those with this tag.")
@click.option("--name", metavar="NAME", help="Only those of this name.")
@click.option("--status", type=click.Choice(_WORDS), metavar="STATUS", help=f"Only those that are {', '.join(_WORDS)}.")
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
    if as_json:
        _print(client, tag=tag, provider=provider, name=name, status=status, limit=limit, everywhere=everywhere)
        return
    sifted = bool(tag or provider or name or status)
    rows = _rows(client, limit=None if sifted else limit, status=status)
    found = [row for row in rows if _wanted(row, tag, provider, name, status)]
    if not found:
        show.nothing("sessions")
        return
    room = limit or (AT_ONCE if show.terminal() else len(found))
    show.table(_COLUMNS, [_cells(row) for row in found[:room]])
    if limit is None and len(found) > room:
        show.note(f"the newest {room} of {len(found)}: `-n {len(found)}` shows all")


def _wanted(row: Row, tag: str | None, provider: str | None, name: str | None, status: str | None) -> bool:
    return (
        (tag is None or tag.casefold() in (own.casefold() for own in row.tags))
        and provider in (None, row.provider, row.source)
        and name in (None, row.name, row.title)
        and status in (None, row.state)
    )


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
    """Delete some; one that runs is refused.

    The exit code is 1 if one could not be deleted; the others are all the same.
    """
    client, failed = reach.client(ctx), False
    for session in dict.fromkeys(sessions):
        request = requests.delete(session)
        try:
            raw = client.raw(request)
        except Refused as error:
            failed = True
            hint = f"; `roost cancel {session}` ends what it does" if error.status == BUSY else ""
            click.echo(f"roost: {session}: {error}{hint}", err=True)
            continue
        if as_json:
            show.document(raw)
        else:
            show.line(f"{client.read(request, raw).deleted}  deleted")
    ctx.exit(1 if failed else 0)


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


def _print(
    client: Blocking,
    *,
    tag: str | None,
    provider: str | None,
    name: str | None,
    status: str | None,
    limit: int | None,
    everywhere: bool,
) -> None:
    """The server's own list, whole or sifted."""
    sifted = name is not None or status is not None
    request = requests.sessions(
        tag=tag, provider=provider, limit=None if sifted else limit, everywhere=everywhere or None
    )
    raw = client.raw(request)
    if not sifted:
        show.document(raw)
        return
    states = {row.id: row.state for row in _rows(client)} if status in _SHOWN_ALONE else {}
    kept = (
        one
        for one in client.read(request, raw)
        if name in (None, one.name) and status in (None, one.status, states.get(one.session_id))
    )
    show.document(list(kept)[:limit])


def _rows(client: Blocking, *, limit: int | None = None, status: str | None = None) -> list[Row]:
    """The sessions as screens have them; of a server that has none for screens, or for a word of its own, its list."""
    if status not in _LISTED_ALONE:
        with suppress(Refused, Garbled):  # it has no such door, or is of another make
            return client.ask(talk.list_sessions(limit=limit))
    return [_row(one) for one in client.ask(requests.sessions(limit=limit))]


def _row(one: Session) -> Row:
    return Row(
        id=one.session_id,
        name=one.name or "",
        provider=one.provider,
        model=one.model or "",
        state=one.status or "",
        created_at=one.created_at,
        tags=one.tags,
        working_dir=one.worktree_path or "",
    )


def _cells(row: Row) -> tuple[object, ...]:
    player = row.source or row.provider
    return (
        row.id,
        row.name or row.title,
        player,
        row.model.removeprefix(f"{player}/") if show.terminal() else row.model,
        row.state,
        show.moment(row.created_at),
        row.tags,
        show.folder(row.working_dir),
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
            ("created", show.instant(one.created_at)),
            ("ended", show.instant(one.ended_at)),
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
