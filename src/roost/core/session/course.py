"""What turns leave in their session, from the first one to its end."""

from msgspec.structs import replace

from roost.core import events as e
from roost.core.session.changes import Changes
from roost.core.session.costs import lasted, shared
from roost.core.session.head import Head, Turn

LONGEST_ERROR = 2000

CHANGES = Changes[Head]()


@CHANGES.by(e.TurnOpened)
def _opened(head: Head, event: e.Event, fact: e.TurnOpened) -> Head:
    turn = Turn(
        id=fact.turn,
        opened=event.seq,
        source=fact.source,
        agent=fact.agent,
        working_dir=fact.working_dir,
        source_hash=fact.source_hash,
        model=fact.model,
        principal=fact.principal,
        detached=fact.detached,
        max_iterations=fact.max_iterations,
        driver=fact.driver,
        interactive=fact.interactive,
        confined=fact.confined,
        unattended=fact.unattended,
        tools=fact.tools,
        toolsets=fact.toolsets,
        at=event.at,
    )
    handed = head.handed if fact.agent == head.handed else ""
    return replace(head, turn=turn, turns=head.turns + 1, source=fact.source, agent=fact.agent, handed=handed)


@CHANGES.by(e.AgentShown)
def _shown(head: Head, event: e.Event, fact: e.AgentShown) -> Head:
    return replace(head, shown=fact.model, context_limit=fact.context_limit or head.context_limit)


@CHANGES.by(e.Introduced)
def _introduced(head: Head, event: e.Event, fact: e.Introduced) -> Head:
    driver = head.turn.driver if head.turn else head.provider
    head = replace(head, shown=f"{driver}/{fact.model}") if fact.model else head
    return replace(head, provider_session=fact.provider_session, played_by=driver) if fact.provider_session else head


@CHANGES.by(e.RunStarted)
def _run(head: Head, event: e.Event, fact: e.RunStarted) -> Head:
    return replace(head, sandbox=fact.sandbox)


@CHANGES.by(e.HandedOver)
def _handed(head: Head, event: e.Event, fact: e.HandedOver) -> Head:
    return replace(head, agent=fact.to_agent, handed=fact.to_agent)


@CHANGES.by(e.ToolReturned)
def _returned(head: Head, event: e.Event, fact: e.ToolReturned) -> Head:
    return replace(head, subs=tuple(sub for sub in head.subs if sub.call != fact.call.id))


@CHANGES.by(e.SubSessionEnded)
def _over(head: Head, event: e.Event, fact: e.SubSessionEnded) -> Head:
    return replace(head, subs=tuple(replace(s, exited=True) if s.id == fact.session else s for s in head.subs))


@CHANGES.by(e.CompactionAsked)
def _compaction(head: Head, event: e.Event, fact: e.CompactionAsked) -> Head:
    return replace(head, compaction=event.seq)


@CHANGES.by(e.CompactionEnded)
def _compacted(head: Head, event: e.Event, fact: e.CompactionEnded) -> Head:
    """Whoever asked for it has been heard, unless it was begun for another reason and came to nothing."""
    heard = head.turn is not None and head.turn.compacting == "manual" and not fact.again
    return replace(head, compaction=0) if heard or fact.outcome == "applied" else head


@CHANGES.by(e.CancelAsked)
def _cancel(head: Head, event: e.Event, fact: e.CancelAsked) -> Head:
    """A cancel of a turn is one of all that was begun in it."""
    if head.turn is None or head.turn.id != fact.turn or not head.subs:
        return head
    return replace(head, subs=tuple(_canceled(sub, fact) for sub in head.subs))


def _canceled(head: Head, fact: e.CancelAsked) -> Head:
    turn = head.turn and replace(head.turn, canceled=True, cancel_why=head.turn.cancel_why or fact.why)
    return replace(head, turn=turn, subs=tuple(_canceled(sub, fact) for sub in head.subs))


@CHANGES.by(e.TurnEnded)
def _ended(head: Head, event: e.Event, fact: e.TurnEnded) -> Head:
    """A cancel drops what was to steer the turn, and keeps what was to follow it; a spawned session keeps neither."""
    if head.turn is not None and head.turn.id != fact.turn:
        return head
    kept, seconds = head.queue, lasted(head.turn, event) if head.turn else 0.0
    if fact.outcome == "canceled":
        kept = () if head.provider else tuple(q for q in kept if q.queue != "steer")
    return replace(
        head,
        turn=None,
        waits=(),
        queue=kept,
        subs=(),
        active=head.active + seconds,
        shares=shared(head.shares, head, head.turn.agent, seconds=seconds) if head.turn else head.shares,
        outcome=fact.outcome,
        error=fact.error[:LONGEST_ERROR],
        ended_at=event.at,
    )


@CHANGES.by(e.DeleteAsked)
def _deleted(head: Head, event: e.Event, fact: e.DeleteAsked) -> Head:
    return replace(head, deleted=True)


@CHANGES.by(e.SessionExited)
def _exited(head: Head, event: e.Event, fact: e.SessionExited) -> Head:
    return replace(head, deleted=True, exited=True, turn=None, waits=(), queue=())
