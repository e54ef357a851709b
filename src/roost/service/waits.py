"""What waits for a person: list, answer.  The first answer wins; the same one again is harmless."""

from collections.abc import Sequence
from typing import Any

import anyio
from msgspec.structs import replace

from roost.core import approvals, budgets
from roost.core import events as e
from roost.core.errors import AlreadyAnswered, BadValue, NothingWaits, SessionNotFound, WaitNotFound
from roost.core.ids import LogId, WaitId
from roost.core.principals import Principal
from roost.core.session import Head, OpenWait
from roost.engine.journal import compose
from roost.ports import WaitRecord
from roost.service.desk import Desk

ACTIONS = ("accept", "decline", "cancel")


class Waits:
    """Approvals, questions, limits and budgets, of every session."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._store = desk.store

    async def open(self, principal: Principal) -> Sequence[WaitRecord]:
        """All that waits in sessions that the caller may see, the oldest first."""
        return self._desk.policy.seen(principal, await self._store.waits())

    async def answer(
        self,
        principal: Principal,
        wait: str,
        *,
        confirmation: str = "",
        reason: str = "",
        tool_name: str = "",
        action: str = "",
        content: dict[str, Any] | None = None,
        budget: e.Budget | None = None,
    ) -> None:
        """Answer by id: `action` for questions, `confirmation` for the rest, with a `budget` to raise it to that.

        Raises:
            WaitNotFound: no wait that this caller may see has this id.
            AlreadyAnswered: somebody answered otherwise.
            NothingWaits: it was voided.
            BadValue: the answer is of the wrong kind, or unknown.
        """
        record = await self._store.wait(WaitId(wait))
        if record is None or not self._desk.policy.sees(principal, record.owner):
            raise WaitNotFound(wait)
        if record.fact.kind == "question":
            answer = question_answer(action, content)
        else:
            answer = _raising(record, approval_answer(confirmation, reason, tool_name), budget)
        await self._answer(principal, record, answer)

    async def resume(
        self,
        principal: Principal,
        session: str,
        *,
        confirmation: str,
        reason: str = "",
        tool_name: str = "",
        call: str = "",
        budget: e.Budget | None = None,
    ) -> None:
        """Answer what waits for a yes or no in a session, the oldest (or, with `call`, the one for that call).

        That one is what clients are shown: the others come after it, one by one.

        Raises:
            BadValue: an unknown word, or a budget that does not help.
            NothingWaits: nobody waits for it.
        """
        answer = approval_answer(confirmation, reason, tool_name)
        _, waits = await self._waiting(principal, session)
        waiting = [w for w in waits if w.kind != "question" and (not call or w.call == call)]
        record = await self._only(waiting[:1], "no confirmation pending")
        await self._answer(principal, record, _raising(record, answer, budget))

    async def elicit(
        self, principal: Principal, session: str, *, action: str, content: dict[str, Any] | None, wait: str = ""
    ) -> None:
        """Answer the question that waits in a session (or the one with this id).

        Raises:
            BadValue: an unknown action.
            NothingWaits: nobody asked, or several did and no id was given.
        """
        answer = question_answer(action, content)
        log, waits = await self._waiting(principal, session)
        if wait:
            record = await self._store.wait(WaitId(wait))
            if record is None or record.log != log or record.fact.kind != "question":
                raise NothingWaits("no elicitation request in progress")
        else:
            waiting = [w for w in waits if w.kind == "question"]
            record = await self._only(waiting, "no elicitation request in progress")
        await self._answer(principal, record, answer)

    async def _waiting(self, principal: Principal, session: str) -> tuple[LogId, Sequence[OpenWait]]:
        """What waits in a session and all inside it, or in one sub-session; and in which log.

        Raises:
            SessionNotFound: there is none that this caller may see, nor a sub-session in which anything waits.
        """
        try:
            head = await self._desk.head(principal, session)
        except SessionNotFound:
            record = next((r for r in await self.open(principal) if r.session == session), None)
            if record is None:
                raise
            head = await self._store.head(record.log)
            return record.log, [wait for wait in head.waits if wait.sub == session]
        return LogId(head.id), head.waits

    async def _only(self, waiting: Sequence[OpenWait], nothing: str) -> WaitRecord:
        if len(waiting) > 1:
            raise NothingWaits("several requests wait; name the one you answer by its id")
        record = await self._store.wait(waiting[0].id) if waiting else None
        if record is None:
            raise NothingWaits(nothing)
        return record

    async def _answer(self, principal: Principal, record: WaitRecord, answer: e.Answer) -> None:
        def facts(head: Head) -> list[e.Fact]:
            answered = e.WaitAnswered(record.id, answer, principal.name, sub=record.fact.sub)
            return [answered, *_granted(head, record, answer)]

        def waits_still(head: Head) -> None:
            if not any(wait.id == record.id for wait in head.waits):
                raise NothingWaits

        with anyio.CancelScope(shield=True):  # whoever has answered may hang up; the turn goes on all the same
            try:
                await compose(self._store, record.log, facts, only_if=waits_still)
            except NothingWaits:
                await self._late(record, answer)
            await self._desk.supervisor.wake(record.log)

    async def _late(self, record: WaitRecord, answer: e.Answer) -> None:
        """Somebody was first: the same answer is fine, another is refused."""
        now = await self._store.wait(record.id)
        if now is None or now.answer is None:
            raise NothingWaits
        if now.answer != answer:
            raise AlreadyAnswered


def approval_answer(confirmation: str, reason: str, tool_name: str) -> e.Answer:
    """The answer that a word of `resume` stands for.

    Raises:
        BadValue: an unknown word.
    """
    known = approvals.confirmation(confirmation)
    return e.Answer(known.action, confirmation, reason, tool_name)


def _raising(record: WaitRecord, answer: e.Answer, budget: e.Budget | None) -> e.Answer:
    """The answer, with the limits that a budget is to be raised to.

    Raises:
        BadValue: it is no budget that waits, or it would be used up all the same.
    """
    if budget is None:
        return answer
    if record.fact.kind != "budget" or answer.action != "approve":
        raise BadValue("a budget goes with the approval of a budget that waits, and with nothing else")
    budgets.checked(budget)
    shown = record.fact.metadata
    name = f"max_{shown.get('limit', '')}"
    if not getattr(budget, name, 0.0) > float(shown.get("used", 0)):
        raise BadValue(f"{name} must be more than the {shown.get('used')} that are spent")
    limits = {key: value for key in budgets.LIMITS.values() if (value := getattr(budget, key))}
    return replace(answer, content=limits)


def question_answer(action: str, content: dict[str, Any] | None) -> e.Answer:
    """The answer to a question.

    Raises:
        BadValue: an unknown action.
    """
    if action not in ACTIONS:
        raise BadValue(f'invalid action: "{action}" must be one of {", ".join(ACTIONS)}')
    return e.Answer(action, content=content if action == "accept" else None)


def _granted(head: Head, record: WaitRecord, answer: e.Answer) -> list[e.Fact]:
    """What an approval changes for the calls after it."""
    if record.fact.kind != "approval" or answer.action != "approve":
        return []
    word = approvals.confirmation(answer.word)
    if word.safety:
        if word.safety == head.safety:
            return []
        return [e.PolicySet(word.safety, head.safety if word.safety == "autonomous" else head.prior_safety)]
    if word.remember and record.fact.call is not None:
        permissions = approvals.granted(head.permissions, record.fact.call, answer.tool_name.strip())
        return [e.PermissionsSet(permissions)] if permissions != head.permissions else []
    return []
