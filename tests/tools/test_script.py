"""Command lines of an agent file as tools."""

import os
from pathlib import Path
from typing import Any

import pytest

from fakes.calls import Session, names
from roost.core.errors import ToolsetFailed
from roost.core.messages import Result
from roost.core.variables import undeclared
from roost.tools import script
from roost.tools.builtin import Builtin

pytestmark = pytest.mark.anyio


async def run(session: Session, entry: dict[str, Any], more: dict[str, Any] | None = None, **arguments: Any) -> Result:
    async with session.open("script", shell={"it": entry}, **(more or {})) as toolset:
        return await session.call(toolset, "it", **arguments)


async def test_arguments_are_variables(session: Session) -> None:
    entry = {"cmd": 'echo "$who ${many} $flag $list"', "args": {"who": {"type": "string"}, "many": {"type": "integer"}}}
    entry["args"] |= {"flag": {"type": "boolean"}, "list": {"type": "array"}}
    entry["required"] = ["who"]
    result = await run(session, entry, who='$(id) "; rm x', many=3, flag=True, list=["a", 1])
    assert result == Result('$(id) "; rm x 3 true ["a", 1]')
    assert (await run(session, entry, who="x")).output == "x"
    assert (await run(session, entry)).output == "Invalid arguments for it: 'who' is a required property"


async def test_definitions(session: Session) -> None:
    entries = {
        "one": {"cmd": "echo $a $b", "args": {"a": {"description": "An a"}, "b": "A b"}},
        "two": {"cmd": "true", "description": "Does nothing"},
    }
    async with session.open("script", shell=entries) as toolset:
        assert await names(toolset) == ["one", "two"]
        one, two = [tool.definition for tool in await toolset.tools()]
    assert one.description == "Execute: echo $a $b" and two.description == "Does nothing"
    described = {"a": {"type": "string", "description": "An a"}, "b": {"type": "string", "description": "A b"}}
    assert one.parameters == {"type": "object", "properties": described, "required": ["a", "b"]}
    assert not one.annotations.read_only and one.effect == "ask"


async def test_env_and_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    session = Session(tmp_path, Builtin({"PATH": os.environ["PATH"], "A": "process", "B": "b"}, state=tmp_path))
    entry = {"cmd": "echo $A $B $C; pwd", "env": {"C": "${B}c"}, "working_dir": "sub"}
    assert await run(session, entry, {"env": {"A": "toolset"}}) == Result(f"toolset b bc\n{tmp_path}/sub")
    assert (await run(session, {**entry, "env": {"A": "own", "C": ""}}, {"env": {"A": "toolset"}})).output[:3] == "own"
    (tmp_path / "sub").rmdir()
    gone = await run(session, {"cmd": "pwd", "working_dir": "sub"})
    assert gone == Result(f"the working directory does not exist: {tmp_path}/sub", is_error=True)


async def test_what_goes_wrong(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = await run(session, {"cmd": "echo no; exit 3"})
    assert failed == Result("Error executing command 'echo no; exit 3': exit status 3\nOutput: no", is_error=True)
    assert await run(session, {"cmd": "true"}) == Result("<no output>")
    long = await run(session, {"cmd": "head -c 9000000 /dev/zero | tr '\\0' x"})
    assert len(long.output) < 30_100 and "bytes left out" in long.output
    assert (await run(session, {"cmd": "echo $x", "args": {"x": {"type": "string"}}}, x="a\0b")).is_error
    huge = await run(session, {"cmd": "echo $x", "args": {"x": {"type": "string"}}}, x="a" * 3_000_000)
    assert huge.is_error and "Argument list too long" in huge.output
    monkeypatch.setattr(script, "PATIENCE", 0.2)
    assert "timed out after 0.2s\nOutput: here" in (await run(session, {"cmd": "echo here; sleep 1000"})).output


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ({"cmd": "echo $nmae", "args": {"name": {}}}, r"tool 'it' uses undefined args: \['nmae'\]"),
        ({"cmd": "x", "args": {"a b": {}}}, "name of an argument"),
        ({"cmd": "x", "args": {"a": {"type": "strin"}}}, "JSON schema"),
        ({"cmd": "x", "required": ["a"]}, r"requires args that it does not have: \['a'\]"),
        ({"cmd": "x", "env": {"A": "$NO_SUCH_THING"}}, "NO_SUCH_THING is not set"),
    ],
)
async def test_mistakes_are_found_before_anything_runs(session: Session, entry: dict[str, Any], what: str) -> None:
    with pytest.raises(ToolsetFailed, match=what):
        await run(session, entry)


async def test_a_name_that_is_no_tools(session: Session) -> None:
    with pytest.raises(ToolsetFailed, match="name of a tool"):
        async with session.open("script", shell={"a b": {"cmd": "x"}}):
            pass


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        ("echo $a ${b} ${c:-x} ${#d} ${!e}", ["a", "b", "c", "d", "e"]),
        ("echo $HOME $1 $? $$ $@ $(date) ${PWD}", []),
        ("awk '{print $x}' f; echo \\$y", []),
        ("echo \"it's $z\" 'quoted $q'", ["z"]),
        ("for f in *; do echo $f; done; n=1; echo $n; read -r l m; echo $l$m; a+=x; echo $a", []),
        ("known=$known", []),
    ],
)
def test_variables_of_a_command(command: str, missing: list[str]) -> None:
    assert undeclared(command, ["known"]) == missing
