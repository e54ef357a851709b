"""The commands, all on one page.

Each is loaded when it is used: a command that only asks a server, or prints help, starts fast.
"""

import sys
from typing import NoReturn

import click

from roost import __version__
from roost.cli.lazy import Entry, LazyGroup
from roost.core.errors import RoostError

COMMANDS = {
    "serve": Entry("roost.cli.serve:serve", "Serve agents over HTTP."),
    "exec": Entry("roost.cli.exec:exec_", "Ask an agent one thing and print its answer."),
    "doctor": Entry("roost.cli.doctor:doctor", "Say what works on this machine, and what is missing."),
    "model": Entry("roost.cli.model:model", "Install and inspect the small local model."),
    "completion": Entry("roost.cli.completion:completion", "Print a completion script for your shell."),
    "demo": Entry("roost.cli.demo:demo", "Serve a demo agent, show one answer, and go on until Ctrl-C.", hidden=True),
}


@click.group(
    cls=LazyGroup,
    entries=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog="`roost COMMAND --help` says more about each.",
)
@click.version_option(__version__, message="roost %(version)s")
def roost() -> None:
    """One server for all of your agents."""


def main() -> None:
    """Run the command line, and turn what went wrong into a line on stderr and an exit code."""
    try:
        roost(prog_name="roost")
    except RoostError as error:
        _fail(error)
    except BaseExceptionGroup as group:
        ours, others = group.split(RoostError)
        if ours is None or others is not None:
            raise
        _fail(_first(ours))


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _fail(error: BaseException) -> NoReturn:
    click.echo(f"roost: {error}", err=True)
    sys.exit(1)
