"""Flags of the commands that ask a server: which sessions are meant, and what is to be started."""

import sys
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import click
import msgspec
from click.shell_completion import CompletionItem
from msgspec.structs import replace

from roost.cli import reach
from roost.cli.options import Decorator
from roost.client import requests
from roost.client.blocking import Blocking
from roost.client.fleet import Session
from roost.client.requests import Order, Target
from roost.core import durations
from roost.core.errors import BadValue, SessionNotFound

ENDED = ("completed", "failed", "dead")
PROVIDERS = ("claude", "codex", "gemini", "copilot", "ollama", "opencode", "qwen", "mock", "auto")


def _providers(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in PROVIDERS if name.startswith(incomplete)]


def combined(*decorators: Decorator) -> Decorator:
    """Several flags as one decorator, in this order."""
    return lambda command: reduce(lambda done, decorator: decorator(done), reversed(decorators), command)


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
tag = click.option("--tag", metavar="TAG", help="All sessions with this tag.")

agent = combined(
    click.option(
        "-p", "--provider", metavar="NAME", shell_complete=_providers, help="claude, codex, … or the id of an agent."
    ),
    click.option("-m", "--model", metavar="NAME", help="A model, or small, medium or large."),
    click.option("-r", "--root", metavar="DIR", help="Where it works.  [default: the current folder]"),
    click.option("-a", "--auto-approve", is_flag=True, help="Run every tool without asking."),
    click.option("-s", "--system-prompt", metavar="TEXT", help="Instructions beside its own."),
    click.option("--add-dir", "add_dirs", metavar="DIR", multiple=True, help="A further folder; may be repeated."),
    click.option("--size", metavar="SIZE", help="Size of an Ollama model, as in 9b."),
    click.option("--max-turns", type=click.IntRange(min=1), metavar="N", help="Stop after that many turns."),
    click.option("--mcp-config", metavar="JSON", help="Tool servers for this run: JSON, or a file of it."),
    click.option("--roost-tools", is_flag=True, help="Let it start agents of its own."),
    click.option("--env", "env_vars", metavar="K=V", multiple=True, help="A variable for it; may be repeated."),
    click.option(
        "--file",
        "files",
        metavar="FILE",
        multiple=True,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Put a file before the prompt; may be repeated.",
    ),
    click.option("--timeout", metavar="TIME", help="End it after that long, as in 90s or 1h30m."),
)

metadata = combined(
    click.option("--name", metavar="NAME", help="A name to find it by."),
    click.option("--description", metavar="TEXT", help="What it is about."),
    click.option("--tag", "tags", metavar="TAG", multiple=True, help="A tag; may be repeated."),
)

isolation = combined(
    click.option(
        "-w", "--worktree", is_flag=False, flag_value="", metavar="[NAME]", help="Work in a git worktree of its own."
    ),
    click.option("--sandbox", is_flag=False, flag_value="", metavar="[NAME]", help="Work in a sandbox."),
    click.option("--json-schema", metavar="JSON", help="The form of the answer: a JSON schema, or a file of it."),
)

chosen = combined(
    click.option("--latest", is_flag=True, help="The newest session."),
    click.option("--active", is_flag=True, help="The newest session that runs."),
    click.option("--ps", "process", metavar="ID", help="The session of this process (id or pid)."),
    click.option("--name", metavar="NAME", help="The newest session of this name."),
)


def pick(
    client: Blocking,
    session: str | None,
    *,
    latest: bool = False,
    active: bool = False,
    process: str | None = None,
    name: str | None = None,
    tag: str | None = None,
) -> str:
    """The one session that is meant.

    Raises:
        UsageError: none was named, or several ways at once.
        SessionNotFound: there is none like that.
    """
    ways = [bool(session), latest, active, bool(process), bool(name), bool(tag)]
    if sum(ways) != 1:
        raise click.UsageError("say which session: its id, --latest, or another of the flags for it")
    if session:
        return session
    if process:
        return _of_process(client, process)
    for found in client.ask(requests.sessions(tag=tag)):
        if (name is None or found.name == name) and (not active or _runs(client, found)):
            return found.session_id
    raise SessionNotFound(name or tag or "latest")


def target(client: Blocking, sessions: Sequence[str], tag: str | None, *, latest: bool = False) -> Target:
    """The sessions that are meant.

    Raises:
        UsageError: none was named.
    """
    if not sessions and not tag and not latest:
        raise click.UsageError("say which sessions: their ids, --tag, or --latest where there is one")
    newest = [pick(client, None, latest=True)] if latest else []
    return Target([*sessions, *newest], tag)


def _of_process(client: Blocking, wanted: str) -> str:
    for found in client.ask(requests.processes()):
        if wanted in (found.id, str(found.pid)) and found.session_id:
            return found.session_id
    raise BadValue(f"no process {wanted} that belongs to a session")


def _runs(client: Blocking, session: Session) -> bool:
    status = session.status or client.ask(requests.status(session.session_id)).status
    return status in ("running", "idle")


# -- what to start ------------------------------------------------------------------------------


def order(reached: reach.Reach, prompt: str | None, flags: dict[str, Any]) -> Order:
    """What these flags say is to be started; paths are seen from here, where the server is here too."""
    fields = {
        name: value for name, value in flags.items() if name in Order.__struct_fields__ and value not in (None, ())
    }
    for name in ("worktree", "sandbox"):
        fields[name] = True if flags.get(name) == "" else flags.get(name)
    fields["mcp_config"] = data(flags.get("mcp_config"), "--mcp-config")
    fields["json_schema"] = data(flags.get("json_schema"), "--json-schema")
    text = attached(prompt, flags.get("files", ()), flags.get("plan"))
    made = Order(**fields, prompt=text, parent_session_id=reach.session() or None)
    if not reached.here:
        return made
    here = Path.cwd()
    return replace(
        made,
        root=str(here / Path(made.root).expanduser()) if made.root else str(here),
        add_dirs=[str(here / Path(folder).expanduser()) for folder in made.add_dirs or ()],
    )


def attached(prompt: str | None, files: Sequence[Path], plan: Path | None = None) -> str | None:
    """A prompt behind the files that go with it.

    Raises:
        BadValue: one is no text.
    """
    parts = [f'<file path="{path}">\n{_text(path)}\n</file>' for path in files]
    if plan:
        parts.append(f"Follow this plan:\n\n{_text(plan)}")
    return "\n\n".join([*parts, *([prompt] if prompt else [])]) or None


def typed(prompt: str | None, *, wanted: bool = True) -> str | None:
    """The prompt: as it was given, or from stdin where `-` was, or where none was and a pipe is there.

    Raises:
        UsageError: there is none.
    """
    if prompt == "-" or (prompt is None and wanted and not sys.stdin.isatty()):
        prompt = sys.stdin.read().rstrip("\n")
    if wanted and not (prompt or "").strip():
        raise click.UsageError("the prompt is empty")
    return prompt or None


def duration(text: str | None) -> str | None:
    """A length of time as the server takes it, looked at before anything is asked.

    Raises:
        BadParameter: it is none.
    """
    if text is not None:
        try:
            durations.seconds(text)
        except BadValue as error:
            raise click.BadParameter(error.message) from None
    return text


def data(text: str | None, flag: str) -> Any:
    """JSON, as it is typed or from the file that is named.

    Raises:
        BadValue: it is none.
    """
    if text is None:
        return None
    whole = text if text.lstrip().startswith(("{", "[")) else _text(Path(text).expanduser())
    try:
        return msgspec.json.decode(whole)
    except msgspec.DecodeError as error:
        raise BadValue(f"{flag} is neither JSON nor a file of it: {error}") from None


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8").rstrip("\n")
    except UnicodeDecodeError:
        raise BadValue(f"{path} is no text") from None
    except OSError as error:
        raise BadValue(f"{path}: {error.strerror}") from None
