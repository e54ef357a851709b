"""Code mode: which tools go into scripts, and what becomes of each call."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from engine.fakes import FakeTool
from engine.uses import NoUse
from roost.core.messages import Definition, Result, ToolCall
from roost.engine.codemode import NAME, CodeMode, mentioned, wrapped
from roost.ports import Ask, Wrapped
from roost.tools.scripts import Javascript

pytestmark = pytest.mark.anyio


class Player:
    """In place of JavaScript: calls the functions that it was told to, whatever the script says."""

    def __init__(self, *calls: tuple[str, dict[str, Any]]) -> None:
        self.calls = calls
        self.results: list[Result] = []
        self.known: list[str] = []

    async def run(self, script: str, tools: Sequence[Wrapped]) -> Result:
        functions = {tool.definition.name: tool for tool in tools}
        self.known = list(functions)
        for name, arguments in self.calls:
            self.results.append(await functions[name].call(arguments))
        return Result("played")


async def anything(call: ToolCall, definition: Definition) -> str | None:
    return None


def play(tool: CodeMode, script: str, use: NoUse) -> Any:
    return tool.run({"script": script}, use)


def test_todo_lists_and_what_changes_the_conversation_stay_beside_the_script() -> None:
    tools = [FakeTool("read-file"), FakeTool("transfer_task"), FakeTool("shell"), Listed("create_todo")]
    offered = wrapped(tools, Player(), anything)
    assert [tool.definition.name for tool in offered] == [NAME, "transfer_task", "create_todo"]
    described = offered[0].definition.description
    assert "declare function read_file(args: Record<string, any>)" not in described  # it has no properties
    assert "declare function read_file(args?: {}): string;" in described
    assert "declare function shell" in described
    assert "transfer_task" not in described
    assert [tool.definition.name for tool in wrapped(tools[1:2], Player(), anything)] == ["transfer_task"]


class Listed(FakeTool):
    @property
    def definition(self) -> Definition:
        return Definition(self.name, "todo")


def test_running_a_lost_script_again_is_safe_if_all_of_its_tools_are() -> None:
    safe, once = FakeTool("a", effect="safe"), FakeTool("b", effect="once")
    assert CodeMode([safe], Player(), anything).definition.effect == "safe"
    mixed = CodeMode([safe, once], Player(), anything).definition
    assert (mixed.effect, mixed.annotations.read_only) == ("ask", False)


def test_a_tool_is_mentioned_wherever_its_name_stands() -> None:
    names = ["read-file", "shell", "read", "look"]
    script = "const x = read_file({path: 'a'}); // shell\nglobalThis['look']()"
    assert mentioned(script, names) == ("read-file", "shell", "look")
    assert mentioned("read_files(shells, $look, re\\u0061d)", names) == ()
    assert mentioned("", names) == mentioned("x", []) == ()


async def test_each_call_is_checked_shown_and_numbered() -> None:
    checked: list[ToolCall] = []

    async def check(call: ToolCall, definition: Definition) -> str | None:
        checked.append(call)
        assert definition.name == call.name
        return "Tool 'shell' is denied." if call.name == "shell" else None

    look, shell = FakeTool("look-up"), FakeTool("shell")
    player = Player(("look_up", {"n": 1}), ("shell", {"cmd": "ls"}), ("look_up", {"n": 2}))
    use = NoUse("call-7")
    result = await play(CodeMode([look, shell], player, check), "look_up(); shell()", use)
    assert result.output == "played"
    assert [(call.id, call.name, call.arguments) for call in checked] == [
        ("call-7.1", "look-up", '{"n":1}'),
        ("call-7.2", "shell", '{"cmd":"ls"}'),
        ("call-7.3", "look-up", '{"n":2}'),
    ]
    assert [(r.output, r.is_error) for r in player.results] == [
        ("done", False),
        ("Tool 'shell' is denied.", True),
        ("done", False),
    ]
    assert look.runs == [("call-7.1", 1), ("call-7.3", 1)]
    assert shell.runs == []
    assert use.shown == ['look-up({"n":1})\n', 'look-up({"n":2})\n']


async def test_a_tool_that_the_script_does_not_name_never_runs() -> None:
    shell = FakeTool("shell")
    player = Player(("shell", {}))
    await play(CodeMode([shell], player, anything), "globalThis['sh' + 'ell']({})", NoUse())
    assert player.results[0].is_error
    assert shell.runs == []


async def test_a_tool_in_a_script_may_ask_a_person_but_not_give_its_task_away() -> None:
    async def asks(arguments: dict[str, Any], use: Any) -> Result:
        answer = await use.ask(Ask("sure?"))
        await use.output("working\n")
        return Result(answer.action + (await use.delegate(None)).output[:7])

    use = NoUse()
    player = Player(("look", {}))
    await play(CodeMode([FakeTool("look", asks)], player, anything), "look()", use)
    assert player.results[0].output == "acceptNo task"
    assert (len(use.asked), use.shown) == (1, ["look({})\n", "working\n"])


async def test_a_tool_that_breaks_is_a_failure_in_the_script() -> None:
    async def breaks(arguments: dict[str, Any], use: Any) -> Result:
        raise RuntimeError("oh no")

    player = Player(("look", {}))
    await play(CodeMode([FakeTool("look", breaks)], player, anything), "look()", NoUse())
    assert (player.results[0].output, player.results[0].is_error) == ("Error calling tool: oh no", True)


async def test_what_is_no_script_is_refused() -> None:
    tool = CodeMode([FakeTool("look")], Player(), anything)
    for wrong in ({}, {"script": " "}, {"script": 5}):
        assert (await tool.run(wrong, NoUse())).is_error
        assert tool.mentions(wrong) == ()


async def test_a_real_script_calls_real_tools() -> None:
    async def double(arguments: dict[str, Any], use: Any) -> Result:
        return Result(str(arguments["n"] * 2))

    async def check(call: ToolCall, definition: Definition) -> str | None:
        return "four is denied" if json.loads(call.arguments)["n"] == 4 else None

    tool = CodeMode([FakeTool("double-it", double)], Javascript(), check)
    script = "const all = []; for (const n of [1, 2]) all.push(double_it({n})); return all.join()"
    assert json.loads((await play(tool, script, NoUse())).output)["value"] == "2,4"
    refused = await play(tool, "return double_it({n: 4})", NoUse())
    assert refused.is_error
    assert json.loads(refused.output)["tool_calls"][0]["error"] == "four is denied"
    hidden = await play(tool, "return globalThis['double' + '_it']({n: 1})", NoUse())
    assert "is not named in the script" in hidden.output
