"""For each combination of features in the 84 example files of `docker agent` there is an example; a page lists them."""

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

LINES = [line for line in (ROOT / "tests/docs/combinations.txt").read_text().splitlines() if not line.startswith("#")]
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


@pytest.mark.parametrize("line", LINES)
def test_every_combination_has_an_example(line: str) -> None:
    _, agents, models, named, tools = (cell.strip() for cell in f"{line} ".split("|"))
    wanted = int(agents), set(models.split()), set(named.split()), tools.split()
    assert [name for name, file in FILES.items() if covers(file, *wanted)]


def test_the_combinations_are_those_of_84_files() -> None:
    assert sum(int(line.split("|")[0]) for line in LINES) == 84


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
