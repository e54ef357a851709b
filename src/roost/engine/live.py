"""A session that has a runtime on this server: what outlives its turns."""

import logging
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskStatus

from roost.core.history import History
from roost.core.ids import LogId
from roost.engine import runtime as rt
from roost.engine.bulkhead import Bulkhead
from roost.engine.stage import Stage

log = logging.getLogger(__name__)

CLOSING = 5.0  # seconds that toolsets get to close


@dataclass(slots=True, eq=False)
class Live:
    """The history, the runtime, and the turn that is played now.  A runtime has a task of its own."""

    log: LogId
    history: History
    stage: Stage | None = None
    runtime: rt.Runtime | None = None
    idle_since: float = 0.0
    _close: anyio.Event = field(default_factory=anyio.Event)
    _closed: anyio.Event = field(default_factory=anyio.Event)

    async def prepare(self, stage: Stage, bulkhead: Bulkhead) -> rt.Runtime:
        """The runtime for a turn: the one that is there where it fits, else a new one.

        Raises:
            RoostError: the agent or its model can't be used.
        """
        makers, turn, head = stage.makers, stage.turn, stage.journal.head
        team = await makers.agents.team(turn.source, turn.source_hash)
        if self.runtime is None or self.runtime.key != rt.key(head, turn, team):
            await self.close()
            events = await makers.store.messages(self.log)
            self._close, self._closed = anyio.Event(), anyio.Event()
            opening = rt.open_runtime(makers, head, turn, team, events)
            self.runtime = await bulkhead.tasks.start(self._host, opening, name=f"toolsets of {self.log}")
        return self.runtime

    async def close(self) -> None:
        """Close the toolsets, and wait for that a little while."""
        if self.runtime is not None:
            self.runtime = None
            self._close.set()
            with anyio.move_on_after(CLOSING):
                await self._closed.wait()

    async def _host(self, opening: rt.Opening, *, task_status: TaskStatus[rt.Runtime]) -> None:
        """Holds a runtime open in a task of its own, since it outlives turns."""
        close, closed, runtime = self._close, self._closed, None
        try:
            async with opening as runtime:
                task_status.started(runtime)
                await close.wait()
        except Exception:
            if runtime is None:
                raise  # to whoever wanted the runtime
            log.exception("the toolsets of %s failed", self.log, extra={"action": "toolsets_failed"})
        finally:
            closed.set()
            if self.runtime is runtime:
                self.runtime = None
