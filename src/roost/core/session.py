"""A session as the fold of its events: `apply(head, event)`.

The head is all of a session but its messages (`history.py`).  It has the same size for a log of any
length, and is what the store keeps in the session's row.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Literal, assert_never

from msgspec import Struct
from msgspec.structs import replace

from roost.core import events as e
from roost.core.ids import AnswerId, CallId, Micros, RunId, SessionId, TurnId, WaitId
from roost.core.messages import Effect, Message
from roost.core.orders import Order
from roost.core.usage import Usage, plus

_NO_CALL = CallId("")
OWN_BUDGETS = ("session:", "tree:")  # how the names of budgets begin that a session has of its own
LONGEST_ERROR = 2000


class OpenCall(Struct, frozen=True, omit_defaults=True):
    """A tool call of the newest answer that the history has no result of yet."""

    id: CallId
    name: str
    state: Literal["new", "called", "returned", "lost"] = "new"
    effect: Effect = "ask"
    attempt: int = 0
    changed: str = ""  # the arguments that hooks gave it


class OpenWait(Struct, frozen=True, omit_defaults=True):
    """Something that waits for a person: the fact has the details, at `seq`."""

    id: WaitId
    kind: e.Kind
    seq: int
    at: Micros
    call: CallId = CallId("")
    tool: str = ""
    durable: bool = True
    sub: SessionId = SessionId("")
    about: str = ""  # what kind of question it is, where it is one of ours


class Answered(Struct, frozen=True, omit_defaults=True):
    """A wait with its answer, until the turn has acted on it."""

    id: WaitId
    kind: e.Kind
    answer: e.Answer
    call: CallId = CallId("")
    sub: SessionId = SessionId("")
    about: str = ""


class Queued(Struct, frozen=True):
    """A message that waits; its text stands in the MessageQueued at `seq`, at `index`."""

    queue: e.Queue
    seq: int
    index: int


class Run(Struct, frozen=True, omit_defaults=True):
    """The process of an agent CLI that a turn has, and how much of its output is in the log."""

    id: RunId
    pid: int
    started: int
    boot_id: str
    at: Micros  # when it was started
    out: int = 0
    err: int = 0
    sandbox: str = ""
    resumed: str = ""


class Limit(Struct, frozen=True, omit_defaults=True):
    """A usage limit that a turn sleeps through."""

    incident: str
    resume_at: Micros


class Turn(Struct, frozen=True, omit_defaults=True):
    """The turn that a session is in."""

    id: TurnId
    opened: int  # the seq of TurnOpened
    source: str
    agent: str
    working_dir: str
    source_hash: str = ""
    model: str = ""
    principal: str = ""
    detached: bool = False
    max_iterations: int = 0
    iterations: int = 0
    started: bool = False
    canceled: bool = False
    resumes: int = 0  # since the last progress
    answer: AnswerId = AnswerId("")  # a request that is under way
    asked: int = 0  # the seq of its ModelAsked
    calls: tuple[OpenCall, ...] = ()
    answers: tuple[Answered, ...] = ()
    driver: str = ""
    interactive: bool = False
    confined: bool = False
    cancel_why: str = ""
    run: Run | None = None
    runs: int = 0  # started so far
    rounds: int = 0  # messages that the CLI is through with
    limit: Limit | None = None
    limits: int = 0  # hit so far
    unattended: bool = False
    tools: tuple[str, ...] = ()  # only these, when not empty
    toolsets: tuple[str, ...] = ()  # groups of the file, besides the agent's own
    at: Micros = Micros(0)  # when it was opened
    compacting: str = ""  # why the history is being summed up; "" where it is not
    under_way: bool = False  # a model has been asked: the beginning is behind it
    heir: str = ""  # the agent that has the conversation once the calls that are open have returned
    at_rest: bool = False  # a CLI is through with what it was told, and was told nothing since


class Share(Struct, frozen=True, omit_defaults=True):
    """What an agent of a file has used in a session, all in all."""

    source: str
    agent: str
    cost: float = 0.0
    tokens: int = 0
    seconds: float = 0.0  # in turns that have ended
    unpriced: bool = False  # something of it has no price that anybody knows


class Head(Struct, frozen=True, omit_defaults=True):
    """All of a session but its messages."""

    id: SessionId
    created_at: Micros = Micros(0)
    first_seq: int = 1
    last_seq: int = 0
    title: str = ""
    titled_by: str = ""  # user or model
    working_dir: str = ""
    safety: str = ""
    prior_safety: str = ""
    safety_proposed: bool = False  # by the agent file: nobody has chosen it
    permissions: e.Permissions | None = None
    hide_tool_results: bool = False
    starred: bool = False
    thinking: bool = False
    send_user_message: bool = True
    max_iterations: int = 0
    max_consecutive_tool_calls: int = 0
    max_old_tool_call_tokens: int = 0
    max_tool_result_tokens: int = 0
    attributes: dict[str, str] = {}
    model_overrides: dict[str, str] = {}
    custom_models: tuple[str, ...] = ()
    attached_files: tuple[str, ...] = ()
    owner: str = ""
    parent: SessionId = SessionId("")
    root: SessionId = SessionId("")
    forked_from: SessionId = SessionId("")
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    messages: int = 0  # without system ones, those of sub-sessions included
    items: int = 0  # of this session alone
    summary: int = 0  # the seq of the newest summary
    source: str = ""  # of the newest turn
    agent: str = ""  # of the newest turn
    turns: int = 0
    turn: Turn | None = None
    waits: tuple[OpenWait, ...] = ()
    queue: tuple[Queued, ...] = ()
    deleted: bool = False
    exited: bool = False
    provider: str = ""  # of a spawned session: an agent CLI's, or the id of an agent file
    model: str = ""  # as the spawn asked for it
    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    retried_from: str = ""
    interactive: bool = False
    confined: bool = False
    provider_session: str = ""  # the CLI's own id
    played_by: str = ""  # the CLI whose id that is
    used: Usage = Usage()  # all in all
    worktree: str = ""
    worktree_path: str = ""
    sandbox: str = ""  # kind and name of its newest run's
    outcome: str = ""  # of the newest turn that has ended
    error: str = ""  # of that turn, cut to 2000 characters
    ended_at: Micros = Micros(0)
    active_at: Micros = Micros(0)  # the newest fact that is no delta
    spoke: int = 0  # the seq of the newest answer that has a text
    result: int = 0  # the seq of the newest ResultSet
    call: CallId = CallId("")  # of a sub-session: the call of its parent that it is for
    subs: "tuple[Head, ...]" = ()  # sub-sessions whose call has not returned; waits and queues are the root's alone
    below: float = 0.0  # US dollars that sub-sessions have cost
    used_below: Usage = Usage()
    handed: str = ""  # the agent that the conversation was handed over to
    budget: e.Budget | None = None
    tree_budget: e.Budget | None = None
    raised: tuple[e.Budget, ...] = ()  # budgets that a person let go on
    active: float = 0.0  # seconds in turns that have ended
    started_by: SessionId = SessionId("")  # of a background agent: the session, or sub-session, whose call it was
    shares: tuple[Share, ...] = ()  # by agent
    shares_below: tuple[Share, ...] = ()  # likewise, of sub-sessions
    compaction: int = 0  # the seq of a CompactionAsked that waits
    shown: str = ""  # the model that clients were shown last, `provider/model`
    context_limit: int = 0  # tokens of its window; 0 where nobody knows

    @property
    def tools_approved(self) -> bool:
        """Whether every tool runs unasked."""
        return self.safety == "autonomous"

    @property
    def waiting(self) -> bool:
        """Whether the turn can't go on without a person."""
        return bool(self.waits)

    def sub(self, session: SessionId) -> "Head | None":
        """A sub-session, at any depth."""
        for head in self.subs:
            if found := head if head.id == session else head.sub(session):
                return found
        return None

    def below_all(self) -> "Iterator[Head]":
        """Its sub-sessions, and theirs."""
        for head in self.subs:
            yield head
            yield from head.below_all()

    def serving(self, call: CallId) -> "Head | None":
        """The sub-session that a call of this one has begun."""
        return next((head for head in self.subs if head.call == call), None)

    def depth(self, queue: e.Queue) -> int:
        """How many messages wait in a queue."""
        return sum(1 for queued in self.queue if queued.queue == queue)


def apply(head: Head | None, event: e.Event) -> Head:
    """The head of a session after one more event; `None` stands before the first.

    Raises:
        ValueError: the first event of a log is not a SessionCreated.
    """
    if head is None:
        return _born(event)
    head = replace(head, last_seq=event.seq, active_at=head.active_at if e.is_delta(event.fact) else event.at)
    if not isinstance(event.fact, e.Unknown) and event.fact.sub:
        return _of_sub(head, event)
    return _step(head, event)


def fold(events: Iterable[e.Event], head: Head | None = None) -> Head:
    """The head after all of `events`.

    Raises:
        ValueError: there is none.
    """
    for event in events:
        head = apply(head, event)
    if head is None:
        raise ValueError("a log of no events has no head")
    return head


def _born(event: e.Event) -> Head:
    fact = event.fact
    if not isinstance(fact, e.SessionCreated) or fact.sub:
        raise ValueError(f"a log begins with the SessionCreated of its session, not with {e.kind(fact)}")
    return _born_as(SessionId(event.log), event, fact)


def _born_as(session: SessionId, event: e.Event, fact: e.SessionCreated) -> Head:
    t = fact.template
    return Head(
        id=session,
        created_at=event.at,
        first_seq=event.seq,
        last_seq=event.seq,
        title=t.title,
        titled_by="user" if t.title else "",
        working_dir=t.working_dir,
        safety=t.safety,
        prior_safety=t.prior_safety,
        permissions=t.permissions,
        hide_tool_results=t.hide_tool_results,
        starred=t.starred,
        thinking=t.thinking,
        send_user_message=t.send_user_message,
        max_iterations=t.max_iterations,
        max_consecutive_tool_calls=t.max_consecutive_tool_calls,
        max_old_tool_call_tokens=t.max_old_tool_call_tokens,
        max_tool_result_tokens=t.max_tool_result_tokens,
        attributes=t.attributes,
        model_overrides=t.model_overrides,
        custom_models=t.custom_models,
        attached_files=t.attached_files,
        owner=t.owner,
        parent=fact.parent,
        root=fact.root or SessionId(event.log),
        forked_from=fact.forked_from,
        active_at=event.at,
        call=fact.call,
        started_by=fact.started_by,
        budget=t.budget,
        tree_budget=t.tree_budget,
        **_ordered(fact.order),
    )


def _ordered(order: Order | None) -> dict[str, Any]:
    if order is None:
        return {}
    return {
        "provider": order.provider,
        "model": order.model,
        "name": order.name,
        "description": order.description,
        "tags": order.tags,
        "depends_on": order.depends_on,
        "retried_from": order.retried_from,
        "interactive": order.interactive,
        "confined": order.confined or order.sandbox is not None,
    }


def _of_sub(head: Head, event: e.Event) -> Head:
    """What a sub-session's fact means for the session whose log it stands in."""
    fact = event.fact
    assert not isinstance(fact, e.Unknown)
    was, head = head.sub(fact.sub), _nested(head, event, fact.sub)
    match fact:
        case e.SessionCreated(parent=parent) if parent == head.id:
            return replace(head, items=head.items + 1)
        case e.MessageWritten(message=message):
            return replace(head, messages=head.messages + _counts(message))
        case e.MessageTaken(message=message):
            head = _taken(head, fact)
            return replace(head, messages=head.messages + _counts(message))
        case e.MessageAdded(message=message, call=call):
            head = replace(head, messages=head.messages + _counts(message, call))
            return head if head.turn is None else replace(head, turn=replace(head.turn, resumes=0))
        case e.WaitOpened() | e.WaitAnswered() | e.WaitVoided():
            return _step(head, event)
        case e.TurnEnded(sub=sub):
            turn = was.turn if was is not None else None
            seconds = 0.0 if turn is None else _lasted(turn, event)
            worked = _shared(head.shares_below, head, turn.agent if turn else fact.agent, seconds=seconds)
            return replace(head, waits=tuple(w for w in head.waits if w.sub != sub), shares_below=worked)
        case e.ToolCalled() | e.ToolReturned() | e.LimitRaised():
            return head if head.turn is None else replace(head, turn=_acted(head.turn, fact))
        case e.UsageAdded() | e.SummaryAdded():
            below = head.below + (0 if isinstance(fact, e.UsageAdded) and fact.why == "compaction" else fact.cost)
            if isinstance(fact, e.SummaryAdded):
                return replace(head, below=below)
            shares = _shared(head.shares_below, head, fact.agent, fact)
            return replace(head, below=below, used_below=plus(head.used_below, fact.usage), shares_below=shares)
        case _:
            return head


_ROOTS = e.WaitOpened | e.WaitAnswered | e.WaitVoided | e.MessageQueued
"""Facts whose trace is in the head of the log alone, whichever sub-session they name."""


def _nested(head: Head, event: e.Event, sub: SessionId) -> Head:
    """The head with its sub-session's, which is folded as any other."""
    fact = event.fact
    if isinstance(fact, e.SessionCreated):
        if fact.parent == sub or head.sub(sub) is not None:  # nobody is born twice, nor of himself
            return head
        born = replace(_born_as(sub, event, fact), root=head.root, owner=head.owner)
        if fact.parent == head.id:
            return replace(head, subs=(*head.subs, born))
        return replace(head, subs=tuple(_adopting(other, born, fact.parent) for other in head.subs))
    if isinstance(fact, _ROOTS):
        return head
    return replace(head, subs=tuple(_folded(other, event, sub) for other in head.subs)) if head.subs else head


def _adopting(head: Head, born: Head, parent: SessionId) -> Head:
    if head.id == parent:
        return replace(head, subs=(*head.subs, born))
    return replace(head, subs=tuple(_adopting(other, born, parent) for other in head.subs)) if head.subs else head


def _folded(head: Head, event: e.Event, sub: SessionId) -> Head:
    if head.id == sub:
        return _step(head, event)
    return replace(head, subs=tuple(_folded(other, event, sub) for other in head.subs)) if head.subs else head


_Quiet = (
    e.TitleShown
    | e.TeamShown
    | e.ToolsShown
    | e.McpStarting
    | e.McpReady
    | e.UserSaid
    | e.Warned
    | e.TextAdded
    | e.ReasoningAdded
    | e.CallDrafted
    | e.OutputAdded
    | e.FellBack
    | e.Authorized
    | e.SessionCreated
    | e.MessageEdited
    | e.UserNoted
    | e.StatusShown
    | e.StderrAdded
    | e.LineSkipped
    | e.RoundResult
    | e.LimitResumeFailed
    | e.AgentSwitched
    | e.HookStarted
    | e.HookEnded
    | e.HookBlocked
    | e.ContextAdded
    | e.PlanSet
    | e.IndexingShown
    | e.BudgetShown
    | e.Unknown
)
_Setting = (
    e.TitleSet
    | e.PolicySet
    | e.PermissionsSet
    | e.ThinkingSet
    | e.StarredSet
    | e.TokensSet
    | e.ModelChosen
    | e.BudgetSet
)
_Spawned = e.LabelSet | e.ResultSet | e.WorktreeMade | e.WorktreeLeft | e.Introduced
_InTurn = (
    e.TurnDetached
    | e.TurnResumed
    | e.TurnStarted
    | e.ModelAsked
    | e.AnswerDropped
    | e.MessageAdded
    | e.ToolCalled
    | e.ToolReturned
    | e.CallLost
    | e.CallChanged
    | e.LimitRaised
    | e.HandedOver
    | e.CompactionStarted
    | e.CompactionEnded
    | e.CancelAsked
    | e.RunStarted
    | e.RunRead
    | e.RunEnded
    | e.RoundEnded
    | e.LimitHit
    | e.LimitResumed
)


def _step(head: Head, event: e.Event) -> Head:
    fact = event.fact
    if isinstance(fact, _Quiet):
        return head
    if isinstance(fact, e.BudgetRaised):
        turn = head.turn and _acted(head.turn, fact)
        return replace(head, turn=turn, raised=_raised(head.raised, fact.budget))
    if isinstance(fact, _Setting):
        return _set(head, fact)
    if isinstance(fact, _Spawned):
        return _spawned(head, event, fact)
    if isinstance(fact, _InTurn):
        grown = _said(head, event, fact) if isinstance(fact, e.MessageAdded) else head
        if isinstance(fact, e.RunStarted):
            grown = replace(head, sandbox=fact.sandbox)
        if isinstance(fact, e.HandedOver):
            grown = replace(head, agent=fact.to_agent, handed=fact.to_agent)
        if isinstance(fact, e.ToolReturned):
            grown = replace(head, subs=tuple(sub for sub in head.subs if sub.call != fact.call.id))
        if isinstance(fact, e.CancelAsked):
            grown = _canceled_below(head, fact)
        if isinstance(fact, e.CompactionEnded):
            grown = _compacted(head, fact)
        return grown if grown.turn is None else replace(grown, turn=_turn(grown.turn, event, fact))
    match fact:
        case e.MessageWritten(message=message):
            return _grown(head, message)
        case e.AgentShown(model=model, context_limit=limit):
            return replace(head, shown=model, context_limit=limit or head.context_limit)
        case e.SubSessionEnded(session=over):
            return replace(head, subs=tuple(replace(s, exited=True) if s.id == over else s for s in head.subs))
        case e.SummaryAdded():
            return replace(head, items=head.items + 1, summary=event.seq, cost=head.cost + fact.cost)
        case e.CompactionAsked():
            return replace(head, compaction=event.seq)
        case e.DeleteAsked():
            return replace(head, deleted=True)
        case e.SessionExited():
            return replace(head, deleted=True, exited=True, turn=None, waits=(), queue=())
        case e.MessageQueued(queue=queue, messages=messages):
            new = tuple(Queued(queue, event.seq, index) for index in range(len(messages)))
            return replace(head, queue=head.queue + new)
        case e.MessageTaken(message=message):
            return _grown(_taken(head, fact), message)
        case e.MessageDropped():
            return _taken(head, fact)
        case e.WaitOpened():
            return _opened_wait(head, event, fact)
        case e.WaitAnswered(wait=wait, answer=answer):
            return _answered(head, wait, answer)
        case e.WaitVoided(wait=wait):
            return replace(head, waits=tuple(w for w in head.waits if w.id != wait))
        case e.UsageAdded():
            return _used(head, fact)
        case e.ErrorMet():
            return replace(head, items=head.items + 1)
        case e.TurnEnded():
            return _ended(head, event, fact)
        case e.TurnOpened():
            return _opened(head, event, fact)
        case unknown:
            assert_never(unknown)


def _set(head: Head, fact: _Setting) -> Head:
    match fact:
        case e.TitleSet(title=title, by=by):
            return replace(head, title=title, titled_by=by if title else "")
        case e.PolicySet(safety=safety, prior=prior, proposed=proposed):
            return replace(head, safety=safety, prior_safety=prior, safety_proposed=proposed)
        case e.PermissionsSet(permissions=permissions):
            return replace(head, permissions=permissions)
        case e.ThinkingSet(thinking=thinking):
            return replace(head, thinking=thinking)
        case e.StarredSet(starred=starred):
            return replace(head, starred=starred)
        case e.TokensSet():
            return replace(head, input_tokens=fact.input, output_tokens=fact.output, cost=fact.cost)
        case e.ModelChosen(agent=agent, ref=ref):
            return _chosen(head, agent, ref)
        case e.BudgetSet(budget=budget, tree_budget=tree):
            raised = tuple(b for b in head.raised if not b.name.startswith(OWN_BUDGETS))
            return replace(head, budget=budget, tree_budget=tree, raised=raised)
        case unknown:
            assert_never(unknown)


def _spawned(head: Head, event: e.Event, fact: _Spawned) -> Head:
    match fact:
        case e.LabelSet():
            return replace(head, name=fact.name, description=fact.description, tags=fact.tags)
        case e.ResultSet():
            return replace(head, result=event.seq)
        case e.WorktreeMade():
            return replace(head, worktree=fact.name, worktree_path=fact.path)
        case e.WorktreeLeft(removed=removed):
            return replace(head, worktree_path="") if removed else head
        case e.Introduced(provider_session=known):
            driver = head.turn.driver if head.turn else head.provider
            head = replace(head, shown=f"{driver}/{fact.model}") if fact.model else head
            return replace(head, provider_session=known, played_by=driver) if known else head
        case unknown:
            assert_never(unknown)


def _said(head: Head, event: e.Event, fact: e.MessageAdded) -> Head:
    grown, message = _grown(head, fact.message, fact.call), fact.message
    if message is not None and message.role == "assistant" and message.content.strip():
        grown = replace(grown, spoke=event.seq)
    return grown


def _turn(turn: Turn, event: e.Event, fact: _InTurn) -> Turn:
    match fact:
        case e.TurnDetached() | e.TurnResumed() | e.CancelAsked() if fact.turn != turn.id:
            return turn
        case e.TurnDetached():
            return replace(turn, detached=True)
        case e.TurnResumed(n=n):
            kept = tuple(a for a in turn.answers if a.call or a.kind != "question")  # "may it go on?" is answered
            return replace(turn, resumes=n, detached=True, answers=kept)
        case e.TurnStarted():
            return replace(turn, started=True)
        case e.ModelAsked(answer=answer):
            return replace(turn, answer=answer, asked=event.seq, under_way=True, at_rest=False)
        case e.AnswerDropped(answer=answer):
            return replace(turn, answer=AnswerId(""), asked=0) if answer == turn.answer else turn
        case e.MessageAdded(call=call) if call:
            calls = tuple(c for c in turn.calls if c.id != call)
            left = replace(turn, calls=calls, resumes=0)
            return left if calls or not turn.heir else replace(left, agent=turn.heir, heir="")
        case e.MessageAdded():
            return _answered_by(turn, fact)
        case e.ToolCalled(call=call, effect=effect, attempt=attempt):
            calls = _mark(turn.calls, call.id, state="called", effect=effect, attempt=attempt)
            return replace(_acted(turn, fact), calls=calls)
        case e.ToolReturned(call=call):
            calls = _mark(turn.calls, call.id, state="returned")
            return replace(_acted(turn, fact), calls=calls, resumes=0)
        case e.CallChanged(call=changed, arguments=arguments):
            return replace(turn, calls=_mark(turn.calls, changed, changed=arguments))
        case e.CallLost(call=lost):
            return replace(turn, calls=_mark(turn.calls, lost, state="lost"))
        case e.LimitRaised(max_iterations=limit):
            return replace(_acted(turn, fact), max_iterations=limit)
        case e.HandedOver(to_agent=to_agent):
            return replace(turn, heir=to_agent) if turn.calls else replace(turn, agent=to_agent)
        case e.CompactionStarted(reason=reason):
            return replace(turn, compacting=reason)
        case e.CompactionEnded():
            return replace(turn, compacting="")
        case e.CancelAsked(why=why):
            return turn if turn.canceled else replace(turn, canceled=True, cancel_why=why)
        case e.RunStarted() | e.RunRead() | e.RunEnded():
            return _ran(turn, event, fact)
        case e.RoundEnded():
            return replace(turn, rounds=turn.rounds + 1, at_rest=True)
        case e.LimitHit(incident=incident, resume_at=at):
            asleep = None if at is None else Limit(incident, at)
            return replace(turn, limit=asleep, limits=turn.limits + 1)
        case e.LimitResumed():
            return replace(turn, limit=None)
        case unknown:
            assert_never(unknown)


def _ran(turn: Turn, event: e.Event, fact: e.RunStarted | e.RunRead | e.RunEnded) -> Turn:
    match fact:
        case e.RunStarted():
            run = Run(
                fact.run,
                fact.pid,
                fact.started,
                fact.boot_id,
                event.at,
                sandbox=fact.sandbox,
                resumed=fact.resumed,
            )
            return replace(turn, run=run, runs=turn.runs + 1)
        case e.RunRead() if turn.run is not None and turn.run.id == fact.run:
            return replace(turn, run=replace(turn.run, out=fact.out, err=fact.err))
        case e.RunEnded() if turn.run is not None and turn.run.id == fact.run:
            return replace(turn, run=None)
        case _:
            return turn


def _mark(calls: tuple[OpenCall, ...], call: CallId, **changes: object) -> tuple[OpenCall, ...]:
    return tuple(replace(c, **changes) if c.id == call else c for c in calls)


def _answered_by(turn: Turn, fact: e.MessageAdded) -> Turn:
    """The turn after a message of the model (or another one that is no tool's)."""
    message = fact.message
    if message is None or message.role != "assistant":
        return turn
    asked = bool(turn.answer) and fact.answer == turn.answer
    return replace(
        turn,
        answer=AnswerId("") if asked else turn.answer,
        asked=0 if asked else turn.asked,
        iterations=turn.iterations + asked,
        under_way=True,
        calls=() if fact.partial else tuple(OpenCall(c.id, c.name) for c in message.calls),
        resumes=0,
    )


def _acted(turn: Turn, fact: e.ToolCalled | e.ToolReturned | e.LimitRaised | e.BudgetRaised) -> Turn:
    """The turn without the answers that it (or a sub-session in it) has now acted on."""
    match fact:
        case e.ToolCalled(call=call, sub=sub):
            kept = [a for a in turn.answers if (a.sub, a.call, a.kind) != (sub, call.id, "approval")]
        case e.ToolReturned(call=call, sub=sub):
            kept = [a for a in turn.answers if (a.sub, a.call) != (sub, call.id)]
        case e.LimitRaised(sub=sub):
            kept = [a for a in turn.answers if (a.sub, a.kind) != (sub, "limit")]
        case e.BudgetRaised(wait=wait):
            kept = [a for a in turn.answers if a.id != wait]
    return turn if len(kept) == len(turn.answers) else replace(turn, answers=tuple(kept))


def _taken(head: Head, fact: e.MessageTaken | e.MessageDropped) -> Head:
    rest = tuple(q for q in head.queue if (q.seq, q.index) != (fact.queued, fact.index))
    turn = replace(head.turn, at_rest=False) if head.turn is not None and head.turn.at_rest else head.turn
    return replace(head, queue=rest, turn=turn)


def _chosen(head: Head, agent: str, ref: str) -> Head:
    overrides = {name: model for name, model in head.model_overrides.items() if name != agent}
    if ref:
        overrides[agent] = ref
    custom = head.custom_models
    if "/" in ref and ref not in custom:
        custom = (*custom, ref)
    return replace(head, model_overrides=overrides, custom_models=custom)


def _grown(head: Head, message: Message | None, call: CallId = _NO_CALL) -> Head:
    if message is None and not call:
        return head
    return replace(head, items=head.items + 1, messages=head.messages + _counts(message, call))


def _counts(message: Message | None, call: CallId = _NO_CALL) -> int:
    """1 for a message that people see; that of a tool stands in its ToolReturned, and here is only the call."""
    return int(message.role != "system" if message is not None else bool(call))


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


def _canceled_below(head: Head, fact: e.CancelAsked) -> Head:
    """A cancel of a turn is one of all that was begun in it."""
    if head.turn is None or head.turn.id != fact.turn or not head.subs:
        return head
    return replace(head, subs=tuple(_canceled(sub, fact) for sub in head.subs))


def _canceled(head: Head, fact: e.CancelAsked) -> Head:
    turn = head.turn and replace(head.turn, canceled=True, cancel_why=head.turn.cancel_why or fact.why)
    return replace(head, turn=turn, subs=tuple(_canceled(sub, fact) for sub in head.subs))


def _ended(head: Head, event: e.Event, fact: e.TurnEnded) -> Head:
    """A cancel drops what was to steer the turn, and keeps what was to follow it; a spawned session keeps neither."""
    if head.turn is not None and head.turn.id != fact.turn:
        return head
    kept, seconds = head.queue, _lasted(head.turn, event) if head.turn else 0.0
    if fact.outcome == "canceled":
        kept = () if head.provider else tuple(q for q in kept if q.queue != "steer")
    return replace(
        head,
        turn=None,
        waits=(),
        queue=kept,
        subs=(),
        active=head.active + seconds,
        shares=_shared(head.shares, head, head.turn.agent, seconds=seconds) if head.turn else head.shares,
        outcome=fact.outcome,
        error=fact.error[:LONGEST_ERROR],
        ended_at=event.at,
    )


def _compacted(head: Head, fact: e.CompactionEnded) -> Head:
    """Whoever asked for it has been heard, unless it was begun for another reason and came to nothing."""
    heard = head.turn is not None and head.turn.compacting == "manual" and not fact.again
    return replace(head, compaction=0) if heard or fact.outcome == "applied" else head


def _opened_wait(head: Head, event: e.Event, fact: e.WaitOpened) -> Head:
    call = fact.call
    wait = OpenWait(
        id=fact.wait,
        kind=fact.kind,
        seq=event.seq,
        at=event.at,
        call=call.id if call else CallId(""),
        tool=call.name if call else "",
        durable=fact.durable,
        sub=fact.sub,
        about=str(fact.meta.get("roost/type", "")),
    )
    others = tuple(w for w in head.waits if w.id != wait.id)
    return replace(head, waits=(*others, wait))


def _answered(head: Head, wait: WaitId, answer: e.Answer) -> Head:
    opened = next((w for w in head.waits if w.id == wait), None)
    if opened is None:
        return head
    rest = tuple(w for w in head.waits if w.id != wait)
    turn = head.turn
    if turn is not None:
        kept = Answered(wait, opened.kind, answer, opened.call, opened.sub, opened.about)
        turn = replace(turn, answers=(*turn.answers, kept))
    return replace(head, waits=rest, turn=turn)


def _used(head: Head, fact: e.UsageAdded) -> Head:
    shares = _shared(head.shares, head, fact.agent, fact)
    head = replace(head, used=plus(head.used, fact.usage), shares=shares)
    cost = head.cost + (0 if fact.why == "compaction" else fact.cost)  # that one stands in its SummaryAdded
    if fact.why in ("title", "vain", "tool"):
        return replace(head, cost=cost)
    counters = {"input_tokens": fact.input_tokens, "output_tokens": fact.output_tokens}
    return replace(head, cost=cost, context_limit=fact.context_limit or head.context_limit, **counters)


def _lasted(turn: Turn, event: e.Event) -> float:
    return max(0, event.at - turn.at) / 1e6


def _raised(raised: tuple[e.Budget, ...], budget: e.Budget) -> tuple[e.Budget, ...]:
    return (*(b for b in raised if b.name != budget.name), budget)


def _shared(
    shares: tuple[Share, ...], head: Head, agent: str, fact: e.UsageAdded | None = None, seconds: float = 0.0
) -> tuple[Share, ...]:
    """The shares after an agent has used something, or worked for some time."""
    source = head.turn.source if head.turn is not None else head.source
    known = next((s for s in shares if (s.source, s.agent) == (source, agent)), None)
    share = known or Share(source, agent)
    if fact is not None:
        tokens = share.tokens + fact.usage.context + fact.usage.output
        share = replace(share, cost=share.cost + fact.cost, tokens=tokens, unpriced=share.unpriced or fact.unpriced)
    share = replace(share, seconds=share.seconds + seconds)
    return (*shares, share) if known is None else tuple(share if s is known else s for s in shares)
