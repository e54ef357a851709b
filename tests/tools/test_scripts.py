"""Scripts of code mode: what they can do, what they can't, and where each ends."""

import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from roost.core.messages import Definition, Result
from roost.testing.clock import PATIENCE
from roost.tools.scripts import LONGEST, MOST_CALLS, Javascript

pytestmark = pytest.mark.anyio

Work = Callable[[dict[str, Any]], Awaitable[Result]]


class Function:
    """A tool, and what it was called with."""

    def __init__(self, name: str, work: Work | None = None, schema: dict[str, Any] | None = None) -> None:
        self.definition = Definition(name, output_schema=schema)
        self.calls: list[dict[str, Any]] = []
        self._work = work

    async def call(self, arguments: dict[str, Any]) -> Result:
        self.calls.append(arguments)
        return await self._work(arguments) if self._work else Result(f"got {json.dumps(arguments)}")


def gives(result: Result) -> Work:
    async def work(_: dict[str, Any]) -> Result:
        await anyio.lowlevel.checkpoint()
        return result

    return work


async def run(script: str, *tools: Function, own_time: float = 10.0) -> tuple[Result, dict[str, Any]]:
    result = await Javascript(own_time=own_time).run(script, tools)
    outcome: dict[str, Any] = json.loads(result.output)
    assert ("tool_calls" in outcome) == result.is_error
    return result, outcome


def interpreters() -> set[int]:
    """The processes of ours that run a script now."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            parent = int((path.parent / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"interpreter.py" in path.read_bytes():
                found.add(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.fixture(autouse=True)
def nothing_is_left() -> Any:
    yield
    assert interpreters() == set()


@pytest.mark.parametrize(
    ("script", "value"),
    [
        ("return 1 + 1", 2),
        ("return {a: [1, null, 'é😀']}", {"a": [1, None, "é😀"]}),
        ("", None),
        ("return undefined // nothing", None),
        ("return await new Promise(done => done(7))", 7),
        ("let sum = 0; for (const n of [1, 2, 3]) sum += n; return sum", 6),
        ("return '\\ud800'", "?"),
    ],
)
async def test_a_script_has_a_value(script: str, value: Any) -> None:
    assert (await run(script))[1] == {"value": value, "stdout": "", "stderr": ""}


async def test_tools_are_functions_that_take_one_object() -> None:
    look, bare = Function("look"), Function("bare")
    _, outcome = await run("return [look({a: 1, b: ['x']}), await bare()]", look, bare)
    assert outcome["value"] == ['got {"a": 1, "b": ["x"]}', "got {}"]
    assert (look.calls, bare.calls) == ([{"a": 1, "b": ["x"]}], [{}])


async def test_a_tool_that_says_of_which_form_its_results_are_returns_data() -> None:
    shape = {"type": "object"}
    structured = Function("structured", gives(Result("text", structured={"n": 1})), shape)
    written = Function("written", gives(Result('{"n": 2}')), shape)
    prose = Function("prose", gives(Result("three")), shape)
    plain = Function("plain", gives(Result('{"n": 4}', structured={"n": 4})))
    script = "return [structured().n, written().n, prose(), plain()]"
    assert (await run(script, structured, written, prose, plain))[1]["value"] == [1, 2, "three", '{"n": 4}']


async def test_what_is_logged_comes_back_beside_the_value() -> None:
    _, outcome = await run("console.log('a', {b: [1]}, undefined); console.error('c'); return 1")
    assert outcome == {"value": 1, "stdout": 'a {"b":[1]} undefined\n', "stderr": "c\n"}


async def test_a_tools_failure_is_an_error_in_the_script() -> None:
    bad = Function("bad", gives(Result("no such file", is_error=True)))
    result, outcome = await run("try { bad({}) } catch (error) { return error.message }", bad)
    assert (result.is_error, outcome["value"]) == (False, "no such file")
    result, outcome = await run("look({n: 1}); bad({n: 2}); return 1", Function("look"), bad)
    assert result.is_error
    assert outcome["value"] is None
    assert outcome["stderr"].startswith("Error: no such file")
    assert outcome["tool_calls"] == [
        {"name": "look", "arguments": '{"n": 1}', "result": 'got {"n": 1}'},
        {"name": "bad", "arguments": '{"n": 2}', "error": "no such file"},
    ]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("throw new Error('boom')", "Error: boom"),
        ("throw 5", "5"),
        ("return look(5)", "look takes one object"),
        ("return look([])", "look takes one object"),
        ("return nothing()", "'nothing' is not defined"),
        ("return (", "SyntaxError"),
        ("function again() { return again() + 1 } return again()", "stack overflow"),
        ("const all = []; while (true) all.push(new Array(1000).fill('x'))", "out of memory"),
        ("return 'x'.repeat(2e6)", "return less"),
        ("const o = {}; o.o = o; return o", "circular"),
        ("return look({text: 'x'.repeat(2e6)})", "more than 1048576 characters"),
        ("let a = []; for (let n = 0; n < 985; n++) a = [a]; return a", "levels deep"),
        ("let a = {}; for (let n = 0; n < 3000; n++) a = {a}; look(a)", "levels deep"),
        ("await new Promise(() => {})", "a promise that nothing keeps"),
        ("return import('os')", "could not load module"),
        ("while (true) { try { look() } catch (error) {} }", f"has made {MOST_CALLS} calls"),
    ],
)
async def test_what_goes_wrong_is_said(script: str, why: str) -> None:
    result, outcome = await run(script, Function("look"))
    assert result.is_error
    assert why in outcome["stderr"]
    assert len(result.output) < 100_000


@pytest.mark.parametrize(
    "script",
    [
        "while (true) {}",
        "return /(a+)+$/.test('a'.repeat(40) + 'b')",
        "for (;;) console.log('x'.repeat(1000))",
        "}); while (true) {} (function () {",
        "const again = async () => { await null; await again() }; again(); while (true) await null",
    ],
)
async def test_a_script_that_does_not_end_is_ended(script: str) -> None:
    result, outcome = await run(script, own_time=1.0)
    assert result.is_error
    assert "took too long" in outcome["stderr"]
    assert len(outcome["stdout"]) < 70_000


async def test_promises_without_end_end_by_one_bound_or_another() -> None:
    result, outcome = await run("const again = () => Promise.resolve().then(again); await again()")
    assert result.is_error
    assert any(why in outcome["stderr"] for why in ("memory", "took too long", "a promise that nothing keeps"))


async def test_nothing_of_the_machine_is_in_reach() -> None:
    names = "require process fetch XMLHttpRequest std os Deno Bun setTimeout print load scriptArgs __host __end __names"
    script = f"return {json.dumps(names.split())}.filter(name => typeof globalThis[name] !== 'undefined')"
    assert (await run(script))[1]["value"] == []
    assert (await run("return Object.keys(globalThis)", Function("look")))[1]["value"] == ["console", "look"]
    (_, outcome) = await run("look = () => 'mine'; return look()", Function("look"))
    assert "read-only" in outcome["stderr"] or outcome["value"] == "got {}"


async def test_the_time_of_tools_is_not_the_scripts() -> None:
    async def slow(_: dict[str, Any]) -> Result:
        await anyio.sleep(1.2)
        return Result("done")

    assert (await run("return look()", Function("look", slow), own_time=1.0))[1]["value"] == "done"


async def test_a_cancel_ends_the_tool_and_the_script() -> None:
    started, ended = anyio.Event(), anyio.Event()

    async def hang(_: dict[str, Any]) -> Result:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()
        raise AssertionError

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Javascript().run, "return look()", [Function("look", hang)])
            await started.wait()
            assert len(interpreters()) == 1
            tasks.cancel_scope.cancel()
    assert ended.is_set()


async def test_a_cancel_ends_a_script_that_is_busy() -> None:
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Javascript().run, "look(); while (true) {}", [look := Function("look")])
            while not look.calls:
                await anyio.sleep(0)
            tasks.cancel_scope.cancel()


async def test_huge_things_are_refused() -> None:
    result = await Javascript().run("x" * (LONGEST + 1), [])
    assert result.is_error
    flood = Function("flood", gives(Result("x" * 9_000_000)))
    _, outcome = await run("try { flood() } catch (error) { return error.message }", flood)
    assert "ask for less" in outcome["value"]
    large = Function("large", gives(Result("é" * 3_000_000)))
    assert (await run("return large().length", large))[1]["value"] == 3_000_000


async def test_scripts_run_beside_each_other() -> None:
    values: list[Any] = []

    async def one(n: int) -> None:
        values.append((await run(f"return look({{n: {n}}})", Function("look")))[1]["value"])

    async with anyio.create_task_group() as tasks:
        for n in range(4):
            tasks.start_soon(one, n)
    assert sorted(values) == [f'got {{"n": {n}}}' for n in range(4)]
