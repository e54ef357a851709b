"""`roost exec`: one prompt, and its answer on stdout."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from roost.cli import asking, lazy, options, reach
from roost.client import connection, local, requests

BUILT_IN = ("default", "coder")

_ALONE = (
    "session_db",
    "working_dir",
    "session_workingdir_root",
    "default_model",
    "models_gateway",
    "env_from_file",
    "record",
    "fake",
    "code_mode_tools",
    "safety",
    "home",
    "data_dir",
    "cache_dir",
    "config_dir",
    "debug",
    "log_file",
)


@click.command("exec", short_help="Ask an agent one thing and print its answer.")
@click.argument("agent", required=False)
@click.argument("prompt", required=False)
@click.option("--prompt", "given", metavar="TEXT", help="The same as PROMPT.")
@asking.agent
@asking.metadata
@asking.isolation
@click.option("--yolo", is_flag=True, help="The same as --auto-approve.")
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["text", "json", "json-pretty", "stream-json"]),
    help="How to print the answer.  [default: text]",
)
@click.option("--json", "as_json", is_flag=True, help="Print every event, a line of JSON each.")
@click.option("--resume", metavar="ID", help="Go on with this session.")
@click.option("--continue", "go_on", is_flag=True, help="Go on with the newest session.")
@click.option("--context", metavar="ID", help="Put the result of this session before the prompt.")
@click.option(
    "--plan",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Put this plan before the prompt.",
)
@click.option("--exit-on-failure", is_flag=True, help="Fail where the agent does; it does anyway.")
@click.option("--session-db", type=click.Path(dir_okay=False, path_type=Path), metavar="PATH", help="The database.")
@options.storage
@options.models
@options.safety
@options.common
@click.pass_context
def exec_(ctx: click.Context, /, *, agent: str | None, prompt: str | None, **flags: Any) -> None:
    """Ask AGENT one thing and print its answer.

    AGENT is an agent file, an http(s) address, an agent of a registry (`org/name:tag`), an
    alias or a built-in agent (`default`, `coder`): it runs in this process, without a server.
    Or it is a coding CLI (claude, codex, gemini, copilot, ollama) or an agent of the server:
    that runs in a session there, as with --provider. PROMPT is read from stdin if it is `-`
    or left out.

    The answer goes to stdout, what tools do to stderr. The exit code is 0 for an answer, 1
    for a failure, 2 for a CLI that crashed, 124 after --timeout, 130 after Ctrl-C.

    \b
    roost exec agent.yaml "What is in this folder?"
    git diff | roost exec reviewer.yaml
    roost exec -p claude --prompt "Count the tests" -o json
    """
    given, provider = flags.pop("given"), flags["provider"]
    if agent and (provider or _resumed(flags)):  # then the first word is the prompt
        if prompt:
            raise click.UsageError("say the agent once: as AGENT, or with --provider")
        agent, prompt = None, agent
    if prompt and given:
        raise click.UsageError("say the prompt once: as PROMPT, or with --prompt")
    words = given or prompt
    if agent and alone(agent):
        ctx.exit(_alone(agent, words, flags))
    if not (agent or provider or given or _resumed(flags)):
        raise click.UsageError("say which agent: a file, a name, or --provider")
    ctx.exit(_there(ctx, words, {**flags, "provider": provider or agent}))


def alone(agent: str) -> bool:
    """Whether an agent of this name runs in this process."""
    if agent in BUILT_IN or _path(agent) or Path(agent).expanduser().exists():
        return True
    if agent in asking.PROVIDERS:
        return False
    told = lazy.settings.load({}, os.environ)
    if lazy.references.is_external(agent) or agent in lazy.aliases.known(told.aliases, told.config_dir, os.environ):
        return True
    home = reach.home()
    return not (reach.session() or connection.read(home) or local.find(home))


def _path(agent: str) -> bool:
    """Whether it can be nothing but a path, also where nothing is there."""
    return agent.startswith(("./", "../", "/", "~")) or Path(agent).suffix.lower() in (".yaml", ".yml")


def _resumed(flags: dict[str, Any]) -> bool:
    return bool(flags["resume"] or flags["go_on"])


def _alone(agent: str, prompt: str | None, flags: dict[str, Any]) -> int:
    wrong = [name for name in _NEEDS_SERVER if flags.get(name)]
    if wrong:
        raise click.UsageError(f"{_flag(wrong[0])} is for agents of a server, and {agent} runs in this process")
    text = _typed() if prompt in (None, "-") else prompt or ""
    text = asking.attached(text, flags["files"], flags["plan"]) or ""
    if not text.strip():
        raise click.UsageError("the prompt is empty")
    kept = options.given({name: flags[name] for name in _ALONE})
    if flags["root"]:
        kept["working_dir"] = str(Path(flags["root"]).expanduser().absolute())
    defaults = lazy.alone.defaults(kept, os.environ)
    settings = options.placed(lazy.settings.load({**defaults, **kept}, os.environ), (agent,))
    approved = flags["yolo"] or flags["auto_approve"]
    if approved and flags["safety"]:
        raise click.UsageError("--safety and --yolo exclude each other: --yolo is --safety autonomous")
    return lazy.alone.run(settings, text, model=flags["model"] or "", approved=approved, raw=flags["as_json"])


_NEEDS_SERVER = (
    "system_prompt",
    "add_dirs",
    "size",
    "max_turns",
    "mcp_config",
    "env_vars",
    "timeout",
    "name",
    "description",
    "tags",
    "worktree",
    "sandbox",
    "json_schema",
    "form",
    "context",
)


def _there(ctx: click.Context, prompt: str | None, flags: dict[str, Any]) -> int:
    """In a session of a server."""
    wrong = [name for name in _ALONE if flags.get(name) not in (None, (), False)]
    if wrong:
        raise click.UsageError(f"{_flag(wrong[0])} is for agent files, which run in this process")
    flags["timeout"] = asking.duration(flags["timeout"])
    flags["auto_approve"] = flags["auto_approve"] or flags["yolo"]
    text = asking.typed(prompt, wanted=not (flags["plan"] or flags["files"]))
    reached = reach.find(ctx)
    form = "events" if flags["as_json"] else flags["form"] or "text"
    if flags["context"]:
        said = reached.client.ask(requests.output(flags["context"])).result
        text = f"{said}\n\n---\n\n{text or ''}"
    if _resumed(flags):
        named = asking.pick(reached.client, flags["resume"], latest=flags["go_on"])
        said = asking.attached(text, flags["files"], flags["plan"]) or ""
        return lazy.errand.go_on(reached.client, named, said, form)
    return lazy.errand.run(reached.client, asking.order(reached, text, flags), form)


def _flag(name: str) -> str:
    spelled = {"form": "output", "tags": "tag", "env_vars": "env", "add_dirs": "add-dir"}
    return "--" + spelled.get(name, name).replace("_", "-")


def _typed() -> str:
    if sys.stdin.isatty():
        click.echo("Type the prompt, then Ctrl-D on a line of its own:", err=True)
    return sys.stdin.read().rstrip("\n")
