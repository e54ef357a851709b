"""`roost approvals`, `approve`, `reject` and `answer`: what waits for a person."""

from collections.abc import Sequence
from typing import Any

import click
import msgspec

from roost.cli import asking, feed, show, targets
from roost.cli.columns import Column, brief, meant
from roost.client import talk
from roost.client.blocking import Blocking
from roost.client.fleet import Told
from roost.client.request import Request
from roost.client.shapes import Waiting
from roost.core.errors import BadValue

_COLUMNS = (
    Column("id", ident=True),
    Column("kind", firm=True),
    Column("session", ident=True),
    Column("agent", 24, spare=1),
    Column("since", firm=True),
    Column("what"),
)
MOST = 5  # of those that may be meant, how many are named


@click.command(short_help="List what waits for a person.")
@click.option("--session", metavar="ID", help="Only of this session.")
@targets.run
@asking.as_json
@click.pass_context
def approvals(ctx: click.Context, /, *, session: str | None, target: str | None, as_json: bool) -> None:
    """List what waits for a person: approvals, questions and limits, the oldest first."""
    client = targets.client(ctx, target)
    raw = client.raw(request := talk.waits())
    found = client.read(request, raw)
    if session:
        found = [one for one in found if one.session_id.startswith(session)]
    if as_json:
        show.document(found if session else raw)
    elif not found:
        show.note("nothing waits for you")
    else:
        rows = [
            (one.id, one.kind, one.session_id, one.agent_name, show.moment(one.opened_at), what(one)) for one in found
        ]
        show.table(_COLUMNS, rows)


@click.command(short_help="Allow what waits.")
@click.argument("wait", required=False)
@click.option("--always", is_flag=True, help="And everything else in this session from now on.")
@click.option("--tool", is_flag=True, help="And this tool in this session from now on.")
@targets.run
@asking.as_json
@click.pass_context
def approve(
    ctx: click.Context, /, *, wait: str | None, always: bool, tool: bool, target: str | None, as_json: bool
) -> None:
    """Allow what waits: by its id or its session's; without WAIT, the one thing that does."""
    if always and tool:
        raise click.UsageError("--always means every tool: leave --tool out")
    client = targets.client(ctx, target)
    found = one_of(client, wait)
    word = "approve-session" if always else "approve-tool" if tool else "approve"
    _send(client, talk.answer(found.id, **_allowing(found, word)), f"allowed: {what(found)}", as_json)


@click.command(short_help="Refuse what waits.")
@click.argument("wait", required=False)
@click.option("--reason", metavar="TEXT", help="Why; the agent is told.")
@targets.run
@asking.as_json
@click.pass_context
def reject(ctx: click.Context, /, *, wait: str | None, reason: str | None, target: str | None, as_json: bool) -> None:
    """Refuse what waits: by its id or its session's; without WAIT, the one thing that does."""
    client = targets.client(ctx, target)
    found = one_of(client, wait)
    given: dict[str, Any] = (
        {"action": "decline"} if found.kind == "question" else {"confirmation": "reject", "reason": reason}
    )
    _send(client, talk.answer(found.id, **given), f"refused: {what(found)}", as_json)


@click.command(short_help="Answer a question that waits.")
@click.argument("wait")
@click.argument("content", metavar="JSON")
@targets.run
@asking.as_json
@click.pass_context
def answer(ctx: click.Context, /, *, wait: str, content: str, target: str | None, as_json: bool) -> None:
    """Answer a question that waits, with an object of its fields.

    \b
    roost answer 1f3a '{"branch": "main"}'
    """
    try:
        given = msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise click.BadParameter(f"the answer is no JSON object: {error}") from None
    client = targets.client(ctx, target)
    found = one_of(client, wait)
    if found.kind != "question":
        raise BadValue(f"{found.id} is no question: `roost approve` and `roost reject` answer it")
    _send(client, talk.answer(found.id, action="accept", content=given), f"answered: {what(found)}", as_json)


def one_of(client: Blocking, wait: str | None) -> Waiting:
    """The one thing that is meant, by its id, by that of its session, or by the first characters of either.

    Raises:
        BadValue: there are several.
    """
    waiting = client.ask(talk.waits())
    if wait is None:
        if len(waiting) > 1:
            raise BadValue(f"{len(waiting)} things wait, say which: {_several(waiting)}")
        if not waiting:
            raise BadValue("nothing waits")
        return waiting[0]
    found = (
        [one for one in waiting if one.id == wait]
        or [one for one in waiting if meant(one.id, wait)]
        or [one for one in waiting if one.session_id.startswith(wait)]
    )
    if not found:
        raise BadValue(f"nothing that waits begins with {wait!r} (`roost approvals` lists what does)")
    if len(found) > 1:
        raise BadValue(f"{len(found)} begin with {wait!r}: {_several(found)}")
    return found[0]


def _several(found: Sequence[Waiting]) -> str:
    """Some of them, so that one can be named."""
    ids = {one.id for one in found}
    named = ", ".join(f"{brief(one.id, ids)} ({what(one)})" for one in found[:MOST])
    return named if len(found) <= MOST else f"{named}, and {len(found) - MOST} more (`roost approvals` lists them)"


def what(one: Waiting) -> str:
    """What waits, in a line."""
    if one.tool_call:
        return feed.call(one.tool_call.name, one.tool_call.arguments)
    if one.kind == "limit":
        return f"{one.max_iterations} iterations are done"
    return show.short(one.message, 100)


def _allowing(found: Waiting, word: str) -> dict[str, Any]:
    """What allows it: a question is one for `roost answer`, unless it has no fields."""
    if found.kind != "question":
        return {"confirmation": word}
    if (found.schema or {}).get("properties"):
        raise BadValue(f"{found.id} is a question with fields: `roost answer {found.id} JSON` answers it")
    return {"action": "accept", "content": {}}


def _send(client: Blocking, request: Request[Told], done: str, as_json: bool) -> None:
    raw = client.raw(request)
    if as_json:
        show.document(raw)
    else:
        show.line(done)
