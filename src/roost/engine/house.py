"""Housekeeping: drop idle runtimes, write the ends that are owed, sweep away what was deleted."""

import logging
from collections.abc import Sequence

from roost.core import events as e
from roost.core.errors import RoostError, StoreFull
from roost.core.history import History
from roost.core.ids import LogId, SessionId
from roost.core.session import Head
from roost.engine import launch
from roost.engine import runtime as rt
from roost.engine.endings import ending
from roost.engine.journal import Journal
from roost.engine.supervisor import Supervisor

log = logging.getLogger(__name__)

IDLE = 600.0  # seconds after which a session without a turn loses its runtime
SWEEPS = 60.0  # seconds between two looks for runs that nobody knows
ROUND = 2.0  # seconds between two rounds
GRACE = 20_000_000  # µs in which those who read a deleted session learn of it, slow ones and other servers too


class House:
    """Goes round while the server runs."""

    def __init__(self, makers: rt.Makers, supervisor: Supervisor) -> None:
        self._makers = makers
        self._store = makers.store
        self._supervisor = supervisor
        self._swept = 0.0

    async def keep(self) -> None:
        """Round after round."""
        while True:
            await self._makers.clock.sleep(ROUND)
            for chore in (self.drop_idle, self.settle_owed, self.sweep, self.sweep_runs):
                try:
                    await chore()
                except Exception:
                    log.exception("housekeeping failed", extra={"action": "housekeeping_failed"})

    async def drop_idle(self) -> None:
        """Close the runtimes that nobody has used for long, but for those that are at work."""
        now = self._makers.clock.monotonic()
        for live in self._supervisor.lives():
            if live.stage is None and now - live.idle_since > IDLE and not live.busy:
                await self._supervisor.drop(live)

    async def sweep(self) -> None:
        """Remove what is left of deleted sessions, once those who read them have seen their ends."""
        await self._store.sweep(age=GRACE)

    async def sweep_runs(self) -> None:
        """Now and then, end the agent CLIs that no turn knows of: they were started, and never written down."""
        now = self._makers.clock.monotonic()
        if self._makers.runs is None or now - self._swept < SWEEPS:
            return
        self._swept = now
        heads = await self._store.heads()
        await launch.sweep(self._makers, heads)
        await self.sweep_sandboxes(heads)
        if self._makers.sandbox is not None:
            await self._makers.sandbox.tidy(str(self._makers.home / "homes"), {str(head.id) for head in heads})

    async def sweep_sandboxes(self, heads: Sequence[Head]) -> None:
        """Remove what a crash has left of the sandboxes of sessions that are in no turn."""
        sandbox = self._makers.sandbox
        named = [head.sandbox for head in heads if head.turn is None and head.sandbox.startswith("docker:")]
        left = {name.partition(":")[2] for name in named}
        if sandbox is not None and left:
            for name in left & set(await sandbox.names()):
                log.warning("the sandbox %s was left behind, and is removed", name, extra={"action": "sandbox_left"})
                await sandbox.remove(name)

    async def settle_owed(self) -> None:
        """Write the ends that could not be written while the store was full; what a CLI does has only been waiting."""
        for log_id, why in tuple(self._supervisor.owed.items()):
            try:
                await self._store.probe()
                await self._settle(log_id, why)
            except StoreFull:
                return
            except RoostError as error:
                log.warning("%s stays unsettled: %s", log_id, error, extra={"action": "unsettled"})
            self._supervisor.owed.pop(log_id, None)

    async def _settle(self, log_id: LogId, why: RoostError) -> None:
        async with self._supervisor.claim(log_id):
            if self._supervisor.playing(log_id):
                return
            owned = await self._store.take(log_id)
            if not (isinstance(why, StoreFull) and owned.head.turn is not None and owned.head.turn.driver):
                await self._end(Journal(self._store, log_id, owned), why)
                return
        await self._supervisor.wake(log_id)

    async def _end(self, journal: Journal, why: RoostError) -> None:
        history, turn = History(SessionId(journal.log)), journal.head.turn
        await rt.read_history(self._store, journal.log, history)
        met = e.ErrorMet(why.message, why.code)
        run = turn.run if turn is not None else None
        gone = () if run is None else (e.RunEnded(run.id),)
        if facts := ending(journal.head, history, "error", error=met):
            await journal.write(*gone, *facts)
        for inner in journal.head.below_all():
            if inner.turn is not None and inner.turn.run is not None:
                await launch.end(self._makers, inner.turn.run)
        if run is not None:
            await launch.end(self._makers, run)
