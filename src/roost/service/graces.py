"""Turns whose client has gone: they have a little time for somebody else to turn up."""

import anyio
from msgspec import Struct

from roost.core import events as e
from roost.core.errors import SessionBusy, SessionNotFound, SessionNotRunning
from roost.core.ids import LogId, TurnId
from roost.core.principals import Principal
from roost.core.session import Head, Turn
from roost.engine.kin import cancel_below
from roost.service.desk import Desk


class Run(Struct, frozen=True):
    """A turn that was just opened: `after` is the seq before its first fact."""

    log: LogId
    turn: TurnId
    after: int


class Graces:
    """The turns that have lost their client, until `grace` seconds are over."""

    def __init__(self, desk: Desk, *, grace: float) -> None:
        self._desk = desk
        self._store = desk.store
        self._grace = grace
        self._dropped: dict[LogId, TurnId] = {}  # turns whose client has left, until its grace is over

    def leave(self, run: Run, principal: Principal) -> None:
        """The client of a run is gone: its turn has a little time for somebody else to turn up."""
        if self._desk.supervisor.stopping:
            return
        self._dropped[run.log] = run.turn
        dropped_at = self._desk.makers.clock.monotonic()
        self._desk.bulkhead.start(self._outlive, run, principal, dropped_at, name=f"grace of {run.log}")

    def abandoned(self, head: Head, turn: Turn) -> bool:
        """Whether the session's turn is in its grace, so that another run may take its place."""
        return self._dropped.get(LogId(head.id)) == turn.id and not turn.detached and not head.waits

    async def _outlive(self, run: Run, principal: Principal, dropped_at: float) -> None:
        try:
            if await self._undisturbed(run):
                return
            await self._desk.makers.clock.sleep(self._grace)
            if self._desk.supervisor.stopping or await self._undisturbed(run):
                return
            followers = self._desk.hub.followers(run.log)
            if any(f.client != named(principal) or f.since > dropped_at for f in followers):
                await self._put(run, e.TurnDetached(run.turn))
            else:
                await self._cancel(run, "the client went away", principal.name)
        except SessionNotFound:
            pass
        finally:
            if self._dropped.get(run.log) == run.turn:
                del self._dropped[run.log]

    async def _undisturbed(self, run: Run) -> bool:
        """Whether the turn needs its client no more: it has ended, is detached, or waits for a person."""
        head = await self._store.head(run.log)
        turn = head.turn
        if turn is None or turn.id != run.turn or turn.detached or turn.canceled:
            return True
        if not head.waits:
            return False
        await self._put(run, e.TurnDetached(run.turn))
        return True

    async def _put(self, run: Run, fact: e.Fact) -> None:
        def same(head: Head) -> None:
            if head.turn is None or head.turn.id != run.turn:
                raise SessionNotRunning

        try:
            await self._store.put(run.log, [fact], only_if=same)
        except SessionNotRunning:
            return

    async def _cancel(self, run: Run, why: str, by: str = "") -> None:
        await self._put(run, e.CancelAsked(run.turn, why, by))
        await self._desk.supervisor.wake(run.log)  # one that sleeps has to be awake to end
        await cancel_below(self._store, self._desk.supervisor, run.log, by=by)

    async def supersede(self, log: LogId, turn: TurnId) -> None:
        """A new run during the grace of an old one: the old one is cancelled, and its end awaited."""
        run = Run(log, turn, (await self._store.head(log)).last_seq)
        await self._cancel(run, "another run was posted")
        with anyio.move_on_after(10.0):
            while True:
                bell = self._desk.hub.bell(log)
                head = await self._store.head(log)
                if head.turn is None or head.turn.id != turn:
                    return
                await bell.wait()
        raise SessionBusy(log)


def named(principal: Principal) -> str:
    """Under which name a client follows: the engine's own watchers alone have none."""
    return principal.client or "nameless"
