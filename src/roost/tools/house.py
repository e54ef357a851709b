"""What the toolsets of one server share: the environment, locks on files, and what agents keep in memory."""

import os
import re
from collections.abc import AsyncIterator, Callable, Collection, Hashable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar
from weakref import WeakValueDictionary

import anyio
from anyio import to_thread

from roost import process
from roost.core.errors import ToolsetFailed
from roost.core.expressions import Failed, Scope, as_text, evaluate, parse
from roost.core.ids import CallId
from roost.ports import Models, Place
from roost.tools.cell import Cells
from roost.tools.mcp.lobby import Lobby
from roost.tools.mcp.vault import Vault

MCP = CallId("mcp")
"""What the programs of tool servers are marked with, in place of a call."""


class Board:
    """What the agents of one session keep in memory, by agent; it is found again in the meta of a result."""

    def __init__(self, found: Mapping[str, Any] | None) -> None:
        agents = (found or {}).get("agents")
        self._agents: dict[str, Any] = dict(agents) if isinstance(agents, dict) else {}

    def of(self, agent: str) -> Any:
        """What this agent has, or None."""
        return self._agents.get(agent)

    def put(self, agent: str, value: Any) -> dict[str, Any]:
        """Keep it, and get the meta with which all of the board is found again."""
        self._agents = {**self._agents, agent: value}
        return {"agents": self._agents}


class Closes(Protocol):
    """Something that has to be closed."""

    async def close(self) -> None:
        """Let go of it."""
        ...


C = TypeVar("C", bound=Closes)


class Shared:
    """What several sessions use together, kept while one of them has it."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[Any, int]] = {}

    @asynccontextmanager
    async def lease(self, key: Hashable, make: Callable[[], C]) -> AsyncIterator[C]:
        """What is kept under a key, made if it is not there; the last to leave closes it."""
        kept, users = self._kept.get(key) or (make(), 0)
        self._kept[key] = (kept, users + 1)
        try:
            yield kept
        finally:
            _, users = self._kept.pop(key)
            if users > 1:
                self._kept[key] = (kept, users - 1)
            else:
                with anyio.CancelScope(shield=True):
                    await kept.close()


class House:
    """One server's share of its toolsets.

    `home` is the server's own folder; `endpoints` are the `host:port` that confined sessions may reach.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        cells: Cells,
        home: Path,
        endpoints: Collection[str] = (),
        models: Models | None = None,
        *,
        redirect_uri: str = "",
    ) -> None:
        self.env = env
        self.cells = cells
        self.home = home
        self.endpoints = endpoints
        self.models = models
        self.shared = Shared()
        self.redirect_uri = redirect_uri  # where logins come back to
        self.lobby = Lobby()
        self.vault = Vault(home / "mcp-logins")
        self.locks: WeakValueDictionary[str, anyio.Lock] = WeakValueDictionary()
        self._boards: dict[tuple[str, str], tuple[Board, int]] = {}
        self._swept = False

    async def sweep(self) -> None:
        """End what is left of the tool servers of servers that are dead; once is enough."""
        if not self._swept:
            self._swept = True
            await to_thread.run_sync(process.sweep_lost, MCP)

    @contextmanager
    def board(self, category: str, place: Place, *, shared: bool = False) -> Iterator[Board]:
        """The board of a session, or with `shared` of its whole tree, kept while somebody has it open."""
        key = (category, (place.root if shared else "") or place.session)
        board, users = self._boards.get(key) or (Board(place.recall(category)), 0)
        self._boards[key] = (board, users + 1)
        try:
            yield board
        finally:
            board, users = self._boards.pop(key)
            if users > 1:
                self._boards[key] = (board, users - 1)

    def expand(self, text: str, what: str) -> str:
        """Text with `${env.NAME}` and its kin, `$NAME` and `${NAME}` replaced; what makes no sense stays as it is.

        Raises:
            ToolsetFailed: a variable that a shell would want is not set.
        """
        parts, position = [], 0
        while found := _PLACEHOLDER.search(text, position):
            value, end = self._value(text, found, what)
            parts += [text[position : found.start()], value]
            position = end
        return "".join(parts) + text[position:]

    def _value(self, text: str, found: re.Match[str], what: str) -> tuple[str, int]:
        if name := found["braced"] or found["plain"]:
            if name not in self.env:
                raise ToolsetFailed(f"{what}: the environment variable {name} is not set")
            return self.env[name], found.end()
        try:
            expression, end = parse(text, found.end())
            return as_text(evaluate(expression, Scope({"env": self.env}))), end
        except Failed:
            return found[0], found.end()


_PLACEHOLDER = re.compile(r"\$(?:\{(?P<braced>[A-Za-z_]\w*)\}|(?P<plain>[A-Za-z_]\w*)|\{)")


def shell_of(env: Mapping[str, str]) -> str:
    """The shell that runs commands: `SHELL` where that is a program, else /bin/sh."""
    wanted = env.get("SHELL", "")
    return wanted if Path(wanted).is_absolute() and os.access(wanted, os.X_OK) else "/bin/sh"
