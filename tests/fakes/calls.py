"""What a call may ask of the engine, played by a test; and a session to open toolsets in."""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from itertools import count
from pathlib import Path
from typing import Any

from roost.core.agents import ToolsetSpec
from roost.core.errors import NothingWaits
from roost.core.events import Answer
from roost.core.ids import CallId, SessionId
from roost.core.messages import Result
from roost.ports import Ask, Place, Tool, Toolset
from roost.tools.builtin import Builtin

_numbers = count(1)


class Using:
    """A call.  Its question gets the answer that the test gave it; what it shows is in `shown`."""

    def __init__(self, answer: Answer | None = None, *, hears: Callable[[str], None] = lambda text: None) -> None:
        self.call = CallId(f"call_{os.getpid()}_{next(_numbers)}")
        self.attempt = 1
        self.shown: list[str] = []
        self.asked: list[Ask] = []
        self._answer = answer
        self._hears = hears

    async def output(self, text: str) -> None:
        self.shown.append(text)
        self._hears(text)

    async def ask(self, question: Ask) -> Answer:
        self.asked.append(question)
        if self._answer is None:
            raise NothingWaits("nobody is there")
        return self._answer


class Session:
    """Opens toolsets as the engine does, and remembers the meta of their results."""

    def __init__(self, folder: Path, builtin: Builtin | None = None) -> None:
        self.folder = folder
        self.id = SessionId(f"session_{os.getpid()}_{next(_numbers)}")
        self.metas: dict[str, Mapping[str, Any]] = {}
        self.confined = False
        self.builtin = builtin or Builtin({**os.environ, "HOME": str(folder)})

    def open(
        self,
        type: str,
        *,
        agent: str = "root",
        session: str = "",
        root: str = "",
        folder: Path | None = None,
        **more: Any,
    ) -> AbstractAsyncContextManager[Toolset]:
        common = {name: more.pop(name) for name in ("tools", "instruction") if name in more}
        own, where = SessionId(session or self.id), str(folder or self.folder)
        place = Place(own, agent, where, self.metas.get, SessionId(root), confined=self.confined)
        return self.builtin.open(ToolsetSpec(type, options=more, **common), place)

    async def call(self, toolset: Toolset, name: str, /, using: Using | None = None, **arguments: Any) -> Result:
        """Run a tool, and write down what it returned."""
        tool = await find(toolset, name)
        result = await tool.run(arguments, using or Using())
        if result.meta is not None:
            self.metas[tool.definition.category] = result.meta
        return result


async def find(toolset: Toolset, name: str) -> Tool:
    """The tool of this name."""
    return next(tool for tool in await toolset.tools() if tool.definition.name == name)


async def names(toolset: Toolset) -> list[str]:
    """The names of its tools."""
    return [tool.definition.name for tool in await toolset.tools()]
