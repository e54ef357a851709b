"""What becomes of the tools that a server lists: names, bounds, and what is left out."""

import logging
from typing import Any

import pytest
from mcp import types

from roost.tools.mcp import definitions as d


def tool(name: str, **more: Any) -> types.Tool:
    return types.Tool(name=name, input_schema=more.pop("input_schema", {"type": "object"}), **more)


def test_a_flood_of_tools_is_cut_off() -> None:
    found = d.definitions(tool(f"t{n}") for n in range(10_000))
    assert len(found) == d.MOST


def test_long_descriptions_are_shortened_and_names_made_plain() -> None:
    (found,) = d.definitions([tool("a b\x1b[31m\u202e", description="x" * 100_000)]).values()
    assert (found.name, len(found.description) < 20_000) == ("a_b__31m_", True)


@pytest.mark.parametrize("where", ["input_schema", "output_schema"])
def test_a_schema_that_is_too_large_takes_its_tool_along(where: str, caplog: pytest.LogCaptureFixture) -> None:
    huge = {"type": "object", "description": "x" * d.SCHEMA}
    with caplog.at_level(logging.WARNING):
        found = d.definitions([tool("huge" * 1000, **{where: huge}), tool("small")])
    assert list(found) == ["small"]
    assert len(caplog.records[0].getMessage()) < 400


def test_all_of_them_together_have_a_bound(caplog: pytest.LogCaptureFixture) -> None:
    large = {"type": "object", "description": "x" * 200_000}
    with caplog.at_level(logging.WARNING):
        found = d.definitions(tool(f"t{n}", input_schema=large) for n in range(100))
    assert 30 < len(found) < 45
    assert "together they are too large" in caplog.text
