"""Which run at a terminal is meant, and a line to it."""

import os
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from roost.cli import reach
from roost.client import runs
from roost.client.blocking import Blocking
from roost.client.errors import Unreachable
from roost.client.runs import Run
from roost.core.errors import ServerFailed


def _known(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [
        CompletionItem(run.session_id, help=run.agent)
        for run in runs.living(folder(None))
        if run.session_id.startswith(incomplete)
    ]


data_dir = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where the records of runs are.  [default: Roost's folder]",
)

run = click.option(
    "--run",
    "target",
    metavar="TARGET",
    is_flag=False,
    flag_value="",
    shell_complete=_known,
    help="Ask a run at a terminal in place of the server: a pid, an address, a part of its session's id.",
)


def folder(data_dir: Path | None) -> Path:
    """Where the records are."""
    return runs.folder(os.environ, reach.home(), data_dir)


def find(ctx: click.Context, target: str, data_dir: Path | None = None) -> tuple[Run, Blocking]:
    """The run that is meant, and a client of it.

    Raises:
        BadValue: there is none like that, or there are several.
        Unreachable: it does not answer.
    """
    found = runs.select(runs.living(folder(data_dir)), target)
    client = reach.of(found.server)
    ctx.call_on_close(client.close)
    try:
        client.open()
    except Unreachable as error:
        raise ServerFailed(f"the run with pid {found.pid} is on its way out: {error}") from None
    return found, client


def client(ctx: click.Context, target: str | None, data_dir: Path | None = None) -> Blocking:
    """A client of that run; where none is meant, of the server that commands go to."""
    return reach.client(ctx) if target is None else find(ctx, target, data_dir)[1]
