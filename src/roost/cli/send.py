"""`roost send`: a word to a run at a terminal."""

from pathlib import Path

import click
import msgspec

from roost.cli import asking, show, targets
from roost.client.requests import Request


class _Queued(msgspec.Struct):
    """What became of it."""

    status: str
    duplicate: bool = False


@click.command(short_help="Say something to a run at a terminal.")
@click.argument("words", metavar="[TARGET] TEXT", nargs=-1)
@click.option("--steer", is_flag=True, help="For the middle of the turn that runs, not for after it.")
@targets.data_dir
@asking.as_json
@click.pass_context
def send(
    ctx: click.Context, /, *, words: tuple[str, ...], steer: bool, data_dir: Path | None, as_json: bool
) -> None:
    """Say something to a run at a terminal (`roost run AGENT --listen ADDR`), as if it were typed there.

    TARGET is the pid of the run, its address, or a part of the id of its session; without it,
    the newest is meant. TEXT is read from stdin if it is `-`. If the agent is at work it takes
    the message up afterwards, or, with --steer, as soon as it can; else it begins at once.

    \b
    roost send "And the tests?"
    roost send 41230 --steer "Leave the lock file alone"
    git diff | roost send 5f1c6c0e -
    """
    if not 1 <= len(words) <= 2:
        raise click.UsageError("say what to send: TEXT, or TARGET and TEXT (in quotes)")
    target, text = ("", words[0]) if len(words) == 1 else words
    text = asking.typed(text) or ""
    run, client = targets.find(ctx, target, data_dir)
    path = f"/api/sessions/{run.session_id}/{'steer' if steer else 'followup'}"
    body = {"messages": [{"role": "user", "content": text}]}
    raw = client.raw(request := Request("POST", path, _Queued, body=body))
    if as_json:
        show.document(raw)
    else:
        show.line(_told(client.read(request, raw), run.session_id, steer=steer))


def _told(queued: _Queued, session: str, *, steer: bool) -> str:
    if queued.duplicate:
        return f"nothing was sent to {session}: it has a message of this key already"
    return f"{'steers' if steer else 'sent to'} {session}"
