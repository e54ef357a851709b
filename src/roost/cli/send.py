"""`roost send`: a word to a run at a terminal."""

from pathlib import Path

import click

from roost.cli import asking, show, targets
from roost.client import talk


@click.command(short_help="Say something to a run at a terminal.")
@click.argument("words", metavar="[TARGET] TEXT", nargs=-1)
@click.option("--steer", is_flag=True, help="For the middle of the turn that runs, not for after it.")
@click.option("--key", metavar="KEY", help="Send nothing where something with this key was sent before.")
@targets.data_dir
@asking.as_json
@click.pass_context
def send(
    ctx: click.Context, /, *, words: tuple[str, ...], steer: bool, key: str | None, data_dir: Path | None, as_json: bool
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
    if steer and key:
        raise click.UsageError("--key is for follow-ups: leave --steer out")
    target, text = ("", words[0]) if len(words) == 1 else words
    text = asking.typed(text) or ""
    run, client = targets.find(ctx, target, data_dir)
    if steer:
        raw = client.raw(talk.steer(run.session_id, text))
        done = f"steers {run.session_id}"
    else:
        raw = client.raw(request := talk.followup(run.session_id, text, key=key or ""))
        doubled = client.read(request, raw).duplicate
        done = f"{run.session_id} has a message of this key already" if doubled else f"sent to {run.session_id}"
    if as_json:
        show.document(raw)
    else:
        show.line(done)
