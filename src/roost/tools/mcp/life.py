"""Keeps one tool server up for as long as its toolset is open: starts it when it is wanted, and again when it ends."""

import asyncio
import logging
import math
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import anyio

from roost.core.errors import ToolsetFailed
from roost.tools.mcp.failures import LoginNeeded, Unreached, said
from roost.tools.mcp.peer import Peer
from roost.tools.mcp.rules import Rules

PARTING = 8.0  # seconds that a connection has to end in
STEADY = 60.0  # seconds after which a server that ends has not failed again, but anew

Connect = Callable[[], AbstractAsyncContextManager[Peer]]

log = logging.getLogger(__name__)


class Life:
    """The life of one server.  Its task belongs to no scope, since it outlives the call that wants it first."""

    def __init__(self, label: str, connect: Connect, rules: Rules) -> None:
        self._label = label
        self._connect = connect
        self._rules = rules
        self._peer: Peer | None = None
        self._task: asyncio.Task[None] | None = None
        self._bell = anyio.Event()
        self._closed = False
        self._failures = 0  # in a row
        self._failure: Exception | None = None
        self._not_before = 0.0

    async def peer(self) -> Peer:
        """The server, ready.

        Raises:
            ToolsetFailed: it is not, and does not come to be within its time.
            LoginNeeded: it wants a login.
        """
        deadline = anyio.current_time() + self._rules.startup + 1.0
        while self._peer is None or self._peer.ends.over.is_set():
            self._peer = None
            if self._task is None or self._task.done():
                self._start()
            bell = self._bell
            with anyio.move_on_after(deadline - anyio.current_time()) as patience:
                await bell.wait()
            if self._peer is None and isinstance(self._failure, LoginNeeded):
                raise self._failure
            if self._peer is None and (patience.cancelled_caught or self._failure is not None):
                raise ToolsetFailed(self._why())
        return self._peer

    def _start(self) -> None:
        """Start it, unless it is too early for another try."""
        wait = self._not_before - anyio.current_time()
        tried = self._failure is not None and not isinstance(self._failure, LoginNeeded)
        if self._closed or (tried and (wait > 0 or not self._rules.again)):
            raise ToolsetFailed(self._why())
        self._failure = None
        self._task = asyncio.create_task(self._keep(), name=f"life of {self._label}")

    def _why(self) -> str:
        what = "is required and is" if self._rules.required else "is"
        why = self._failure or f"it was not ready within {self._rules.startup:g} s"
        return f"{self._label} {what} not available: {why}"

    def retry(self) -> None:
        """Whatever was in the way is gone: the next who wants it may try at once."""
        self._failure, self._not_before, self._failures = None, 0.0, 0

    def drop(self, peer: Peer, why: str) -> None:
        """Make a new connection in place of this one."""
        peer.ends.drop(why)
        if self._peer is peer:
            self._set(None)

    async def close(self) -> None:
        """End it, whatever it is at."""
        self._closed = True
        if self._peer is not None:
            self._peer.ends.drop("its session ends")
        elif self._task is not None:
            self._task.cancel()
        if self._task is None:
            return
        _, left = await asyncio.wait([self._task], timeout=PARTING)
        if left:
            self._task.cancel()
            await asyncio.wait([self._task])

    # -- the task -------------------------------------------------------------------------------

    def _set(self, peer: Peer | None) -> None:
        self._peer = peer
        bell, self._bell = self._bell, anyio.Event()
        bell.set()

    async def _keep(self) -> None:
        """Have it up, until it is not wanted any more, fails to start, or fails too often."""
        ever = False
        while not self._closed:
            began = anyio.current_time()
            peer, error = await self._once()
            ever = ever or peer is not None
            if self._closed or (peer is not None and peer.ends.wanted):
                continue
            if anyio.current_time() - began > STEADY:
                self._failures = 0
            self._failures += 1
            delay = self._rules.delay(self._failures)
            if isinstance(error, Unreached):
                delay = max(delay, error.retry_after)
            clean = peer is not None and peer.ends.clean
            wanted = ever and not isinstance(error, LoginNeeded | ToolsetFailed)
            if not wanted or not self._rules.restarts(clean=clean, failures=self._failures):
                self._give_up(error, 0.0 if clean else delay)
                return
            log.warning(
                "%s: %s; it is started again in %.3g s", self._label, error, delay, extra={"action": "mcp_restart"}
            )
            await anyio.sleep(delay)

    def _give_up(self, error: Exception, delay: float) -> None:
        log.warning("%s is not available: %s", self._label, error, extra={"action": "mcp_failed"})
        self._failure = error
        self._not_before = anyio.current_time() + delay
        self._set(None)

    async def _once(self) -> tuple[Peer | None, Exception]:
        """One connection, from its beginning to its end; the server, if it was ready, and what went wrong."""
        was: Peer | None = None
        error: Exception = Unreached(f"it was not ready within {self._rules.startup:g} s")
        with anyio.CancelScope(deadline=anyio.current_time() + self._rules.startup) as scope:
            try:
                async with self._connect() as peer:
                    scope.deadline = math.inf
                    was = peer
                    self._set(peer)
                    await peer.ends.over.wait()
                    self._set(None)
                error = Unreached(was.ends.why)
            except (LoginNeeded, Unreached, ToolsetFailed) as failed:
                error = failed
            except Exception as failed:
                error = Unreached(was.ends.why if was is not None and was.ends.why else said(failed))
            finally:
                if self._peer is was and was is not None:
                    self._set(None)
        return was, error
