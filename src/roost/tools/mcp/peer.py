"""A tool server that is connected: what can be asked of it, and what its refusals mean."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from roost.tools.mcp import http
from roost.tools.mcp.failures import Closed, LoginNeeded, Lost, Older, leaves
from roost.tools.mcp.talk import Allowance

if TYPE_CHECKING:
    from mcp import Client, types
    from mcp.shared.exceptions import MCPError

PAGES = 100  # of one list
NO_WAY_BACK = "no back-channel for server-initiated requests"  # of a tool written for the older protocol

T = TypeVar("T")


class Peer:
    """One connection.  Made by `open_peer`."""

    def __init__(self, client: "Client", seen: http.Seen, ends: "Ends") -> None:
        from mcp.types.version import MODERN_PROTOCOL_VERSIONS

        self._client = client
        self._seen = seen
        self.ends = ends
        self.modern = client.protocol_version in MODERN_PROTOCOL_VERSIONS
        self.stale = True  # whether the tools have to be asked for
        self.told = True  # whether the server tells when they change

    @property
    def instructions(self) -> str:
        """What the server says about its use."""
        return self._client.instructions or ""

    async def tools(self) -> "Sequence[types.Tool]":
        """All its tools."""
        if self._client.server_capabilities.tools is None:
            return ()
        self.stale = not self.told
        found: list[types.Tool] = []
        cursor: str | None = None
        for _ in range(PAGES):
            page = await self._asked(self._client.list_tools(cursor=cursor))
            found += page.tools
            cursor = page.next_cursor
            if not cursor:
                break
        return found

    async def prompts(self) -> "Sequence[types.Prompt]":
        """All its prompts."""
        if self._client.server_capabilities.prompts is None:
            return ()
        found: list[types.Prompt] = []
        cursor: str | None = None
        for _ in range(PAGES):
            page = await self._asked(self._client.list_prompts(cursor=cursor))
            found += page.prompts
            cursor = page.next_cursor
            if not cursor:
                break
        return found

    async def prompt(self, name: str, arguments: Mapping[str, str]) -> "types.GetPromptResult":
        """One of them, filled."""
        return await self._asked(self._client.get_prompt(name, dict(arguments)))

    async def call(self, name: str, arguments: dict[str, Any], allowance: Allowance) -> "types.CallToolResult":
        """Call a tool.  Cancelling it tells the server.

        Raises:
            Lost: it was not carried out, and may be tried again on a new connection.
            LoginNeeded: it was not carried out.
            Closed: the connection ended; nobody knows what became of it.
            Older: the tool can't ask in the newer protocol.
            MCPError: the server refused.
        """

        async def progress(progress: float, total: float | None, message: str | None) -> None:
            allowance.renew()

        returned = await self._asked(self._client.call_tool(name, arguments, progress_callback=progress))
        if self.modern and returned.is_error:
            for part in returned.content:
                if part.type == "text" and NO_WAY_BACK in part.text:
                    raise Older(part.text)
        return returned

    async def _asked(self, asking: Awaitable[T]) -> T:
        from mcp.shared.exceptions import MCPError

        try:
            returned = await asking
        except MCPError as error:
            raise await self._meaning(error) from error
        except BaseExceptionGroup as group:  # of the rounds in which a server asked something
            raise next(leaves(group)) from group
        return returned

    async def _meaning(self, error: "MCPError") -> Exception:
        from mcp import types

        if self._seen.refused:
            self._seen.refused = False
            return LoginNeeded(self._seen.challenge)
        if self._seen.lost and (self._seen.status == 404 or "session" in error.message.lower()):
            return Lost(error.message)
        if error.code == types.CONNECTION_CLOSED:
            with anyio.move_on_after(1.0):
                await self.ends.over.wait()
            return Lost(self.ends.why) if self.ends.unsent else Closed(self.ends.why or error.message)
        if self.modern and NO_WAY_BACK in error.message:
            return Older(error.message)
        return error


class Ends:
    """How a connection ended: the first reason stands."""

    def __init__(self) -> None:
        self.over = anyio.Event()
        self.why = ""
        self.clean = False
        self.wanted = False  # by us
        self.unsent = False  # what was under way did not reach the server

    def end(self, why: str, clean: bool = False) -> None:
        """It ended."""
        if not self.over.is_set():
            self.why, self.clean = why, clean
            self.over.set()

    def drop(self, why: str) -> None:
        """We end it, to make another one."""
        if not self.over.is_set():
            self.wanted = True
            self.end(why, clean=True)
