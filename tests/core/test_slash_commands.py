"""Slash commands: what a message stands for, and which tools it asks for first."""

import json

import pytest

from roost.core.commands import Request, Resolved, resolve, split
from roost.core.events import Command

COMMANDS = (
    Command("plan", "", 'Write a plan for ${args[0] || "the repo"}'),
    Command("say", "", "Say this:"),
    Command("all", "", "Words: ${args.join('+')} of ${args.length}"),
    Command("fix", "", 'Repair:\n${shell({cmd: "make lint"})}\nand ${shell({cmd: "make lint"}) || "nothing"}'),
    Command("old", "", 'See !shell(cmd="ls ${args[0]}", n=3) and !nope(a=b) and !shell()'),
    Command("nest", "", "${shell({cmd: read_file({path: 'x'})})}"),
    Command("back", "", "", "planner"),
    Command("both", "", "Go on", "planner"),
    Command("docs", "Opens a page"),
)
TOOLS = {"shell", "read_file"}


def call(tool: str, **arguments: object) -> Request:
    return Request(tool, json.dumps(arguments, separators=(",", ":")))


def done(text: str, **results: str) -> Resolved:
    found = resolve(text, COMMANDS, env={"X": "y"}, tools=TOOLS)
    assert found is not None
    return found


@pytest.mark.parametrize("text", ["hello", "/unknown x", "/", "/ plan", "plan", " /plan", "/planx", "/docs", "/docs x"])
def test_anything_else_is_plain_text(text: str) -> None:
    assert resolve(text, COMMANDS, env={}) is None


@pytest.mark.parametrize(
    ("text", "resolved"),
    [
        ("/plan", "Write a plan for the repo"),
        ("/plan src", "Write a plan for src"),
        ("/plan 'my dir' b", "Write a plan for my dir"),
        ("/say", "Say this:"),
        ("/say  hello\nworld ", "Say this: hello\nworld"),
        ("/say\nhello", "Say this: hello"),
        ("/all a 'b c'", "Words: a+b c of 2"),
        ("/all it's", "Words: it's of 1"),
    ],
)
def test_arguments(text: str, resolved: str) -> None:
    assert done(text) == Resolved(resolved)


def test_a_command_may_switch_the_agent() -> None:
    assert done("/back do it") == Resolved("do it", "planner")
    assert done("/back") == Resolved("", "planner")
    assert done("/both now") == Resolved("Go on now", "planner")


def test_calls_are_asked_for_once_and_their_results_put_in() -> None:
    request = call("shell", cmd="make lint")
    assert done("/fix").requests == (request,)
    assert resolve("/fix", COMMANDS, env={}, tools=TOOLS, results={request: "E501"}) == Resolved(
        "Repair:\nE501\nand E501"
    )
    assert resolve("/fix", COMMANDS, env={}, tools=TOOLS, results={request: ""}) == Resolved("Repair:\n\nand nothing")


def test_the_older_form() -> None:
    asked = done("/old src").requests
    assert asked == (call("shell", cmd="ls src", n="3"), call("shell"))
    resolved = resolve("/old src", COMMANDS, env={}, tools=TOOLS, results=dict(zip(asked, ["A", "B"], strict=True)))
    assert resolved == Resolved("See A and !nope(a=b) and B")


def test_a_call_in_a_call_is_asked_for_first() -> None:
    inner = call("read_file", path="x")
    assert done("/nest").requests == (inner,)
    outer = call("shell", cmd="ls")
    assert resolve("/nest", COMMANDS, env={}, tools=TOOLS, results={inner: "ls"}) == Resolved("", "", (outer,))
    assert resolve("/nest", COMMANDS, env={}, tools=TOOLS, results={inner: "ls", outer: "done"}) == Resolved("done")


def test_nobodys_words_become_a_call() -> None:
    request = call("shell", cmd="make lint")
    found = resolve("/fix", COMMANDS, env={}, tools=TOOLS, results={request: "!shell(cmd=x) ${shell({cmd: 'y'})}"})
    assert found is not None
    assert found.requests == ()
    assert done("/say !shell(cmd=x) ${shell({cmd: 'y'})}") == Resolved("Say this: !shell(cmd=x) ${shell({cmd: 'y'})}")
    assert done("/plan '!shell(cmd=x)'") == Resolved("Write a plan for !shell(cmd=x)")


def test_a_tool_that_is_not_there_leaves_the_text_as_it_is() -> None:
    assert resolve("/nest", COMMANDS, env={}) == Resolved("${shell({cmd: read_file({path: 'x'})})}")


def test_a_command_makes_a_bounded_number_of_calls() -> None:
    text = "".join(f"${{shell({{cmd: '{index}'}})}}" for index in range(50))
    found = resolve("/many", (Command("many", "", text),), env={}, tools=TOOLS)
    assert found is not None
    assert len(found.requests) == 16


def test_words_are_split_as_a_shell_does() -> None:
    assert split("a 'b c' \"d\"") == ["a", "b c", "d"]
    assert split("don't stop") == ["don't", "stop"]
