"""The commands, all on one page.

Each is loaded when it is used: a command that only asks a server, or prints help, starts fast.
"""

import gc
import sys
from typing import NoReturn

import click

from roost import __version__
from roost.cli.lazy import Entry, LazyGroup
from roost.core.errors import RoostError

LOADING = 200_000
"""Objects between two looks for garbage, to begin with: more than are loaded, for that took a fifth of each start."""

COMMANDS = {
    "serve": Entry("roost.cli.serve:serve", "Serve agents over HTTPS, on 0.0.0.0:2100."),
    "run": Entry("roost.cli.run:run", "Talk to an agent at the terminal."),
    "attach": Entry("roost.cli.attach:attach", "Open a session of the server at the terminal."),
    "exec": Entry("roost.cli.exec:exec_", "Ask an agent one thing and print its answer."),
    # runs at terminals, that other programs take part in
    "send": Entry("roost.cli.send:send", "Say something to a run at a terminal."),
    "runs": Entry("roost.cli.runs:runs", "List the runs at terminals that listen."),
    # sessions of a server
    "spawn": Entry("roost.cli.spawn:spawn", "Start a session in the background."),
    "status": Entry("roost.cli.status:status", "Say how a session is doing."),
    "wait": Entry("roost.cli.wait:wait", "Wait until sessions have ended."),
    "output": Entry("roost.cli.output:output", "Print a session's result."),
    "collect": Entry("roost.cli.collect:collect", "Print the results of several sessions."),
    "events": Entry("roost.cli.events:events", "Print what happened in a session."),
    "listen": Entry("roost.cli.listen:listen", "Print a session's events as they happen."),
    "subscribe": Entry("roost.cli.subscribe:subscribe", "Print all sessions' events as they happen."),
    "watch": Entry("roost.cli.watch:watch", "Run a command whenever something happens."),
    "input": Entry("roost.cli.input:input_", "Send a session a message."),
    "broadcast": Entry("roost.cli.broadcast:broadcast", "Send many sessions one message."),
    "cancel": Entry("roost.cli.cancel:cancel", "End what sessions do."),
    "retry": Entry("roost.cli.retry:retry", "Start sessions again, as they were started."),
    "pipe": Entry("roost.cli.pipe:pipe", "Give results of sessions to a new one."),
    "review": Entry("roost.cli.review:review", "Have an agent look at changes."),
    "summary": Entry("roost.cli.summary:summary", "Show sessions in figures."),
    "search": Entry("roost.cli.search:search", "Search the logs of sessions."),
    "session": Entry("roost.cli.session:session", "List, show, rename and delete sessions."),
    "ps": Entry("roost.cli.ps:ps", "List, stop and kill the programs of sessions."),
    "log": Entry("roost.cli.log:log", "Write a line into a session's log."),
    "env": Entry("roost.cli.env:env", "Print a session's variables."),
    "gc": Entry("roost.cli.gc:gc", "Clear away what is old."),
    # what waits for a person
    "approvals": Entry("roost.cli.approvals:approvals", "List what waits for a person."),
    "approve": Entry("roost.cli.approvals:approve", "Allow what waits."),
    "reject": Entry("roost.cli.approvals:reject", "Refuse what waits."),
    "answer": Entry("roost.cli.approvals:answer", "Answer a question that waits."),
    # the server and what it has
    "connect": Entry("roost.cli.connect:connect", "Send commands to a server from now on."),
    "disconnect": Entry("roost.cli.connect:disconnect", "Send commands to this machine again."),
    "whoami": Entry("roost.cli.whoami:whoami", "Say which server commands go to, and as whom."),
    "pair": Entry("roost.cli.pair:pair", "Let a browser or a phone in."),
    "user": Entry("roost.cli.user:user", "Add, list and remove accounts."),
    "config": Entry("roost.cli.config:config", "Read and set the defaults of new sessions."),
    "capability": Entry("roost.cli.capability:capability", "Say what a provider can do."),
    "discover": Entry("roost.cli.discover:discover", "Say which providers and models there are."),
    "skills": Entry("roost.cli.skills:skills", "List, add and remove skills."),
    "mcp": Entry("roost.cli.mcp:mcp", "List, add and remove tool servers."),
    # this machine
    "agents": Entry("roost.cli.agents:agents", "Push, pull and list agents of registries."),
    "doctor": Entry("roost.cli.doctor:doctor", "Say what works on this machine, and what is missing."),
    "model": Entry("roost.cli.model:model", "Install and inspect the small local model."),
    "completion": Entry("roost.cli.completion:completion", "Print a completion script for your shell."),
    "demo": Entry("roost.cli.demo:demo", "Serve a demo agent, show one answer, and go on until Ctrl-C.", hidden=True),
}


@click.group(
    cls=LazyGroup,
    entries=COMMANDS,
    context_settings={"help_option_names": ["-h", "-H", "--help"], "max_content_width": 80},
    epilog="`roost COMMAND --help` says more about each.",
)
@click.option("-q", "--quiet", is_flag=True, help="No notes on stderr.")
@click.option("-v", "--verbose", is_flag=True, help="Say which server is asked, and what.")
@click.option("-d", "--debug", is_flag=True, help="The same.")
@click.option("--no-health-check", is_flag=True, help="Do not ask the server first how it is.")
@click.version_option(__version__, message="roost %(version)s")
def roost(**_: bool) -> None:
    """One server for all of your agents."""


def main(words: list[str] | None = None) -> None:
    """Run the command line, and turn what went wrong into a line on stderr and an exit code."""
    gc.set_threshold(LOADING)
    try:
        roost(words, prog_name="roost")
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
    # Only what fails pays for it.
    from roost.cli import show

    show.aside(f"roost: {error}")
    sys.exit(1)
