"""`roost runs`: the runs at terminals that listen."""

from pathlib import Path

import click

from roost.cli import asking, reach, show, targets
from roost.cli.columns import Column
from roost.client import runs as records
from roost.client import talk
from roost.client.errors import Refused, Unreachable
from roost.client.runs import Run
from roost.client.shapes import State

_COLUMNS = (
    Column("pid", firm=True),
    Column("session", ident=True),
    Column("agent"),
    Column("status", firm=True),
    Column("title", 40),
    Column("started", firm=True),
    Column("address", tail=True, spare=1),
)
PATIENCE = 2.0  # seconds for a run to say how it is


@click.command(short_help="List the runs at terminals that listen.")
@targets.data_dir
@asking.as_json
def runs(*, data_dir: Path | None, as_json: bool) -> None:
    """List the runs at terminals that listen (`roost run AGENT --listen ADDR`), the newest first."""
    found = records.living(targets.folder(data_dir))
    if as_json:
        show.document([{name: getattr(run, name) for name in _FIELDS} for run in found])
    elif not found:
        show.nothing("runs that listen")
    else:
        show.table(_COLUMNS, [_row(run) for run in found])


_FIELDS = ("pid", "addr", "session_id", "agent", "started_at")


def _row(run: Run) -> tuple[object, ...]:
    client = reach.of(run.server)
    try:
        status: State | None = client.ask(talk.state(run.session_id), timeout=PATIENCE)
    except (Refused, Unreachable):
        status = None
    finally:
        client.close()
    word = "unknown" if status is None else "running" if status.streaming else "idle"
    title = status.title if status else ""
    return run.pid, run.session_id, run.agent, word, title, show.moment(run.started_at), run.addr
