"""The examples cover what the 84 example files of `docker agent` ask for, each combination in one file; their page lists them."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from docs.pages import ROOT
from roost.core.vendors import VENDORS

FOLDER = ROOT / "examples"
PAGE = (FOLDER / "README.md").read_text()
FILES = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("*.yaml"))}

# How many of those files | agents | providers | keys | toolsets with keys of theirs.  What is not built is left out:
# `version` of programs, second looks at found documents, search by descriptions.
COMBINATIONS = """\
3 | 1 | anthropic | |
1 | 1 | anthropic | | fetch
1 | 1 | anthropic | | fetch mcp:docker+env
1 | 1 | anthropic | | filesystem
2 | 1 | anthropic | | filesystem shell
1 | 1 | anthropic | | filesystem todo
1 | 1 | anthropic | | filesystem+model shell+model
1 | 1 | anthropic | | mcp:docker fetch
1 | 1 | anthropic | | mcp:docker filesystem shell todo
1 | 1 | anthropic | | mcp:docker+toon
1 | 1 | anthropic | | mcp:sse
2 | 1 | anthropic | | mcp:streamable
1 | 1 | anthropic | | script
1 | 1 | anthropic | | shell filesystem todo
1 | 1 | anthropic | | shell think
1 | 1 | anthropic | add_date | mcp:docker
1 | 1 | anthropic | code_mode_tools commands | mcp:docker
1 | 1 | anthropic | commands | filesystem shell
1 | 1 | anthropic | commands | filesystem+tools
1 | 1 | anthropic | commands | mcp:docker+instruction
1 | 1 | anthropic | fallback | think
1 | 1 | anthropic | metadata |
1 | 1 | anthropic | metadata permissions | shell
1 | 1 | anthropic | permissions add_environment_info add_prompt_files commands | filesystem shell todo mcp:stdio+tools
1 | 1 | anthropic | permissions welcome_message | script user_prompt mcp:stdio
1 | 1 | anthropic | routing |
1 | 1 | anthropic dmr google openai | rag provider_opts thinking_budget |
1 | 1 | anthropic google openai | | filesystem
1 | 1 | anthropic google openai | commands provider_opts thinking_budget | shell
1 | 1 | anthropic openai | alloy |
1 | 1 | auto | welcome_message |
1 | 1 | dmr | commands provider_opts |
1 | 1 | google | | filesystem shell model_picker+instruction
1 | 1 | google | | todo mcp:docker
1 | 1 | google | commands welcome_message | api
1 | 1 | mistral | commands |
1 | 1 | nebius | |
1 | 1 | openai | |
2 | 1 | openai | | filesystem
1 | 1 | openai | | filesystem+defer shell+defer
1 | 1 | openai | | filesystem+instruction shell+instruction
1 | 1 | openai | | filesystem+post_edit
1 | 1 | openai | | mcp:docker
1 | 1 | openai | | mcp:docker+config mcp:docker+config+tools memory
1 | 1 | openai | | script
2 | 1 | openai | | shell
1 | 1 | openai | | think
1 | 1 | openai | | think mcp:docker filesystem shell
1 | 1 | openai | add_date | mcp:docker
1 | 1 | openai | add_date add_environment_info | mcp:docker
1 | 1 | openai | commands structured_output |
1 | 1 | openai | hooks | shell filesystem
1 | 1 | openai | metadata | memory
3 | 1 | openai | rag |
1 | 1 | openai | rag thinking_budget |
1 | 1 | openai | welcome_message |
1 | 1 | openai | welcome_message | mcp:stdio
1 | 1 | openai | welcome_message | openapi
1 | 1 | xai | |
1 | 2 | | providers |
1 | 2 | openai | sub_agents |
1 | 3 | anthropic | add_date sub_agents | think mcp:docker
1 | 3 | anthropic | add_date sub_agents | think mcp:stdio mcp:docker
1 | 3 | anthropic | mcps sub_agents | filesystem think mcp:ref shell mcp:ref+tools
1 | 3 | anthropic | sub_agents | filesystem
1 | 3 | anthropic | sub_agents | filesystem think todo memory mcp:docker shell
1 | 3 | anthropic openai | metadata add_environment_info | shell filesystem a2a
1 | 3 | anthropic openai | metadata add_environment_info | shell filesystem mcp:streamable
1 | 3 | anthropic openai | sub_agents | shell filesystem todo
1 | 3 | anthropic openai | sub_agents | think background_agents mcp:docker filesystem shell
1 | 3 | openai | sub_agents | think
1 | 3 | openai | sub_agents | todo+shared
1 | 3 | openai | sub_agents base_url token_key | mcp:stdio
1 | 4 | anthropic google | permissions add_date add_environment_info add_prompt_files commands skills sub_agents | filesystem shell todo mcp:stdio user_prompt mcp:docker fetch
1 | 6 | anthropic openai | handoffs | mcp:docker filesystem
1 | 7 | amazon-bedrock | sub_agents provider_opts thinking_budget | filesystem shell
"""
OF_FILES = ("providers", "rag", "mcps", "metadata", "permissions")
OF_MODELS = ("provider_opts", "thinking_budget", "routing", "base_url", "token_key")
OF_TOOLSETS = ("tools", "instruction", "toon", "defer", "model", "shared", "post_edit", "env", "config")


def references(value: Any) -> Iterator[str]:
    """All model references below a value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("model", "embedding_model", "first_available", "models") and isinstance(inner, str | list):
                yield from inner.split(",") if isinstance(inner, str) else [str(one) for one in inner]
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def providers(file: dict[str, Any]) -> set[str]:
    named = {model["provider"] for model in (file.get("models") or {}).values() if "provider" in model}
    inline = {ref.partition("/")[0] for ref in references(file)}
    return named | (inline & {*VENDORS, "auto"})


def keys(file: dict[str, Any]) -> set[str]:
    agents, models = file["agents"].values(), (file.get("models") or {}).values()
    found = {key for key in OF_FILES if key in file}
    found |= {key for agent in agents for key in agent}
    found |= {key for model in models for key in model if key in OF_MODELS}
    return found | ({"alloy"} if any("," in agent.get("model", "") for agent in agents) else set())


def kind(toolset: dict[str, Any]) -> str:
    if toolset["type"] != "mcp":
        return str(toolset["type"])
    if "remote" in toolset:
        return "mcp:" + str(toolset["remote"].get("transport_type", "streamable"))
    if "ref" in toolset:
        return "mcp:docker" if toolset["ref"].startswith("docker:") else "mcp:ref"
    return "mcp:stdio"


def toolsets(file: dict[str, Any]) -> list[tuple[str, set[str]]]:
    entries = [toolset for agent in file["agents"].values() for toolset in agent.get("toolsets", ())]
    return [(kind(entry), set(entry) & set(OF_TOOLSETS)) for entry in entries]


def covers(file: dict[str, Any], agents: int, models: set[str], named: set[str], tools: list[str]) -> bool:
    there = toolsets(file)
    wanted = [(name, set(more)) for name, *more in (tool.split("+") for tool in tools)]
    return (
        len(file["agents"]) >= agents
        and models <= providers(file)
        and named <= keys(file)
        and all(any(name == kind and more <= has for kind, has in there) for name, more in wanted)
    )


@pytest.mark.parametrize("line", COMBINATIONS.splitlines())
def test_every_combination_has_an_example(line: str) -> None:
    _, agents, models, named, tools = (cell.strip() for cell in f"{line} ".split("|"))
    wanted = int(agents), set(models.split()), set(named.split()), tools.split()
    assert [name for name, file in FILES.items() if covers(file, *wanted)]


def test_the_combinations_are_those_of_84_files() -> None:
    assert sum(int(line.split("|")[0]) for line in COMBINATIONS.splitlines()) == 84


def row(name: str) -> tuple[str, str, str, str]:
    """What the page says of a file."""
    file = FILES[name]
    named = (keys(file) | {key for key in file if key in OF_FILES}) - {
        "model", "description", "instruction", "toolsets"
    }  # fmt: skip
    tools = {" ".join([f"`{kind}`", *(f"`{key}`" for key in sorted(has))]) for kind, has in toolsets(file)}
    return (
        str(len(file["agents"])),
        ", ".join(sorted(providers(file) or {"its own"})),
        ", ".join(f"`{key}`" for key in sorted(named)) or "–",
        ", ".join(sorted(tools)) or "–",
    )


ROWS = dict(re.findall(r"^\| \[([\w-]+)\]\([\w-]+\.yaml\) \| .*? \| (.*) \|$", PAGE, re.MULTILINE))


def test_every_example_has_its_row() -> None:
    assert list(ROWS) == sorted(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_row_says_what_stands_in_the_file(name: str) -> None:
    assert ROWS[name] == " | ".join(row(name))
