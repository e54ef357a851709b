"""The page of documents, skills, code and agents elsewhere: its files load and open, its tables are the tools."""

import re
import sys
from pathlib import Path

import pytest

from docs.pages import ROOT, blocks
from fakes.agent import open_agent
from fakes.calls import Session, names
from roost.config.agentfile import load
from roost.core.agents import ToolsetSpec
from roost.ports import Toolset

PAGE = ROOT / "docs/knowledge.md"
ROW = re.compile(r"^\| ((?:`\w+`(?:, )?)+)[^|]*\| ([^|]*)\|", re.MULTILINE)

pytestmark = pytest.mark.anyio


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tmp_path)


def written(heading: str) -> ToolsetSpec:
    """The toolset of the example under a heading."""
    text = blocks(PAGE, "yaml", heading)[0].text
    if not text.startswith(("rag:", "agents:")):
        text = "agents:\n  root:\n    model: auto\n    instruction: Go.\n" + text
    team = load("page", text.encode(), name="page.yaml", folder=Path("/nowhere"))
    assert team.warnings == ()
    return team.agents[0].toolsets[-1]


async def taken(toolset: Toolset) -> dict[str, set[str]]:
    """The arguments of its tools."""
    definitions = [tool.definition for tool in await toolset.tools()]
    return {definition.name: set((definition.parameters or {})["properties"]) for definition in definitions}


def listed(heading: str) -> dict[str, set[str]]:
    """The arguments of the tools in the table under a heading."""
    section = PAGE.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows: dict[str, set[str]] = {}
    for tools, arguments in ROW.findall(section):
        own = {name[1] for part in arguments.split(", ") if (name := re.match(r"`(\w+)\??`", part))}
        if "the same" in arguments:
            own |= {"file", "line", "character"}
        rows |= dict.fromkeys(re.findall(r"`(\w+)`", tools), own)
    return rows


async def test_language_servers(session: Session) -> None:
    spec = written("Language servers")
    assert [server["command"] for server in spec.options["servers"]] == ["gopls", "jedi-language-server"]
    spec.options["servers"][0]["command"] = spec.options["servers"][1]["command"] = sys.executable
    async with session.open("lsp", **spec.options) as toolset:
        tools = await taken(toolset)
    assert tools == listed("Language servers")


async def test_skills(session: Session) -> None:
    spec = written("Skills")
    options = {**spec.options, "sources": ["local"]}  # no site is asked here
    async with session.open("skills", **options) as toolset:
        tools = await taken(toolset)
    assert tools == listed("Skills")


async def test_documents(session: Session) -> None:
    spec = written("Search in documents")
    assert spec.options["docs"] == ["/nowhere/handbook", "/nowhere/notes/**/*.md"]
    words = {**spec.options, "strategies": spec.options["strategies"][:1]}
    async with session.open("rag", **words) as toolset:
        assert await names(toolset) == ["ask_handbook"] and toolset.instructions == "Cite file names"


async def test_agents_elsewhere(session: Session) -> None:
    spec = written("Agents elsewhere")
    assert spec.name == "travel"
    with open_agent() as agent:
        agent.card(streaming=True)
        async with session.open("a2a", **{**spec.options, "url": agent.url}) as toolset:
            assert len(await names(toolset)) == 2
