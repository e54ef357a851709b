"""What a call may ask of the engine, played by a test; and a session to open toolsets in."""

import os
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import anyio
from msgspec.structs import replace

from roost.core.agents import Team, ToolsetSpec
from roost.core.errors import AgentNotFound, BadModel, BudgetExceeded, NothingWaits, SessionNotFound, TooManySessions
from roost.core.events import Answer, Fact
from roost.core.ids import CallId, Micros, SessionId
from roost.core.messages import Message, Result
from roost.ports import Ask, Errant, Finished, Listing, ModelRequest, Place, Provider, Task, Tool, Toolset
from roost.tools.builtin import Builtin

_numbers = count(1)


class Using:
    """A call.  Its question gets the answer that the test gave it; what it shows is in `shown`."""

    def __init__(self, answer: Answer | None = None, *, hears: Callable[[str], None] = lambda text: None) -> None:
        self.call = CallId(f"call_{os.getpid()}_{next(_numbers)}")
        self.attempt = 1
        self.shown: list[str] = []
        self.asked: list[Ask] = []
        self.delegated: list[Task] = []
        self.handed: list[str] = []
        self.strangers: set[str] = set()
        self.models: list[str] = []
        self.spent: list[Finished] = []
        self.poor = False
        self.desk = Desk()
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

    async def delegate(self, task: Task) -> Result:
        self.delegated.append(task)
        return Result(f"{task.agent} is done")

    async def hand_over(self, agent: str) -> None:
        if agent in self.strangers:
            raise AgentNotFound(agent)
        self.handed.append(agent)

    async def choose_model(self, ref: str) -> None:
        if ref.startswith("bad"):
            raise BadModel(f"no model {ref}")
        self.models.append(ref)

    @asynccontextmanager
    async def spending(self, provider: Provider, request: ModelRequest) -> AsyncIterator[Callable[[Finished], None]]:
        if self.poor:
            raise BudgetExceeded("the budget is used up")
        yield self.spent.append

    def office(self) -> "Desk":
        return self.desk


class Desk:
    """The other sessions: those that were started run until the test ends them."""

    def __init__(self) -> None:
        self.rows: dict[SessionId, Errant] = {}
        self.tasks: list[Task] = []
        self.listed: list[Listing] = []
        self.said: dict[SessionId, list[Message]] = {}
        self.bell = anyio.Event()

    async def start(self, task: Task) -> SessionId:
        if len(self.rows) >= 20:
            raise TooManySessions(20)
        self.tasks.append(task)
        session = SessionId(f"11111111-0000-4000-8000-{len(self.rows):012}")
        self.rows[session] = Errant(session, task.agent, "running", Micros(1_000_000))
        return session

    def end(self, session: SessionId, status: str, output: str) -> None:
        self.rows[session] = replace(
            self.rows[session], status=status, output=output, ended_at=Micros(self.rows[session].started_at + 2_500_000)
        )
        self.bell.set()
        self.bell = anyio.Event()

    async def errants(self) -> Sequence[Errant]:
        return list(self.rows.values())

    async def wait(self, sessions: Collection[SessionId], timeout: float) -> Sequence[Errant]:
        with anyio.move_on_after(timeout):
            while any(self.rows[session].status == "running" for session in sessions):
                await self.bell.wait()
        return [self.rows[session] for session in sessions]

    async def stop(self, session: SessionId) -> None:
        if session not in self.rows:
            raise SessionNotFound(session)
        self.end(session, "stopped", self.rows[session].output)

    async def listing(self) -> Sequence[Listing]:
        return self.listed

    async def messages(self, session: SessionId) -> Sequence[Message]:
        if session not in self.said:
            raise SessionNotFound(session)
        return self.said[session]


class Session:
    """Opens toolsets as the engine does, and remembers the meta of their results."""

    def __init__(self, folder: Path, builtin: Builtin | None = None) -> None:
        self.folder = folder
        self.id = SessionId(f"session_{os.getpid()}_{next(_numbers)}")
        self.metas: dict[str, Mapping[str, Any]] = {}
        self.confined = False
        self.team: Team | None = None
        self.owner = ""
        self.headers: Mapping[str, str] = {}
        self.told: list[Fact] = []
        self.home = folder.parent / f"{folder.name}.roost"
        self.builtin = builtin or Builtin({**os.environ, "HOME": str(folder)}, state=self.home)

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
        place = Place(
            own,
            agent,
            where,
            self.metas.get,
            SessionId(root),
            confined=self.confined,
            team=self.team,
            owner=self.owner,
            tell=self._tell,
            headers=self.headers,
        )
        return self.builtin.open(ToolsetSpec(type, options=more, **common), place)

    async def _tell(self, fact: Fact) -> None:
        self.told.append(fact)

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
