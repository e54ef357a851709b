"""The live sessions, all in one task group."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskStatus

from roost.core import events as e
from roost.core.errors import NotOwner, RoostError, SessionBusy, SessionNotFound, ShuttingDown, StoreFull
from roost.core.history import History
from roost.core.ids import LogId, SessionId, TurnId
from roost.core.session import Head
from roost.engine import runtime as rt
from roost.engine.answer import Asking
from roost.engine.bulkhead import Bulkhead, open_bulkhead
from roost.engine.endings import ending
from roost.engine.hub import Hub
from roost.engine.journal import Journal
from roost.engine.stage import Stage
from roost.engine.title import give_title
from roost.engine.turn import run_turn
from roost.engine.waiting import PARK_AFTER, Ear, Park
from roost.ports import Condition, Owned

log = logging.getLogger(__name__)

GRACE = 5.0  # seconds that running tools get when the server stops
IDLE = 600.0  # seconds after which a session without a turn loses its runtime
SILENT = 10.0  # seconds after which another server's owner is taken for dead by a delete
ROUND = 2.0  # seconds between two rounds of housekeeping


@dataclass(slots=True, eq=False)
class Live:
    """A session that has a runtime on this server."""

    log: LogId
    history: History
    runtime: rt.Runtime | None = None
    close: anyio.Event = field(default_factory=anyio.Event)
    stage: Stage | None = None
    scope: anyio.CancelScope | None = None
    done: anyio.Event = field(default_factory=anyio.Event)  # set when the newest turn's task is through
    idle_since: float = 0.0


class Supervisor:
    """Starts turns, wakes and stops them.  What goes wrong in one session stays in that session."""

    def __init__(self, makers: rt.Makers, hub: Hub, bulkhead: Bulkhead) -> None:
        self.first = anyio.Event()  # set when the first runtime of this process is asked for
        self.park_after = PARK_AFTER
        self._makers = makers
        self._hub = hub
        self._bulkhead = bulkhead
        self._lives: dict[LogId, Live] = {}
        self._unsettled: set[LogId] = set()
        self._stopping = False

    # -- what the service asks ------------------------------------------------------------------

    async def open(self, log_id: LogId, facts: Sequence[e.Fact], only_if: Condition | None = None) -> Owned:
        """Take the session, write the turn's first facts, and start it.

        Raises:
            SessionBusy: it is in a turn.
            StoreFull, SessionNotFound: as the store says.
            ShuttingDown: the server is on its way out.
        """
        if self._stopping:
            raise ShuttingDown

        def idle(head: Head) -> None:
            if head.deleted:
                raise SessionNotFound(head.id)
            if head.turn is not None:
                raise SessionBusy(head.id)
            if only_if is not None:
                only_if(head)

        with anyio.CancelScope(shield=True):
            owned = await self._makers.store.take(log_id, facts, only_if=idle)
            self.start(owned)
        return owned

    async def wake(self, log_id: LogId) -> None:
        """Go on with a turn that sleeps, if no living server has it."""
        if self._running(log_id) or self._stopping:
            return
        head = await self._makers.store.head(log_id)
        if head.turn is None:
            return
        turn = head.turn.id

        def same(now: Head) -> None:
            if now.turn is None or now.turn.id != turn:
                raise SessionBusy(now.id)

        with suppress(SessionBusy), anyio.CancelScope(shield=True):
            self.start(await self._makers.store.take(log_id, only_if=same))

    async def finish(self, log_id: LogId) -> None:
        """See a deleted session to its last fact, whoever owned it."""
        if live := self._lives.get(log_id):
            while live.stage is not None:  # its own turn hears of it
                await live.done.wait()
        if (await self._makers.store.head(log_id)).exited:
            return
        try:
            owned = await self._makers.store.take(log_id)
        except SessionBusy:
            await self._until_exited(log_id)
            owned = await self._makers.store.take(log_id, force=True)
        await self._exit(Journal(self._makers.store, log_id, owned), History(SessionId(log_id)))

    def start(self, owned: Owned) -> None:
        """Play the turn of a session that is ours."""
        log_id = LogId(owned.head.id)
        self.first.set()
        self._bulkhead.start(self._session, log_id, owned, name=f"turn of {log_id}")

    def live(self, log_id: LogId) -> Live | None:
        """The session's runtime here, if it has one."""
        return self._lives.get(log_id)

    def running(self) -> Sequence[TurnId]:
        """The turns that this server plays now."""
        return [live.stage.turn.id for live in self._lives.values() if live.stage]

    # -- a session's task -----------------------------------------------------------------------

    def _running(self, log_id: LogId) -> bool:
        live = self._lives.get(log_id)
        return live is not None and live.stage is not None

    async def _session(self, log_id: LogId, owned: Owned) -> None:
        """A bulkhead: what goes wrong in one session stays in that session."""
        live = self._lives.setdefault(log_id, Live(log_id, History(SessionId(log_id))))
        journal = Journal(self._makers.store, log_id, owned)
        ear = Ear(journal, self._hub, self._makers.clock)
        ear.park_after = self.park_after
        asking = Asking(journal, self._makers.clock)
        stage = Stage(self._makers, journal, ear, asking, live.history, self._prepare)
        done, scope = anyio.Event(), anyio.CancelScope()
        live.stage, live.scope, live.done = stage, scope, done
        try:
            with scope:
                await self._play(live, stage)
        except Exception:
            log.exception("turn of %s failed", log_id, extra={"action": "turn_failed"})
            self._owe(log_id, RoostError("internal error; the server's log has the details"))
        finally:
            if live.stage is stage:  # the next turn may have begun
                live.stage, live.scope = None, None
            live.idle_since = self._makers.clock.monotonic()
            done.set()
        if self._stopping:
            await self._let_go(journal)
        elif journal.head.waiting:  # parked; an answer may have come while it went to sleep
            await self._wake_if_due(log_id)

    async def _wake_if_due(self, log_id: LogId) -> None:
        turn = (await self._makers.store.head(log_id)).turn
        if turn is not None and (turn.answers or turn.canceled):
            await self.wake(log_id)

    async def _play(self, live: Live, stage: Stage) -> None:
        try:
            await run_turn(stage)
            if (await stage.journal.refresh()).deleted:
                await self._exit(stage.journal, live.history)
        except Park:
            await stage.journal.release()
            await self._dismiss(live)
        except NotOwner:
            log.warning("session %s went to another server", live.log, extra={"action": "not_owner"})
        except StoreFull as error:
            log.error(
                "the end of a turn of %s could not be written: %s", live.log, error, extra={"action": "unsettled"}
            )
            self._owe(live.log, error)

    def _owe(self, log_id: LogId, error: RoostError) -> None:
        """The turn's end is not written: housekeeping will, and nobody is left waiting for it."""
        self._unsettled.add(log_id)
        self._hub.break_off(log_id, error)

    async def _let_go(self, journal: Journal) -> None:
        try:
            await journal.release()
        except RoostError as error:
            log.warning("could not let go of %s: %s", journal.log, error, extra={"action": "release_failed"})

    async def _exit(self, journal: Journal, history: History) -> None:
        """The last facts of a deleted session."""
        with anyio.CancelScope(shield=True):
            head = await journal.refresh()
            if head.exited:
                return
            await rt.read_history(self._makers.store, journal.log, history)
            await journal.write(*ending(head, history, "canceled"), e.SessionExited())
        if live := self._lives.get(journal.log):
            await self._dismiss(live)

    async def _until_exited(self, log_id: LogId) -> None:
        with anyio.move_on_after(SILENT):
            while True:
                bell = self._hub.bell(log_id)
                if (await self._makers.store.head(log_id)).exited:
                    return
                await bell.wait()

    # -- runtimes -------------------------------------------------------------------------------

    async def _prepare(self, stage: Stage) -> rt.Runtime:
        """The runtime for a turn: the session's own where it fits, else a new one."""
        live, turn, head = self._lives[stage.log], stage.turn, stage.journal.head
        team = await self._makers.agents.team(turn.source)
        if live.runtime is None or live.runtime.key != rt.key(head, turn, team):
            await self._dismiss(live, keep=True)
            events = await self._makers.store.messages(stage.log)
            live.close = anyio.Event()
            live.runtime = await self._bulkhead.tasks.start(
                self._host, live, rt.open_runtime(self._makers, head, turn, team, events)
            )
        self._entitle(stage, live.runtime)
        return live.runtime

    async def _host(self, live: Live, opening: "rt.Opening", *, task_status: TaskStatus[rt.Runtime]) -> None:
        """Holds a runtime open in a task of its own, since it outlives turns."""
        close, started = live.close, False
        try:
            async with opening as runtime:
                started = True
                task_status.started(runtime)
                await close.wait()
        except Exception:
            if not started:
                raise  # to whoever wanted the runtime
            log.exception("closing the toolsets of %s failed", live.log, extra={"action": "close_failed"})

    def _entitle(self, stage: Stage, runtime: rt.Runtime) -> None:
        """Ask for a title beside the first turn of a session that has none."""
        if stage.turn.started or stage.journal.head.title or not runtime.provider.titles:
            return
        posted = (i.message.content for i in stage.history.items if i.message and i.seq > stage.turn.opened)
        if texts := [text for text in posted if text.strip()]:
            give = (self._makers.store, stage.log, runtime.provider, texts)
            self._bulkhead.start(give_title, *give, name=f"title of {stage.log}")

    async def _dismiss(self, live: Live, *, keep: bool = False) -> None:
        live.runtime = None
        live.close.set()
        if not keep:
            self._lives.pop(live.log, None)

    # -- housekeeping and the end ---------------------------------------------------------------

    async def keep_house(self) -> None:
        """Round after round: drop idle runtimes, write ends that are owed, sweep what was deleted."""
        while True:
            await self._makers.clock.sleep(ROUND)
            try:
                await self._drop_idle()
                await self._settle_owed()
                await self._makers.store.sweep()
            except Exception:
                log.exception("housekeeping failed", extra={"action": "housekeeping_failed"})

    async def _drop_idle(self) -> None:
        now = self._makers.clock.monotonic()
        for live in list(self._lives.values()):
            idle = live.stage is None and live.runtime and now - live.idle_since > IDLE
            if idle and not (live.runtime and live.runtime.busy):
                await self._dismiss(live)

    async def _settle_owed(self) -> None:
        """Ends that could not be written while the store was full."""
        for log_id in tuple(self._unsettled):
            try:
                await self._makers.store.probe()
                owned = await self._makers.store.take(log_id)
                journal, history = Journal(self._makers.store, log_id, owned), History(SessionId(log_id))
                await rt.read_history(self._makers.store, log_id, history)
                met = e.ErrorMet("the session store could not be written", StoreFull.code)
                if facts := ending(owned.head, history, "error", error=met):
                    await journal.write(*facts)
            except StoreFull:
                return
            except RoostError as error:
                log.warning("%s stays unsettled: %s", log_id, error, extra={"action": "unsettled"})
            self._unsettled.discard(log_id)

    async def stop(self) -> None:
        """Model requests are dropped, running tools get `GRACE` seconds, sessions are let go.

        No end is written: nobody asked for one, and the next start goes on.
        """
        self._stopping = True
        lives = [live for live in self._lives.values() if live.stage]
        for live in lives:
            live.stage.stopping = True  # type: ignore[union-attr]
        with anyio.move_on_after(GRACE):
            async with anyio.create_task_group() as tasks:
                for live in lives:
                    tasks.start_soon(self._stop_one, live)
        for live in lives:
            if live.scope:
                live.scope.cancel()
        for live in lives:
            await live.done.wait()
        for live in list(self._lives.values()):
            await self._dismiss(live)

    @staticmethod
    async def _stop_one(live: Live) -> None:
        if stage := live.stage:
            await stage.ear.rest()
        if live.scope:
            live.scope.cancel()


@asynccontextmanager
async def open_supervisor(makers: rt.Makers, hub: Hub) -> AsyncIterator[Supervisor]:
    """Leaving the block stops every turn, and waits until each is safe to resume."""
    async with open_bulkhead() as bulkhead:
        supervisor = Supervisor(makers, hub, bulkhead)
        bulkhead.start(supervisor.keep_house, name="housekeeping")
        try:
            yield supervisor
        finally:
            with anyio.CancelScope(shield=True):
                await supervisor.stop()
