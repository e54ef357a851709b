"""Turns: run, follow, steer, follow up, cancel."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from functools import partial
from pathlib import Path

import anyio
from msgspec import Struct
from msgspec.structs import replace

from roost.core import events as e
from roost.core.agents import Agent, Harness, Team, reached
from roost.core.capabilities import Capability
from roost.core.errors import (
    AgentNotFound,
    BadModel,
    BadValue,
    Duplicate,
    QueueFull,
    SessionBusy,
    SessionNotFound,
    SessionNotRunning,
)
from roost.core.history import History
from roost.core.ids import LogId, TurnId, fresh
from roost.core.messages import Message
from roost.core.orders import Order
from roost.core.principals import Principal
from roost.core.session import Head, Turn
from roost.engine import harness
from roost.engine.follow import follow
from roost.engine.kin import cancel, cancel_below
from roost.engine.runtime import choose
from roost.engine.slash import resolved
from roost.ports import ModelInfo
from roost.service.desk import Desk

STEERS, FOLLOWUPS = 5, 20  # messages that may wait in a session
LONGEST_KEY = 1024  # characters of an idempotency key: it is kept with the session
FRAMINGS = ("", "plain", "instruction", "replacement")
NEVER_RAN = "session not found or not running"


class Run(Struct, frozen=True):
    """A turn that was just opened: `after` is the seq before its first fact."""

    log: LogId
    turn: TurnId
    after: int


class Work(Struct, frozen=True):
    """How a turn is to be played, where that is not as usual."""

    command: str = ""  # what clients of `/api/v1` are told of it
    interactive: bool = False  # goes on until it is cancelled
    waiting: bool = False  # what it is about waits in the session already


USUAL, WAITING = Work(), Work(waiting=True)


class Seat(Struct, frozen=True):
    """Who somebody at a terminal talks to in a session: what is sent there is as good as typed."""

    principal: Principal
    source: str
    agent: str = ""  # of the source's team; "" is the one that the session is with, or begins with
    first: str = ""  # with whom a session begins
    turns: int = 0  # that the session had when somebody sat down


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

    def __init__(self, desk: Desk, *, grace: float) -> None:
        self._desk = desk
        self._store = desk.store
        self._grace = grace
        self._seats: dict[LogId, Seat] = {}
        self._dropped: dict[LogId, TurnId] = {}  # turns whose client has left, until its grace is over

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
        if await self._is_cli(head, source):
            facts = await self._driven(principal, head, source, messages, model=model, detach=detach, work=work)
        else:
            facts = await self._opening(
                principal, head, source, messages, agent=agent, model=model, detach=detach, work=work
            )
        if head.turn is not None and self._abandoned(head, head.turn):
            await self._supersede(log, head.turn.id)
        async with self._desk.capacity.room(head):
            owned = await self._desk.supervisor.open(log, facts, headers=headers)
        opened = next(event for event in owned.events if isinstance(event.fact, e.TurnOpened))
        assert isinstance(opened.fact, e.TurnOpened)
        return Run(log, opened.fact.turn, opened.seq - 1)

    async def _is_cli(self, head: Head, source: str) -> bool:
        """Whether an agent CLI is meant: in a session that was not spawned, an agent file of the same name is."""
        if source not in self._desk.makers.drivers:
            return False
        return bool(head.provider) or all(one.id != source for one in await self._desk.makers.agents.sources())

    async def _opening(
        self,
        principal: Principal,
        head: Head,
        source: str,
        messages: Sequence[Message],
        *,
        agent: str,
        model: str,
        detach: bool,
        work: Work,
    ) -> list[e.Fact]:
        """The facts that open a turn of an agent file, once all that the caller named has been found."""
        messages = self._desk.policy.files(principal, messages)
        working_dir = head.working_dir or self._desk.policy.home(principal)
        self._desk.policy.check(principal, working_dir)
        makers = self._desk.makers
        team = await makers.agents.team(source)
        handed = head.handed if head.source == team.source and team.agent(head.handed) else ""
        chosen, said = self._agent(team, agent or handed or source, bool(agent), messages)
        self._desk.policy.model(model, {*team.models, *(a.model for a in team.agents)})
        limit = head.max_iterations or chosen.max_iterations
        order: Order | None = None
        if chosen.harness is not None:
            order = await self._cast(principal, head, team, chosen, chosen.harness, model, working_dir, limit)
        else:
            self._models(team, head, chosen, model)
        new = await self._new(head, said, work)
        opened = e.TurnOpened(
            turn=TurnId(fresh()),
            source=team.source,
            agent=chosen.name,
            working_dir=working_dir,
            source_hash=team.hash,
            model=model or head.model_overrides.get(chosen.name, ""),
            principal=principal.name,
            detached=detach,
            max_iterations=limit,
            driver=order.provider if order else "",
            command=work.command,
            interactive=work.interactive,
            confined=self._desk.policy.must_sandbox(principal, asked=head.confined),
            order=order,
            permissions=team.permissions if order else None,
            safety=(chosen.safety or team.safety) if order else "",
        )
        facts: list[e.Fact] = [e.ModelChosen(chosen.name, model)] if model else []
        return [*facts, opened, *self._written(new)]

    def _models(self, team: Team, head: Head, agent: Agent, model: str) -> None:
        """See that the agent (with `model`, where one is asked for) and all that it works with have usable models.

        Raises:
            BadModel: one of them has none; all keys that the team lacks are named at once.
        """
        models = self._desk.makers.models
        for each in reached(team, agent):
            try:
                if model and each is agent:
                    models.provider(team, model)
                else:
                    choose(models, team, head, each, [])
            except BadModel as error:
                lacking = models.missing(team, [one.name for one in team.agents])
                others = [name for name in lacking if name not in str(error)]
                whose = "" if each is agent else f"agent {each.name!r}: "
                more = f"; other models of the team need {', '.join(others)}" if others else ""
                raise BadModel(f"{whose}{error}{more}") from None

    async def _cast(
        self,
        principal: Principal,
        head: Head,
        team: Team,
        agent: Agent,
        cli: Harness,
        model: str,
        working_dir: str,
        turns: int,
    ) -> Order:
        """What an agent file asks of the CLI that plays its agent.

        Raises:
            AgentBroken: no such CLI is known here.
            BadModel: it knows no such model.
            Denied, BadValue: a folder lies where this caller may not work.
        """
        makers, policy = self._desk.makers, self._desk.policy
        driver = harness.player(makers, team, agent, cli)
        folders = tuple(policy.confine(principal, str(Path(working_dir, folder))) for folder in cli.add_dirs)
        chosen = harness.model_of(driver, head, agent, cli, model)
        cli = replace(cli, add_dirs=folders)
        confined = policy.must_sandbox(principal, asked=head.confined)
        return await harness.wanted(
            makers, agent, cli, model=chosen, working_dir=working_dir, turns=turns, confined=confined
        )

    async def _driven(
        self,
        principal: Principal,
        head: Head,
        provider: str,
        messages: Sequence[Message],
        *,
        model: str,
        detach: bool,
        work: Work,
    ) -> list[e.Fact]:
        """The facts that open a turn of an agent CLI."""
        if model:
            raise BadValue(f"{provider} takes its model when the session is spawned")
        messages = self._desk.policy.files(principal, messages)
        working_dir = head.working_dir or self._desk.policy.home(principal)
        self._desk.policy.check(principal, working_dir)
        new = await self._new(head, messages, work)
        opened = e.TurnOpened(
            turn=TurnId(fresh()),
            source=provider,
            agent=provider,
            working_dir=working_dir,
            principal=principal.name,
            detached=detach,
            driver=provider,
            command=work.command,
            interactive=work.interactive,
            confined=self._desk.policy.must_sandbox(principal, asked=head.confined),
        )
        return [opened, *self._written(new)]

    def _written(self, messages: Sequence[Message]) -> list[e.Fact]:
        now = self._desk.makers.clock.now()
        return [e.MessageWritten(replace(m, role="user", at=m.at or now)) for m in messages]

    async def _new(self, head: Head, messages: Sequence[Message], work: Work) -> Sequence[Message]:
        """What of the posted messages is new.

        Raises:
            BadValue: there is nothing to answer.
        """
        new = await self._unseen(head, messages)
        if not new and not head.messages and not (work.interactive or work.waiting):
            raise BadValue("there is nothing to answer: post at least one message")
        return new

    def _agent(
        self, team: Team, name: str, named: bool, messages: Sequence[Message]
    ) -> tuple[Agent, Sequence[Message]]:
        """The agent that a run is for, and the messages with their slash commands resolved.

        Where none was `named`, `name` is the source's, which may be that of an agent inside it.
        """
        agent = team.agent(name) or (None if named else team.default)
        if agent is None:
            raise AgentNotFound(name, tuple(a.name for a in team.agents))
        said = [resolved(message, agent, self._desk.makers.env) for message in messages]
        switched = [team.agent(switch) for _, switch in said if switch]
        agent = next((other for other in reversed(switched) if other is not None), agent)
        return agent, [message for message, _ in said]

    async def _unseen(self, head: Head, messages: Sequence[Message]) -> Sequence[Message]:
        """Old clients post the whole conversation each time: only what is new counts."""
        if len(messages) < 2 or not head.messages:
            return messages
        history = History(head.id).extend(await self._store.messages(LogId(head.id)))
        said = [(m.role, m.content) for _, m in history.messages() if m.role in ("user", "assistant")]
        posted = [(m.role, m.content) for m in messages]
        users = [content for role, content in said if role == "user"]
        if posted[: len(said)] == said and (len(posted) > len(said) or len(users) < len(said)):
            return messages[len(said) :]
        if len(posted) > len(users) and [content for _, content in posted[: len(users)]] == users:
            return messages[len(users) :]
        return messages

    def observe(self, run: Run, principal: Principal) -> Observed:
        """The events of a turn to its end.  Closing it early starts the turn's grace."""
        return Observed(self._follow(run.log, run.after, principal), run.turn, partial(self._leave, run, principal))

    def _leave(self, run: Run, principal: Principal) -> None:
        """The client of a run is gone: its turn has a little time for somebody else to turn up."""
        if self._desk.supervisor.stopping:
            return
        self._dropped[run.log] = run.turn
        dropped_at = self._desk.makers.clock.monotonic()
        self._desk.bulkhead.start(self._outlive, run, principal, dropped_at, name=f"grace of {run.log}")

    def _abandoned(self, head: Head, turn: Turn) -> bool:
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
            if any(f.client != _name(principal) or f.since > dropped_at for f in followers):
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

    async def _supersede(self, log: LogId, turn: TurnId) -> None:
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

    # -- sessions that are open at a terminal ---------------------------------------------------

    async def attach(self, principal: Principal, session: str, source: str, *, agent: str = "") -> None:
        """From now on the session has a runtime: what follows up on it starts a turn, also where none runs.

        Raises:
            SessionNotFound: there is none that this caller may see.
            AgentNotFound, AgentBroken, AgentUnreachable: what is named is not there.
        """
        head = await self._desk.head(principal, session)
        first = agent
        if source not in self._desk.makers.drivers:
            team = await self._desk.makers.agents.team(source)
            first = self._agent(team, agent or source, bool(agent), ())[0].name
        self._seats[LogId(session)] = Seat(principal, source, agent, first, head.turns)
        self._desk.supervisor.first.set()
        self._desk.hub.grown(LogId(session), ())  # those who wait for it look again

    def detach(self, session: str) -> None:
        """Nobody sits there any more."""
        self._seats.pop(LogId(session), None)

    def seat(self, session: str) -> Seat | None:
        """Who sits there."""
        return self._seats.get(LogId(session))

    # -- messages that wait ---------------------------------------------------------------------

    async def steer(self, principal: Principal, session: str, messages: Sequence[Message], framing: str = "") -> None:
        """Messages for the middle of the turn; an idle session keeps them for its next one.

        Raises:
            BadValue, QueueFull, SessionNotRunning
        """
        if framing not in FRAMINGS:
            raise BadValue(f'invalid framing "{framing}": must be one of plain, instruction, replacement')
        fact = e.MessageQueued("steer", self._users(principal, messages), framing=framing)
        await self._queue(principal, session, fact, STEERS, "failed to steer session: ", "steer")

    async def followup(self, principal: Principal, session: str, messages: Sequence[Message], key: str = "") -> str:
        """Messages for after the turn: `queued_streaming`, `queued_idle`, or `duplicate` for a key seen before.

        Raises:
            BadValue, QueueFull, SessionNotRunning
        """
        if len(key) > LONGEST_KEY:
            raise BadValue(f"the Idempotency-Key is longer than {LONGEST_KEY} characters")
        fact = e.MessageQueued("followup", self._users(principal, messages), key)
        try:
            if seat := self.seat(session):
                await self._as_typed(principal, session, fact, seat)
                return "queued_streaming"
            head = await self._queue(principal, session, fact, FOLLOWUPS, "failed to enqueue follow-up: ", "follow-up")
        except Duplicate:
            return "duplicate"
        return "queued_streaming" if head.turn is not None else "queued_idle"

    async def _as_typed(self, principal: Principal, session: str, fact: e.MessageQueued, seat: Seat) -> None:
        """Queue what was sent to a session that is open at a terminal; where no turn runs, one begins with it."""
        log, prefix = LogId(session), "failed to enqueue follow-up: "

        def runs(head: Head) -> None:
            self._fits(head, fact, FOLLOWUPS, prefix, "follow-up")
            if head.turn is None:
                raise _Idle

        while True:
            try:
                head = await self._desk.head(principal, session)
                if head.turn is not None:
                    await self._store.put(log, [fact], only_if=runs)
                    return
                agent = seat.agent if head.turns == seat.turns else ""
                agent = agent or (head.agent if head.source == seat.source else "")
                opening = await self._opening(
                    seat.principal, head, seat.source, (), agent=agent, model="", detach=True, work=WAITING
                )
                fits = partial(self._fits, fact=fact, room=FOLLOWUPS, prefix=prefix, name="follow-up")
                async with self._desk.capacity.room(head):
                    await self._desk.supervisor.open(log, [fact, *opening], only_if=fits)
                return
            except SessionNotFound:
                raise SessionNotRunning(prefix + NEVER_RAN) from None
            except (SessionBusy, _Idle):
                continue  # a turn has begun, or ended, meanwhile

    async def _queue(
        self, principal: Principal, session: str, fact: e.MessageQueued, room: int, prefix: str, name: str
    ) -> Head:
        fits = partial(self._fits, fact=fact, room=room, prefix=prefix, name=name)
        try:
            await self._desk.head(principal, session)
            committed = await self._store.put(LogId(session), [fact], only_if=fits)
        except SessionNotFound:
            raise SessionNotRunning(prefix + NEVER_RAN) from None
        return committed.head

    def _fits(self, head: Head, fact: e.MessageQueued, room: int, prefix: str, name: str) -> None:
        """A condition: the session has, or had, a runtime, and its queue has room."""
        if head.deleted or not (head.turns or self.seat(head.id)):
            raise SessionNotRunning(prefix + NEVER_RAN)
        if head.depth(fact.queue) + len(fact.messages) > room:
            raise QueueFull(name)

    def _users(self, principal: Principal, messages: Sequence[Message]) -> tuple[Message, ...]:
        if not messages:
            raise BadValue("at least one message is required")
        messages = self._desk.policy.files(principal, messages)
        now = self._desk.makers.clock.now()
        return tuple(replace(message, role="user", at=message.at or now) for message in messages)

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
        if not (head.turns or self.seat(session)):
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
        seat = None if head.turns else self.seat(session)
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
        return follow(self._store, self._desk.hub, log, after=after, client=_name(principal))


class _Idle(Exception):
    """No turn runs."""


def _models(offered: Capability) -> list[ModelInfo]:
    """The models of an agent CLI."""
    provider = offered.provider
    return [ModelInfo(name, f"{provider}/{name}", provider, name) for name in offered.available_models]


def _name(principal: Principal) -> str:
    """Under which name a client follows: the engine's own watchers alone have none."""
    return principal.client or "nameless"


def _ends(fact: e.Fact, turn: TurnId) -> bool:
    if isinstance(fact, e.SessionExited):
        return True
    return isinstance(fact, e.TurnEnded) and fact.turn == turn and not fact.sub
