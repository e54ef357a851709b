"""Tool servers that are programs: what they are given, how they fail, and that nothing is left of them."""

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from fakes.calls import Using, names
from roost import process
from roost.core.errors import BadValue, ToolsetFailed
from roost.core.events import Command
from roost.ports import Speaker
from roost.tools.builtin import Builtin
from roost.tools.mcp import frames
from roost.tools.mcp.prompts import Prompt, filled, named
from tools.mcp.conftest import SCRIPTED, Bench, call, text

pytestmark = pytest.mark.anyio


async def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    with anyio.fail_after(seconds):
        while not condition():
            await anyio.sleep(0.01)


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in "ZX"


async def test_opening_starts_nothing(bench: Bench) -> None:
    async with bench.scripted():
        assert bench.starts == 0
    async with bench.open(command="no-such-program") as toolset:
        with pytest.raises(ToolsetFailed, match=r"can't be started.*no-such-program.*is it installed"):
            await toolset.tools()


def test_a_program_that_is_not_there_is_named_whatever_loop_runs() -> None:
    async def start() -> None:
        async with process.attached(["no-such-program"], cwd="/", env={}, mark="m/x", complaints=process.Output()):
            raise AssertionError

    for uvloop in (False, True):
        with pytest.raises(FileNotFoundError) as failed:
            anyio.run(start, backend_options={"use_uvloop": uvloop})
        assert failed.value.filename == "no-such-program"


async def test_its_tools_and_what_it_says_of_itself(bench: Bench) -> None:
    async with bench.scripted(name="x", tools=("echo", "arguments")) as toolset:
        one, two = [tool.definition for tool in await toolset.tools()]
        assert (one.name, two.name, one.category) == ("x_echo", "x_arguments", "mcp")
        assert one.annotations.read_only and one.effect == "safe" and one.annotations.title == "Echo"
        assert two.annotations.idempotent and not two.annotations.read_only and two.effect == "ask"
        assert toolset.instructions == "Mind."
        assert (await call(toolset, "x_echo", text="hi")).output == "hi"
        assert json.loads((await call(toolset, "x_arguments", a=1, b=None)).output) == {"a": 1}
    assert bench.starts == 1


async def test_only_those_that_read(bench: Bench) -> None:
    async with bench.scripted(readonly=True) as toolset:
        assert await names(toolset) == ["echo"]
    bench.home.mkdir(exist_ok=True)
    (bench.home / "mcp.toml").write_text('read_only_hints = "ignore"\n')
    async with bench.scripted(readonly=True) as toolset:
        assert await names(toolset) == []
    async with bench.scripted(tools=("echo",)) as toolset:
        (tool,) = await toolset.tools()
        assert not tool.definition.annotations.read_only and tool.definition.effect == "ask"


async def test_the_list_in_pages(bench: Bench) -> None:
    async with bench.scripted("pages") as toolset:
        assert len(await toolset.tools()) == 20


async def test_where_it_runs_and_what_it_finds(bench: Bench) -> None:
    (bench.work / "sub").mkdir()
    bench.builtin = Builtin({**bench.env, "OWN": "server's", "TOLD": "1"}, None, bench.home)
    env = {"OWN": "toolset's", "MADE": "${env.TOLD}-$TOLD"}
    async with bench.scripted(env=env, working_dir="sub") as toolset:
        found = json.loads((await call(toolset, "environment")).output)
        assert (found["OWN"], found["MADE"], found["TOLD"]) == ("toolset's", "1-1", "1")
        assert (await call(toolset, "folder")).output == str(bench.work / "sub")
    async with bench.scripted(env={"X": "$NO_SUCH_THING"}) as toolset:
        with pytest.raises(ToolsetFailed, match="env X: the environment variable NO_SUCH_THING is not set"):
            await toolset.tools()
    async with bench.scripted(working_dir="nowhere") as toolset:
        with pytest.raises(ToolsetFailed, match="its working directory does not exist"):
            await toolset.tools()


async def test_all_that_a_server_started_ends_with_it(bench: Bench) -> None:
    async with bench.scripted("lingers") as toolset:
        pid = int((await call(toolset, "child")).output)
        assert not gone(pid)
    assert gone(pid)


# -- what goes wrong at the start ---------------------------------------------------------------


async def test_a_server_that_hangs_at_its_start(bench: Bench) -> None:
    async with bench.scripted("hangs", lifecycle={"startup_timeout": "300ms"}) as toolset:
        with anyio.fail_after(8), pytest.raises(ToolsetFailed, match=r"was not ready within 0\.3 s"):
            await toolset.tools()


async def test_a_server_that_dies_at_its_start_is_tried_again_but_not_at_once(bench: Bench) -> None:
    quick = {"backoff": {"initial": "200ms"}}
    async with bench.scripted("dies", lifecycle=quick) as toolset:
        for _ in range(3):
            with pytest.raises(ToolsetFailed, match="exit status 3; it said: a key is missing"):
                await toolset.tools()
        assert bench.starts == 1
        while bench.starts == 1:
            with pytest.raises(ToolsetFailed):
                await toolset.tools()
            await anyio.sleep(0.01)
        assert bench.starts == 2
    async with bench.scripted("dies", lifecycle={**quick, "profile": "strict"}) as toolset:
        with pytest.raises(ToolsetFailed, match="is required and is not available"):
            await toolset.tools()
        with pytest.raises(ToolsetFailed):
            await toolset.tools()
        assert toolset._life._rules.again is False and bench.starts == 3  # type: ignore[attr-defined]


async def test_a_server_that_is_installed_later_is_found(bench: Bench) -> None:
    program = bench.work / "late"
    async with bench.open(command=str(program), lifecycle={"backoff": {"initial": "1ms"}}) as toolset:
        with pytest.raises(ToolsetFailed):
            await toolset.tools()
        program.write_text(f"#!/bin/sh\nexec {sys.executable} {SCRIPTED}\n")
        program.chmod(0o755)
        with anyio.fail_after(10):
            while True:
                with contextlib.suppress(ToolsetFailed):
                    assert await toolset.tools()
                    break
                await anyio.sleep(0.001)


@pytest.mark.parametrize("way", ["floods", "chatters"])
async def test_a_server_that_writes_too_much(bench: Bench, way: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "roost"):
        async with bench.scripted(way) as toolset:
            for _ in range(20):
                assert (await call(toolset, "echo", text="hi")).output == "hi"
    assert len([r for r in caplog.records if getattr(r, "action", "") == "mcp_stderr"]) <= 202


# -- what goes wrong in a call ------------------------------------------------------------------


async def test_results_that_are_no_good(bench: Bench) -> None:
    async with bench.scripted() as toolset:
        huge = await call(toolset, "huge")
        assert huge.is_error and "longer than 16 MiB" in huge.output
        broken = await call(toolset, "broken")
        assert broken.is_error and "the server's answer can't be used" in broken.output
        assert (await call(toolset, "bytes")).output == "a\ufffd\ufffdb"
        assert (await call(toolset, "surrogate")).is_error
        assert (await call(toolset, "echo", text="still there")).output == "still there"
    assert bench.starts == 1


async def test_a_server_that_dies_in_a_call_is_started_again(bench: Bench) -> None:
    async with bench.scripted(lifecycle={"backoff": {"initial": "10ms"}}) as toolset:
        died = await call(toolset, "die")
        assert died.is_error
        assert "ended in the middle of this call, whose outcome is not known" in died.output
        assert "exit status 7; it said: the disk is on fire" in died.output
        assert (await call(toolset, "echo", text="again")).output == "again"
    assert bench.starts == 2


async def test_a_server_that_always_dies_is_given_up(bench: Bench) -> None:
    lifecycle = {"backoff": {"initial": "10ms", "multiplier": 1}, "max_restarts": 2}
    async with bench.scripted(lifecycle=lifecycle) as toolset:
        tool = next(tool for tool in await toolset.tools() if tool.definition.name == "die")
        for _ in range(3):
            assert "in the middle of this call" in (await tool.run({}, Using())).output
        await until(lambda: toolset._life._failure is not None)  # type: ignore[attr-defined]
    assert bench.starts == 3


async def test_a_server_that_was_killed_between_calls(bench: Bench) -> None:
    async with bench.scripted(lifecycle={"backoff": {"initial": "10ms"}}) as toolset:
        parent = json.loads((await call(toolset, "environment")).output)
        assert parent["ROOST_CALL"].endswith("/mcp")
        pids = [
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and parent["ROOST_CALL"].encode() in _environ(entry)
        ]
        os.kill(min(pids), signal.SIGKILL)
        await until(lambda: bench.starts == 2)
        assert (await call(toolset, "echo", text="back")).output == "back"


def _environ(entry: Path) -> bytes:
    try:
        return (entry / "environ").read_bytes()
    except OSError:
        return b""


async def test_a_call_that_never_returns(bench: Bench) -> None:
    async with bench.scripted(lifecycle={"call_timeout": "200ms"}) as toolset:
        hung = await call(toolset, "hang")
        assert hung.is_error and "has not answered within 0.2 s; the call was cancelled" in hung.output
        assert (await call(toolset, "cancelled")).output == "1"
        going = await call(toolset, "progress", steps=5, pause=0.1)
        assert going.output == "done"  # with each sign of progress the time begins anew


async def test_a_cancelled_call_is_cancelled_at_the_server(bench: Bench) -> None:
    async with bench.scripted() as toolset:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call, toolset, "hang")
            await until(lambda: bench.log.exists() and "hangs" in bench.log.read_text())
            tasks.cancel_scope.cancel()
        await until(lambda: "cancelled" in bench.log.read_text())
        assert (await call(toolset, "cancelled")).output == "1"


async def test_calls_beside_each_other(bench: Bench) -> None:
    async with bench.scripted() as toolset:
        said: list[str] = []

        async def one(number: int) -> None:
            said.append((await call(toolset, "echo", text=str(number))).output)

        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(one, number)
        assert sorted(map(int, said)) == list(range(20))


async def test_tools_that_change_in_mid_turn(bench: Bench) -> None:
    async with bench.scripted(name="x") as toolset:
        assert "x_more" not in await names(toolset)
        await call(toolset, "x_change", name="more")
        with anyio.fail_after(10):
            while "x_more" not in await names(toolset):
                await anyio.sleep(0.01)
        assert (await call(toolset, "x_more")).output == "more was called"


async def test_parts_of_results(bench: Bench) -> None:
    async with bench.scripted() as toolset:
        parts = [text("one"), {"type": "image", "data": "aGk=", "mimeType": "image/png"}, text("two")]
        result = await call(toolset, "parts", content=parts, error=True)
        assert (result.output, result.is_error, result.images[0].mime_type) == ("one\ntwo", True, "image/png")
        structured = await call(toolset, "structured")
        assert (structured.structured, json.loads(structured.output)) == ({"n": 1}, {"n": 1})


async def test_prompts(bench: Bench) -> None:
    async with bench.scripted() as toolset, bench.scripted(name="crm") as other:
        assert isinstance(toolset, Speaker) and isinstance(other, Speaker)
        assert toolset.commands == ()
        await toolset.tools()
        await other.tools()
        assert toolset.commands == (Command("greet", "Say hello who=…"),)
        assert [command.name for command in other.commands] == ["crm:greet"]
        assert await toolset.say("greet", "Ada and Eve") == "Greet Ada and Eve\nGreet Ada and Eve"
        assert await other.say("crm:greet", "who='the whole crew'") == "Greet the whole crew\nGreet the whole crew"
        with pytest.raises(BadValue, match=r"missing: who. Write /greet who=…"):
            await toolset.say("greet", "")


def test_what_people_write_becomes_arguments() -> None:
    prompt = Prompt("p", "", (("a", "", True), ("b", "", False), ("c", "", False)))
    assert filled("p", prompt, "x 'y z' u v") == {"a": "x", "b": "y z", "c": "u v"}
    assert filled("p", prompt, "b=1 x d=2") == {"b": "1", "a": "x", "c": "d=2"}
    assert filled("p", prompt, "a=") == {"a": ""}
    with pytest.raises(BadValue, match=r"missing: a\. Write /p a=… \[b=…\] \[c=…\]"):
        filled("p", prompt, "c=1")
    with pytest.raises(BadValue, match="too much"):
        filled("p", prompt, "a=1 b=2 c=3 d")
    assert filled("p", Prompt("p", "", (("text", "", True),)), "it's  as\nit is") == {"text": "it's  as\nit is"}
    assert filled("p", Prompt("p"), "more") == {}
    assert set(named((Prompt("a b"), Prompt("a b"), Prompt(" "), Prompt("c")), "s")) == {"s:a-b", "s:c"}


async def test_a_lifecycle_that_makes_no_sense(bench: Bench) -> None:
    with pytest.raises(ToolsetFailed, match=r"lifecycle\.startup_timeout: invalid duration"):
        async with bench.scripted(lifecycle={"startup_timeout": "soon"}):
            pass


def test_a_long_line_is_never_held_whole() -> None:
    reader = frames.Frames(longest=1000)
    chunk = b"y" * 100_000
    assert reader.feed(b'{"jsonrpc":"2.0","id":"a-1","result":"') == []
    for _ in range(50):
        assert reader.feed(chunk) == []
        assert sum(map(len, reader._parts)) + len(reader._tail) <= 2 * frames.ENDS
    assert reader.feed(b'"}\n{"id": 1}\n') == [frames.Torn("it is longer than 0 MiB", "a-1"), b'{"id": 1}']


@pytest.mark.parametrize(
    ("line", "id"),
    [
        (b'{"jsonrpc":"2.0","id":7,"result":{"a":"%s"}}', 7),
        (b'{"id": 7, "result": "%s"}', 7),
        (b'{"result":{"id":1,"a":"%s"},"jsonrpc":"2.0","id":"x"}', "x"),
        (b'{"result":{"a":"%s"},"id":3,"jsonrpc":"2.0"}', 3),
        (b'{"jsonrpc":"2.0","method":"x","params":{"a":"%s","id":3}}', None),
        (b'{"result":"%s"}', None),
    ],
)
def test_whose_answer_it_was(line: bytes, id: object) -> None:
    reader = frames.Frames(longest=10_000)
    (torn,) = reader.feed(line % (b"z" * 20_000) + b"\n")
    assert isinstance(torn, frames.Torn) and torn.id == id and torn.fatal is (id is None)


@pytest.mark.parametrize("cut", range(12))
def test_lines_survive_any_cut(cut: int) -> None:
    stream, reader = b"one\n\ntwo\nx\n", frames.Frames()
    assert reader.feed(stream[:cut]) + reader.feed(stream[cut:]) == [b"one", b"", b"two", b"x"]
