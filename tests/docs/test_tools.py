"""The page of tools says what the tools say of themselves."""

import json
import re
from typing import Any

import pytest

from contracts.toolsets import LISTING
from docs.pages import ROOT
from roost.tools.builtin import TYPES

PAGE = (ROOT / "docs/tools.md").read_text()
ROWS = re.findall(r"^\| `(\w+)` \| (.*?) \| (yes|no) \| (again|never|asks) \|$", PAGE, re.MULTILINE)
AFTER = {"safe": "again", "once": "never", "ask": "asks"}
NAMED_BY_FILES = {"script", "api", "openapi"}
ELSEWHERE = {
    "a2a": "knowledge",
    "lsp": "knowledge",
    "rag": "knowledge",
    "skills": "knowledge",
    "mcp": "tool-servers",
}  # and what is said there is tested there
WRITTEN: dict[str, list[dict[str, Any]]] = {
    kind: tools for kind, tools in json.loads(LISTING.read_text()).items() if kind not in ELSEWHERE
}


def row(tool: dict[str, Any]) -> tuple[str, str, str, str]:
    parameters, reads = tool["parameters"], tool["annotations"].get("read_only", False)
    named = [f"`{name}`" if name in parameters["required"] else f"`{name}?`" for name in parameters["properties"]]
    return tool["name"], ", ".join(named) or "–", "yes" if reads else "no", AFTER[tool.get("effect", "ask")]


@pytest.mark.parametrize("kind", sorted(WRITTEN))
def test_every_tool_has_its_line(kind: str) -> None:
    if kind not in NAMED_BY_FILES:
        assert [row(tool) for tool in WRITTEN[kind] if row(tool) not in ROWS] == []


def test_there_is_no_line_of_another() -> None:
    tools = {row(tool) for kind, tools in WRITTEN.items() if kind not in NAMED_BY_FILES for tool in tools}
    assert set(ROWS) == tools


def test_every_type_is_named() -> None:
    assert {kind for kind in WRITTEN if f"`{kind}`" not in PAGE} == set()
    assert set(WRITTEN) | set(ELSEWHERE) == set(TYPES)
    for kind, page in ELSEWHERE.items():
        assert f"`{kind}`" in (text := (ROOT / f"docs/{page}.md").read_text()) or f"type: {kind}" in text
        assert f"({page}.md" in PAGE
