"""A session that has a runtime on this server: what outlives its turns."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskStatus
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from roost.core import events as e
from roost.core.errors import NothingWaits, RoostError
from roost.core.history import History
from roost.core.ids import LogId, WaitId
from roost.core.session import Turn
from roost.engine import runtime as rt
from roost.engine.asked import put
from roost.engine.bulkhead import Bulkhead
from roost.engine.chain import Sticky
from roost.engine.ear import Park
from roost.engine.stage import Stage
from roost.ports import Ask

log = logging.getLogger(__name__)

CLOSING = 5.0  # seconds that toolsets get to close

Wishes = tuple[MemoryObjectSendStream[anyio.Event], MemoryObjectReceiveStream[anyio.Event]]


@dataclass(slots=True, eq=False)
class Hosted:
    """A runtime, and the task that holds it open."""

    headers: Mapping[str, str]  # those that its toolsets name
    closed: anyio.Event = field(default_factory=anyio.Event)
    runtime: rt.Runtime | None = None
    _wishes: Wishes = field(default_factory=lambda: anyio.create_memory_object_stream[anyio.Event](1))

    def fits(self, key: tuple[str, ...], headers: Mapping[str, str]) -> bool:
        """Whether the runtime is there, and the one that would be built now."""
        return self.runtime is not None and self.runtime.key == key and self.headers == headers

    async def mend(self) -> None:
        """Try the toolsets again that could not be opened, in the task that holds the others."""
        done = anyio.Event()
        await self._wishes[0].send(done)
        await done.wait()

    def close(self) -> None:
        """Let go of it."""
        self._wishes[0].close()

    async def hold(self, runtime: rt.Runtime) -> None:
        """Hold it open until it is closed."""
        async for done in self._wishes[1]:
            try:
                await runtime.toolbox.open()
            finally:
                done.set()

    def over(self) -> None:
        """It is closed."""
        self.close()
        self._wishes[1].close()
        self.runtime = None
        self.closed.set()


@dataclass(slots=True, eq=False)
class Live:
    """The history, the runtimes of the agents that have worked in it, and the turn that is played now."""

    log: LogId
    history: History
    stage: Stage | None = None
    idle_since: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)  # of the request that opened the turn
    sticky: Sticky = field(default_factory=Sticky)
    _hosted: dict[str, Hosted] = field(default_factory=dict)  # by agent

    @property
    def busy(self) -> bool:
        """Whether work goes on between turns."""
        return any(hosted.runtime is not None and hosted.runtime.busy for hosted in self._hosted.values())

    @property
    def runtime(self) -> rt.Runtime | None:
        """One of its runtimes, where there is any."""
        return next((hosted.runtime for hosted in self._hosted.values() if hosted.runtime is not None), None)

    async def prepare(self, stage: Stage, bulkhead: Bulkhead) -> rt.Runtime:
        """The runtime for a turn: the one that is there where it fits, else a new one.

        Raises:
            RoostError: the agent or its model can't be used.
        """
        makers, turn, head = stage.makers, stage.turn, stage.journal.head
        team = await makers.agents.team(turn.source, turn.source_hash)
        named, hosted = rt.named(team.agent(turn.agent), self.headers), self._hosted.get(turn.agent)
        if hosted is not None and hosted.fits(rt.key(head, turn, team), named):
            return await self._again(hosted, makers, turn)
        if hosted is not None:
            await self._close(turn.agent)
        events = await makers.store.messages(self.log)
        hosted = self._hosted[turn.agent] = Hosted(named)
        touch = rt.Touch(self.ask, self.tell, self.headers)
        opening = rt.open_runtime(makers, self.log, head, turn, team, events, touch)
        try:
            await bulkhead.tasks.start(self._host, hosted, opening, name=f"toolsets of {self.log}")
        finally:
            if hosted.runtime is None and self._hosted.get(turn.agent) is hosted:
                del self._hosted[turn.agent]
        assert hosted.runtime is not None
        return hosted.runtime

    async def _again(self, hosted: Hosted, makers: rt.Makers, turn: Turn) -> rt.Runtime:
        """A runtime that was there before, with what is told and what has failed looked at anew."""
        runtime = hosted.runtime
        assert runtime is not None
        if runtime.toolbox.failures:
            await hosted.mend()
            runtime.fresh = True
        confined = makers.confines(turn)
        read = await rt.guided(makers, runtime.agent, turn.working_dir, confined=confined)
        runtime.guidance = rt.guided_by(read, runtime.toolsets)
        return runtime

    async def ask(self, question: Ask) -> e.Answer:
        """Put a toolset's question to a person, in the turn that is played.

        Raises:
            NothingWaits: no turn is, or nobody is there to answer.
        """
        stage = self.stage
        if stage is None or stage.turn.unattended:
            raise NothingWaits("nobody is there to answer")
        wait = await put(stage, question)
        try:
            return await stage.ear.answer(wait)
        except Park:
            await stage.journal.write(e.WaitVoided(wait, "nobody was there to answer"))
            raise NothingWaits("nobody is there to answer") from None
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await _void(stage, wait)
            raise

    async def tell(self, fact: e.Fact) -> None:
        """Write a toolset's fact into the log, while a turn is played; after that nobody waits for it."""
        if (stage := self.stage) is not None and stage.journal.open is not None:
            await stage.journal.write(fact)

    async def close(self) -> None:
        """Close all toolsets, and wait for that a little while."""
        for agent in tuple(self._hosted):
            await self._close(agent)

    async def _close(self, agent: str) -> None:
        hosted = self._hosted.pop(agent)
        hosted.close()
        with anyio.move_on_after(CLOSING):
            await hosted.closed.wait()

    async def _host(self, hosted: Hosted, opening: rt.Opening, *, task_status: TaskStatus[None]) -> None:
        """Holds a runtime open in a task of its own, since it outlives turns."""
        try:
            async with opening as runtime:
                hosted.runtime = runtime
                task_status.started()
                await hosted.hold(runtime)
        except Exception:
            if hosted.runtime is None:
                raise  # to whoever wanted the runtime
            log.exception("the toolsets of %s failed", self.log, extra={"action": "toolsets_failed"})
        finally:
            hosted.over()


async def _void(stage: Stage, wait: WaitId) -> None:
    """Whoever asked is gone, and no answer can be used.  The end of a turn sees to its waits by itself."""
    turn = stage.journal.open
    if stage.stopping or turn is None or turn.canceled or all(w.id != wait for w in stage.journal.head.waits):
        return
    with suppress(RoostError):
        await stage.journal.write(e.WaitVoided(wait, "nobody waits for the answer any more"))
