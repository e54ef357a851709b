"""The toolset `script`: command lines of a person as tools."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread

from roost import process
from roost.core import variables
from roost.core.agents import ToolsetSpec
from roost.core.errors import ToolsetFailed
from roost.core.messages import Annotations, Result
from roost.ports import Place, Use
from roost.process import Output
from roost.tools.cell import outward
from roost.tools.house import House, shell_of
from roost.tools.paths import Paths
from roost.tools.tool import NAME, SHOWN, Kit, Native, Refused, check_schema, failed

CATEGORY = "script"
PATIENCE = 600.0  # seconds
_VARIABLE = re.compile(r"[A-Za-z_]\w*")

_INSTRUCTIONS = "Some tools run a command that was written for them: use them for what they are described to do.\n"


@asynccontextmanager
async def open_script(spec: ToolsetSpec, place: Place, house: House) -> AsyncIterator[Kit]:
    """A tool for each entry of `shell`."""
    scripts = [_Script(name, entry, spec, place, house) for name, entry in spec.options.get("shell", {}).items()]
    try:
        yield Kit(tuple(script.tool() for script in scripts), _INSTRUCTIONS)
    finally:
        marks = [mark for script in scripts for mark in script.marks]
        if marks:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(process.sweep, *marks)


class _Script:
    """One of them.  `marks` are those of what it has started.

    Raises:
        ToolsetFailed: the command names what is neither an argument nor a variable, or a schema is none.
    """

    def __init__(self, name: str, entry: Mapping[str, Any], spec: ToolsetSpec, place: Place, house: House) -> None:
        self.marks: set[str] = set()
        self._name = name
        self._command: str = entry["cmd"]
        self._description: str = entry.get("description") or f"Execute: {self._command}"
        self._parameters = _parameters(name, entry)
        given = {**spec.options.get("env", {}), **entry.get("env", {})}
        own = {key: house.expand(str(value), f"{name}.env.{key}") for key, value in given.items()}
        self._env = {**outward(house.env, place), **own}
        self._place = place
        self._house = house
        paths = Paths(place.working_dir, house.env, confined=place.confined)
        try:
            self._folder = paths.find(house.expand(entry.get("working_dir") or ".", f"{name}.working_dir")).real
        except Refused as refused:
            raise ToolsetFailed(f"working_dir of the script {name!r}: {refused}") from None
        self._check()

    def _check(self) -> None:
        if not NAME.fullmatch(self._name):
            raise ToolsetFailed(f"{self._name!r} can't be the name of a tool (letters, digits, _ and -)")
        arguments = self._parameters["properties"]
        if bad := [name for name in arguments if not _VARIABLE.fullmatch(name)]:
            raise ToolsetFailed(f"tool {self._name!r}: {bad[0]!r} can't be the name of an argument: it is a variable's")
        if unknown := [name for name in self._parameters["required"] if name not in arguments]:
            raise ToolsetFailed(f"tool {self._name!r} requires args that it does not have: {unknown}")
        if unknown := variables.undeclared(self._command, {*arguments, *self._env, *self._house.env}):
            raise ToolsetFailed(f"tool {self._name!r} uses undefined args: {unknown}")

    def tool(self) -> Native:
        return Native(
            self._name,
            CATEGORY,
            self._description,
            self._parameters,
            self.run,
            annotations=Annotations(title=self._name),
            effect="ask",
        )

    def _see(self) -> None:
        if not Path(self._folder).is_dir():
            raise Refused(f"the working directory does not exist: {self._folder}")

    async def run(self, arguments: dict[str, Any], use: Use) -> Result:
        self._see()
        values = {name: _text(value) for name, value in arguments.items() if name in self._parameters["properties"]}
        if any("\0" in value for value in values.values()):
            raise Refused("an argument holds a NUL byte")
        mark = process.mark(self._place.session, use.call)
        self.marks.add(mark)
        output = Output()
        argv = (shell_of({} if self._place.confined else self._house.env), "-c", self._command)
        env = {**self._env, **dict.fromkeys(self._parameters["properties"], ""), **values}
        async with self._house.cells.open(self._place, use.call, argv, cwd=self._folder, env=env) as launch:
            ended = await process.run(
                launch.argv,
                cwd=launch.cwd,
                env=launch.env,
                mark=mark,
                output=output,
                timeout=PATIENCE,
                show=use.output,
            )
        text = output.text(SHOWN).strip()
        if ended.code == 0:
            return Result(text or "<no output>")
        how = f"timed out after {PATIENCE:g}s" if ended.timed_out else f"exit status {ended.code}"
        return failed(f"Error executing command '{self._command}': {how}\nOutput: {text}")


def _parameters(name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of its arguments: all are required where the entry does not say which."""
    properties = {key: _shape(value) for key, value in (entry.get("args") or {}).items()}
    required = entry.get("required")
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else list(required),
    }
    check_schema(parameters, f"the args of the script {name!r}")
    return parameters


def _shape(value: Any) -> Any:
    """A schema; a text is the description of one."""
    if isinstance(value, str):
        return {"type": "string", "description": value}
    if isinstance(value, dict) and not value.keys() & {"type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref"}:
        return {"type": "string", **value}
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
