"""`roost exec`: one turn, and its answer on stdout."""

import os
import sys
from typing import Any

import click

from roost.cli import options


@click.command("exec", short_help="Ask an agent one thing and print its answer.")
@click.argument("agent")
@click.argument("prompt", default="-")
@click.option("--model", metavar="REF", help="Use this model: `provider/model`, or a name in the agent file.")
@click.option("--yolo", is_flag=True, help="Run every tool without asking.")
@click.option("--json", "as_json", is_flag=True, help="Print every event, a line of JSON each.")
@options.database("~/.roost/roost.db")
@options.storage
@options.models
@options.common
@click.pass_context
def exec_(
    ctx: click.Context, /, *, agent: str, prompt: str, model: str | None, yolo: bool, as_json: bool, **flags: Any
) -> None:
    """Ask AGENT one thing and print its answer.

    AGENT is an agent file, or the name of a built-in agent (`default`); PROMPT is read from
    stdin if it is `-` or left out. The answer goes to stdout, what tools do to stderr. Tools
    that need an approval ask on the terminal; without one they are refused.

    The exit code is 0 for an answer, 1 for an error, 130 for a turn that was cancelled.

    \b
    roost exec agent.yaml "What is in this folder?"
    git diff | roost exec reviewer.yaml
    """
    flags = options.given(flags)
    text = _typed() if prompt == "-" else prompt
    if not text.strip():
        raise click.UsageError("the prompt is empty")
    # What follows loads the whole server: help and completion do without.
    from roost.cli import alone
    from roost.config.settings import load

    settings = load({**alone.defaults(flags, os.environ), **flags, "agents": options.agents(agent)}, os.environ)
    ctx.exit(alone.run(settings, text, model=model or "", approved=yolo, raw=as_json))


def _typed() -> str:
    if sys.stdin.isatty():
        click.echo("Type the prompt, then Ctrl-D on a line of its own:", err=True)
    return sys.stdin.read().rstrip("\n")
