"""Who stands between a turn and the models: a request goes only where each budget has room for it.

Whoever comes to a budget that is used up asks a person, once for all that stand before it in the tree.
"""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from msgspec import convert

from roost.core import budgets, purse
from roost.core import events as e
from roost.core.agents import Team
from roost.core.budgets import Held
from roost.core.errors import BudgetExceeded, RoostError, SessionNotFound
from roost.core.ids import LogId, SessionId, WaitId, fresh
from roost.core.purse import Amount, Breach, Go, Later, Ticket
from roost.engine.answer import Pass
from roost.engine.bulkhead import open_group
from roost.engine.runtime import Makers
from roost.engine.stage import Stage
from roost.engine.till import Till
from roost.ports import ModelRequest, Provider

log = logging.getLogger(__name__)

LOOK = 5.0  # seconds between two looks at a wait that another session has opened
SETTLED = "its budget was raised, or everything was stopped, elsewhere"


class Warden:
    """Stands between one turn and the models (`answer.Guard`)."""

    def __init__(self, makers: Makers, till: Till, stage: Stage) -> None:
        self._makers = makers
        self._till = till
        self._stage = stage
        self._team: Team | None = None

    # -- leave ----------------------------------------------------------------------------------

    @asynccontextmanager
    async def gate(self, provider: Provider, request: ModelRequest) -> AsyncIterator[Pass | None]:
        """See `answer.Guard`.

        Raises:
            BudgetExceeded: a budget is used up, and a person has let it be, or none can be asked.
            Park: a person is asked, and nobody expects an answer soon.
        """
        amount = _most(provider, request)
        leave = await self._admitted(amount)
        if leave is None:
            yield None
            return
        try:
            yield leave
        finally:
            leave.close()
        if leave.settled:
            await self.show()

    @asynccontextmanager
    async def quiet(self, provider: Provider, request: ModelRequest) -> AsyncIterator[Pass | None]:
        """See `answer.Guard`."""
        holding = await self._holding()
        if not holding:
            yield None
            return
        verdict = self._weigh(holding)
        if not isinstance(verdict, Go):
            raise BudgetExceeded(verdict.message if isinstance(verdict, Breach) else "the rest of a budget is reserved")
        leave = self._take(holding, _most(provider, request))
        try:
            yield leave
        finally:
            leave.close()

    async def admit(self) -> None:
        """See `answer.Guard`; raises what `gate` raises."""
        while isinstance(verdict := self._weigh(await self._holding()), Breach):
            await self._stand(verdict)

    async def broke(self) -> bool:
        """See `answer.Guard`."""
        return isinstance(self._weigh(await self._holding()), Breach)

    async def show(self) -> None:
        """See `answer.Guard`."""
        holding = await self._holding()
        if holding and self._stage.journal.open is not None:
            self._till.look()
            spent = tuple(was for _, was in self._spent(holding))
            await self._stage.journal.write(e.BudgetShown(spent, self._stage.turn.agent))

    async def _admitted(self, amount: Amount) -> "_Leave | None":
        while True:
            if not (holding := await self._holding()):
                return None
            bell = self._till.bell  # taken before weighing, so that nothing slips in between
            match self._weigh(holding):
                case Go():
                    return self._take(holding, amount)
                case Later():
                    await bell.wait()
                case Breach() as breach:
                    await self._stand(breach)

    def _take(self, holding: Sequence[Held], amount: Amount) -> "_Leave":
        stage, mine = self._stage, self._till.purse
        agent = stage.turn.agent
        mine.watch(stage.log, stage.root.journal.head, agent)
        return _Leave(self._till, mine.take([held.key for held in holding], (stage.log, agent), amount))

    # -- what holds -----------------------------------------------------------------------------

    async def _holding(self) -> Sequence[Held]:
        """The budgets that hold for this agent in this session, from heads as new as need be."""
        stage, till = self._stage, self._till
        await stage.ear.look()
        till.saw(stage.root.journal.head)
        await self._above()
        await self._known_team()
        if self._budgets() and not till.read:
            for head in await self._makers.store.heads():
                if head.root == stage.root.journal.head.root:
                    till.saw(head)
            till.read = True
        return self._budgets()

    async def _above(self) -> None:
        """Read the sessions above this one anew: somebody may have changed their budgets."""
        seen, above = set[SessionId](), self._stage.root.journal.head.parent
        while above and above not in seen:
            seen.add(above)
            try:
                head = await self._makers.store.head(LogId(above))
            except SessionNotFound:
                return
            self._till.saw(head)
            above = head.parent

    async def _known_team(self) -> None:
        stage, turn = self._stage, self._stage.turn
        if stage.runtime is not None:
            self._team = stage.runtime.team
        elif self._team is None and turn.source != turn.driver:
            try:
                self._team = await self._makers.agents.team(turn.source, turn.source_hash)
            except RoostError as error:  # a CLI goes on without its file
                log.warning("budgets of %s are not known: %s", turn.source, error, extra={"action": "budgets_unknown"})

    def _budgets(self) -> Sequence[Held]:
        """The same, from what is known."""
        stage, heads = self._stage, self._till.heads
        head = stage.root.journal.head
        found = budgets.of_session(head, alone=stage.outer is None)
        seen, above = {head.id}, heads.get(LogId(head.parent))
        while above is not None and above.id not in seen:
            seen.add(above.id)
            found += budgets.of_session(above, alone=False)
            above = heads.get(LogId(above.parent))
        if self._team is not None:
            found += budgets.of_file(self._team, stage.turn.source, stage.turn.agent, heads.values())
        return found

    def _spent(self, holding: Sequence[Held]) -> Sequence[tuple[Held, e.Spent]]:
        now = self._makers.clock.now()
        return [(held, budgets.spent(held, self._till.heads, now)) for held in holding]

    def _weigh(self, holding: Sequence[Held]) -> Go | Later | Breach:
        if not holding:
            return Go()
        self._till.look()
        return self._till.purse.weigh(self._spent(holding))

    def _still(self, about: str) -> Breach | None:
        """A breach, if it is still there."""
        verdict = self._weigh(self._budgets())
        return verdict if isinstance(verdict, Breach) and verdict.about == about else None

    def _needless(self, about: str) -> bool:
        """Whether nobody has to be asked any more."""
        return self._still(about) is None or self._till.stopped(self._stage.root.journal.head, about)

    # -- a budget that is used up ---------------------------------------------------------------

    async def _stand(self, breach: Breach) -> None:
        """Wait until a person has let it go on, or it does for another reason.

        Raises:
            BudgetExceeded: it is not to go on.
            Park: nobody follows, and nothing else goes on in this turn.
        """
        stage, till, about = self._stage, self._till, breach.about
        if stage.turn.unattended or till.stopped(stage.root.journal.head, about):
            raise BudgetExceeded(breach.message)
        async with till.asking:
            if (now := self._still(about)) is None:
                return
            known = till.asked(stage.log, about)
            where, wait = known or await self._ask(now)
        if known is None:
            await stage.fire("on_user_input", reason="budget")
        if where == stage.log:
            await self._answered(wait, breach)
        else:
            await self._beside(where)

    async def _ask(self, breach: Breach) -> tuple[LogId, WaitId]:
        stage, wait = self._stage, WaitId(fresh())
        shown = {
            "budget": breach.held.caps.name,
            "limit": breach.limit,
            "used": f"{breach.used:.9g}",
            "max": f"{breach.most:.9g}",
            "config_path": breach.held.path,
        }
        message = f"{breach.message}. Approve to let it go on with as much again; reject to stop."
        meta = {"roost/type": breach.about}
        opened = e.WaitOpened(wait, "budget", stage.turn.agent, message=message, metadata=shown, meta=meta)
        await stage.journal.write(opened)
        return stage.log, wait

    async def _answered(self, wait: WaitId, breach: Breach) -> None:
        """Wait for what a person says, and act on it; several in one log may."""
        stage, about = self._stage, breach.about
        driven = bool(stage.turn.driver)  # nothing that a CLI does can sleep
        with stage.ear.at_thought(1 if driven else -1):
            answer = await stage.ear.answer_unless(wait, lambda: self._needless(about))
        if answer is None:
            await self._withdraw(wait)
        elif answer.action == "approve":
            await self._raise(wait, about, answer)
        else:
            self._till.stop(about)
            raise BudgetExceeded(breach.message)

    async def _raise(self, wait: WaitId, about: str, answer: e.Answer) -> None:
        """Let the budget go on, unless somebody was quicker."""
        stage, till = self._stage, self._till
        async with till.asking:
            if (breach := self._still(about)) is None:
                return
            asked = convert(answer.content, e.Budget) if answer.content else None
            budget, whose = purse.raised(breach, asked), LogId(breach.held.session)
            if whose and whose != stage.log:
                with suppress(SessionNotFound):
                    till.saw((await self._makers.store.put(whose, [e.BudgetRaised(budget)])).head)
            await stage.root.journal.write(e.BudgetRaised(budget, wait))
        till.ring()

    async def _withdraw(self, wait: WaitId) -> None:
        """Nobody needs the answer any more."""
        stage = self._stage
        async with self._till.asking:
            left = next((one for one in stage.root.journal.head.waits if one.id == wait), None)
            if left is not None:
                await stage.root.journal.write(e.WaitVoided(wait, SETTLED, sub=left.sub))

    async def _beside(self, where: LogId) -> None:
        """A person has been asked elsewhere: wait until something has changed, or a little while."""
        bell = self._till.bell
        async with open_group() as tasks:

            async def alarm() -> None:
                await self._makers.clock.sleep(LOOK)
                tasks.cancel_scope.cancel()

            tasks.start_soon(alarm)
            await bell.wait()
            tasks.cancel_scope.cancel()
        try:
            self._till.saw(await self._makers.store.head(where))
        except SessionNotFound:
            self._till.heads.pop(where, None)


def _most(provider: Provider, request: ModelRequest) -> Amount:
    """What a request may take at most."""
    output = request.max_tokens or provider.spec.max_tokens or provider.output_limit or purse.OUTPUT
    return purse.most(request.messages, request.tools, output, provider.price)


class _Leave:
    """Leave for one request (`answer.Pass`)."""

    def __init__(self, till: Till, ticket: Ticket) -> None:
        self.settled = False
        self._till = till
        self._ticket = ticket

    def settle(self, cost: float, tokens: int, *, priced: bool) -> None:
        self.settled = True
        self._till.purse.settle(self._ticket, Amount(cost, tokens))

    def close(self) -> None:
        self._till.look()
        self._till.purse.drop(self._ticket)
        self._till.ring()
