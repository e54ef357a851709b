"""`roost demo`: a server with a demo agent, one answer shown, and the commands to go on with."""

import asyncio
import os
import sys
from importlib.resources import as_file, files
from pathlib import Path

import click

import roost
from roost.cli import lazy
from roost.cli import model as local
from roost.core.errors import BadValue
from roost.doors.listen import bind, parse

PROMPT = "Write one sentence about the sea."

GO_ON = """
Roost serves the agent `demo` until you press Ctrl-C. Talk to it in a browser:

    http://{address}/

or at a terminal, in another window:

    roost run demo --remote http://{address}

or over its API:

    curl http://{address}/api/agents

    SID=$(curl -s -X POST http://{address}/api/sessions -H 'Content-Type: application/json' -d '{{}}' \\
      | python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])')

    curl -N -X POST http://{address}/api/sessions/$SID/agent/demo -H 'Content-Type: application/json' \\
      -d '{{"messages": [{{"role": "user", "content": "Hello!"}}]}}'

    curl http://{address}/api/sessions/$SID/snapshot

All that it can do is on a page at http://{address}/docs
"""


class Nobody:
    """The demo agent has no tools, so nothing will be asked."""

    there = False

    async def ask(self, question: str) -> str:
        """The end of input."""
        return ""


@click.command(hidden=True)
@click.option("--once", is_flag=True, help="End after the answer.")
@click.option("--prompt", default=PROMPT, help="What to ask.")
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".demo"),
    help="Where the demo keeps its database.",
)
@click.pass_context
def demo(ctx: click.Context, /, *, once: bool, prompt: str, state: Path) -> None:
    """Serve a demo agent, show one answer, and go on until Ctrl-C."""
    if not local.installed():
        raise BadValue("the demo needs the local model: `roost model install` (or `make demo`) installs it")
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    codes: list[int] = []

    async def show(address: str, stop: asyncio.Event) -> None:
        codes.append(await _answer(address, prompt))
        if once:
            stop.set()
        else:
            click.echo(GO_ON.format(address=address))

    with as_file(files("roost").joinpath("data", "demo.yaml")) as agents:
        flags = {
            "agents": str(agents),
            "listen": _free("127.0.0.1:8080"),
            "session_db": str((state / "session.db").absolute()),
            "log_file": str((state / "roost.log").absolute()),
        }
        lazy.host.run(lazy.settings.load(flags, os.environ), then=show)
    ctx.exit(codes[0] if codes else 1)


async def _answer(address: str, prompt: str) -> int:
    click.echo(f"\n> {prompt}\n")
    async with roost.Client(f"http://{address}") as client:
        turn = lazy.turn.Turn(client, Nobody(), out=sys.stdout, err=sys.stderr)
        return await turn.run(lazy.turn.Request("demo", prompt))


def _free(address: str) -> str:
    """This address, or the same host with any free port."""
    try:
        bind(parse(address)).close()
    except BadValue:
        return address.rpartition(":")[0] + ":0"
    return address
