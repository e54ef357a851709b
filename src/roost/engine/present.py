"""What only the present adds to the facts of a CLI: the time, the session's totals, its rules and its names."""

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from roost.core import approvals
from roost.core import events as e
from roost.core.messages import Definition
from roost.engine.stage import Stage


def verdict(stage: Stage, file: e.TurnOpened | None, asked: e.WaitOpened) -> e.Answer | None:
    """What the session's rules say to a question, or that nobody is there; None where a person decides."""
    if asked.kind != "approval" or asked.call is None:
        return None
    head = stage.root.journal.head
    chosen = head.safety or stage.makers.safety
    found = approvals.decide(
        asked.call,
        Definition(asked.call.name),
        session=head.permissions,
        team=(file.permissions if file else None) or e.Permissions(),
        user=stage.makers.permissions,
        safety=chosen or (file.safety if file else ""),
        chosen=bool(chosen) and not head.safety_proposed,
    )
    if isinstance(found, approvals.Allow):
        return e.Answer("approve", "approve")
    if isinstance(found, approvals.Ask) and stage.turn.unattended:
        found = approvals.unattended(asked.call)
    return e.Answer("reject", "reject", found.message) if isinstance(found, approvals.Deny) else None


def completed(stage: Stage, facts: Iterable[e.Fact]) -> list[e.Fact]:
    """The facts with what only the present knows: the time, and the session's totals."""
    now, cost = stage.makers.clock.now(), stage.journal.head.cost
    whole: list[e.Fact] = []
    for fact in _cast(stage, facts):
        if isinstance(fact, e.MessageAdded) and fact.message is not None and not fact.message.at:
            whole.append(replace(fact, message=replace(fact.message, at=now)))
        elif isinstance(fact, e.UsageAdded):
            cost += fact.cost
            usage = fact.usage
            totals = replace(fact, total_cost=cost, input_tokens=usage.context, output_tokens=usage.output)
            whole.append(replace(totals, unpriced=not fact.cost))
        else:
            whole.append(fact)
    return whole


def _cast(stage: Stage, facts: Iterable[e.Fact]) -> Iterable[e.Fact]:
    """The facts of a CLI that plays an agent of a file, under that agent's name."""
    turn = stage.turn
    if turn.source == turn.driver:
        yield from facts
        return
    for fact in facts:
        renamed: Any = replace(fact, agent=turn.agent) if getattr(fact, "agent", "") == turn.driver else fact
        if isinstance(renamed, e.MessageAdded) and (said := renamed.message) and said.agent == turn.driver:
            renamed = replace(renamed, message=replace(said, agent=turn.agent))
        yield renamed
        if isinstance(fact, e.Introduced) and fact.tools:
            yield e.ToolsShown(turn.agent, len(fact.tools))
