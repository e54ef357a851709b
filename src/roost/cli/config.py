"""`roost config`: the defaults of new sessions."""

from typing import Any

import click

from roost.cli import asking, reach, show
from roost.client import requests


@click.command(
    short_help="Read and set the defaults of new sessions.",
    epilog="""\b
roost config                      the whole file
roost config list                 all keys
roost config provider             one of them
roost config provider claude      set it
roost config unset provider       take it back
""",
)
@click.argument("args", nargs=-1)
@click.option("-r", "--root", metavar="DIR", help="Those of this project.")
@asking.as_json
@click.pass_context
def config(ctx: click.Context, /, *, args: tuple[str, ...], root: str | None, as_json: bool) -> None:
    """Read and set the defaults of new sessions: provider, model and the like."""
    client = reach.client(ctx)
    raw = client.raw(request := requests.config(args, root))
    if as_json:
        show.document(raw)
    else:
        _show(client.read(request, raw))


def _show(found: dict[str, Any]) -> None:
    match found:
        case {"content": content, "path": path}:
            show.text(str(content)) if content else show.note(f"{path} is not there yet; `roost config init` makes it")
        case {"key": _, "status": status}:
            show.note(str(status))
        case {"key": key, "value": None}:
            show.note(f"{key} is not set")
        case {"key": _, "value": value}:
            show.text(str(value))
        case {"path": path} if len(found) == 1:
            show.text(str(path))
        case _:
            show.fields([(key, "-" if value is None else value) for key, value in found.items()])
