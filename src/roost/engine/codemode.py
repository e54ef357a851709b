"""Code mode: one tool that runs JavaScript, in which an agent's tools are functions."""

import json
import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from roost.core.events import Answer
from roost.core.ids import CallId
from roost.core.messages import Annotations, Definition, Result, ToolCall
from roost.engine.signatures import identifiers, signature
from roost.ports import Ask, Finished, ModelRequest, Office, Provider, Scripts, Task, Tool, Use

NAME: Final = "run_tools_with_javascript"
CATEGORY: Final = "code_mode"
BESIDE_CATEGORIES: Final = frozenset(
    {
        "todo",
        "deferred",
        "structured_output",
        "user_prompt",
        "skills",
        "model_picker",
        "transfer_task",
        "handoff",
        "background_agents",
    }
)
BESIDE: Final = frozenset(
    {
        "transfer_task",
        "handoff",
        "run_background_agent",
        "wait_background_agents",
        "run_skill",
        "read_skill",
        "read_skill_file",
        "user_prompt",
        "change_model",
        "revert_model",
        "search_tool",
        "add_tool",
        "exit_plan_mode",
    }
)
"""Tools that are offered beside the script: they change who speaks and with what, or wait for somebody."""

Work = Callable[[dict[str, Any]], Awaitable[Result]]
"""A tool, run with these arguments."""

Check = Callable[[ToolCall, Definition, Work], Awaitable[Result]]
"""Asked to do each call that a script makes: under the rules for calls, or it says why it may not run."""

_ABOUT = """\
Run a script in JavaScript that calls tools, and get back what it returns. Use it for whatever takes tools: \
several calls, loops, and working on their results go into one script.

- The tools below are functions. They are synchronous, take one object and return what their signature says; \
a call that fails throws an Error.
- End with `return`: its value is what you get, as `value`. `console.log` shows up as `stdout`.
- Write out the names of the tools that you call. There is nothing else: no files, no network, no modules, no timers.

"""


def wrapped(tools: Sequence[Tool], scripts: Scripts, check: Check) -> list[Tool]:
    """What an agent in code mode is offered: the script's tool, then those that no script may call."""
    inside = [tool for tool in tools if not beside(tool.definition)]
    outside = [tool for tool in tools if beside(tool.definition)]
    return [CodeMode(inside, scripts, check), *outside] if inside else outside


def beside(definition: Definition) -> bool:
    """Whether a tool is none for scripts."""
    return definition.category in BESIDE_CATEGORIES or definition.name in BESIDE


def mentioned(script: str, names: Collection[str]) -> tuple[str, ...]:
    """Those of the tools whose names stand in a script, wherever that is.

    All that a script can call is among them: a call of any other tool is refused.
    """
    found = set(re.findall(r"[\w$]+", script))
    return tuple(name for name, identifier in identifiers(names).items() if identifier in found)


class CodeMode:
    """The one tool of code mode (`ports.Tool`)."""

    def __init__(self, tools: Sequence[Tool], scripts: Scripts, check: Check) -> None:
        self._tools = {tool.definition.name: tool for tool in tools}
        self._scripts = scripts
        self._check = check
        named = identifiers(self._tools)
        listed = "\n".join(signature(tool.definition, named[name]) for name, tool in self._tools.items())
        self.definition = Definition(
            NAME,
            CATEGORY,
            f"{_ABOUT}```typescript\n{listed}\n```",
            {
                "type": "object",
                "properties": {"script": {"type": "string", "description": "The JavaScript to run"}},
                "required": ["script"],
            },
            Annotations(title="Run tools with JavaScript"),
            effect="safe" if all(tool.definition.effect == "safe" for tool in tools) else "ask",
        )

    def mentions(self, arguments: dict[str, Any]) -> tuple[str, ...]:
        """The tools that a call of this one may call: what a person is shown who has to approve it."""
        script = arguments.get("script")
        return mentioned(script, self._tools) if isinstance(script, str) else ()

    def named(self, arguments: str) -> tuple[str, ...]:
        """The same, of arguments as a model writes them."""
        try:
            given = json.loads(arguments or "{}")
        except (ValueError, RecursionError):
            return ()
        return self.mentions(given) if isinstance(given, dict) else ()

    def reads(self, arguments: str) -> bool:
        """Whether all that a script may call only reads."""
        named = self.named(arguments)
        return bool(named) and all(self._tools[name].definition.annotations.read_only for name in named)

    async def run(self, arguments: dict[str, Any], use: Use) -> Result:
        """Run the script; each call in it is checked, and only tools that are mentioned run."""
        script = arguments.get("script")
        if not isinstance(script, str) or not script.strip():
            return Result(f"Invalid arguments for {NAME}: script must be a text", is_error=True)
        named = identifiers(self._tools)
        allowed = self.mentions(arguments)
        calls = _Calls(use, self._check)
        functions = [_Function(tool, named[name], calls, name in allowed) for name, tool in self._tools.items()]
        return await self._scripts.run(script, functions)


class _Calls:
    """The calls of one script: they are told apart by their number."""

    def __init__(self, use: Use, check: Check) -> None:
        self.use = use
        self.check = check
        self._count = 0

    def next(self, name: str, arguments: dict[str, Any]) -> ToolCall:
        self._count += 1
        text = json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
        return ToolCall(CallId(f"{self.use.call}.{self._count}"), name, text)


class _Function:
    """A tool as a script sees it (`ports.Wrapped`)."""

    def __init__(self, tool: Tool, identifier: str, calls: _Calls, allowed: bool) -> None:
        given = tool.definition
        self.definition = Definition(
            identifier,
            given.category,
            given.description,
            given.parameters,
            given.annotations,
            given.output_schema,
            given.effect,
        )
        self._tool = tool
        self._calls = calls
        self._allowed = allowed

    async def call(self, arguments: dict[str, Any]) -> Result:
        """Run it, if it may."""
        name = self._tool.definition.name
        if not self._allowed:
            return Result(f"Tool {name!r} is not named in the script, so nobody could permit it.", is_error=True)
        call = self._calls.next(name, arguments)

        async def work(given: dict[str, Any]) -> Result:
            await self._calls.use.output(f"{name}({_brief(call.arguments)})\n")
            try:
                return await self._tool.run(given, _Inner(self._calls.use, call.id))
            except Exception as error:
                return Result(f"Error calling tool: {error or type(error).__name__}", is_error=True)

        return await self._calls.check(call, self._tool.definition, work)


def _brief(text: str) -> str:
    return text if len(text) <= 200 else text[:200] + " ..."


class _Inner:
    """What a tool in a script may ask of the engine: all that its script may, but for who has the conversation."""

    def __init__(self, use: Use, call: CallId) -> None:
        self._use = use
        self._call = call

    @property
    def call(self) -> CallId:
        return self._call

    @property
    def attempt(self) -> int:
        return self._use.attempt

    async def output(self, text: str) -> None:
        await self._use.output(text)

    async def ask(self, question: Ask) -> Answer:
        return await self._use.ask(question)

    async def delegate(self, task: Task) -> Result:
        return Result("No task can be given away from inside a script.", is_error=True)

    async def hand_over(self, agent: str) -> None:
        await self._use.hand_over(agent)

    async def choose_model(self, ref: str) -> None:
        await self._use.choose_model(ref)

    def spending(
        self, provider: Provider, request: ModelRequest
    ) -> AbstractAsyncContextManager[Callable[[Finished], None]]:
        return self._use.spending(provider, request)

    def office(self) -> Office:
        return self._use.office()
