"""What a turn begins with: everything that the caller named is looked at before anything is stored."""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from roost.core import events as e
from roost.core.agents import Agent, Harness, Team, reached
from roost.core.errors import AgentNotFound, BadModel, BadValue
from roost.core.history import History
from roost.core.ids import LogId, TurnId, fresh
from roost.core.messages import Message
from roost.core.orders import Order
from roost.core.principals import Principal
from roost.core.session import Head
from roost.engine import harness
from roost.engine.runtime import choose
from roost.engine.slash import resolved
from roost.service.desk import Desk


class Work(Struct, frozen=True):
    """How a turn is to be played, where that is not as usual."""

    command: str = ""  # what clients of `/api/v1` are told of it
    interactive: bool = False  # goes on until it is cancelled
    waiting: bool = False  # what it is about waits in the session already


USUAL, WAITING = Work(), Work(waiting=True)


class Openings:
    """The facts that open turns: of agent files, and of agent CLIs."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._store = desk.store

    async def is_cli(self, head: Head, source: str) -> bool:
        """Whether an agent CLI is meant: in a session that was not spawned, an agent file of the same name is."""
        if source not in self._desk.makers.drivers:
            return False
        return bool(head.provider) or all(one.id != source for one in await self._desk.makers.agents.sources())

    async def of_file(
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
        chosen, said = self.agent(team, agent or handed or source, bool(agent), messages)
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

    async def of_cli(
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

    def agent(self, team: Team, name: str, named: bool, messages: Sequence[Message]) -> tuple[Agent, Sequence[Message]]:
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
