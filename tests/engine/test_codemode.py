"""Code mode: which tools go into scripts, and what becomes of each call."""

import json
from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from engine.fakes import ME, FakeTool, Floor, open_world
from engine.uses import NoUse
from roost.core import events as e
from roost.core.agents import Agent, Hook, Matcher, Team, ToolsetSpec
from roost.core.events import Permissions
from roost.core.messages import Definition, Result, ToolCall
from roost.engine.codemode import NAME, CodeMode, Work, mentioned, wrapped
from roost.ports import Ask, ModelRequest, Place, Ran, Wrapped
from roost.testing.fakes import Step, call
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


async def anything(call: ToolCall, definition: Definition, work: Work) -> Result:
    return await work(json.loads(call.arguments))


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
    refused = Result("Tool 'shell' is denied.", is_error=True)

    async def check(call: ToolCall, definition: Definition, work: Work) -> Result:
        checked.append(call)
        assert definition.name == call.name
        return refused if call.name == "shell" else await anything(call, definition, work)

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

    async def check(call: ToolCall, definition: Definition, work: Work) -> Result:
        if json.loads(call.arguments)["n"] == 4:
            return Result("four is denied", is_error=True)
        return await anything(call, definition, work)

    tool = CodeMode([FakeTool("double-it", double)], Javascript(), check)
    script = "const all = []; for (const n of [1, 2]) all.push(double_it({n})); return all.join()"
    assert json.loads((await play(tool, script, NoUse())).output)["value"] == "2,4"
    refused = await play(tool, "return double_it({n: 4})", NoUse())
    assert refused.is_error
    assert json.loads(refused.output)["tool_calls"][0]["error"] == "four is denied"
    hidden = await play(tool, "return globalThis['double' + '_it']({n: 1})", NoUse())
    assert "is not named in the script" in hidden.output


# -- in a turn ----------------------------------------------------------------------------------


class Hooked:
    """Hooks by event: what each answers."""

    def __init__(self, **answers: dict[str, Any]) -> None:
        self.answers = answers
        self.given: list[tuple[str, str]] = []

    async def run(self, hook: Hook, given: dict[str, Any], place: Place) -> Ran:
        await anyio.lowlevel.checkpoint()
        self.given.append((given["hook_event_name"], given["tool_name"]))
        return Ran(0, json.dumps(self.answers.get(given["hook_event_name"], {})))


def coder(events: Sequence[str] = (), *, preempt: bool = False, **rules: Any) -> Team:
    """A team of one agent in code mode, with hooks for the tool `look` alone."""
    hooks = {event: (Matcher((Hook("command", "x"),), "look", preempt=preempt),) for event in events}
    agent = Agent("root", model="fake", toolsets=(ToolsetSpec("fake"),), code_mode=True, hooks=hooks)
    return Team("crew", "hash-1", (agent,), permissions=Permissions(**rules))


def scripted(request: ModelRequest) -> Sequence[Step]:
    if request.messages[-1].role == "tool":
        return ["done"]
    return [call(NAME, json.dumps({"script": "return look({n: 1})"}))]


SEEN = Result("the password is hunter22, token=ghp_abcdefghijklmnopqrstuvwxyz0123456789", structured={"secret": "x"})


def look(given: list[dict[str, Any]]) -> FakeTool:
    async def work(arguments: dict[str, Any], use: Any) -> Result:
        given.append(arguments)
        return SEEN

    return FakeTool("look", work)


async def test_hooks_of_a_tool_hold_inside_of_a_script(floor: Floor) -> None:
    given: list[dict[str, Any]] = []
    hooks = Hooked(
        pre_tool_use={"hook_specific_output": {"updated_input": {"n": 2}}},
        tool_response_transform={"hook_specific_output": {"updated_tool_response": "nothing to see"}},
        post_tool_use={"hook_specific_output": {"additional_context": "It looked."}},
    )
    player = Player(("look", {"n": 1}))
    made = {"team": coder(tuple(hooks.answers)), "tools": [look(given)], "hooks": hooks, "more": {"scripts": player}}
    async with open_world(floor, script=scripted, **made) as world:
        await world.play(await world.session(), "go")
        assert given == [{"n": 2}]
        (result,) = player.results
        assert (result.output, result.structured) == ("nothing to see", None)
        assert "It looked." in [m.content for m in world.provider.requests[-1].messages]
        assert {name for _, name in hooks.given} == {"look"}


@pytest.mark.parametrize("preempt", [False, True])
@pytest.mark.parametrize("decision", ["ask", "deny"])
async def test_a_hook_that_asks_or_denies_is_heard_in_a_script(floor: Floor, decision: str, preempt: bool) -> None:
    given: list[dict[str, Any]] = []
    hooks = Hooked(pre_tool_use={"decision": decision, "reason": "because"})
    player = Player(("look", {"n": 1}))
    made = {"team": coder(("pre_tool_use",), preempt=preempt), "hooks": hooks, "more": {"scripts": player}}
    async with open_world(floor, script=scripted, tools=[look(given)], **made) as world:
        await world.play(await world.session(), "go")
    assert (given, player.results[0].is_error) == ([], True)
    assert "because" in player.results[0].output


async def test_secrets_stay_out_of_scripts_too(floor: Floor) -> None:
    player = Player(("look", {"n": 1}))
    async with open_world(floor, script=scripted, team=coder(), tools=[look([])], more={"scripts": player}) as world:
        await world.play(await world.session(), "go")
    assert "ghp_" not in player.results[0].output


async def test_a_hook_that_ends_the_run_ends_it_after_the_script(floor: Floor) -> None:
    hooks = Hooked(post_tool_use={"continue": False, "stop_reason": "enough"})
    player = Player(("look", {"n": 1}))
    made = {"team": coder(("post_tool_use",)), "tools": [look([])], "hooks": hooks, "more": {"scripts": player}}
    async with open_world(floor, script=scripted, **made) as world:
        facts = await world.play(await world.session(), "go")
        assert (facts[-1].outcome, len(world.provider.requests)) == ("error", 1)
        assert "enough" in facts[-1].error


@pytest.mark.parametrize(
    ("rules", "asks"),
    [
        ({}, False),
        ({"ask": ("look:n=7",)}, True),
        ({"ask": ("*",), "allow": ("look", NAME)}, False),
        ({"ask": ("look",), "allow": (NAME,)}, True),
        ({"ask": ("other",)}, False),
    ],
)
async def test_a_script_with_a_tool_that_is_to_be_asked_about_is_asked_about(
    floor: Floor, rules: dict[str, Any], asks: bool
) -> None:
    given: list[dict[str, Any]] = []
    player = Player(("look", {"n": 1}))
    async with open_world(
        floor, script=scripted, team=coder(**rules), tools=[look(given)], more={"scripts": player}
    ) as world:
        session = await world.session()
        await world.ask(session, "go")
        if asks:
            head = await world.waiting(session)
            assert (head.waits[0].tool, given) == (NAME, [])
            await world.service.waits.answer(ME, head.waits[0].id, confirmation="approve")
        await world.ended(session)
        assert given == [{"n": 1}]
        assert len(await world.facts(session, e.WaitOpened)) == asks
