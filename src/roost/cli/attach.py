"""`roost attach`: the terminal UI on a session of a server, which goes on when you leave."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from roost.cli import asking, lazy, reach, show
from roost.cli.columns import Column
from roost.cli.telling import Telling
from roost.client import connection, requests
from roost.client.answers import Turn
from roost.client.blocking import Blocking
from roost.client.errors import Refused
from roost.client.server import Server, normal
from roost.client.shapes import Row
from roost.core.errors import BadValue, ServerFailed, SessionNotFound

MOST = 15  # sessions in the list to choose from
CODES = {"normal": 0, "error": 1, "canceled": 130}

_COLUMNS = (
    Column("n", right=True),
    Column("session", ident=True),
    Column("agent", 24, spare=1),
    Column("status", firm=True),
    Column("title"),
    Column("when", firm=True),
)


@click.command(short_help="Open a session of the server at the terminal.")
@click.argument("session", required=False)
@click.option("--latest", is_flag=True, help="The newest session.")
@click.option("--remote", metavar="URL", help="A session of that server.")
@click.option("--theme", metavar="NAME", help="How the screen looks.")
@click.pass_context
def attach(ctx: click.Context, /, *, session: str | None, latest: bool, remote: str | None, theme: str | None) -> None:
    """Open a session of the server at the terminal.

    SESSION is an id, or the first characters of one; without it you choose from the newest.
    The session goes on when you leave: others may have it open at the same time.
    """
    see("`roost listen` prints what happens without one")
    client, here = _server(ctx, remote)
    row = _chosen(client.list_sessions(), session, latest=latest)
    client.close()
    ctx.exit(lazy.screen.look(client.server, row.id, row.provider or row.agent, here=here, theme=theme or ""))


def talk(ctx: click.Context, agent: str, prompt: str, session: str, flags: dict[str, Any]) -> int:
    """Talk to an agent of a server: a coding CLI, or one that it serves.

    Raises:
        ServerFailed: the server said no, or is gone.
    """
    client, here = _server(ctx, flags["remote"])
    if not flags["headless"]:
        see()
    new = not session
    if session:
        rows = client.list_sessions()
        session = _chosen(rows, None if session in ("last", "latest", "-1") else session, latest=True).id
    elif agent in asking.PROVIDERS and not flags["remote"]:
        return _spawned(ctx, agent, prompt, flags)
    else:
        folder = str(flags["working_dir"] or Path.cwd()) if here else None
        made = client.create(working_dir=folder, tools_approved=flags["yolo"] or None, safety_policy=flags["safety"])
        session = made.id
    model, name = flags["model"] or "", flags["agent_name"] or ""
    if flags["headless"]:
        since = _begun(client, session, agent, prompt, model=model, name=name, new=new)
        return _printed(client, session, since, raw=flags["as_json"])
    client.close()
    safety = "autonomous" if flags["yolo"] else flags["safety"] or ""
    return lazy.screen.look(
        client.server,
        session,
        agent,
        here=here,
        prompt=prompt,
        model=model,
        name=name,
        theme=flags["theme"] or "",
        safety=safety,
        results=not flags["hide_tool_results"],
    )


def see(instead: str = "`roost run --exec` prints the answer without one") -> None:
    """See that somebody looks; `instead` is what works where nobody does.

    Raises:
        UsageError: stdin or stdout is no terminal.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError(f"the screen needs a terminal: {instead}")


def _server(ctx: click.Context, remote: str | None) -> tuple[Blocking, bool]:
    """A client of the server that is meant, and whether it sees the same files."""
    if not remote:
        reached = reach.find(ctx)
        return reached.client, reached.here
    known = connection.read(reach.home())
    url = normal(remote) if "://" in remote else f"http://{remote}"
    server = replace(known, url=url) if known and known.url == url else Server(url)
    if token := os.environ.get("ROOST_CONNECT_TOKEN"):
        server = replace(server, token=token)
    client = reach.of(server)
    ctx.call_on_close(client.close)
    return client, server.place.socket != ""


def _spawned(ctx: click.Context, provider: str, prompt: str, flags: dict[str, Any]) -> int:
    """A session of a coding CLI, which waits for what is said next."""
    reached = reach.find(ctx)
    told = {
        "provider": provider,
        "model": flags["model"],
        "auto_approve": flags["yolo"],
        "root": str(flags["working_dir"]) if flags["working_dir"] else None,
    }
    order = asking.order(reached, prompt or None, told)
    if flags["headless"]:
        return lazy.errand.run(reached.client, order, "events" if flags["as_json"] else "text")
    started = reached.client.ask(requests.spawn(replace(order, interactive=True)))
    reached.client.close()
    return lazy.screen.look(
        reached.client.server,
        started.session_id,
        provider,
        here=reached.here,
        theme=flags["theme"] or "",
        results=not flags["hide_tool_results"],
    )


def _begun(client: Blocking, session: str, agent: str, prompt: str, *, model: str, name: str, new: bool) -> int:
    """Start a turn; a session that is `new` does not stay where it can't be."""
    try:
        return client.start(session, agent, prompt, agent_name=name, model=model)
    except Refused:
        if new:
            with suppress(ServerFailed):
                client.delete(session)
        raise


def _printed(client: Blocking, session: str, since: int, *, raw: bool) -> int:
    """One turn without a screen, from after a number on; the exit code says how it ended."""
    telling, course = Telling(sys.stdout, sys.stderr), Turn(session)
    for frame in client.frames(session, since, told=show.note):
        if raw:
            click.echo(show.clean(frame.data.decode()))
        else:
            telling.show(frame.happening)
        telling.point(frame.happening, "answer it with `roost approve` there")
        course.take(frame.happening)
        if course.over:
            break
    telling.end_line()
    return CODES.get(course.answer().reason, 1)


# -- which session ------------------------------------------------------------------------------


def _chosen(rows: Sequence[Row], named: str | None, *, latest: bool) -> Row:
    """The session that is meant.

    Raises:
        SessionNotFound: there is none like that.
        BadValue: there are several.
    """
    if named:
        found = [row for row in rows if row.id == named] or [row for row in rows if row.id.startswith(named)]
        if len(found) > 1:
            raise BadValue(f"several sessions begin with {named!r}: {', '.join(row.id for row in found[:MOST])}")
        if not found:
            raise SessionNotFound(named)
        return found[0]
    rows = [row for row in rows if row.state != "new" or row.turns]  # nobody has said anything there yet
    if not rows:
        raise BadValue("there are no sessions: `roost run AGENT` and `roost spawn` start one")
    if latest or len(rows) == 1:
        return rows[0]
    return _asked(rows[:MOST])


def _asked(rows: Sequence[Row]) -> Row:
    """The one whose number is typed."""
    show.table(_COLUMNS, [_cells(number, row) for number, row in enumerate(rows, 1)])
    number = click.prompt("Which one", type=click.IntRange(1, len(rows)), default=1, err=True)
    return rows[int(number) - 1]


def _cells(number: int, row: Row) -> tuple[object, ...]:
    when = show.moment(row.updated_at or row.created_at)
    return number, row.id, row.agent or row.provider, row.state, row.title or row.name, when
