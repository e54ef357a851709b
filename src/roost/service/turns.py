"""Turns: run, follow, cancel."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from functools import partial

import anyio
from msgspec import Struct

from roost.core import events as e
from roost.core.capabilities import Capability
from roost.core.errors import SessionNotFound, SessionNotRunning
from roost.core.ids import LogId, TurnId
from roost.core.messages import Message
from roost.core.principals import Principal
from roost.core.session import Head
from roost.engine import harness
from roost.engine.follow import follow
from roost.engine.kin import cancel, cancel_below
from roost.ports import ModelInfo
from roost.service.desk import Desk
from roost.service.graces import Graces, Run, named
from roost.service.openings import USUAL, Openings, Work
from roost.service.seats import Seats


class Observed:
    """The events of a turn to its end.  Whoever stops before that calls `aclose`, which says that he left.

    Raises (while it is read):
        StoreFull: the turn's end can't be written.
    """

    def __init__(
        self, batches: AsyncGenerator[Sequence[e.Event], None], turn: TurnId, on_leave: Callable[[], None]
    ) -> None:
        self._batches = batches
        self._turn = turn
        self._on_leave = on_leave
        self._over = False
        self.ended = False  # whether the turn's last fact has come

    def __aiter__(self) -> AsyncIterator[Sequence[e.Event]]:
        """Itself."""
        return self

    async def __anext__(self) -> Sequence[e.Event]:
        """The next batch; the last one ends with the turn's last fact."""
        if self._over:
            raise StopAsyncIteration
        batch = await anext(self._batches)
        cut = next((n for n, event in enumerate(batch, 1) if _ends(event.fact, self._turn)), None)
        self._over = self.ended = cut is not None
        return batch if cut is None else batch[:cut]

    async def aclose(self) -> None:
        """No more of them are wanted."""
        over, self._over = self._over, True
        await self._batches.aclose()
        if not over:
            self._on_leave()


class Choice(Struct, frozen=True):
    """The models of a session: what its agent uses, and what it could use."""

    agent: str
    default: str  # the file's
    override: str  # the session's, or ""
    custom: tuple[str, ...]  # every inline reference the session has used
    models: Sequence[ModelInfo]


class Turns:
    """Turns belong to the server: a request observes one, and does not own it."""

    def __init__(self, desk: Desk, openings: Openings, graces: Graces, seats: Seats) -> None:
        self._desk = desk
        self._store = desk.store
        self._openings = openings
        self._graces = graces
        self._seats = seats

    # -- running --------------------------------------------------------------------------------

    async def run(
        self,
        principal: Principal,
        session: str,
        source: str,
        messages: Sequence[Message],
        *,
        agent: str = "",
        model: str = "",
        detach: bool = False,
        work: Work = USUAL,
        headers: Mapping[str, str] | None = None,
    ) -> Run:
        """Open a turn: of an agent file, or of the agent CLI whose provider `source` is.

        Nothing is stored when it can't be.  `headers` are those of the request, which toolsets may name:
        they are kept in memory alone, and for this turn.

        Raises:
            TooManySessions: as many turns run as may.
            SessionNotFound, AgentNotFound, AgentBroken, AgentUnreachable: what is named is not there.
            SessionBusy: a turn runs.
            BadModel: `model` leads nowhere.
            BadValue: there is nothing to answer.
        """
        head = await self._desk.head(principal, session)
        log = LogId(session)
        if await self._openings.is_cli(head, source):
            facts = await self._openings.of_cli(
                principal, head, source, messages, model=model, detach=detach, work=work
            )
        else:
            facts = await self._openings.of_file(
                principal, head, source, messages, agent=agent, model=model, detach=detach, work=work
            )
        if head.turn is not None and self._graces.abandoned(head, head.turn):
            await self._graces.supersede(log, head.turn.id)
        async with self._desk.capacity.room(head):
            owned = await self._desk.supervisor.open(log, facts, headers=headers)
        opened = next(event for event in owned.events if isinstance(event.fact, e.TurnOpened))
        assert isinstance(opened.fact, e.TurnOpened)
        return Run(log, opened.fact.turn, opened.seq - 1)

    def observe(self, run: Run, principal: Principal) -> Observed:
        """The events of a turn to its end.  Closing it early starts the turn's grace."""
        return Observed(
            self._follow(run.log, run.after, principal), run.turn, partial(self._graces.leave, run, principal)
        )

    async def cancel(self, principal: Principal, session: str, why: str = "") -> None:
        """End the turn that runs, and what the session has started; `why` is told to whoever waits for it.

        Raises:
            SessionNotRunning: nothing of that runs.
        """
        head = await self._desk.head(principal, session)
        found = False
        if head.turn is not None:
            asked = e.CancelAsked(head.turn.id, why, principal.name)
            with suppress(SessionNotRunning):
                await cancel(self._store, self._desk.supervisor, LogId(session), asked)
                found = True
        below = await cancel_below(self._store, self._desk.supervisor, session, by=principal.name)
        if not (found or below):
            raise SessionNotRunning("session is not running")

    # -- looking --------------------------------------------------------------------------------

    async def ran(self, principal: Principal, session: str) -> Head:
        """The head of a session that has had a turn, or is open at a terminal.

        Raises:
            SessionNotRunning: there is none, or it never ran.
        """
        try:
            head = await self._desk.head(principal, session)
        except SessionNotFound:
            raise SessionNotRunning from None
        if not (head.turns or self._seats.seat(session)):
            raise SessionNotRunning
        return head

    async def until_ran(self, principal: Principal, session: str, patience: float) -> Head | None:
        """The head of a session as soon as it has had a turn; None when that takes too long."""
        with anyio.move_on_after(patience):
            while True:
                bell = self._desk.hub.bell(LogId(session))
                try:
                    return await self.ran(principal, session)
                except SessionNotRunning:
                    await bell.wait()
        return None

    async def until_any_ran(self, patience: float) -> bool:
        """Whether a turn has begun on this server by then."""
        with anyio.move_on_after(patience):
            await self._desk.supervisor.first.wait()
        return self._desk.supervisor.first.is_set()

    async def models(self, principal: Principal, session: str) -> Choice:
        """What the session's agent runs on.

        Raises:
            SessionNotRunning: the session never ran.
            BadModel: its agent's own model can't be used.
        """
        head = await self.ran(principal, session)
        seat = None if head.turns else self._seats.seat(session)
        team = await self._desk.makers.agents.team(seat.source if seat else head.source)
        agent = team.agent(seat.first if seat else head.agent) or team.default
        override = head.model_overrides.get(agent.name, "")
        if (cli := agent.harness) is not None:
            offered = harness.player(self._desk.makers, team, agent, cli).capability
            default = f"{cli.driver}/{cli.model or offered.default_model}"
            return Choice(agent.name, default, override, head.custom_models, _models(offered))
        models = self._desk.makers.models
        return Choice(agent.name, agent.model, override, head.custom_models, models.listing(team))

    async def follow(
        self, principal: Principal, session: str, *, after: int = 0
    ) -> AsyncGenerator[Sequence[e.Event], None]:
        """Every event of a session past `after`, then every new one, until it exits or the server stops.

        Raises:
            SessionNotFound: there is none that this caller may see.
        """
        await self._desk.head(principal, session)
        async with aclosing(self._follow(LogId(session), after, principal)) as batches:
            async for batch in batches:
                yield batch

    def _follow(self, log: LogId, after: int, principal: Principal) -> AsyncGenerator[Sequence[e.Event], None]:
        return follow(self._store, self._desk.hub, log, after=after, client=named(principal))


def _models(offered: Capability) -> list[ModelInfo]:
    """The models of an agent CLI."""
    provider = offered.provider
    return [ModelInfo(name, f"{provider}/{name}", provider, name) for name in offered.available_models]


def _ends(fact: e.Fact, turn: TurnId) -> bool:
    if isinstance(fact, e.SessionExited):
        return True
    return isinstance(fact, e.TurnEnded) and fact.turn == turn and not fact.sub
