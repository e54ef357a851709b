"""Flagged tools take an extra argument, and do not see it."""

import pytest

from roost.core.descriptions import described, undescribed
from roost.core.messages import Definition

OWN = {"type": "object", "properties": {"cmd": {"type": "string"}}, "required": ["cmd"]}


@pytest.mark.parametrize(
    ("name", "category"), [("shell", "shell"), ("list_background_jobs", "shell"), ("edit_file", "filesystem")]
)
def test_flagged_tools_take_a_description(name: str, category: str) -> None:
    definition = Definition(name, category, parameters=OWN)
    parameters = described(definition).parameters
    assert parameters is not None
    assert list(parameters["properties"]) == ["cmd", "description"] and parameters["required"] == ["cmd"]
    assert "description" not in OWN["properties"]
    assert undescribed(definition, {"cmd": "ls", "description": "look"}) == {"cmd": "ls"}


@pytest.mark.parametrize(
    ("name", "category"), [("read_file", "filesystem"), ("create_todo", "todo"), ("edit_file", "mcp")]
)
def test_others_are_left_alone(name: str, category: str) -> None:
    definition = Definition(name, category, parameters=OWN)
    assert described(definition) is definition
    assert undescribed(definition, {"description": "mine"}) == {"description": "mine"}
