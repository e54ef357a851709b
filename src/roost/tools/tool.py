"""What built-in tools are made of: a definition, arguments that were checked, a function that does the work."""

import re
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import anyio
from anyio import to_thread
from msgspec import Struct
from msgspec.structs import replace

from roost.core.errors import RoostError, ToolsetFailed
from roost.core.events import Command
from roost.core.messages import Annotations, Definition, Effect, Result
from roost.ports import Tool, Use

Work = Callable[[dict[str, Any], Use], Awaitable[Result]]
T = TypeVar("T")

SHOWN = 30_000  # characters of a result
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What models take for the name of a tool."""


class Refused(Exception):
    """A tool can't do what it was asked; the model reads why."""


def failed(message: str) -> Result:
    """A result that says what went wrong."""
    return Result(message, is_error=True)


def schema(required: Sequence[str] = (), **properties: dict[str, Any]) -> dict[str, Any]:
    """A JSON schema of arguments."""
    return {"type": "object", "properties": properties, "required": list(required)}


def check_schema(parameters: Any, what: str) -> None:
    """See that a JSON schema which a person wrote is one.

    Raises:
        ToolsetFailed: it is none.
    """
    # Heavy: see `Native._complaint`.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(parameters)
    except SchemaError as error:
        raise ToolsetFailed(f"{what}: this is no JSON schema: {error.message[:300]}") from None


def shown(text: str, most: int = SHOWN) -> str:
    """Text as a result may hold it: its beginning, and how much is left out."""
    if len(text) <= most:
        return text
    return f"{text[:most]}\n[... {len(text) - most} more characters left out ...]"


def string(description: str) -> dict[str, Any]:
    """A JSON schema of text."""
    return {"type": "string", "description": description}


def reads(title: str) -> Annotations:
    """What a tool that changes nothing says of itself."""
    return Annotations(title=title, read_only=True)


class Native:
    """A tool that is a function of ours."""

    def __init__(
        self,
        name: str,
        category: str,
        description: str,
        parameters: dict[str, Any],
        work: Work,
        *,
        annotations: Annotations,
        effect: Effect = "safe",
        output_schema: dict[str, Any] | None = None,
    ) -> None:
        self.definition = Definition(
            name, category, description, parameters, annotations, output_schema=output_schema, effect=effect
        )
        self._work = work

    async def run(self, arguments: dict[str, Any], use: Use) -> Result:
        """Check the arguments and do the work; what went wrong is a result, too."""
        given = {name: value for name, value in arguments.items() if value is not None}
        if complaint := self._complaint(given):
            return failed(f"Invalid arguments for {self.definition.name}: {complaint}")
        try:
            return _sendable(await self._work(given, use))
        except (Refused, RoostError) as refusal:
            return failed(str(refusal))
        except (OSError, UnicodeError) as error:
            return failed(f"{self.definition.name} failed: {error}")

    def _complaint(self, arguments: dict[str, Any]) -> str:
        # A quarter of the time that a server takes to start: loaded when the first call is checked.
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import best_match

        error = best_match(Draft202012Validator(self.definition.parameters or {}).iter_errors(arguments))
        if error is None:
            return ""
        place = ".".join(str(step) for step in error.absolute_path)
        message = error.message if len(error.message) <= 300 else error.message[:150] + " ... " + error.message[-150:]
        return f"{place}: {message}" if place else message


def _sendable(result: Result) -> Result:
    """The result with `?` for what is no text, as in names of files that are not UTF-8."""
    if result.output.isascii():
        return result
    return replace(result, output=result.output.encode(errors="replace").decode())


class Kit(Struct, frozen=True):
    """A toolset whose tools never change.

    `working` says whether work goes on between calls; `commands` are what its tools are to people who type;
    `prefix` is what all names begin with, and a person who names tools may leave out.
    """

    members: tuple[Tool, ...]
    instructions: str = ""
    working: Callable[[], bool] = bool
    commands: tuple[Command, ...] = ()
    prefix: str = ""

    @property
    def busy(self) -> bool:
        """Whether it must stay open."""
        return self.working()

    async def tools(self) -> Sequence[Tool]:
        """All of them."""
        return self.members

    async def say(self, name: str, rest: str) -> str:
        """The text of one of its commands, and what was said besides."""
        text = next((command.instruction for command in self.commands if command.name == name), "")
        return f"{text}\n\n{rest}".strip()


async def in_thread(work: Callable[[threading.Event], T]) -> T:
    """Do blocking work in a thread.  When it is cancelled the event is set, and the thread is waited for."""
    stop = threading.Event()

    async def watch() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            stop.set()

    def attempt() -> tuple[T | None, Exception | None]:
        try:
            return work(stop), None
        except Exception as error:  # carried out of the task group, which would wrap it
            return None, error

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch, name="cancellation of a thread's work")
        value, error = await to_thread.run_sync(attempt)
        tasks.cancel_scope.cancel()
    if error is not None:
        raise error
    return value  # type: ignore[return-value]  # there was no error, so this is a T
