"""What happened: every Fact, and the Event that gives it a place in the log.

Facts live for years.  New fields have defaults; no type is renamed or removed; one written by a
newer server is carried as `Unknown`.  `sub` names the sub-session a fact belongs to ("" is the
session whose log this is).  A frame that a client sees is made from its fact and earlier facts of
the same log alone, so totals, limits and positions stand in the fact.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from roost.core.ids import AnswerId, CallId, LogId, Micros, RunId, SessionId, TurnId, WaitId
from roost.core.messages import Definition, Effect, Message, Part, Result, ToolCall
from roost.core.orders import Order
from roost.core.usage import Usage

Outcome = Literal["normal", "error", "canceled"]
TURN_ENDED = "the turn ended"  # why a wait is void or an answer dropped when nothing went wrong
Kind = Literal["approval", "question", "limit", "budget"]
Queue = Literal["steer", "followup"]


class Base(Struct, frozen=True, kw_only=True, tag=True, tag_field="type", omit_defaults=True):
    """What all facts share: the sub-session they belong to."""

    sub: SessionId = SessionId("")


# -- values that facts carry --------------------------------------------------------------------


class Permissions(Struct, frozen=True, omit_defaults=True):
    """Patterns of tools that run unasked, that ask, and that are refused."""

    allow: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


class Budget(Struct, frozen=True, omit_defaults=True):
    """What may be spent; 0 is no limit."""

    name: str = ""
    max_cost: float = 0.0  # US dollars
    max_tokens: int = 0
    max_time: float = 0.0  # seconds, summed over turns


class Template(Struct, frozen=True, omit_defaults=True):
    """What a session is born with."""

    title: str = ""
    working_dir: str = ""  # absolute
    safety: str = ""  # "", strict, balanced, restricted, autonomous
    prior_safety: str = ""
    permissions: Permissions | None = None
    hide_tool_results: bool = False
    starred: bool = False
    thinking: bool = False
    send_user_message: bool = True
    max_iterations: int = 0
    max_consecutive_tool_calls: int = 0
    max_old_tool_call_tokens: int = 0
    max_tool_result_tokens: int = 0
    attributes: dict[str, str] = {}
    model_overrides: dict[str, str] = {}  # agent name -> model reference
    custom_models: tuple[str, ...] = ()
    attached_files: tuple[str, ...] = ()
    owner: str = ""  # the account that made it
    budget: Budget | None = None  # of this session alone
    tree_budget: Budget | None = None  # of this session and all below it


class Answer(Struct, frozen=True, omit_defaults=True):
    """What a person answered.

    Approvals and limits: `action` is `approve` or `reject`, and `word` the exact confirmation that
    was sent (`approve-tool` …).  Questions: `accept`, `decline` or `cancel`, with `content`.
    """

    action: str
    word: str = ""
    reason: str = ""
    tool_name: str = ""
    content: dict[str, Any] | None = None


class Portion(Struct, frozen=True, omit_defaults=True):
    """What one agent has taken of a budget."""

    agent: str
    cost: float = 0.0
    tokens: int = 0
    seconds: float = 0.0


class Spent(Struct, frozen=True, omit_defaults=True):
    """A budget, and what has gone of it."""

    budget: Budget
    cost: float = 0.0
    tokens: int = 0
    seconds: float = 0.0
    unpriced: bool = False  # something was used whose price nobody knows
    portions: tuple[Portion, ...] = ()


class Command(Struct, frozen=True, omit_defaults=True):
    """A slash command of an agent."""

    name: str
    description: str = ""
    instruction: str = ""
    agent: str = ""  # switches to this agent instead
    url: str = ""  # opens this page instead


class Teammate(Struct, frozen=True, omit_defaults=True):
    """An agent of the team, as clients are shown it."""

    name: str
    description: str = ""
    provider: str = ""
    model: str = ""
    commands: tuple[Command, ...] = ()


# -- a session ----------------------------------------------------------------------------------


class SessionCreated(Base, frozen=True):
    """The first fact of a session, or of a sub-session (then `sub` is its id and `parent` is set).

    `definitions` are those that the messages of a fork name.
    """

    template: Template
    parent: SessionId = SessionId("")
    forked_from: SessionId = SessionId("")
    definitions: dict[str, Definition] = {}  # by digest
    order: Order | None = None  # what a spawn asked for
    root: SessionId = SessionId("")  # of the tree of spawned sessions, where it is another one
    call: CallId = CallId("")  # of a sub-session: the call that it is for
    started_by: SessionId = SessionId("")  # of a background agent: the session, or sub-session, whose call it was


class TitleSet(Base, frozen=True):
    """The session has another title; `by` is `user` or `model`."""

    title: str
    by: Literal["user", "model"] = "user"


class TitleShown(Base, frozen=True):
    """The title, said again at the start of a run."""

    title: str


class PolicySet(Base, frozen=True):
    """The safety mode changed; `prior` is what to go back to when it is switched off.

    One that is `proposed` is the agent file's, which nobody has chosen.
    """

    safety: str
    prior: str = ""
    proposed: bool = False


class PermissionsSet(Base, frozen=True):
    """The session's own patterns, whole."""

    permissions: Permissions | None


class ThinkingSet(Base, frozen=True):
    """The old thinking switch."""

    thinking: bool


class StarredSet(Base, frozen=True):
    """A person marked the session, or took the mark away."""

    starred: bool


class BudgetSet(Base, frozen=True):
    """What the session, and its whole tree, may spend from now on."""

    budget: Budget | None = None
    tree_budget: Budget | None = None


class BudgetRaised(Base, frozen=True):
    """A person let a budget that was used up go on, to these limits; its name is the one of `core.budgets.Held.key`."""

    budget: Budget
    wait: WaitId = WaitId("")  # whose answer this is


class TokensSet(Base, frozen=True):
    """A client overwrote the counters."""

    input: int
    output: int
    cost: float = 0.0


class ModelChosen(Base, frozen=True):
    """A model for one agent of this session, from now on; "" goes back to the file's."""

    agent: str
    ref: str


class MessageWritten(Base, frozen=True):
    """A message put into the history as it is: posted for a turn, added by a client, or copied by a fork."""

    message: Message


class MessageEdited(Base, frozen=True):
    """A message replaced; `message_id` is the seq of the fact that brought it."""

    message_id: int
    message: Message


class SummaryAdded(Base, frozen=True):
    """A summary that stands for what went before it; `first_kept` is an index into the items, or 0."""

    summary: str
    first_kept: int = 0
    cost: float = 0.0
    model: str = ""
    usage: Usage | None = None


class DeleteAsked(Base, frozen=True):
    """Somebody wants the session gone."""

    by: str = ""


class SessionExited(Base, frozen=True):
    """The last fact of a log."""

    reason: str = "session ended"


# -- messages that wait -------------------------------------------------------------------------


class MessageQueued(Base, frozen=True):
    """Messages for the middle of the turn (steer) or for after it (followup).

    `key` is the client's idempotency key; the store refuses a second fact with a key it remembers.
    """

    queue: Queue
    messages: tuple[Message, ...]
    key: str = ""
    framing: str = ""


class MessageTaken(Base, frozen=True):
    """A queued message enters the history: `queued` is the seq of its MessageQueued, `index` its place there."""

    queued: int
    index: int
    message: Message
    position: int
    queue: Queue = "steer"


class MessageDropped(Base, frozen=True):
    """A queued message is not taken: a hook has refused it, or whoever sent it has withdrawn it."""

    queued: int
    index: int
    why: str


# -- a turn -------------------------------------------------------------------------------------


class TurnOpened(Base, frozen=True):
    """A turn's first fact: it takes the session, and pins what the turn runs with.

    The posted messages follow it in the same append, each as a MessageWritten.
    """

    turn: TurnId
    source: str  # the id of the agent file
    agent: str
    working_dir: str
    source_hash: str = ""
    model: str = ""  # the override in force, or ""
    principal: str = ""
    detached: bool = False
    max_iterations: int = 0
    driver: str = ""  # the agent CLI that plays it; "" is the agent loop
    command: str = ""  # what a client of /api/v1 is told: exec, interactive, input, review ...
    interactive: bool = False  # goes on at a natural stop, and waits for the next message
    confined: bool = False  # whatever it starts must run in a sandbox
    order: Order | None = None  # what an agent file asks of the CLI that plays its agent
    permissions: Permissions | None = None  # of that file
    safety: str = ""  # likewise
    unattended: bool = False  # nobody can be asked: what would need it is refused
    tools: tuple[str, ...] = ()  # of a task: only these, when not empty
    toolsets: tuple[str, ...] = ()  # of a task: groups of the file, besides the agent's own


class TurnDetached(Base, frozen=True):
    """From now on no client's leaving cancels this turn."""

    turn: TurnId


class TurnResumed(Base, frozen=True):
    """A turn that lost its server goes on, for the n-th time since it last made progress."""

    turn: TurnId
    n: int


class AgentShown(Base, frozen=True):
    """Which agent speaks, and on which model (`provider/model`)."""

    agent: str
    model: str
    description: str = ""
    welcome: str = ""
    context_limit: int = 0


class TeamShown(Base, frozen=True):
    """The agents of the team."""

    agents: tuple[Teammate, ...]
    current: str


class ToolsShown(Base, frozen=True):
    """How many tools the agent has now.  `definitions` holds those this log has not shown yet."""

    agent: str
    count: int
    loading: bool = False
    definitions: dict[str, Definition] = {}  # by digest


class McpStarting(Base, frozen=True):
    """Tool servers are being started."""

    agent: str


class McpReady(Base, frozen=True):
    """Tool servers have been started, or have failed to."""

    agent: str


class UserSaid(Base, frozen=True):
    """The newest posted message, shown; the history has it from its MessageWritten."""

    text: str
    position: int
    parts: tuple[Part, ...] = ()


class TurnStarted(Base, frozen=True):
    """The turn is under way."""

    agent: str


class Warned(Base, frozen=True):
    """Something that people should know of."""

    message: str
    agent: str = ""


class ModelAsked(Base, frozen=True):
    """A request goes to a model; deltas that name `answer` follow."""

    answer: AnswerId
    agent: str
    model: str
    attempt: int = 1


class TextAdded(Base, frozen=True):
    """A delta of text."""

    answer: AnswerId
    text: str
    agent: str = ""


class ReasoningAdded(Base, frozen=True):
    """A delta of reasoning."""

    answer: AnswerId
    text: str
    agent: str = ""


class CallDrafted(Base, frozen=True):
    """A delta of a call's arguments; the first one of a call names its tool."""

    answer: AnswerId
    call: CallId
    name: str = ""
    text: str = ""
    agent: str = ""
    definition: str = ""  # the digest in ToolsShown


class AnswerDropped(Base, frozen=True):
    """The deltas of `answer` from `first_seq` on do not count: they will be written anew, or never."""

    answer: AnswerId
    first_seq: int
    why: str
    agent: str = ""


class MessageAdded(Base, frozen=True):
    """A message enters the history: the answer of a model, or (with `call`) what a tool returned.

    For a tool the content stands in its ToolReturned; the fold puts the two together.
    """

    message: Message | None = None
    answer: AnswerId = AnswerId("")
    call: CallId = CallId("")
    agent: str = ""
    partial: bool = False


class UsageAdded(Base, frozen=True):
    """What a request cost, and what that makes for the session (without its sub-sessions)."""

    usage: Usage
    model: str
    agent: str
    cost: float  # of this request
    total_cost: float
    input_tokens: int  # of the session: what its context holds now
    output_tokens: int
    context_limit: int = 0
    finish: str = ""
    why: Literal["answer", "title", "compaction", "vain", "tool"] = "answer"  # vain: for a summary that did not come
    threshold: float = 0.0  # share of the context past which the history is summed up; 0 is never
    unpriced: bool = False  # nobody knows what it cost


class FellBack(Base, frozen=True):
    """Another model takes over."""

    failed_model: str
    fallback_model: str
    reason: str
    attempt: int
    max_attempts: int
    agent: str = ""


class ToolCalled(Base, frozen=True):
    """A tool starts.  Committed before it does."""

    call: ToolCall
    effect: Effect
    agent: str
    attempt: int = 1
    definition: str = ""
    leave: str = ""  # by whose: an approval source, such as `readonly_hint`


class OutputAdded(Base, frozen=True):
    """Output of a tool that is still running."""

    call: CallId
    text: str
    agent: str = ""
    definition: str = ""


class ToolReturned(Base, frozen=True):
    """A tool is done, or never ran (denied, rejected, unknown).  Committed before anyone sees the result."""

    call: ToolCall
    result: Result
    agent: str
    definition: str = ""
    leave: str = ""  # where it never ran: who refused it


class CallChanged(Base, frozen=True):
    """A hook gave a call other arguments than the model's."""

    call: CallId
    arguments: str  # JSON
    agent: str = ""


class HookStarted(Base, frozen=True):
    """The hooks of an event run."""

    event: str
    agent: str = ""


class HookEnded(Base, frozen=True):
    """They have run."""

    event: str
    duration: float  # seconds
    allowed: bool = True
    error: str = ""
    message: str = ""  # for people
    agent: str = ""


class HookBlocked(Base, frozen=True):
    """A hook refused a call."""

    call: ToolCall
    message: str
    agent: str = ""
    definition: str = ""


class ContextAdded(Base, frozen=True):
    """Text that hooks put before the model, from now on."""

    text: str
    event: str
    agent: str = ""


class PlanSet(Base, frozen=True):
    """The plan of the session, whole."""

    content: str
    path: str = ""
    agent: str = ""


class IndexingShown(Base, frozen=True):
    """How far the index of a knowledge base is."""

    stage: Literal["started", "progress", "completed"]
    source: str
    strategy: str
    current: int = 0
    total: int = 0
    agent: str = ""


class BudgetShown(Base, frozen=True):
    """What has been spent of the budgets that hold here."""

    budgets: tuple[Spent, ...]
    agent: str = ""


class CallLost(Base, frozen=True):
    """A tool had started and its end is not known."""

    call: CallId
    attempt: int


class WaitOpened(Base, frozen=True):
    """Something waits for a person.

    `durable` says whether an answer can still be used after a restart.
    """

    wait: WaitId
    kind: Kind
    agent: str
    call: ToolCall | None = None
    definition: str = ""
    metadata: dict[str, str] = {}
    message: str = ""
    mode: str = ""  # form or url
    schema: dict[str, Any] | None = None
    url: str = ""
    server_id: str = ""  # the id that an MCP server gave its question
    meta: dict[str, Any] = {}
    max_iterations: int = 0
    durable: bool = True


class WaitAnswered(Base, frozen=True):
    """Somebody answered.  The first answer wins."""

    wait: WaitId
    answer: Answer
    by: str = ""


class WaitVoided(Base, frozen=True):
    """Nobody can use an answer any more."""

    wait: WaitId
    why: str


class LimitRaised(Base, frozen=True):
    """The turn may take more iterations."""

    max_iterations: int


class Authorized(Base, frozen=True):
    """A login that a tool server asked for has ended."""

    confirmation: str
    agent: str = ""


class AgentSwitched(Base, frozen=True):
    """A task goes to another agent (`switching`), or its result comes back."""

    agent: str
    switching: bool
    from_agent: str = ""
    to_agent: str = ""


class HandedOver(Base, frozen=True):
    """Another agent has the conversation from now on; calls that are open are played by the one who had it."""

    to_agent: str
    agent: str = ""  # who had it
    why: Literal["handoff", "force_handoff", "command"] = "handoff"


class SubSessionEnded(Base, frozen=True):
    """A task handed to a sub-agent is over; `session` is its id."""

    session: SessionId
    agent: str = ""


class CompactionAsked(Base, frozen=True):
    """Somebody wants the history to be summed up before the next request to a model."""

    instruction: str = ""  # what the summary is to heed
    by: str = ""


class CompactionStarted(Base, frozen=True):
    """The history is being summed up."""

    agent: str = ""
    reason: Literal["threshold", "overflow", "manual"] = "threshold"


class CompactionEnded(Base, frozen=True):
    """It has been, or not; `again` says that it was cut off, and that who asked for it still waits."""

    outcome: Literal["applied", "skipped", "failed"]
    agent: str = ""
    again: bool = False


class CancelAsked(Base, frozen=True):
    """Somebody wants the turn to end."""

    turn: TurnId
    why: str = ""
    by: str = ""


class ErrorMet(Base, frozen=True):
    """What ended the turn before its time.  It stands in the history as an item."""

    message: str
    code: str = ""
    agent: str = ""


class TurnEnded(Base, frozen=True):
    """The turn's last fact."""

    turn: TurnId
    outcome: Outcome
    agent: str = ""
    error: str = ""  # why it did not end well


# -- spawned sessions ---------------------------------------------------------------------------


class LabelSet(Base, frozen=True):
    """The session's name, description and tags, whole."""

    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()


class ResultSet(Base, frozen=True):
    """What the session has come to, said outright; it outweighs the newest answer."""

    result: str


class UserNoted(Base, frozen=True):
    """A client, or the agent itself, has put a note into the log."""

    level: Literal["debug", "info", "warn", "error"]
    message: str
    data: Any = None


class WorktreeMade(Base, frozen=True):
    """The session works in a git worktree of its own."""

    name: str
    path: str
    repository: str


class WorktreeLeft(Base, frozen=True):
    """The worktree was removed, or kept because there is work in it."""

    path: str
    removed: bool


# -- runs of agent CLIs -------------------------------------------------------------------------


class RunStarted(Base, frozen=True):
    """A process of an agent CLI has been started.  It outlives the server.

    `pid` is its keeper's; with `started` (clock ticks since boot) and `boot_id` it is known from any
    other process.  `resumed` is the CLI's own session that it goes on with.
    """

    run: RunId
    pid: int
    started: int
    boot_id: str
    provider: str
    model: str = ""
    command: str = ""
    prompt: str = ""  # its first 100 characters
    working_dir: str = ""
    resumed: str = ""
    sandbox: str = ""  # kind and name, `docker:roost-...`
    version: str = ""


class RunRead(Base, frozen=True):
    """The facts before this one, in the same append, are all that the output up to here has to say."""

    run: RunId
    out: int  # bytes of stdout
    err: int  # bytes of stderr


class RunEnded(Base, frozen=True):
    """The process is gone and all of its output is read.  `code` is None where nobody knows it."""

    run: RunId
    code: int | None = None
    signal: int = 0
    killed: bool = False  # by us


class Introduced(Base, frozen=True):
    """A CLI has said who it is: its own session id, with which it can be resumed, its model and its tools."""

    provider_session: str = ""
    model: str = ""
    tools: tuple[str, ...] = ()
    working_dir: str = ""
    data: dict[str, Any] = {}


class StatusShown(Base, frozen=True):
    """Something that a CLI reports about itself."""

    message: str
    data: Any = None


class StderrAdded(Base, frozen=True):
    """Lines that a CLI wrote to stderr."""

    text: str


class LineSkipped(Base, frozen=True):
    """A line of a CLI's output that could not be understood."""

    message: str
    raw: str = ""


class RoundEnded(Base, frozen=True):
    """A CLI is through with one message; `index` counts from 0 within the run."""

    index: int
    reason: str = ""
    usage: Usage | None = None


class RoundResult(Base, frozen=True):
    """What a CLI reports of the round that has just ended."""

    success: bool
    message: str = ""
    duration_ms: int | None = None
    turns: int | None = None


class LimitHit(Base, frozen=True):
    """The provider refuses more work for now.  With `resume_at`, the turn sleeps until then and goes on."""

    incident: str
    provider: str
    scope: Literal["session", "daily", "weekly", "global"] = "session"
    reset_at: Micros | None = None
    resume_at: Micros | None = None
    fallback_used: bool = False
    raw: str = ""


class LimitResumed(Base, frozen=True):
    """The time has come, and the turn goes on with `message`."""

    incident: str
    message: str
    attempt: int


class LimitResumeFailed(Base, frozen=True):
    """The turn could not go on after a limit."""

    incident: str
    error: str
    attempt: int


class Unknown(Struct, frozen=True):
    """A fact of a type this version does not know, kept as it came."""

    type: str
    raw: msgspec.Raw


Known = (
    SessionCreated
    | TitleSet
    | TitleShown
    | PolicySet
    | PermissionsSet
    | ThinkingSet
    | StarredSet
    | TokensSet
    | BudgetRaised
    | BudgetSet
    | ModelChosen
    | MessageWritten
    | MessageEdited
    | SummaryAdded
    | DeleteAsked
    | SessionExited
    | MessageQueued
    | MessageTaken
    | MessageDropped
    | TurnOpened
    | TurnDetached
    | TurnResumed
    | AgentShown
    | TeamShown
    | ToolsShown
    | McpStarting
    | McpReady
    | UserSaid
    | TurnStarted
    | Warned
    | ModelAsked
    | TextAdded
    | ReasoningAdded
    | CallDrafted
    | AnswerDropped
    | MessageAdded
    | UsageAdded
    | FellBack
    | ToolCalled
    | OutputAdded
    | ToolReturned
    | CallChanged
    | HookStarted
    | HookEnded
    | HookBlocked
    | ContextAdded
    | PlanSet
    | IndexingShown
    | BudgetShown
    | CallLost
    | WaitOpened
    | WaitAnswered
    | WaitVoided
    | LimitRaised
    | Authorized
    | AgentSwitched
    | HandedOver
    | SubSessionEnded
    | CompactionAsked
    | CompactionStarted
    | CompactionEnded
    | CancelAsked
    | ErrorMet
    | TurnEnded
    | LabelSet
    | ResultSet
    | UserNoted
    | WorktreeMade
    | WorktreeLeft
    | RunStarted
    | RunRead
    | RunEnded
    | Introduced
    | StatusShown
    | StderrAdded
    | LineSkipped
    | RoundEnded
    | RoundResult
    | LimitHit
    | LimitResumed
    | LimitResumeFailed
)
Fact = Known | Unknown

DELTAS = (TextAdded, ReasoningAdded, CallDrafted, OutputAdded)
"""Facts that leave a session's head and history alone.  Only these may be posted without waiting."""


class Event(Struct, frozen=True):
    """A fact with its place: the log, its number there (1, 2, 3 … without holes), and the moment."""

    log: LogId
    seq: int
    at: Micros
    fact: Fact


_decoder: msgspec.json.Decoder[Known] = msgspec.json.Decoder(Known)
_encoder = msgspec.json.Encoder()
_TYPES = frozenset(member.__name__ for member in Known.__args__)


class _Peek(Struct):
    type: str


_peek = msgspec.json.Decoder(_Peek)


def encode(fact: Fact) -> bytes:
    """A fact as the JSON that the store keeps."""
    return bytes(fact.raw) if isinstance(fact, Unknown) else _encoder.encode(fact)


def decode(raw: bytes) -> Fact:
    """The fact that `raw` holds.

    Raises:
        msgspec.DecodeError: it holds none, or one of a known type that is malformed.
    """
    try:
        return _decoder.decode(raw)
    except msgspec.ValidationError:
        kind = _peek.decode(raw).type
        if kind in _TYPES:
            raise
        return Unknown(kind, msgspec.Raw(raw))


def kind(fact: Fact) -> str:
    """The name a fact is stored under."""
    return fact.type if isinstance(fact, Unknown) else type(fact).__name__


def is_delta(fact: Fact) -> bool:
    """Whether a fact may be posted: its loss in a crash is only a part of an answer to be written anew."""
    return isinstance(fact, DELTAS)


def all_deltas(facts: Sequence[Fact]) -> bool:
    """Whether none of `facts` changes a session's head."""
    return all(isinstance(fact, DELTAS) for fact in facts)
