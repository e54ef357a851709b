"""`roost run`: talk to an agent at the terminal."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from roost.cli import asking, attach, lazy, options
from roost.cli.exec import alone

_LISTENING = ("auth_token", "allow_unauthenticated")
_SETTINGS = (
    *_LISTENING,
    "listen",
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
    "sandbox",
    "sandbox_image",
    "permissions",
    "hooks",
    "home",
    "data_dir",
    "cache_dir",
    "config_dir",
    "debug",
    "log_file",
)

_ALONE = tuple(name for name in _SETTINGS if name not in ("working_dir", "safety", "debug", "home", "log_file"))

talk = asking.combined(
    click.option("-a", "--agent", "agent_name", metavar="NAME", help="Which agent of the team begins."),
    click.option("-m", "--model", metavar="REF", help="Another model for it, as provider/model."),
    click.option("--yolo", is_flag=True, help="Run every tool without asking."),
    click.option(
        "--session", "--resume", metavar="ID", help="Go on with this session: its id, the beginning of it, or `last`."
    ),
    click.option("-c", "--continue", "go_on", is_flag=True, help="The same as --session last."),
    click.option(
        "--file",
        "files",
        metavar="FILE",
        multiple=True,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Put a file before the prompt; may be repeated.",
    ),
)

face = asking.combined(
    click.option("--theme", metavar="NAME", help="How the screen looks."),
    click.option("--hide-tool-results", is_flag=True, help="Show which tools run, and not what they return."),
    click.option("--exec", "headless", is_flag=True, help="No screen: print the answer, as `roost exec` does."),
    click.option("--json", "as_json", is_flag=True, help="With --exec: print every event, a line of JSON each."),
)

listening = asking.combined(
    click.option("-l", "--listen", metavar="ADDR", help="Take part from elsewhere: host:port, unix://PATH or fd://N."),
    click.option("--auth-token", metavar="TOKEN", help="Ask those who come that way for this bearer token."),
    click.option(
        "--allow-unauthenticated", is_flag=True, default=None, help="Listen beyond this machine without a token."
    ),
    click.option("--remote", metavar="URL", help="Talk to AGENT of that server."),
)

policy = asking.combined(
    options.safety,
    click.option(
        "--sandbox", type=click.Choice(["auto", "docker", "bubblewrap", "none"]), help="What sandboxes are made with."
    ),
    click.option("--sandbox-image", metavar="IMAGE", help="A Docker image that is the system inside."),
    click.option("--permissions", metavar="JSON", help="Patterns that allow, ask and deny tools."),
    click.option("--hooks", metavar="JSON", help="Hooks, before those of hooks.d."),
)


@click.command(short_help="Talk to an agent at the terminal.")
@click.argument("agent", default="default")
@click.argument("prompt", required=False)
@talk
@face
@listening
@options.database("~/.roost/roost.db")
@options.storage
@options.models
@policy
@options.common
@click.pass_context
def run(ctx: click.Context, /, *, agent: str, prompt: str | None, **flags: Any) -> None:
    """Talk to AGENT at the terminal; PROMPT is what you say first.

    AGENT is an agent file, an http(s) address, an agent of a registry (`org/name:tag`), an
    alias or a built-in agent (`default`, `coder`): it runs in this process. Or it is a coding
    CLI (claude, codex, …) or an agent of the server: that runs in a session there, and goes on
    when you leave.

    With --listen other programs take part: they see the same events, send follow-ups and answer
    approvals. `roost runs`, `send`, `watch` and `approve --run` find it.

    \b
    roost run agent.yaml
    roost run agent.yaml "What is in this folder?" --listen unix:///tmp/run.sock
    roost run agent.yaml --continue
    roost run claude
    git diff | roost run reviewer.yaml --exec
    """
    session = _session(flags)
    flags.pop("go_on")
    if flags["remote"] or not alone(agent):
        ctx.exit(_there(ctx, agent, prompt, session, flags))
    ctx.exit(_here(agent, prompt, session, flags))


def _session(flags: Mapping[str, Any]) -> str:
    if flags["session"] and flags["go_on"]:
        raise click.UsageError("--session and --continue exclude each other")
    return "last" if flags["go_on"] else flags["session"] or ""


def _here(agent: str, prompt: str | None, session: str, flags: dict[str, Any]) -> int:
    """In this process, with a whole server around it."""
    _refuse(flags)
    text = asking.attached(_prompt(prompt, flags), flags["files"]) or ""
    given = options.given({name: flags[name] for name in _SETTINGS})
    defaults = lazy.indoors.defaults(given, os.environ, headless=flags["headless"])
    found = lazy.settings.load({**defaults, **given}, os.environ)
    settings = options.placed(found, (agent,))
    if flags["listen"]:
        lazy.plane.refuse_open(settings)
    wish = lazy.indoors.Wish(
        agent,
        agent_name=flags["agent_name"] or "",
        prompt=text,
        session=session,
        model=flags["model"] or "",
        safety="autonomous" if flags["yolo"] else flags["safety"] or "",
        listen=bool(flags["listen"]),
        headless=flags["headless"],
        raw=flags["as_json"],
        hide_results=flags["hide_tool_results"],
        theme=flags["theme"] or "",
    )
    return lazy.indoors.run(settings, wish, lazy.indoors.headless if wish.headless else lazy.screen.show)


def _refuse(flags: Mapping[str, Any]) -> None:
    """Turn down flags that make no sense together, and a screen that nobody would see."""
    if flags["yolo"] and flags["safety"]:
        raise click.UsageError("--safety and --yolo exclude each other: --yolo is --safety autonomous")
    if not flags["headless"]:
        attach.see()
    for name in _LISTENING:
        if flags[name] and not flags["listen"]:
            raise click.UsageError(f"{_flag(name)} is for --listen")


def _prompt(prompt: str | None, flags: Mapping[str, Any]) -> str:
    """What is said first; "" for nothing yet."""
    piped = flags["headless"] and not flags["listen"]  # who listens may be told later
    if prompt == "-" or (prompt is None and piped):
        if sys.stdin.isatty():
            click.echo("Type the prompt, then Ctrl-D on a line of its own:", err=True)
        prompt = sys.stdin.read().rstrip("\n")
    if piped and not (prompt or "").strip() and not flags["files"]:
        raise click.UsageError("the prompt is empty")
    return prompt or ""


def _there(ctx: click.Context, agent: str, prompt: str | None, session: str, flags: dict[str, Any]) -> int:
    """In a session of a server, which goes on without us."""
    wrong = [name for name in _ALONE if flags.get(name) not in (None, (), False)]
    if wrong:
        raise click.UsageError(
            f"{_flag(wrong[0])} is for agents that run in this process, and {agent} runs on a server"
        )
    text = asking.attached(_prompt(prompt, flags), flags["files"]) or ""
    return attach.talk(ctx, agent, text, session, flags)


def _flag(name: str) -> str:
    spelled = {"files": "file", "headless": "exec", "as_json": "json"}
    return "--" + spelled.get(name, name).replace("_", "-")
