"""One turn of an agent CLI: run after run, until nothing is left to do.

The CLI belongs to its keeper: when the server stops it goes on, and the next server finds it again.
Only a cancel, its deadline or its own end ends it.
"""

import logging
from collections.abc import Sequence

import anyio
from msgspec import Struct
from msgspec.structs import replace

from roost.core import events as e
from roost.core.errors import LaunchFailed, MessagesWait, NotOwner, RoostError, SessionNotFound, StoreFull
from roost.core.ids import RunId
from roost.core.limits import SECOND, resumes_at
from roost.core.orders import Order
from roost.core.session import Head
from roost.engine import harness, launch, mailbox, worktree
from roost.engine.briefing import await_others, brief, recounted
from roost.engine.curtain import curtain
from roost.engine.endings import ended, ending
from roost.engine.run import Run, taken
from roost.engine.stage import Stage
from roost.ports import Condition, Exit, Process

log = logging.getLogger(__name__)

SHOWN = 100  # characters of a prompt in a list of runs
LOOK = 30.0  # seconds between two looks at the clock, which may be set, and stands still while a machine sleeps


class Next(Struct, frozen=True):
    """What the next run is told, and the facts that say where it comes from."""

    prompt: str
    facts: tuple[e.Fact, ...] = ()
    waits: Condition | None = None  # that what it is told has not been withdrawn


class LastWords(Struct, frozen=True):
    """What a run leaves to be written: facts, and why it did not end well."""

    facts: tuple[e.Fact, ...]
    met: e.ErrorMet | None = None
    asleep: bool = False  # a usage limit is among the facts, and the turn goes on when it has passed


async def run_driven(stage: Stage) -> None:
    """Play the turn; however it ends, the log says so.

    Raises:
        NotOwner: another server has it.
        StoreFull: its end could not be written.
    """
    driven = Driven(stage)
    with anyio.CancelScope() as canceled:
        async with stage.ear.open(canceled):
            try:
                await driven.play()
            except StoreFull:
                raise
            except NotOwner:
                await driven.disown()
                raise
            except Exception as error:
                await driven.fail(error)
    if canceled.cancelled_caught:
        await driven.cancel()


async def run_inner(stage: Stage) -> None:
    """Play the turn of a sub-session; a cancel of what is around it ends its CLI, the server's stop does not.

    Raises:
        NotOwner, StoreFull: as `run_driven`.
    """
    driven = Driven(stage)
    try:
        await driven.play()
    except StoreFull:
        raise
    except NotOwner:
        await driven.disown()
        raise
    except Exception as error:
        await driven.fail(error)
    except BaseException:
        if not stage.stopping:
            await driven.cancel()
        raise


class Driven:
    """The turn, and the run that it has now."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._makers = stage.makers
        self._order = Order(stage.turn.driver)
        self._opened: e.TurnOpened | None = None
        self._run: Run | None = None
        self._process: Process | None = None  # of a run, also while it is adopted
        self._following: Next | None = None  # what a run was told too late: it has ended, and the log says so with this

    async def play(self) -> None:
        """From where the log stands to the end."""
        stage = self._stage
        await stage.catch_up()
        self._order = await self._ordered()
        if stage.turn.canceled or stage.journal.head.deleted:
            await self.cancel()
            return
        if not stage.turn.started:
            await self._begin()
        stage.built.set()
        while True:
            if self._following is not None:
                run = await self._follow(self._following)
            elif stage.turn.run is not None:
                run = await self._adopt()
            elif (following := await self._next()) is not None:
                try:
                    run = await self._start(following)
                except mailbox.Withdrawn:
                    await stage.journal.refresh()
                    continue
            elif await self._end("normal", ()):
                return
            else:
                continue  # a message has come meanwhile
            if await self._closed(run, await run.attend()):
                return

    async def _ordered(self) -> Order:
        """What the agent file and the spawn want; a session made elsewhere asks for nothing but its provider."""
        store, stage, turn = self._makers.store, self._stage, self._stage.turn
        (first,) = await store.page(stage.log, after=0, limit=1)
        (opened,) = await store.page(stage.log, after=turn.opened - 1, limit=1)
        self._opened = opened.fact if isinstance(opened.fact, e.TurnOpened) else None
        asked = first.fact.order if isinstance(first.fact, e.SessionCreated) else None
        if self._opened is not None and (own := self._opened.order) is not None:
            here = asked is not None and harness.same_file(asked.provider, turn.source)
            return harness.merged(self._makers, own, asked if asked is not None and here else self._order)
        return asked if asked is not None and asked.provider == turn.driver else self._order

    async def _begin(self) -> None:
        """Show what clients want to know first; then the turn is under way."""
        stage, posted = self._stage, self._stage.newest()
        facts = await curtain(stage, self._order, posted[1].content if posted else "")
        if posted is not None:
            position, message = posted
            facts.append(e.UserSaid(message.content, position, message.parts))
        await stage.journal.write(*facts, e.TurnStarted(stage.turn.agent))

    # -- runs -----------------------------------------------------------------------------------

    async def _next(self) -> Next | None:
        """What the next run is for, once it may start; None when there is nothing."""
        stage, turn, head = self._stage, self._stage.turn, self._stage.journal.head
        if turn.limit is not None:
            while (left := turn.limit.resume_at - self._makers.clock.now()) > 0:
                await self._makers.clock.sleep(min(left / SECOND, LOOK))
            message = self._makers.limits.message(turn.driver)
            return Next(message, (e.LimitResumed(turn.limit.incident, message, turn.limits),))
        if not turn.runs:
            posted = stage.newest()
            prompt = posted[1].content if posted else ""
            if not (posted or head.queue or turn.interactive) and await mailbox.opened_for(stage):
                return None  # what it was opened for was withdrawn
            if not self._resumable():
                prompt = recounted(stage.history, turn.opened, prompt)
            if head.turns > 1:
                return Next(prompt)
            await await_others(self._makers.store, stage.hub, head.depends_on)
            return Next(await brief(self._makers.store, self._order, prompt))
        if head.queue:
            queued = head.queue[0]
            said = await mailbox.waiting(stage, queued)
            return Next(said.content, (taken(queued, said, head),), mailbox.waits(queued))
        return None

    def _resumable(self) -> str:
        """The CLI's own conversation that it goes on with; that of another CLI means nothing to it."""
        head = self._stage.journal.head
        return head.provider_session if head.played_by in ("", self._stage.turn.driver) else ""

    async def _start(self, following: Next) -> Run:
        await self._stage.guard.admit()
        await worktree.enter(self._stage, self._order)
        stage, head, order = self._stage, self._stage.journal.head, self._order
        if following.waits is not None:
            following.waits(head)
        driver = launch.driver_of(self._makers, stage.turn.driver)
        resume = self._resumable()
        errand = launch.errand(self._makers, driver, head, stage.turn, order, prompt=following.prompt, resume=resume)
        dialog = driver.open(errand)
        with anyio.CancelScope(shield=True):  # a process that was started is in the log, or gone
            process, sandbox = await launch.start(self._makers, driver, errand, head, tools=order.roost_tools)
            started = e.RunStarted(
                run=errand.run,
                pid=process.pid,
                started=process.started,
                boot_id=process.boot_id,
                provider=order.provider,
                model=order.model,
                command="interactive" if stage.turn.interactive else order.command,
                prompt=following.prompt[:SHOWN],
                working_dir=errand.working_dir,
                resumed=resume,
                sandbox=sandbox,
            )
            try:
                await stage.journal.write(*following.facts, started, only_if=following.waits)
            except BaseException:
                await process.clear()
                raise
        self._process = process
        self._run = Run(stage, order, errand, process, dialog, self._opened)
        self._run.born()
        return self._run

    async def _follow(self, following: Next) -> Run:
        """The run after one that has not heard all."""
        gone, self._following = self._process, None
        run = await self._start(following)
        if gone is not None:
            with anyio.CancelScope(shield=True):
                await gone.clear()
        return run

    async def _adopt(self) -> Run:
        """Find the run that is in the log.

        Raises:
            LaunchFailed: nothing is left of it.
        """
        stage, was = self._stage, self._stage.turn.run
        assert was is not None
        driver = launch.driver_of(self._makers, stage.turn.driver)
        runs = launch.runs_of(self._makers)
        process = await runs.adopt(was.id, pid=was.pid, started=was.started, boot_id=was.boot_id)
        self._process = process
        env = launch.environment(self._makers, driver, stage.journal.head, self._order, was.id)
        errand = launch.recalled(process.note, env)
        run = Run(stage, self._order, errand, process, driver.open(errand), self._opened)
        await run.relive(was.out, was.err)
        self._run = run  # not before it stands where the log stands: who stops it reads on from there
        return run

    # -- the end --------------------------------------------------------------------------------

    async def _closed(self, run: Run, ended: Exit) -> bool:
        """Write what a run's end means; whether the turn is over with it.

        However it ended: with the result that somebody has given it, it did what it was for.
        """
        left = self._last_words(run, ended)
        head = await self._stage.journal.refresh()
        if not run.expired and head.result > self._stage.turn.opened:
            left = replace(left, met=None, asleep=False)
        if not left.asleep and self._resumable() and (unheard := await run.unheard(ended)):
            self._following = Next(unheard, left.facts)
            return False
        if left.asleep:
            await self._stage.journal.write(*left.facts)
            over = False
        else:
            over = await self._end("error" if left.met else "normal", left.facts, left.met)
        await self._clear(ended)
        return over

    def _last_words(self, run: Run, ended: Exit) -> LastWords:
        facts = [fact for fact in run.last_words(ended) if not isinstance(fact, e.WaitOpened)]
        met = next((fact for fact in facts if isinstance(fact, e.ErrorMet)), None)
        if run.expired:
            met = e.ErrorMet(f"Agent timed out after {self._order.timeout}", "timeout", self._stage.turn.agent)
        whole = [self._scheduled(fact) if isinstance(fact, e.LimitHit) else fact for fact in facts]
        hits = [fact for fact in whole if isinstance(fact, e.LimitHit)]
        asleep = not run.expired and any(hit.resume_at for hit in hits)
        if hits and not asleep and met is None and not ended.killed:
            met = e.ErrorMet(hits[-1].raw or "a usage limit was reached", "usage_limit", self._stage.turn.agent)
        kept = [fact for fact in whole if not isinstance(fact, e.ErrorMet)]
        gone = e.RunEnded(run.errand.run, ended.code, ended.signal, ended.killed)
        return LastWords((*kept, gone), met, asleep)

    def _scheduled(self, hit: e.LimitHit) -> e.LimitHit:
        """The limit with the moment at which the turn goes on, where it does."""
        if not self._resumable():
            return hit
        now = self._makers.clock.now()
        when = resumes_at(hit, self._makers.limits, now=now, before=self._stage.turn.limits)
        return hit if when is None else replace(hit, resume_at=when[0], fallback_used=when[1])

    async def _end(self, outcome: e.Outcome, facts: Sequence[e.Fact], met: e.ErrorMet | None = None) -> bool:
        """The turn's last facts; False where messages have come that it goes on with."""
        stage = self._stage
        tree = () if stage.journal.head.queue and outcome == "normal" else await worktree.leave(stage)
        said = [fact for fact in facts if not isinstance(fact, e.WaitVoided)]  # the log knows what is open

        def closed(head: Head) -> list[e.Fact]:
            return [*said, *(e.WaitVoided(wait.id, e.TURN_ENDED, sub=wait.sub) for wait in stage.waits), *tree]

        def end(head: Head) -> list[e.Fact]:
            if outcome == "normal":
                mailbox.empty(head)
            return [*closed(head), *([met] if met else []), ended(stage.turn, outcome, met)]

        try:
            await stage.journal.compose(end)
        except MessagesWait:
            await stage.journal.refresh()
            await stage.journal.compose(closed)
            return False
        return True

    async def _clear(self, ended: Exit) -> None:
        with anyio.CancelScope(shield=True):  # its end is written: nobody comes back for what is left
            if self._run is not None:
                await self._run.process.clear()
            if ended.code is None:  # its keeper went without a word, and has not seen to its sandbox
                await launch.unwall(self._makers, self._stage.journal.head)
        self._run = self._process = None

    async def fail(self, error: Exception) -> None:
        """Something else than the CLI went wrong: stop it, and say so."""
        stage = self._stage
        head = await stage.journal.refresh()
        if stage.journal.open is None:
            log.error("%s failed after its turn", stage.log, exc_info=error, extra={"action": "turn_failed"})
            return
        if stage.turn.canceled or head.deleted:
            await self.cancel()
            return
        met = e.ErrorMet("internal error; the server's log has the details", "internal", stage.turn.agent)
        if isinstance(error, RoostError):
            met = e.ErrorMet(error.message, error.code, stage.turn.agent)
        else:
            log.error("turn of %s failed", stage.log, exc_info=error, extra={"action": "turn_failed"})
        await self._stop("error", met)

    async def cancel(self) -> None:
        """End the run and the turn because somebody asked for it."""
        with anyio.CancelScope(shield=True):
            try:
                await self._stage.journal.refresh()
            except SessionNotFound:  # it was seen to its last fact, and swept away
                await self._abandon()
                raise
            if self._stage.journal.open is not None:
                await self._stop("canceled")
            else:
                await self._abandon()

    async def disown(self) -> None:
        """Another server has the session.  It goes on with the run, unless it has ended the turn."""
        with anyio.CancelScope(shield=True):
            try:
                await self._stage.journal.refresh()
            except SessionNotFound:
                await self._abandon()
                return
            if self._stage.journal.open is None:
                await self._abandon()

    async def _abandon(self) -> None:
        """Somebody else has ended the turn: see that its process does not outlive it."""
        if self._process is not None:
            await self._process.clear()

    async def _stop(self, outcome: e.Outcome, met: e.ErrorMet | None = None) -> None:
        """Stop the run, take in what it still had to say, and end the turn."""
        with anyio.CancelScope(shield=True):
            facts: Sequence[e.Fact] = ()
            told = Exit()
            if (was := self._stage.turn.run) is not None:
                try:
                    run = self._run or await self._adopt()
                    told = await run.stop()
                    facts = self._last_words(run, told).facts
                except (NotOwner, StoreFull):
                    raise
                except Exception as error:
                    if not isinstance(error, LaunchFailed):
                        log.exception("the run %s can't be ended", was.id, extra={"action": "run_lost"})
                    facts = await self._lost(was.id, outcome)
            await self._end(outcome, facts, met)
            await self._clear(told)

    async def _lost(self, run: RunId, outcome: e.Outcome) -> Sequence[e.Fact]:
        """What is written of a run that can say nothing any more: what it left open is closed."""
        stage = self._stage
        await stage.catch_up()
        facts = ending(stage.journal.head, stage.history, outcome)
        return [*(fact for fact in facts if not isinstance(fact, e.TurnEnded)), e.RunEnded(run)]
