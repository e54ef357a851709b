"""The toolset of one server: its tools as they are now, calls, prompts."""

import importlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from anyio import to_thread

from roost.core.agents import ToolsetSpec
from roost.core.errors import ToolsetFailed
from roost.core.events import Command
from roost.core.messages import Definition, Result
from roost.ports import Ask, Place, Tool, Toolset, Use
from roost.tools.house import House
from roost.tools.mcp import entry as entries
from roost.tools.mcp import prompts
from roost.tools.mcp.connect import Manners, open_peer
from roost.tools.mcp.definitions import definitions
from roost.tools.mcp.elicitation import Elicitation
from roost.tools.mcp.entry import Entry, Remote
from roost.tools.mcp.failures import Closed, LoginNeeded, Lost, Older, Unreached, leaves, said
from roost.tools.mcp.life import Life
from roost.tools.mcp.login import Login
from roost.tools.mcp.peer import Peer
from roost.tools.mcp.prompts import Prompt
from roost.tools.mcp.results import clipped, prompt_text, result
from roost.tools.mcp.sampling import Sampling
from roost.tools.mcp.talk import Talk, Talks
from roost.tools.tool import failed

if TYPE_CHECKING:
    from mcp import types

ORIGINAL = "{ORIGINAL_INSTRUCTIONS}"
GUIDANCE = 16 * 1024  # bytes of what a server says about its use
ROUNDS = 3  # times that a call is begun anew because addresses were to be opened first

T = TypeVar("T")

log = logging.getLogger(__name__)


@asynccontextmanager
async def open_mcp(spec: ToolsetSpec, place: Place, house: House) -> AsyncIterator[Toolset]:
    """A toolset whose server is started once its tools are asked for; leaving the block ends it."""
    toolset = McpToolset(spec, place, house)
    try:
        yield toolset
    finally:
        with anyio.CancelScope(shield=True):
            await toolset.close()


class McpToolset:
    """One server, for one session and agent."""

    def __init__(self, spec: ToolsetSpec, place: Place, house: House) -> None:
        self._spec = spec
        self._place = place
        self._house = house
        self.label = entries.label_of(spec)
        self._rules = entries.rules_of(spec)
        self._life = Life(self.label, self._connect, self._rules)
        self._talks = Talks(place.ask)
        self._login: Login | None = None
        self._entry: Entry | None = None
        self._legacy = False  # it has to be talked with in the older way
        self._known: dict[str, Definition] = {}
        self._prompts: dict[str, Prompt] = {}
        self._listed: Peer | None = None
        self._listing = anyio.Lock()
        self._guidance = ""

    # -- what the engine asks -------------------------------------------------------------------

    @property
    def instructions(self) -> str:
        """What the server says about its use, once it is there, or what the agent file says in its place."""
        told = self._spec.instruction
        return told.replace(ORIGINAL, self._guidance, 1) if told else self._guidance

    @property
    def busy(self) -> bool:
        """A server that nobody calls has nothing to do."""
        return False

    async def tools(self) -> Sequence[Tool]:
        """The server's tools as they are now; it is started for that.

        Raises:
            ToolsetFailed: it is not there.  The next time it is tried again, though not at once.
        """
        if self._listed is None:
            # A second of work, which must not hold up everybody else, nor count as the server's time to start.
            await to_thread.run_sync(importlib.import_module, "mcp.client")
        peer = await self._peer()
        async with self._listing:
            if peer is not self._listed or peer.stale:
                await self._told(self._list)
        return [RemoteTool(self, name, definition) for name, definition in self._known.items()]

    @property
    def commands(self) -> Sequence[Command]:
        """Its prompts, as people say them, once it is there."""
        return prompts.commands(self._prompts)

    async def say(self, name: str, rest: str) -> str:
        """The text of a prompt; one without arguments takes what was said besides behind it.

        Raises:
            BadValue: an argument is missing.
            ToolsetFailed: it is not there, or refuses.
        """
        prompt = self._prompts.get(name)
        if prompt is None:
            raise ToolsetFailed(f"{self.label} has no such prompt any more")
        arguments = prompts.filled(name, prompt, rest)
        text = prompt_text(await self._told(lambda peer: peer.prompt(prompt.name, arguments)))
        return text if prompt.arguments or not rest else f"{text}\n\n{rest}"

    async def close(self) -> None:
        """End the server."""
        await self._life.close()

    # -- the server -----------------------------------------------------------------------------

    def _connect(self) -> AbstractAsyncContextManager[Peer]:
        """A connection by what the agent file, the environment and `mcp.toml` say now."""
        entry = self._entry = entries.read(self._spec, self._place, self._house)
        auth = None
        if isinstance(entry.server, Remote):
            self._login = self._login_at(entry, entry.server)
            auth = self._login.auth()
        lock = self._house.locks.setdefault(f"questions of {self._place.session}", anyio.Lock())
        mode = "legacy" if self._legacy else entry.protocol
        manners = Manners(Elicitation(self._talks, lock, self.label), self._sampling(entry))
        return open_peer(entry, self._place, self._house, manners, auth, mode)

    def _login_at(self, entry: Entry, remote: Remote) -> Login:
        if self._login is not None and self._login.url == remote.url:
            return self._login
        house = self._house
        return Login(entry, remote, self._place, house.vault, house.lobby, house.redirect_uri)

    def _sampling(self, entry: Entry) -> Sampling | None:
        if entry.sampling == "deny" or self._house.models is None or self._place.team is None:
            return None
        return Sampling(self._house.models, self._place, self._talks, self.label, entry.sampling)

    async def _peer(self) -> Peer:
        """The server, logged in where it wants that."""
        try:
            return await self._life.peer()
        except LoginNeeded as needed:
            await self._log_in(needed)
        try:
            return await self._life.peer()
        except LoginNeeded:
            raise ToolsetFailed(f"{self.label} does not take the login that it was given") from None

    async def _log_in(self, needed: LoginNeeded) -> None:
        if self._login is None:
            raise ToolsetFailed(f"{self.label} wants a login that is not known here")
        await self._login.perform(needed.challenge)
        self._life.retry()

    async def _mend(self, peer: Peer, error: Exception) -> None:
        """Do what helps where a server did not take a request."""
        if isinstance(error, LoginNeeded):
            await self._log_in(error)
        elif isinstance(error, Lost):
            self._life.drop(peer, f"its session was lost: {error}")

    async def _list(self, peer: Peer) -> None:
        entry = self._entry
        assert entry is not None
        listed = await peer.tools()
        self._known = definitions(
            listed, prefix=self._spec.name, hints=entry.hints, only=self._spec.tools, label=self.label
        )
        if self._spec.options.get("readonly"):
            self._known = {name: d for name, d in self._known.items() if d.annotations.read_only}
        self._prompts = prompts.named(await self._offers(peer), self._spec.name)
        self._listed = peer
        self._guidance = clipped(peer.instructions, GUIDANCE)

    async def _offers(self, peer: Peer) -> Sequence[Prompt]:
        """What it offers to say; a server that can't tell has tools all the same."""
        from mcp.shared.exceptions import MCPError

        try:
            return prompts.read(await peer.prompts())
        except MCPError as error:
            log.warning("%s: no prompts: %s", self.label, said(error), extra={"action": "mcp_prompts_failed"})
            return ()

    async def _told(self, ask: Callable[[Peer], Awaitable[T]]) -> T:
        """What the server answers to a small question, within the time that it has to start."""
        for last in (False, True):
            peer = await self._peer()
            try:
                with anyio.fail_after(self._rules.startup):
                    return await ask(peer)
            except TimeoutError:
                raise ToolsetFailed(f"{self.label} does not answer within {self._rules.startup:g} s") from None
            except (Lost, LoginNeeded, Closed) as error:
                if last:
                    raise ToolsetFailed(f"{self.label}: {error}") from None
                await self._mend(peer, error)
            except Exception as error:
                raise ToolsetFailed(f"{self.label}: {said(error)}") from error
        raise AssertionError

    # -- calls ----------------------------------------------------------------------------------

    async def call(self, name: str, arguments: dict[str, Any], use: Use) -> Result:
        """Call a tool; once more where the server did not take the call, and once more would help."""
        tried: set[str] = set()
        while True:
            peer = await self._peer()
            try:
                returned = await self._talked(peer, name, arguments, use)
            except (Lost, LoginNeeded) as error:
                if type(error).__name__ in tried:
                    return failed(f"{self.label} did not take the call: {error}")
                tried.add(type(error).__name__)
                await self._mend(peer, error)
                continue
            except Closed as error:
                return failed(f"{self.label} ended in the middle of this call, whose outcome is not known: {error}")
            except Older as error:
                if not self._legacy and not await self._older_way(peer):
                    return failed(f"{self.label}: {error}")
                continue
            return result(returned)

    async def _older_way(self, peer: Peer) -> bool:
        """Make the connection anew in the older protocol; False where the server does not speak it."""
        self._legacy = True
        self._life.drop(peer, "it has to ask in the older way")
        try:
            await self._peer()
        except ToolsetFailed:
            self._legacy = False
            self._life.retry()
            return False
        return True

    async def _talked(self, peer: Peer, name: str, arguments: dict[str, Any], use: Use) -> "types.CallToolResult":
        from mcp import types
        from mcp.shared.exceptions import MCPError

        with self._talks.open(Talk(use, self._rules.call)) as talk:
            for _ in range(ROUNDS):
                try:
                    return await self._within(peer, name, arguments, talk)
                except MCPError as error:
                    if error.code != types.URL_ELICITATION_REQUIRED or not await self._opened(error, use, talk):
                        raise
            raise Unreached("it wants addresses opened again and again")

    async def _within(self, peer: Peer, name: str, arguments: dict[str, Any], talk: Talk) -> "types.CallToolResult":
        """One request, during which the server may ask, within the time that a call has."""
        try:
            with talk.allowance.begin():
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(talk.serve, name=f"questions of {self.label}")
                    returned = await peer.call(name, arguments, talk.allowance)
                    tasks.cancel_scope.cancel()
                return returned
        except BaseExceptionGroup as group:
            raise next(leaves(group)) from None
        raise Unreached(f"it has not answered within {talk.allowance.seconds:g} s; the call was cancelled")

    async def _opened(self, error: Any, use: Use, talk: Talk) -> bool:
        """Have a person open the addresses without which the server does not go on."""
        from mcp.shared.exceptions import UrlElicitationRequiredError

        for wanted in UrlElicitationRequiredError.from_error(error.error).elicitations:
            identity = wanted.elicitation_id or ""
            talk.urls.add(identity)
            with talk.allowance.paused():
                question = Ask(
                    clipped(wanted.message, 16 * 1024), mode="url", url=wanted.url, server_id=identity, durable=False
                )
                if (await use.ask(question)).action != "accept":
                    return False
        return True


class RemoteTool:
    """A tool of a server."""

    def __init__(self, toolset: McpToolset, name: str, definition: Definition) -> None:
        self.definition = definition
        self._toolset = toolset
        self._name = name  # as the server knows it

    async def run(self, arguments: dict[str, Any], use: Use) -> Result:
        """Call it; what went wrong is a result, too.  A call that is cancelled is cancelled at the server."""
        from mcp.shared.exceptions import MCPError

        given = {name: value for name, value in arguments.items() if value is not None}
        try:
            return await self._toolset.call(self._name, given, use)
        except ToolsetFailed as error:
            return failed(str(error))
        except (MCPError, Unreached, RuntimeError, ValueError) as error:
            return failed(f"{self._toolset.label}: {said(error)}")
