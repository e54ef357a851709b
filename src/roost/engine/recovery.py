"""What becomes of a turn that a crash cut off.

Two steps.  *Settle*, before anyone listens: log work alone, in a few large commits.  *Resume*,
afterwards: the turns go on, a few at a time.  Rules of the design's crash table.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal

import anyio

from roost.core import events as e
from roost.core.errors import AgentNotFound, RoostError, SessionBusy, SessionNotFound
from roost.core.history import History
from roost.core.ids import CallId, LogId, SessionId, WaitId, fresh
from roost.core.messages import Message
from roost.core.session import Head, OpenCall, Turn
from roost.engine import launch
from roost.engine.draft import of_log
from roost.engine.endings import ending
from roost.engine.hub import Hub
from roost.engine.journal import Journal
from roost.engine.runtime import Makers, read_history, served
from roost.engine.supervisor import Supervisor
from roost.ports import Effort, EventStore

log = logging.getLogger(__name__)

Policy = Literal["resume", "ask", "fail"]

AT_ONCE = 64  # sessions settled at the same time: their writes share commits
BUILDS = 4  # runtimes built at the same time
CRASHES = 3  # in one turn, without progress between them
INTERRUPTED = "the server stopped in the middle of this turn"
PARTIAL_PAGE = 5000
FORSAKEN = 24 * 3600 * 1_000_000  # microseconds after which a turn whose agent nobody serves is nobody's any more

Adopts = Callable[[Head], bool]
"""Whether a turn that a dead server left is for this server to go on with."""


def everyone(_: Head) -> bool:
    """What a server that runs for itself adopts."""
    return True


def nobody(_: Head) -> bool:
    """What a process that is there for one turn of its own adopts."""
    return False


Course = Literal["end", "park", "resume"]


def verdict(head: Head, policy: Policy) -> tuple[Course, list[e.Fact]]:
    """What to write for a turn without an owner, and what to do then.  Pure.

    `end` leaves the writing of the end to the caller, who has the history.
    """
    turn = head.turn
    if turn is not None and turn.driver:
        return "resume", []  # its CLI may be alive: whoever plays the turn finds out
    if turn is None or turn.canceled or head.deleted:
        return "end", []
    facts: list[e.Fact] = [e.WaitVoided(w.id, INTERRUPTED, sub=w.sub) for w in head.waits if not w.durable]
    facts += _cut_off(head, head)
    what, more = _course(head, turn, policy)
    return what, facts + more


def _course(head: Head, turn: Turn, policy: Policy) -> tuple[Course, list[e.Fact]]:
    """Which way a turn goes that could go on, and what says so."""
    busy = turn.answer or turn.calls or turn.compacting or head.waits or head.queue
    if turn.interactive and turn.iterations and not busy:
        return "resume", []  # it waits for the next message, as it did before
    if turn.resumes >= CRASHES - 1:
        often = f"{INTERRUPTED}, {CRASHES} times in a row without progress"
        return "end", [e.ErrorMet(often, "crashed", turn.agent)]
    if any(w.durable for w in head.waits):
        return "park", []
    if policy == "fail":
        return "end", [e.ErrorMet(INTERRUPTED, "interrupted", turn.agent)]
    if policy == "ask":
        return "park", [_question(head)]
    return "resume", [e.TurnResumed(turn.id, turn.resumes + 1)]


def _cut_off(head: Head, root: Head) -> list[e.Fact]:
    """What of a turn was under way: the sub-sessions in it first, then outward."""
    facts = [fact for sub in head.subs for fact in _cut_off(sub, root)]
    turn, named = head.turn, SessionId("") if head is root else head.id
    if turn is None or turn.driver:
        return facts
    if turn.compacting:
        facts.append(e.CompactionEnded("failed", turn.agent, again=True, sub=named))
    if turn.answer:
        facts.append(e.AnswerDropped(turn.answer, turn.asked, INTERRUPTED, turn.agent, sub=named))
    return facts + [e.CallLost(call.id, call.attempt, sub=named) for call in _lost(head, root)]


def _lost(head: Head, root: Head) -> list[OpenCall]:
    """The calls whose tool was running; one that has begun a sub-session goes on with that."""
    calls = head.turn.calls if head.turn is not None else ()
    asleep = _asleep(head, root)
    return [c for c in calls if c.state == "called" and c.id not in asleep and head.serving(c.id) is None]


def _asleep(head: Head, root: Head) -> set[CallId]:
    """The calls that had asked a person and can go on with the answer: they wait, and are not lost."""
    sub = SessionId("") if head is root else head.id
    answers = root.turn.answers if root.turn is not None else ()
    answered = {a.call for a in answers if a.kind == "question" and a.sub == sub}
    waits = [wait for wait in root.waits if wait.sub == sub]
    voided = {w.call for w in waits if not w.durable}
    return (answered | {w.call for w in waits if w.kind == "question"}) - voided


def _heads(head: Head) -> Iterator[Head]:
    """A session and all of its sub-sessions that are in a turn of the agent loop."""
    if head.turn is not None and not head.turn.driver:
        yield head
    for sub in head.subs:
        yield from _heads(sub)


def _question(head: Head) -> e.WaitOpened:
    agent = head.turn.agent if head.turn else head.agent
    message = f"{INTERRUPTED[0].upper()}{INTERRUPTED[1:]}. Accept to let it go on; decline to end it."
    return e.WaitOpened(WaitId(fresh()), "question", agent, message=message, mode="form", meta={"roost/type": "resume"})


class Recovery:
    """Settles what dead servers left behind, at start and every now and then.

    Turns whose agent is not served here are left to whoever has it; after a day nobody does.
    """

    def __init__(
        self, makers: Makers, hub: Hub, supervisor: Supervisor, policy: Policy, *, adopts: Adopts = everyone
    ) -> None:
        self.adopts = adopts
        self._makers = makers
        self._store: EventStore = makers.store
        self._hub = hub
        self._supervisor = supervisor
        self._policy = policy
        self._ready: list[LogId] = []

    async def settle(self) -> int:
        """Write what became of each turn whose owner is dead; how many there were."""
        adrift = [head for head in await self._store.adrift() if await self._concerns(head)]
        if not adrift:
            return 0
        limit = anyio.CapacityLimiter(AT_ONCE)
        with self._job("turns that were cut off are looked at", len(adrift)) as effort:
            async with anyio.create_task_group() as tasks:
                for head in adrift:
                    tasks.start_soon(self._counted, effort, self._settle, head, limit)
        return len(adrift)

    async def resume(self) -> None:
        """Let the settled turns go on, a few runtimes at a time: those that somebody follows first."""
        ready, self._ready = self._ready, []
        if ready:  # a run that was started, and not written down, would do its work beside the one that comes now
            try:
                await launch.sweep(self._makers, await self._store.heads())
            except Exception:
                log.exception("forgotten runs can't be ended", extra={"action": "sweep_failed"})
        ready.sort(key=lambda log_id: not self._hub.followers(log_id))
        if not ready:
            return
        limit = anyio.CapacityLimiter(BUILDS)
        with self._job("turns that were cut off go on", len(ready)) as effort:
            async with anyio.create_task_group() as tasks:
                for log_id in ready:
                    tasks.start_soon(self._counted, effort, self._resume, log_id, limit)

    def _job(self, title: str, total: int) -> AbstractContextManager[Effort]:
        return self._makers.progress.job("recover", title, total=total, unit="turns")

    @staticmethod
    async def _counted(effort: Effort, work: Callable[..., Awaitable[None]], *about: Any) -> None:
        await work(*about)
        effort.step()

    async def watch(self) -> None:
        """Round after round: take over from neighbours that have died."""
        while True:
            await self._makers.clock.sleep(5.0)
            try:
                await self.settle()
                await self.resume()
            except Exception:
                log.exception("recovery failed", extra={"action": "recovery_failed"})

    async def _concerns(self, head: Head) -> bool:
        """Whether this server is to settle it."""
        turn = head.turn
        if not self.adopts(head):
            return False
        if turn is None or turn.canceled or head.deleted or self._sleeps(head):
            return True
        return self._makers.clock.now() - head.active_at > FORSAKEN or await served(self._makers, turn)

    async def _settle(self, head: Head, limit: anyio.CapacityLimiter) -> None:
        log_id = LogId(head.id)
        if self._sleeps(head):
            return
        async with limit, self._supervisor.claim(log_id):
            if self._supervisor.playing(log_id):
                return  # it was woken meanwhile
            try:
                await self._decide(Journal(self._store, log_id, await self._store.take(log_id)))
            except (SessionBusy, SessionNotFound):
                return  # its owner lives after all, or it has come to its end
            except Exception:
                log.exception("could not settle %s", log_id, extra={"action": "settle_failed"})

    @staticmethod
    def _sleeps(head: Head) -> bool:
        """Parked, with nothing to write: the usual case of a turn that waits for a person."""
        turn = head.turn
        if turn is None or turn.driver or turn.canceled or head.deleted or turn.answer or not head.waits:
            return False
        if any(sub.turn is not None and sub.turn.driver for sub in head.below_all()):
            return False  # its CLI may be alive, and may have ended
        return all(w.durable for w in head.waits) and not _cut_off(head, head)

    async def _decide(self, journal: Journal) -> None:
        head = journal.head
        for inner in _heads(head):
            for call in inner.turn.calls if inner.turn else ():
                if call.state == "called" and inner.serving(call.id) is None:
                    await self._makers.toolsets.end(call.id)
        what, facts = verdict(head, self._policy)
        if what == "resume" and head.turn is not None and not await served(self._makers, head.turn):
            gone = f"nobody serves {head.turn.source!r} any more"
            what, facts = "end", [e.ErrorMet(f"{INTERRUPTED}, and {gone}", AgentNotFound.code, head.turn.agent)]
        if what == "end":
            await self._end(journal, facts)
            return
        if facts:
            await journal.write(*facts)
        if what == "park":
            await journal.release()
        else:
            self._ready.append(journal.log)

    async def _end(self, journal: Journal, facts: Sequence[e.Fact]) -> None:
        head = journal.head
        history = History(SessionId(journal.log))
        await read_history(self._store, journal.log, history)
        met = next((f for f in facts if isinstance(f, e.ErrorMet)), None)
        partial = None if met else await self._partial(journal.log, head)
        outcome: e.Outcome = "error" if met else "canceled"
        end = ending(head, history, outcome, error=met, partial=partial, why=INTERRUPTED)
        gone = (e.SessionExited(),) if head.deleted else ()
        if end or gone:
            await journal.write(*end, *gone)

    async def _partial(self, log_id: LogId, head: Head) -> Message | None:
        """What an answer had come to when somebody cancelled it and the server died."""
        turn = head.turn
        if turn is None or not turn.answer:
            return None
        events: list[e.Event] = []
        after = turn.asked
        while page := await self._store.page(log_id, after=after, limit=PARTIAL_PAGE):
            events += page
            after = page[-1].seq
        draft = of_log(events, turn.answer, turn.agent)
        return draft.message(at=self._makers.clock.now(), model=turn.model, partial=True)

    async def _resume(self, log_id: LogId, limit: anyio.CapacityLimiter) -> None:
        async with limit:
            try:
                await self._supervisor.wake(log_id)
                await self._supervisor.built(log_id)
            except RoostError as error:
                log.error("could not resume %s: %s", log_id, error, extra={"action": "resume_failed"})
