"""Tools that are offered once they were looked for."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.fakes import FakeTool
from engine.uses import NoUse
from roost.core.messages import Definition, Result
from roost.engine.deferred import ADD, CATEGORY, MOST, SEARCH, Deferred, search
from roost.ports import Tool

pytestmark = pytest.mark.anyio

TOOLS = [FakeTool(name) for name in ("shell", "read_file", "write_file", "read_multiple_files")]
FILES = {"read_file", "write_file", "read_multiple_files"}


def names(tools: list[Tool]) -> list[str]:
    return [tool.definition.name for tool in tools]


async def use(deferred: Deferred, tool: str, **arguments: Any) -> Result:
    offered = {tool.definition.name: tool for tool in deferred.offered(TOOLS, FILES)}
    return await offered[tool].run(arguments, NoUse())


async def test_a_deferred_tool_is_there_once_it_was_added() -> None:
    deferred = Deferred()
    assert names(deferred.offered(TOOLS, FILES)) == ["shell", SEARCH, ADD]
    found = json.loads((await use(deferred, SEARCH, query="rdfile")).output)
    assert [tool["name"] for tool in found["tools"]] == ["read_file", "read_multiple_files"]
    assert not (await use(deferred, ADD, name="read_file")).is_error
    assert names(deferred.offered(TOOLS, FILES)) == ["shell", "read_file", SEARCH, ADD]
    assert deferred.active == ("read_file",)
    found = json.loads((await use(deferred, SEARCH, query="")).output)
    assert [tool["name"] for tool in found["tools"]] == ["write_file", "read_multiple_files"]


async def test_what_was_added_is_found_again_after_a_restart() -> None:
    first = Deferred()
    await use(first, ADD, name="write_file")
    meta = (await use(first, ADD, name="read_file")).meta
    again = Deferred(meta)
    assert names(again.offered(TOOLS, FILES)) == ["shell", "read_file", "write_file", SEARCH, ADD]
    assert (await use(first, SEARCH, query="x")).meta is None  # or the newest meta would not be that of an add
    for broken in ({}, {"active": None}, {"active": "read_file"}):
        assert Deferred(broken).active == ()


async def test_without_deferred_tools_there_is_nothing_to_look_for() -> None:
    assert names(Deferred().offered(TOOLS, ())) == names(TOOLS)
    assert names(Deferred().offered(TOOLS, {"gone"})) == names(TOOLS)


async def test_what_cant_be_added_says_what_could() -> None:
    deferred = Deferred()
    near = await use(deferred, ADD, name="readfile")
    assert near.is_error
    assert "read_file" in near.output
    for wrong in ({"name": "shell"}, {"name": "zzz"}, {"name": 5}, {}):
        assert (await use(deferred, ADD, **wrong)).is_error
    assert (await use(deferred, SEARCH, query=["x"])).is_error
    assert deferred.active == ()


async def test_both_tools_run_unasked_and_again() -> None:
    for tool in Deferred().offered(TOOLS, FILES)[1:]:
        definition = tool.definition
        assert (definition.category, definition.effect, definition.annotations.read_only) == (CATEGORY, "safe", True)


def tool(name: str, description: str = "") -> Definition:
    return Definition(name, description=description)


def test_the_closest_stand_first() -> None:
    tools = [
        tool("other", "searches issues of a repository"),
        tool("list_issues_of_all_repositories"),
        tool("issues"),
        tool("list_issues"),
        tool("i_s_s_u_e_s"),
        tool("none"),
    ]
    assert [found.name for found in search("issues", tools)] == [
        "issues",
        "list_issues",
        "list_issues_of_all_repositories",
        "other",
        "i_s_s_u_e_s",
    ]
    assert [found.name for found in search("LIST issues", tools)][:1] == ["list_issues"]
    assert search("zzz", tools) == []
    assert search("", tools) == tools


async def test_a_search_shows_so_many_and_says_how_many_more() -> None:
    many = [FakeTool(f"tool_{n}") for n in range(MOST + 7)]
    deferred = Deferred()
    (found, _) = deferred.offered(many, {tool.name for tool in many})
    answer = json.loads((await found.run({"query": "tool"}, NoUse())).output)
    assert (len(answer["tools"]), answer["more"]) == (MOST, 7)


@given(st.text(min_size=1, max_size=6), st.text(max_size=30), st.data())
def test_whatever_holds_the_characters_in_their_order_is_found(word: str, around: str, data: st.DataObject) -> None:
    word, around = "".join(word.lower().split()), around.lower()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(around)), min_size=len(word), max_size=len(word))))
    name, last = "", 0
    for character, cut in zip(word, cuts, strict=True):
        name, last = name + around[last:cut] + character, cut
    name += around[last:]
    assert search(word, [tool(name)]) or name.lower() != name  # lowering twice may differ
