"""Scripts of code mode: JavaScript in a process of its own, with tools as its only way out."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import Any, Final

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from roost.core.errors import ToolsetFailed
from roost.core.messages import Definition, Result
from roost.ports import Wrapped

OWN_TIME: Final = 30.0  # seconds for the script itself; what its tools take is not counted
MOST_CALLS: Final = 500
LONGEST: Final = 200_000  # characters of a script
LARGEST: Final = 8 << 20  # bytes of what the process says at once, and of what a tool answers
_LISTED = 100  # calls that a failure lists
_SHOWN = 500  # characters of each argument and answer in that list


class Javascript:
    """Runs scripts (`ports.Scripts`).

    Each has a process of its own with an interpreter that knows no files and no network; it ends with
    the script, with its time, and with a cancel.  What no language bound holds, the system's hold.
    """

    def __init__(self, *, own_time: float = OWN_TIME) -> None:
        self._own_time = own_time

    async def run(self, script: str, tools: Sequence[Wrapped]) -> Result:
        """Run a script: JSON with `value`, `stdout` and `stderr`; where it failed, with `tool_calls`, too.

        Raises:
            ToolsetFailed: the interpreter is not there.
        """
        if len(script) > LONGEST:
            return Result(f"The script has more than {LONGEST} characters; write a shorter one.", is_error=True)
        process = await _start()
        try:
            talk = _Talk(process, {tool.definition.name: tool for tool in tools}, self._own_time)
            return await talk.through(script)
        finally:
            with anyio.CancelScope(shield=True):
                if process.returncode is None:
                    process.kill()
                await process.aclose()


async def _start() -> Process:
    """The process, before it has its order.

    Raises:
        ToolsetFailed: it can't be started.
    """
    library = find_spec("_quickjs")
    if library is None or library.origin is None:
        raise ToolsetFailed("code mode needs the package quickjs, which is not installed")
    program = str(Path(__file__).with_name("interpreter.py"))
    try:
        return await anyio.open_process(
            [sys.executable, "-I", "-S", program, str(Path(library.origin).parent)],
            env={"PYTHONIOENCODING": "utf-8", "LC_ALL": "C.UTF-8"},
            cwd=os.sep,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise ToolsetFailed(f"code mode can't start its interpreter: {error}") from None


class _Failed(Exception):
    """The script has not come to a value."""


class _Talk:
    """What is said between the server and one script."""

    def __init__(self, process: Process, tools: dict[str, Wrapped], own_time: float) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin = process.stdin
        self._stdout = BufferedByteReceiveStream(process.stdout)
        self._tools = tools
        self._left = own_time
        self._logged = {"out": "", "err": ""}
        self._calls: list[dict[str, Any]] = []

    async def through(self, script: str) -> Result:
        """All of it, to the result."""
        try:
            await self._say({"script": script, "tools": list(self._tools)})
            while True:
                said = await self._next()
                if "call" in said:
                    await self._say(await self._called(said))
                elif "log" in said:
                    self._logged[said["log"]] += said["text"]
                elif "error" in said:
                    raise _Failed(said["error"])
                else:
                    return Result(_json(self._outcome(said["value"])))
        except _Failed as failure:
            self._logged["err"] += f"{failure}\n"
            outcome = self._outcome(None)
            return Result(_json({**outcome, "tool_calls": self._calls[:_LISTED]}), is_error=True)

    def _outcome(self, value: Any) -> dict[str, Any]:
        return {"value": value, "stdout": self._logged["out"], "stderr": self._logged["err"]}

    async def _say(self, said: dict[str, Any]) -> None:
        line = json.dumps(said).encode() + b"\n"  # ASCII: nothing in it ends a line
        with anyio.move_on_after(self._left) as patience:
            try:
                await self._stdin.send(line)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                raise _Failed("the interpreter is gone") from None
        if patience.cancelled_caught:
            raise _Failed("the interpreter reads nothing")

    async def _next(self) -> dict[str, Any]:
        """What the script says next, in what is left of its time."""
        began = monotonic()
        with anyio.move_on_after(max(self._left, 0)) as patience:
            try:
                line = await self._stdout.receive_until(b"\n", LARGEST)
            except anyio.DelimiterNotFound:
                raise _Failed("the script says too much at once") from None
            except (anyio.IncompleteRead, anyio.EndOfStream, anyio.BrokenResourceError):
                raise _Failed("the interpreter has ended: the script took too much memory or time") from None
        if patience.cancelled_caught:
            raise _Failed("the script took too long by itself and was stopped")
        self._left -= monotonic() - began
        said: dict[str, Any] = json.loads(line)
        return said

    async def _called(self, said: dict[str, Any]) -> dict[str, Any]:
        """The answer to a call; a failure becomes an error in the script."""
        if len(self._calls) >= MOST_CALLS:
            raise _Failed(f"the script has made {MOST_CALLS} calls, and may make no more")
        tool, arguments = self._tools.get(said["call"]), said["arguments"]
        record: dict[str, Any] = {"name": said["call"], "arguments": _cut(_json(arguments))}
        self._calls.append(record)
        result = await tool.call(arguments) if tool else Result("there is no such tool", is_error=True)
        record["error" if result.is_error else "result"] = _cut(result.output)
        if result.is_error:
            return {"error": result.output[:LARGEST] or "the tool failed"}
        assert tool is not None
        if len(result.output) > LARGEST:
            return {"error": f"the tool's result has more than {LARGEST} characters: ask for less"}
        return {"value": _value(tool.definition, result)}


def _value(definition: Definition, result: Result) -> Any:
    """What a call is worth in the script: data where the tool says of which form, else its text."""
    if definition.output_schema is None:
        return result.output
    if result.structured is not None:
        return result.structured
    try:
        return json.loads(result.output)
    except (ValueError, RecursionError):
        return result.output


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).encode(errors="replace").decode()


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."
