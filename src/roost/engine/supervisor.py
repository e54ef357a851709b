"""The live sessions, all in one task group."""

import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, nullcontext, suppress
from functools import partial

import anyio

from roost.core import events as e
from roost.core.errors import BadModel, NotOwner, RoostError, SessionBusy, SessionNotFound, ShuttingDown, StoreFull
from roost.core.history import History
from roost.core.ids import LogId, SessionId
from roost.core.session import Head
from roost.engine import runtime as rt
from roost.engine.answer import Asking
from roost.engine.bulkhead import Bulkhead, open_bulkhead
from roost.engine.chain import chain
from roost.engine.driven import run_driven
from roost.engine.ear import PARK_AFTER, Ear, Park
from roost.engine.endings import ending
from roost.engine.hub import Hub
from roost.engine.journal import Journal
from roost.engine.leave import give_up
from roost.engine.live import Live
from roost.engine.stage import Stage
from roost.engine.tills import Tills
from roost.engine.title import give_title
from roost.engine.turn import play_inner, run_turn
from roost.ports import Condition, Owned, Provider

log = logging.getLogger(__name__)

GRACE = 5.0  # seconds that running tools get when the server stops
SILENT = 10.0  # seconds after which another server's owner is taken for dead by a delete

Room = Callable[[Head], AbstractAsyncContextManager[None]]
"""While its block lasts, a turn of a session may be opened; else it raises TooManySessions."""


class Supervisor:
    """Starts turns, wakes and stops them.  What goes wrong in one session stays in that session."""

    def __init__(self, makers: rt.Makers, hub: Hub, bulkhead: Bulkhead) -> None:
        self.first = anyio.Event()  # set when the first runtime of this process is asked for
        self.park_after = PARK_AFTER
        self.stopping = False
        self.room: Room = lambda _: nullcontext()  # for the turns that are opened from within
        self.tills = Tills(makers)
        self.owed: dict[LogId, RoostError] = {}  # why the end of a session's turn could not be written
        self._makers = makers
        self._hub = hub
        self._bulkhead = bulkhead
        self._lives: dict[LogId, Live] = {}
        self._claims: dict[LogId, anyio.Lock] = {}
        self._leaving: set[anyio.Event] = set()  # each set when the hooks of a turn's end are through

    # -- what the service asks ------------------------------------------------------------------

    async def open(
        self,
        log_id: LogId,
        facts: Sequence[e.Fact],
        only_if: Condition | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Owned:
        """Take the session, write the turn's first facts, and start it.

        `headers` are those of the request that asks for it: kept in memory, and for this turn alone.

        Raises:
            SessionBusy: it is in a turn.
            StoreFull, SessionNotFound: as the store says.
            ShuttingDown: the server is on its way out.
        """

        def idle(head: Head) -> None:
            if head.deleted:
                raise SessionNotFound(head.id)
            if head.turn is not None:
                raise SessionBusy(head.id)
            if only_if is not None:
                only_if(head)

        async with self.claim(log_id):
            if self.stopping:
                raise ShuttingDown
            # Watched from here on, so that the turn finds its beginning in memory.
            with self._hub.watch(log_id), anyio.CancelScope(shield=True):
                owned = await self._makers.store.take(log_id, facts, only_if=idle)
                self._start(owned, headers or {})
        return owned

    async def begin(self, log_id: LogId, facts: Sequence[e.Fact], *, headers: Mapping[str, str]) -> Owned:
        """See `stage.Sessions`."""
        async with self.room(await self._makers.store.head(log_id)):
            return await self.open(log_id, facts, headers=headers)

    async def wake(self, log_id: LogId) -> None:
        """Go on with a turn that sleeps, if no living server has it, and its agent is served here."""
        with suppress(SessionBusy, SessionNotFound):
            async with self.claim(log_id):
                turn = (await self._makers.store.head(log_id)).turn
                if turn is None or self.stopping or self.playing(log_id):
                    return
                if not turn.canceled and not await rt.served(self._makers, turn):
                    log.info("%s is left to who has its agent", log_id, extra={"action": "left_asleep"})
                    return

                def same(now: Head) -> None:
                    if now.turn is None or now.turn.id != turn.id:
                        raise SessionBusy(now.id)

                with anyio.CancelScope(shield=True):
                    self._start(await self._makers.store.take(log_id, only_if=same))

    async def finish(self, log_id: LogId) -> None:
        """See a deleted session to its last fact, whoever owned it."""
        force = False
        with suppress(SessionNotFound, NotOwner):  # somebody else has seen to it
            while True:
                if stage := self._stage(log_id):  # its own turn hears of it
                    await stage.done.wait()
                    continue
                async with self.claim(log_id):
                    if self.playing(log_id):
                        continue
                    with suppress(SessionBusy):
                        owned = await self._makers.store.take(log_id, force=force)
                        await self._exit(Journal(self._makers.store, log_id, owned), History(SessionId(log_id)))
                        return
                await self._until_exited(log_id)
                force = True

    @asynccontextmanager
    async def claim(self, log_id: LogId) -> AsyncIterator[None]:
        """While the block lasts, nobody else on this server takes the session or starts its turn."""
        lock = self._claims.setdefault(log_id, anyio.Lock())
        try:
            async with lock:
                yield
        finally:
            now = lock.statistics()
            if not now.locked and not now.tasks_waiting:
                self._claims.pop(log_id, None)

    def playing(self, log_id: LogId) -> bool:
        """Whether a turn of the session is played here."""
        return self._stage(log_id) is not None

    def lives(self) -> Collection[Live]:
        """The sessions that have a runtime here, or are in a turn."""
        return list(self._lives.values())

    async def built(self, log_id: LogId) -> None:
        """Return when the turn that is played has its runtime, or has ended without."""
        if stage := self._stage(log_id):
            await stage.built.wait()

    # -- a session's task -----------------------------------------------------------------------

    def _stage(self, log_id: LogId) -> Stage | None:
        live = self._lives.get(log_id)
        return live.stage if live else None

    def _start(self, owned: Owned, headers: Mapping[str, str] | None = None) -> None:
        """Play the turn of a session that is ours; one that goes on keeps the `headers` that it has."""
        log_id = LogId(owned.head.id)
        journal = Journal(self._makers.store, log_id, owned)
        if self.stopping:
            self._bulkhead.start(self._let_go, journal, name=f"release of {log_id}")
            return
        self.first.set()
        live = self._lives.setdefault(log_id, Live(log_id, History(SessionId(log_id))))
        live.headers = live.headers if headers is None else headers
        live.stage = stage = self._make_stage(live, journal)
        watched = ExitStack()
        watched.enter_context(self._hub.watch(log_id))  # without a gap: what a turn has seen is not read again
        self._bulkhead.start(self._session, live, stage, watched, name=f"turn of {log_id}")

    def _make_stage(self, live: Live, journal: Journal) -> Stage:
        clock = self._makers.clock
        ear = Ear(journal, self._hub, clock, park_after=self.park_after, busy=lambda: live.busy)
        asking, prepare = Asking(journal, clock), partial(live.prepare, bulkhead=self._bulkhead)
        touch = rt.Touch(live.ask, live.tell, live.headers)
        stage = Stage(
            self._makers,
            self._hub,
            journal,
            ear,
            asking,
            live.history,
            prepare,
            play_inner,
            self,
            self.tills.guard,
            touch,
            sticky=live.sticky,
        )
        self.tills.enter(stage)
        stage.entitle = partial(self._entitle, stage)
        return stage

    async def _session(self, live: Live, stage: Stage, watched: ExitStack) -> None:
        """A bulkhead: what goes wrong in one session stays in that session."""
        asleep, driven = False, bool(stage.turn.driver)
        try:
            with watched, stage.scope:
                asleep = await self._play(live, stage)
        except Exception:
            log.exception("turn of %s failed", live.log, extra={"action": "turn_failed"})
            self._owe(live.log, RoostError("internal error; the server's log has the details"))
        finally:
            if live.stage is stage:  # the next turn may have begun
                live.stage = None
            live.idle_since = self._makers.clock.monotonic()
            self.tills.leave(stage)
            stage.built.set()
            if stage.journal.open is None and not driven:
                self._bid_farewell(stage)
            stage.done.set()
        if self.stopping:
            await self._let_go(stage.journal)
        elif asleep:
            self._forget(live)
            await self._wake_if_due(stage)

    def _bid_farewell(self, stage: Stage) -> None:
        """The turn is over, and the log says so: hooks hear of it.  Nobody waits for them but the server's end."""
        gone, reason = anyio.Event(), stage.journal.head.outcome
        self._leaving.add(gone)

        async def bid() -> None:
            try:
                await give_up(stage)
                await stage.fire("session_end", reason=reason)
            finally:
                self._leaving.remove(gone)
                gone.set()

        self._bulkhead.start(bid, name=f"farewell of {stage.log}")

    async def _play(self, live: Live, stage: Stage) -> bool:
        """Play a turn; whether it went to sleep."""
        try:
            await (run_driven(stage) if stage.turn.driver else run_turn(stage))
            await stage.catch_up()  # so that the next turn of this session begins where this one has ended
            if (await stage.ear.look()).deleted:
                await self._exit(stage.journal, live.history)
                await live.close()
                self._forget(live, stage)
        except Park:
            await live.close()
            await stage.journal.release()
            return True
        except SessionNotFound:
            self._forget(live, stage)
        except NotOwner:
            log.warning("session %s went to another server", live.log, extra={"action": "not_owner"})
            await live.close()
        except StoreFull as error:
            if stage.journal.head.turn is not None and stage.journal.head.turn.driver:
                log.error("%s waits for the disk: %s", live.log, error, extra={"action": "unsettled"})
                self.owed[live.log] = error  # its CLI goes on, and nobody who follows has missed anything yet
            else:
                log.error(
                    "the end of a turn of %s can't be written: %s", live.log, error, extra={"action": "unsettled"}
                )
                self._owe(live.log, error)
        return False

    async def _wake_if_due(self, stage: Stage) -> None:
        """What it waited for may have come while it went to sleep."""
        head = await self._makers.store.head(stage.log)
        still = {wait.id for wait in head.waits}
        if head.turn is not None and (head.turn.canceled or not stage.ear.waiting <= still):
            await self.wake(stage.log)

    def _owe(self, log_id: LogId, error: RoostError) -> None:
        """The turn's end is not written: housekeeping will, and nobody is left waiting for it."""
        self.owed[log_id] = error
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
            if not head.exited:
                await rt.read_history(self._makers.store, journal.log, history)
                await journal.write(*ending(head, history, "canceled"), e.SessionExited())

    async def _until_exited(self, log_id: LogId) -> None:
        with anyio.move_on_after(SILENT):
            while True:
                bell = self._hub.bell(log_id)
                if (await self._makers.store.head(log_id)).exited:
                    return
                await bell.wait()

    # -- runtimes -------------------------------------------------------------------------------

    def _entitle(self, stage: Stage) -> None:
        """Ask for a title beside the first turn of a session that has none."""
        if stage.journal.head.title or not (links := self._titlers(stage, stage.ready)):
            return
        posted = [i.message.content for i in stage.history.items if i.message and i.seq > stage.turn.opened]
        clean = map(self._makers.redactor.text, posted) if stage.ready.agent.redact_secrets else posted
        if texts := [text for text in clean if text.strip()]:
            give = (self._makers.store, stage.log, links, texts, stage.guard.quiet)
            self._bulkhead.start(give_title, *give, name=f"title of {stage.log}")

    def _titlers(self, stage: Stage, runtime: rt.Runtime) -> Sequence[Provider]:
        """The models to ask for a title: the one that the file names for it, then the agent's, then its fallbacks."""
        models, team, own = self._makers.models, runtime.team, runtime.provider
        links, _ = chain(models, team, runtime.agent, own, stage.sticky, self._makers.clock.monotonic())
        if ref := own.spec.title_model:
            with suppress(BadModel):
                links = [models.provider(team, ref), *links]
        return [link for place, link in enumerate(links) if link.titles and link not in links[:place]]

    def _forget(self, live: Live, stage: Stage | None = None) -> None:
        """Drop a session, unless a turn has begun there (another than `stage`)."""
        if self._lives.get(live.log) is live and live.stage in (None, stage):
            del self._lives[live.log]

    async def drop(self, live: Live) -> None:
        """Close the runtime of an idle session."""
        self._forget(live)
        await live.close()

    # -- the end --------------------------------------------------------------------------------

    def retire(self) -> None:
        """From now on nothing new is started, and followers are let go."""
        self.stopping = True
        self._hub.close()

    async def stop(self) -> None:
        """Model requests are dropped, running tools get `GRACE` seconds, sessions are let go.

        No end is written: nobody asked for one, and the next start goes on.
        """
        self.retire()
        stages = [live.stage for live in self._lives.values() if live.stage]
        for stage in stages:
            stage.stop()
        until = anyio.current_time() + GRACE
        with anyio.CancelScope(deadline=until):
            async with anyio.create_task_group() as tasks:
                for stage in stages:
                    tasks.start_soon(self._stop_one, stage)
        for stage in stages:
            stage.scope.cancel()
        for stage in stages:
            await stage.done.wait()
        with anyio.CancelScope(deadline=until):
            for gone in tuple(self._leaving):
                await gone.wait()
        async with anyio.create_task_group() as tasks:
            for live in self.lives():
                tasks.start_soon(live.close)

    @staticmethod
    async def _stop_one(stage: Stage) -> None:
        await stage.ear.rest()
        stage.scope.cancel()


@asynccontextmanager
async def open_supervisor(makers: rt.Makers, hub: Hub) -> AsyncIterator[Supervisor]:
    """Leaving the block stops every turn, and waits until each is safe to resume."""
    async with open_bulkhead() as bulkhead:
        supervisor = Supervisor(makers, hub, bulkhead)
        try:
            yield supervisor
        finally:
            with anyio.CancelScope(shield=True):
                await supervisor.stop()
