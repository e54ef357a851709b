"""What the examples are told in their tests: a script for each agent that uses all its toolsets, and the world around.

A script is read by the fake model (`fakes/llm.py`).  The world is a folder with some files, a site with a service,
pages, tool servers and an agent, programs on the PATH, and what `docker:` references stand for.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fakes import shelf
from fakes.agent import Agent
from fakes.site import Site
from roost.core.agents import Agent as Player
from roost.core.agents import Team, ToolsetSpec

SHELF = Path(shelf.__file__)
PAGES = "Pages say [[say nothing]]"

CATALOGUE: Mapping[str, tuple[str, ...]] = {
    "brave": ("brave_web_search",),
    "context7": ("resolve-library-id", "get-library-docs"),
    "couchbase": ("run_query",),
    "duckduckgo": ("search",),
    "fetch": ("fetch_page",),
    "github-official": ("list_issues", "get_me"),
    "inspektor-gadget": ("run_gadget",),
    "kubernetes": ("kubectl_get", "kubectl_delete"),
    "openbnb-airbnb": ("airbnb_search",),
}
"""Docker's servers that the examples name, and tools of theirs."""

PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "gopls": ("go_workspace", "go_search"),
    "uvx": ("get_prices",),
    "docker": ("find_server", "remove_server"),
}
"""Programs that the examples start as tool servers, played by the shelf."""

REMOTE = ("switch", "create_pull_request")
"""The tools of every server behind an address."""

PETS = {
    "openapi": "3.1.0",
    "servers": [{"url": "/"}],
    "paths": {
        "/pets/{id}": {
            "get": {
                "operationId": "showPet",
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}],
            }
        }
    },
}


def build(folder: Path, home: Path, models: str, site: Site) -> dict[str, str]:
    """Put the world there; the variables that lead to it."""
    programs = folder / "bin"
    programs.mkdir()
    for name, tools in PROGRAMS.items():
        _program(programs / name, tools, only="mcp gateway" if name == "docker" else "")
    lines = [
        f'[docker.{name}]\ncommand = "{sys.executable}"\nargs = {json.dumps([str(SHELF), *tools])}\n'
        for name, tools in CATALOGUE.items()
    ]
    home.mkdir(parents=True, exist_ok=True)
    (home / "mcp.toml").write_text("\n".join(lines))
    site.page("/v1/forecast", '{"current": {"temperature_2m": 19, "rain": 0}}', "application/json")
    site.page("/pets/7", '{"name": "Rex"}', "application/json")
    site.page("/page", "<h1>A page</h1><p>with words</p>", "text/html")
    opponent = Agent(site)
    opponent.card(streaming=False)
    site.pages["/rpc"] = opponent.answer
    return {
        "ROOST_HOME": str(home),
        "ROOST_MODELS_GATEWAY": models,
        "ROOST_TEST_MODELS": models,
        "MODEL_RUNNER_HOST": models,
        "PATH": os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join([str(SHELF.parents[2] / "src"), str(SHELF.parents[1])]),
        "LAB_URL": f"{models}/v1",
        "HOUSE_URL": f"{models}/v1",
        "GITHUB_MODELS_URL": f"{models}/v1",
        "METEO_URL": site.url,
        "PETS_URL": site.page("/pets.json", json.dumps(PETS), "application/json"),
        "OPPONENT_URL": site.url,
        **{name: shelf.streamable(site, f"/{name}", *REMOTE) for name in ("HOME_URL", "HUB_URL", "BOARD_URL")},
        "NOTES_URL": shelf.sse(site, "/notes", *REMOTE),
        "PAGE_URL": f"{site.url}/page",
        **dict.fromkeys(KEYS, "k"),
    }


KEYS = (
    "DOCKER_TOKEN",
    "AWS_BEARER_TOKEN_BEDROCK",
    "BRAVE_API_KEY",
    "GITHUB_TOKEN",
    "HOME_TOKEN",
    "HUB_TOKEN",
    "LAB_KEY",
    "MISTRAL_API_KEY",
    "NEBIUS_API_KEY",
    "XAI_API_KEY",
)


def _program(path: Path, tools: tuple[str, ...], *, only: str) -> None:
    guard = f'[ "$1 $2" = "{only}" ] || exit 1\n' if only else ""
    path.write_text(f'#!/bin/sh\n{guard}exec "{sys.executable}" "{SHELF}" {" ".join(tools)}\n')
    path.chmod(0o755)


def furnish(folder: Path) -> Path:
    """A working directory with a file, guidance and a skill."""
    skill = folder / ".agents/skills/knots"
    skill.mkdir(parents=True)
    (skill / "SKILL.md").write_text("---\nname: knots\ndescription: Knows knots\n---\nPull.\n")
    (folder / "a.txt").write_text("some text\n")
    (folder / "AGENTS.md").write_text("Be kind.\n")
    return folder


# -- scripts ------------------------------------------------------------------------------------


def script(team: Team, agent: Player, site: str) -> str:
    """Directives that use a tool of each of the agent's toolsets, and an answer at the end."""
    if agent.code_mode:
        code = "return list_issues({owner: 'o'})"
        calls = [_tool("run_tools_with_javascript", script=code)]
    else:
        calls = [call for toolset in agent.toolsets for call in _calls(team, toolset, site)]
    return " ".join([*calls, f"[[say {agent.name} has spoken]]"])


def _tool(name: str, /, **arguments: Any) -> str:
    return f"[[tool {name} {json.dumps(arguments)}]]"


def _calls(team: Team, toolset: ToolsetSpec, site: str) -> Iterator[str]:
    options = toolset.options
    if toolset.defer is True:
        yield _tool("search_tool", query="list directory")
        yield _tool("add_tool", name="list_directory")
    match toolset.type:
        case "filesystem" if "read_file" in toolset.tools:
            yield _tool("read_file", path="a.txt")
        case "filesystem" if toolset.options.get("post_edit"):
            yield _tool("write_file", path="new.json", content="{}")
        case "filesystem":
            yield _tool("list_directory", path=".")
        case "shell":
            yield _tool("shell", cmd="echo hello")
        case "think":
            yield _tool("think", thought="It depends.")
        case "todo":
            yield _tool("create_todo", description="Look again")
        case "memory":
            yield _tool("add_memory", memory="It rained.")
        case "fetch":
            yield _tool("fetch", urls=[f"{site}/page"], format="text")
        case "api":
            yield _tool("forecast", latitude=48.8, longitude=2.3)
        case "openapi":
            yield _tool("showPet", id=7)
        case "a2a":
            yield _tool(f"{toolset.name}_write", message="plain words")
        case "rag":
            yield _tool("ask_handbook|pages|own", query="What is a session?")
        case "script":
            name, entry = next(iter(options["shell"].items()))
            yield _tool(name, **dict.fromkeys(entry.get("args") or {}, "."))
        case "user_prompt":
            yield _tool("user_prompt", message="Which one?", title="A question")
        case "model_picker":
            yield _tool("change_model", model=options["models"][0])
            yield _tool("revert_model")
        case "skills":
            yield _tool("read_skill", name="knots")
        case "transfer_task":
            for other in options["agents"]:
                yield _tool("transfer_task", agent=other["name"], task="Begin.", expected_output="A word")
        case "background_agents":
            for other in options["agents"]:
                yield _tool("run_background_agent", agent=other["name"], task="Begin.", expected_output="A word")
        case "handoff":
            yield _tool("handoff", agent=options["agents"][0]["name"])
        case "mcp":
            name = _served(toolset)
            yield _tool(name, **({"timezone": "UTC"} if name.endswith("time") else {"query": "q"}))
        case other:
            raise AssertionError(f"nobody has said how {other!r} is tried")


def _served(toolset: ToolsetSpec) -> str:
    """A tool of a server; the first that the example lets through."""
    options = toolset.options
    if "command" in options:
        tools = PROGRAMS.get(options["command"], ("get_current_time",))
    else:
        tools = CATALOGUE[options["ref"].removeprefix("docker:")] if "ref" in options else REMOTE
    name = next(tool for tool in tools if not toolset.tools or tool in toolset.tools)
    return f"{toolset.name}_{name}" if toolset.name else name
