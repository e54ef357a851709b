"""Sessions: create, list, read, change, fork, delete."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import anyio
from msgspec import Struct
from msgspec.structs import replace

from roost.core import budgets, modes
from roost.core import events as e
from roost.core.errors import BadValue, MessageNotFound, NotBuilt, SessionBusy, SessionNotFound
from roost.core.history import History
from roost.core.ids import LogId, SessionId, fresh
from roost.core.messages import Definition, Message
from roost.core.principals import Principal
from roost.core.session import Head
from roost.engine.journal import compose
from roost.engine.kin import cancel_below
from roost.ports import Listing
from roost.service.desk import Desk
from roost.service.forks import fork_facts
from roost.service.tree import measure

Scope = Literal["budget", "tree_budget"]
"""Of the session alone, or of it and all below it."""
SCOPES: tuple[Scope, ...] = ("budget", "tree_budget")

LONGEST_WISH = 2000  # characters of what a summary is to heed


class Snapshot(Struct, frozen=True):
    """A session, whole.  `head.last_seq` was read before the history: tailing from it can repeat, never lose.

    `definitions` are those of the tools that its messages call, by digest; `tree_cost` is what the session
    and all below it have cost.
    """

    head: Head
    history: History
    definitions: Mapping[str, Definition]
    tree_cost: float = 0.0


class Sessions:
    """All that can be done with a session but running it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._store = desk.store

    async def create(self, principal: Principal, template: e.Template) -> Head:
        """A new session.

        Raises:
            BadValue: a working directory, a safety policy or a budget that can't be.
            Denied: the working directory is outside of the account's home.
            BadModel: a model that only agent files may name.
        """
        for ref in template.model_overrides.values():
            self._desk.policy.model(ref)
        for budget in (template.budget, template.tree_budget):
            if budget is not None:
                budgets.checked(budget)
        template = replace(
            template,
            title=template.title.strip(),
            working_dir=self._desk.policy.working_dir(principal, template.working_dir),
            safety=modes.safety(template.safety),
            owner=self._desk.policy.owner(principal),
        )
        committed = await self._store.put(LogId(fresh()), [e.SessionCreated(template)])
        return committed.head

    async def listing(self, principal: Principal) -> Sequence[Listing]:
        """All root sessions that the caller may see, newest first."""
        return self._desk.policy.seen(principal, await self._store.listing())

    async def heads(self, principal: Principal) -> Sequence[Head]:
        """All sessions that the caller may see, spawned ones too, newest first; one that did not change is the same."""
        return self._desk.policy.seen(principal, await self._store.heads())

    async def head(self, principal: Principal, session: str) -> Head:
        """A session without its messages.

        Raises:
            SessionNotFound: there is none, or it was deleted.
        """
        return await self._desk.head(principal, session)

    async def show(self, principal: Principal, session: str) -> Snapshot:
        """A session, whole.

        Raises:
            SessionNotFound: there is none, or it was deleted.
        """
        head, log = await self._desk.head(principal, session), LogId(session)
        history = History(SessionId(session)).extend(await self._store.messages(log))
        found = {digest: await self._store.definition(log, digest) for digest in sorted(history.definitions())}
        definitions = {digest: known for digest, known in found.items() if known is not None}
        return Snapshot(head, history, definitions, await self.tree_cost(head))

    async def delete(self, principal: Principal, session: str, *, wait: float | None = None) -> bool:
        """Ask for the end of a session; from now on nobody finds it.

        With `wait`, give its turn that many seconds to unwind.  Whether it has.

        Raises:
            SessionNotFound: there is none.
        """
        log = LogId(session)
        await self._desk.head(principal, session)
        with anyio.CancelScope(shield=True):
            await self._store.put(log, [e.DeleteAsked(principal.name)], only_if=_present)
            self._desk.bulkhead.start(self._desk.supervisor.finish, log, name=f"end of {log}")
        await cancel_below(self._store, self._desk.supervisor, session, by=principal.name)
        if wait is None:
            return True
        with anyio.move_on_after(wait):
            while True:
                bell = self._desk.hub.bell(log)
                if await self._gone(log):
                    return True
                await bell.wait()
        return await self._gone(log)

    async def _gone(self, log: LogId) -> bool:
        try:
            return (await self._store.head(log)).exited
        except SessionNotFound:
            return True

    # -- small changes --------------------------------------------------------------------------

    async def set_title(self, principal: Principal, session: str, title: str) -> Head:
        """An empty title lets the model find one again."""
        return await self._change(principal, session, lambda _: e.TitleSet(title))

    async def set_permissions(self, principal: Principal, session: str, permissions: e.Permissions | None) -> Head:
        """The session's own patterns, whole; a turn that runs heeds them from its next call on."""
        return await self._change(principal, session, lambda _: e.PermissionsSet(permissions))

    async def set_safety(self, principal: Principal, session: str, safety: str) -> Head:
        """Raises BadValue for a policy that does not exist."""
        policy = modes.safety(safety)
        return await self._change(principal, session, lambda head: e.PolicySet(policy, head.prior_safety))

    async def toggle_tools(self, principal: Principal, session: str) -> Head:
        """Run every tool unasked, or go back to the policy before that."""

        def toggled(head: Head) -> e.Fact:
            return e.PolicySet(head.prior_safety) if head.tools_approved else e.PolicySet("autonomous", head.safety)

        return await self._change(principal, session, toggled)

    async def toggle_thinking(self, principal: Principal, session: str) -> Head:
        """The old switch: kept, shown, and without effect."""
        return await self._change(principal, session, lambda head: e.ThinkingSet(not head.thinking))

    async def set_tokens(self, principal: Principal, session: str, *, input: int, output: int, cost: float) -> Head:
        """Overwrite the counters."""
        return await self._change(principal, session, lambda _: e.TokensSet(input, output, cost))

    async def set_starred(self, principal: Principal, session: str, starred: bool) -> Head:
        """Mark a session, or take the mark away."""
        return await self._change(principal, session, lambda _: e.StarredSet(starred))

    async def set_budget(self, principal: Principal, session: str, changes: Mapping[Scope, e.Budget | None]) -> Head:
        """Other budgets, or none (None) any more; one that is not named stays as it is.  Whoever waits looks again.

        Raises:
            BadValue: nothing is to change, or to a budget that can't be.
        """
        if not changes:
            raise BadValue("nothing to change: send budget, tree_budget or both")
        for budget in changes.values():
            if budget is not None:
                budgets.checked(budget)
        await self._desk.head(principal, session)
        log = LogId(session)
        committed = await compose(self._store, log, lambda head: _budgeted(head, changes), only_if=_present)
        self._desk.supervisor.tills.changed(committed.head)
        for head in await self._store.heads():
            if head.root == committed.head.root and any(wait.kind == "budget" for wait in head.waits):
                await self._desk.supervisor.wake(LogId(head.id))
        return committed.head

    async def tree_cost(self, head: Head) -> float:
        """US dollars that a session and all below it have cost."""
        return (await measure(self._store, head)).cost

    async def _change(self, principal: Principal, session: str, fact: Callable[[Head], e.Fact]) -> Head:
        await self._desk.head(principal, session)
        committed = await compose(self._store, LogId(session), lambda head: [fact(head)], only_if=_present)
        return committed.head

    # -- items ----------------------------------------------------------------------------------

    async def add_message(self, principal: Principal, session: str, message: Message) -> int:
        """Put a message into an idle session's history; its id.

        Raises:
            SessionBusy: a turn runs.
        """
        await self._desk.head(principal, session)
        (message,) = self._desk.policy.files(principal, [message])
        message = message if message.at else replace(message, at=self._desk.makers.clock.now())
        committed = await self._store.put(LogId(session), [e.MessageWritten(message)], only_if=_idle)
        return committed.events[0].seq

    async def edit_message(self, principal: Principal, session: str, message_id: int, message: Message) -> None:
        """Replace a message.

        Raises:
            SessionBusy: a turn runs.
            MessageNotFound: no message has this id.
        """
        snapshot = await self.show(principal, session)
        (message,) = self._desk.policy.files(principal, [message])
        if (old := dict(snapshot.history.messages()).get(message_id)) is None:
            raise MessageNotFound(message_id)
        if [call.name for call in message.calls] == [call.name for call in old.calls]:
            message = replace(message, definitions=old.definitions)
        message = message if message.at else replace(message, at=self._desk.makers.clock.now())
        await self._store.put(LogId(session), [e.MessageEdited(message_id, message)], only_if=_idle)

    async def add_summary(self, principal: Principal, session: str, summary: e.SummaryAdded) -> None:
        """Let a summary stand for what went before it."""
        await self._change(principal, session, lambda _: summary)

    async def compact(self, principal: Principal, session: str, instruction: str = "") -> Head:
        """Have the history summed up before the next request to a model: in the turn that runs, or in the next one.

        Raises:
            BadValue: the instruction is too long.
            NotBuilt: an agent CLI has the conversation, and keeps it by itself.
        """
        if len(instruction) > LONGEST_WISH:
            raise BadValue(f"the instruction is longer than {LONGEST_WISH} characters")
        head = await self._desk.head(principal, session)
        if head.turn.driver if head.turn else head.played_by:
            raise NotBuilt("an agent CLI has this conversation, and shortens it by itself")
        asked = e.CompactionAsked(instruction.strip(), principal.name)
        return await self._change(principal, session, lambda _: asked)

    async def fork(self, principal: Principal, session: str, ordinal: int) -> Snapshot:
        """A new session with all that stands before the `ordinal`-th user message (0 is the first).

        Raises:
            BadValue: there is no such message, or it lies inside a sub-session.
        """
        snapshot = await self.show(principal, session)
        titles = {listing.title for listing in await self.listing(principal)}
        new = SessionId(fresh())
        facts = fork_facts(new, snapshot.head, snapshot.history, ordinal, titles, snapshot.definitions)
        committed = await self._store.put(LogId(new), facts)
        return Snapshot(committed.head, History(new).extend(committed.events), snapshot.definitions)


def _budgeted(head: Head, changes: Mapping[Scope, e.Budget | None]) -> list[e.Fact]:
    """Other budgets; what a person has raised stays where nothing else is said."""
    kept = {"session": "budget" not in changes, "tree": "tree_budget" not in changes}
    names = {f"{kind}:{head.id}" for kind, stays in kept.items() if stays}
    set_to = e.BudgetSet(changes.get("budget", head.budget), changes.get("tree_budget", head.tree_budget))
    return [set_to, *(e.BudgetRaised(raised) for raised in head.raised if raised.name in names)]


def _present(head: Head) -> None:
    if head.deleted:
        raise SessionNotFound(head.id)


def _idle(head: Head) -> None:
    _present(head)
    if head.turn is not None:
        raise SessionBusy(head.id)
