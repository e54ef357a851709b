"""The way to a tool server: start or reach it, agree on how to talk, and end it."""

import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread

from roost import __version__, process
from roost.core.errors import RoostError
from roost.ports import Place
from roost.tools.house import MCP, House
from roost.tools.mcp import gateway, http
from roost.tools.mcp.elicitation import Elicitation
from roost.tools.mcp.entry import Entry, Gateway, Program, Remote
from roost.tools.mcp.failures import LoginNeeded, Unreached, said, unsent
from roost.tools.mcp.peer import Ends, Peer
from roost.tools.mcp.sampling import Sampling
from roost.tools.mcp.stdio import talking
from roost.tools.tool import Refused

if TYPE_CHECKING:
    import httpx2
    from mcp import Client
    from mcp.client._transport import TransportStreams

OLD = frozenset({404, 405})  # what servers answer that only speak the older transport
FULL = frozenset({408, 429, 500, 502, 503, 504, 529})

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Manners:
    """How we answer what a server may ask."""

    elicitation: Elicitation
    sampling: Sampling | None


class Watched:
    """A transport whose end is told."""

    def __init__(self, inner: "AbstractAsyncContextManager[TransportStreams]", ends: Ends) -> None:
        self._inner = inner
        self._ends = ends

    async def __aenter__(self) -> "TransportStreams":
        read, write = await self._inner.__aenter__()
        return _Reading(read, self._ends), write

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> bool | None:
        return await self._inner.__aexit__(kind, error, at)


class _Reading:
    """A stream of messages; where it ends, so does the connection."""

    def __init__(self, inner: Any, ends: Ends) -> None:
        self._inner = inner
        self._ends = ends

    @property
    def last_context(self) -> Any:
        return getattr(self._inner, "last_context", None)

    async def receive(self) -> Any:
        return await self._inner.receive()

    async def aclose(self) -> None:
        await self._inner.aclose()

    def __aiter__(self) -> "_Reading":
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._inner.__anext__()
        except StopAsyncIteration:
            self._ends.end("it has closed the connection", clean=True)
            raise

    async def __aenter__(self) -> "_Reading":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> bool | None:
        await self._inner.aclose()
        return None


# -- connecting ---------------------------------------------------------------------------------


@asynccontextmanager
async def open_peer(
    entry: Entry, place: Place, house: House, manners: Manners, auth: "httpx2.Auth | None", mode: str
) -> AsyncIterator[Peer]:
    """Start or reach the server, and agree on how to talk.  Leaving the block ends it.

    Raises (on entering):
        LoginNeeded: it wants one.
        Unreached: it did not start, can't be reached, or speaks something else.
        ToolsetFailed: what it needs is not on this machine.
    """
    stack = AsyncExitStack()
    match entry.server:
        case Remote() as remote:
            peer = await _reach(stack, entry, remote, place, manners, auth, mode)
        case Program() | Gateway() as server:
            peer = await stack.enter_async_context(_started(entry, server, place, house, manners, mode))
    async with stack:
        yield peer


async def _reach(
    stack: AsyncExitStack,
    entry: Entry,
    remote: Remote,
    place: Place,
    manners: Manners,
    auth: "httpx2.Auth | None",
    mode: str,
) -> Peer:
    kinds = (remote.transport,) if remote.transport else ("streamable", "sse")
    for kind in kinds:
        seen = http.Seen()
        # Servers of the older transport are older than the newer way to begin.
        carried, how = (http.sse, "legacy") if kind == "sse" else (http.streamable, mode)
        try:
            streams = carried(remote, seen, auth)
            return await stack.enter_async_context(_agreed(entry, streams, seen, place, manners, how))
        except Exception as error:
            if seen.refused:
                raise LoginNeeded(seen.challenge) from error
            if kind == kinds[-1] or seen.status not in OLD:
                if isinstance(error, RoostError):
                    raise
                raise Unreached(said(error, seen), seen.retry_after if seen.status in FULL else 0.0) from error
    raise AssertionError


@asynccontextmanager
async def _started(
    entry: Entry, server: Program | Gateway, place: Place, house: House, manners: Manners, mode: str
) -> AsyncIterator[Peer]:
    """A server that is a program, in the session's sandbox where it has to be."""
    await house.sweep()
    async with AsyncExitStack() as stack:
        if isinstance(server, Gateway):
            docker = await gateway.there(server, house.home, confined=place.confined)
            server = stack.enter_context(gateway.program(server, docker, house.home / "mcp"))
        ends = Ends()
        try:
            peer = await stack.enter_async_context(
                _agreed(
                    entry, _running(entry, server, place, house, ends), http.Seen(), place, manners, mode, ends=ends
                )
            )
        except (Exception, Refused) as error:
            if isinstance(error, RoostError):
                raise
            raise Unreached(ends.why or said(error)) from error
        yield peer


@asynccontextmanager
async def _running(
    entry: Entry, server: Program, place: Place, house: House, ends: Ends
) -> "AsyncGenerator[TransportStreams, None]":
    if not await to_thread.run_sync(Path(server.cwd).is_dir):
        raise Unreached(f"its working directory does not exist: {server.cwd}")
    argv = (server.command, *server.args)
    async with house.cells.open(place, MCP, argv, cwd=server.cwd, env=server.env) as launch:
        mark = process.mark(place.session, f"{secrets.token_hex(8)}/{MCP}")
        async with talking(
            launch.argv, cwd=launch.cwd, env=launch.env, mark=mark, label=entry.label, ended=ends.end
        ) as streams:
            yield streams


@asynccontextmanager
async def _agreed(
    entry: Entry,
    streams: "AbstractAsyncContextManager[TransportStreams]",
    seen: http.Seen,
    place: Place,
    manners: Manners,
    mode: str,
    *,
    ends: Ends | None = None,
) -> AsyncIterator[Peer]:
    """The official client over a transport, with our answers to what a server may ask."""
    # Half a second to load, and most servers have no use for it: not at start.
    from mcp import Client, types

    ends = ends or Ends()
    peers: list[Peer] = []

    async def heard(message: Any) -> None:
        if isinstance(message, types.ToolListChangedNotification | types.PromptListChangedNotification):
            for peer in peers:
                peer.stale = True
        elif isinstance(message, types.ElicitCompleteNotification):
            await manners.elicitation.opened(message.params.elicitation_id)

    async def roots(context: Any) -> types.ListRootsResult:
        folder = Path(place.working_dir)
        return types.ListRootsResult.model_validate({"roots": [{"uri": folder.as_uri(), "name": folder.name}]})

    client = Client(
        Watched(streams, ends),
        mode=mode,
        elicitation_callback=manners.elicitation.ask,
        sampling_callback=manners.sampling.answer if manners.sampling else None,
        list_roots_callback=roots,
        message_handler=heard,
        client_info=types.Implementation(name="roost", version=__version__),
        cache=None,
    )
    try:
        async with client:
            peers.append(Peer(client, seen, ends))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_hear_changes, client, peers[0], name=f"changes of {entry.label}")
                yield peers[0]
                tasks.cancel_scope.cancel()
    except Exception as error:
        ends.unsent = unsent(error)
        ends.end(said(error, seen))
        raise


async def _hear_changes(client: "Client", peer: Peer) -> None:
    """Servers of the newer kind tell of changes only to those that listen; of the others we hear unasked."""
    from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
    from mcp.shared.exceptions import MCPError

    tools = client.server_capabilities.tools
    if not peer.modern or tools is None or not tools.list_changed:
        return
    try:
        async with client.listen(tools_list_changed=True) as changes:
            if not changes.honored.tools_list_changed:
                peer.told = False
                peer.stale = True
                return
            async for _ in changes:
                peer.stale = True
    except (MCPError, SubscriptionLost, ListenNotSupportedError, TimeoutError) as error:
        log.debug("changes are not told: %s", error)
    peer.told = False  # from now on the tools are asked for each time
    peer.stale = True
