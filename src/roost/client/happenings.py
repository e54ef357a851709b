"""What happens in a session, as `/api` tells it: one type for each event, and what a newer server adds as `Other`."""

from typing import Any

import msgspec
from msgspec import Struct, field

from roost.client.errors import Garbled
from roost.client.shapes import (
    Budget,
    Call,
    Chat,
    Content,
    Definition,
    Permissions,
    Posted,
    Result,
    Teammate,
    Used,
)

Table = dict[str, Any]


class Base(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What all have: their number in the session's log (0 for what is no fact), where they belong, who speaks, when.

    What belongs to a sub-session has `parent_session_id` and `root_session_id`; else these are "".
    """

    seq: int = 0
    session_id: str = ""
    parent_session_id: str = ""
    root_session_id: str = ""
    agent_name: str = ""
    timestamp: str = ""

    @property
    def type(self) -> str:
        """What the event is called on the wire."""
        return str(self.__struct_config__.tag)


# -- a turn -------------------------------------------------------------------------------------


class AgentInfo(Base, frozen=True, tag="agent_info"):
    """Who answers."""

    model: str = ""
    description: str = ""
    welcome_message: str = ""
    context_limit: int = 0


class TeamInfo(Base, frozen=True, tag="team_info"):
    """The agents of the file."""

    available_agents: tuple[Teammate, ...] = ()
    current_agent: str = ""


class ToolsetInfo(Base, frozen=True, tag="toolset_info"):
    """How many tools the agent has."""

    available_tools: int = 0
    loading: bool = False


class McpInitStarted(Base, frozen=True, tag="mcp_init_started"):
    """Tool servers are being started."""


class McpInitFinished(Base, frozen=True, tag="mcp_init_finished"):
    """They are there, or have failed."""


class TurnOpened(Base, frozen=True, tag="turn_opened"):
    """A turn has the session."""

    turn_id: str = ""
    agent: str = ""
    source: str = ""
    model: str = ""
    provider: str = ""  # the agent CLI that plays it
    detached: bool = False
    command: str = ""
    working_dir: str = ""


class TurnResumed(Base, frozen=True, tag="turn_resumed"):
    """A turn that lost its server goes on."""

    turn_id: str = ""
    n: int = 0


class TurnDetached(Base, frozen=True, tag="turn_detached"):
    """No client's leaving ends the turn any more."""

    turn_id: str = ""


class CancelAsked(Base, frozen=True, tag="cancel_asked"):
    """Somebody wants the turn to end."""

    turn_id: str = ""
    why: str = ""
    by: str = ""


class UserMessage(Base, frozen=True, tag="user_message"):
    """What the user said.  One that had waited names the `message_queued` that brought it, and its place in it."""

    message: str = ""
    multi_content: tuple[Content, ...] = ()
    session_position: int = 0
    id: int = 0  # the message's
    queued: int | None = None
    index: int | None = None
    queue: str = ""


class MessageWritten(Base, frozen=True, tag="message_written"):
    """A message is put into the history as it is: posted for a turn, added, or copied."""

    id: int = 0
    message: Chat = Chat()
    implicit: bool = False


class MessageEdited(Base, frozen=True, tag="message_edited"):
    """A message is replaced."""

    id: int = 0
    message: Chat = Chat()


class StreamStarted(Base, frozen=True, tag="stream_started"):
    """The turn begins; with a `parent_session_id`, that of a sub-session."""


class SessionTitle(Base, frozen=True, tag="session_title"):
    """The session's title, new or as it was."""

    title: str = ""


class AgentSwitching(Base, frozen=True, tag="agent_switching"):
    """Another agent goes on, or what it was given is done."""

    switching: bool = False
    from_agent: str = ""
    to_agent: str = ""


class HandedOver(Base, frozen=True, tag="handed_over"):
    """Another agent has the conversation from now on."""

    from_agent: str = ""
    to_agent: str = ""
    why: str = ""


class StreamStopped(Base, frozen=True, tag="stream_stopped"):
    """The turn is over: `normal`, `error` or `canceled`; with a `parent_session_id`, that of a sub-session."""

    reason: str = ""
    turn_id: str = ""


# -- messages that wait -------------------------------------------------------------------------


class MessageQueued(Base, frozen=True, tag="message_queued"):
    """Messages wait for the middle of the turn (`steer`), or for after it (`followup`)."""

    id: int = 0
    queue: str = ""
    messages: tuple[Posted, ...] = ()


class MessageDropped(Base, frozen=True, tag="message_dropped"):
    """One of them is not taken."""

    queued: int = 0
    index: int = 0
    why: str = ""


# -- the model's answer -------------------------------------------------------------------------


class ContextAdded(Base, frozen=True, tag="context_added"):
    """Hooks put a text before the model, from now on."""

    text: str = ""
    hook_event: str = ""


class AnswerStarted(Base, frozen=True, tag="answer_started"):
    """A model is asked; what comes of it names `answer`."""

    answer: str = ""
    model: str = ""
    attempt: int = 1


class AgentChoice(Base, frozen=True, tag="agent_choice"):
    """A piece of the answer."""

    content: str = ""
    answer: str = ""


class AgentChoiceReasoning(Base, frozen=True, tag="agent_choice_reasoning"):
    """A piece of its reasoning."""

    content: str = ""
    answer: str = ""


class PartialToolCall(Base, frozen=True, tag="partial_tool_call"):
    """A call whose arguments are still coming, from its beginning."""

    tool_call: Call = Call()
    tool_definition: Definition = Definition()
    answer: str = ""


class MessageAdded(Base, frozen=True, tag="message_added"):
    """An answer is whole, or what a tool returned (then with `tool_call_id`) is; `id` is the message's.

    An answer of which no pieces came has its `message` here.
    """

    id: int = 0
    answer: str = ""
    tool_call_id: str = ""
    partial: bool = False
    message: Chat | None = None
    tool_calls: tuple[Call, ...] = ()  # what the answer calls, whole


class Last(Struct, frozen=True):
    """What the newest request used."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cached_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost: float | None = field(default=None, name="Cost")
    model: str = field(default="", name="Model")
    finish_reason: str = ""


class Usage(Struct, frozen=True):
    """Where a session stands."""

    input_tokens: int = 0
    output_tokens: int = 0
    context_length: int = 0
    context_limit: int = 0
    cost: float = 0.0
    last_message: Last | None = None
    compaction_threshold: float = 0.0


class TokenUsage(Base, frozen=True, tag="token_usage"):
    """Tokens and cost, of the session and of the last request."""

    usage: Usage = Usage()


class CostAdded(Base, frozen=True, tag="cost_added"):
    """What a request cost that leaves the conversation as it was: for a title, of a tool, or in vain."""

    why: str = ""
    model: str = ""
    usage: Used | None = None
    cost: float = 0.0
    total_cost: float = 0.0


class TokensSet(Base, frozen=True, tag="tokens_set"):
    """A client overwrote the counters."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0


class ModelFallback(Base, frozen=True, tag="model_fallback"):
    """Another model is asked."""

    failed_model: str = ""
    fallback_model: str = ""
    reason: str = ""
    attempt: int = 0
    max_attempts: int = 0


class CompactionAsked(Base, frozen=True, tag="compaction_asked"):
    """Somebody wants the history to be summed up."""

    instruction: str = ""
    by: str = ""


class SessionCompaction(Base, frozen=True, tag="session_compaction"):
    """The history is being summed up (`started`), or has been (`completed`; `outcome` says whether)."""

    status: str = ""
    outcome: str = ""


class SessionSummary(Base, frozen=True, tag="session_summary"):
    """What stands for the history before it."""

    summary: str = ""
    first_kept_entry: int = 0
    cost: float | None = None
    model: str = ""
    usage: Used | None = None


# -- tools --------------------------------------------------------------------------------------


class ToolCall(Base, frozen=True, tag="tool_call"):
    """A tool runs now; `leave` says by whose leave."""

    tool_call: Call = Call()
    tool_definition: Definition = Definition()
    attempt: int = 1
    leave: str = ""


class ToolCallOutput(Base, frozen=True, tag="tool_call_output"):
    """What it has printed since."""

    tool_call_id: str = ""
    tool_definition: Definition = Definition()
    output: str = ""


class ToolCallResponse(Base, frozen=True, tag="tool_call_response"):
    """What it returned."""

    tool_call_id: str = ""
    tool_call: Call = Call()
    tool_definition: Definition = Definition()
    response: str = ""
    result: Result | None = None

    @property
    def failed(self) -> bool:
        """Whether it failed."""
        return self.result is not None and self.result.is_error


class CallLost(Base, frozen=True, tag="call_lost"):
    """A tool had started, and nobody knows how it ended."""

    tool_call_id: str = ""
    attempt: int = 0


class CallChanged(Base, frozen=True, tag="call_changed"):
    """A hook gave a call other arguments than the model's."""

    tool_call_id: str = ""
    arguments: str = ""


class HookStarted(Base, frozen=True, tag="hook_started"):
    """The hooks of an event run."""

    hook_event: str = ""


class HookFinished(Base, frozen=True, tag="hook_finished"):
    """They have run."""

    hook_event: str = ""
    duration_ms: int = 0
    allowed: bool = True
    error: str = ""
    message: str = ""


class HookBlocked(Base, frozen=True, tag="hook_blocked"):
    """A hook refuses a call."""

    tool_call: Call = Call()
    tool_definition: Definition = Definition()
    message: str = ""


class PlanUpdated(Base, frozen=True, tag="plan_updated"):
    """The session's plan, whole."""

    content: str = ""
    path: str = ""


class RagIndexingStarted(Base, frozen=True, tag="rag_indexing_started"):
    """Documents are being indexed."""

    rag_name: str = ""
    strategy_name: str = ""


class RagIndexingProgress(Base, frozen=True, tag="rag_indexing_progress"):
    """So many of them are."""

    rag_name: str = ""
    strategy_name: str = ""
    current: int = 0
    total: int = 0


class RagIndexingCompleted(Base, frozen=True, tag="rag_indexing_completed"):
    """All are."""

    rag_name: str = ""
    strategy_name: str = ""


class BudgetUsage(Base, frozen=True, tag="budget_usage"):
    """What has been spent of the budgets that hold here."""

    budgets: tuple[Table, ...] = ()


class SessionCreated(Base, frozen=True, tag="session_created"):
    """The session is there; with a `parent_session_id`, a sub-session for a task of another agent."""

    tool_call_id: str = ""
    title: str = ""
    agent: str = ""
    provider: str = ""
    model: str = ""
    name: str = ""
    started_by: str = ""
    forked_from: str = ""
    working_dir: str = ""
    safety_policy: str = ""


class SubSessionCompleted(Base, frozen=True, tag="sub_session_completed"):
    """A task that another agent had is done; `parent_session_id` is whose task it was."""

    sub_session: Table | None = None


# -- what waits for a person --------------------------------------------------------------------


class ToolCallConfirmation(Base, frozen=True, tag="tool_call_confirmation"):
    """May this run?"""

    tool_call: Call = Call()
    tool_definition: Definition = Definition()
    metadata: dict[str, str] = {}
    request_id: str = ""


class ElicitationRequest(Base, frozen=True, tag="elicitation_request"):
    """A form to fill, or an address to open."""

    message: str = ""
    mode: str = ""
    schema: Table | None = None
    url: str = ""
    elicitation_id: str = ""
    server_elicitation_id: str = ""
    meta: Table | None = None
    asked: str = field(default="", name="request_id")

    @property
    def request_id(self) -> str:
        """What an answer names."""
        return self.asked or self.elicitation_id


class MaxIterationsReached(Base, frozen=True, tag="max_iterations_reached"):
    """So many rounds are done; go on?"""

    max_iterations: int = 0
    request_id: str = ""


class BudgetExceeded(Base, frozen=True, tag="budget_exceeded"):
    """A budget is used up; go on?"""

    budget: str = ""
    limit: str = ""
    used: float = 0.0
    max: float = 0.0
    config_path: str = ""
    message: str = ""
    request_id: str = ""


class WaitAnswered(Base, frozen=True, tag="wait_answered"):
    """Somebody answered."""

    request_id: str = ""
    action: str = ""
    confirmation: str = ""
    reason: str = ""
    tool_name: str = ""
    content: Table | None = None
    by: str = ""


class WaitVoided(Base, frozen=True, tag="wait_voided"):
    """Nobody needs an answer any more."""

    request_id: str = ""
    why: str = ""


class AuthorizationEvent(Base, frozen=True, tag="authorization_event"):
    """A tool server's login went through, or not."""

    confirmation: str = ""


# -- what people set ----------------------------------------------------------------------------


class ModelChosen(Base, frozen=True, tag="model_chosen"):
    """Another model for an agent, from now on; "" is the file's."""

    agent: str = ""
    model: str = ""


class SafetySet(Base, frozen=True, tag="safety_set"):
    """Another safety policy; one that is `proposed` is the agent file's, which nobody has chosen."""

    safety_policy: str = ""
    proposed: bool = False


class PermissionsSet(Base, frozen=True, tag="permissions_set"):
    """Other permissions, whole."""

    permissions: Permissions | None = None


class ThinkingSet(Base, frozen=True, tag="thinking_set"):
    """An old switch."""

    thinking: bool = False


class LabelsSet(Base, frozen=True, tag="labels_set"):
    """Another name, description and tags, whole."""

    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()


class ResultSet(Base, frozen=True, tag="result_set"):
    """What the session has come to, said outright."""

    result: str = ""


class StarredSet(Base, frozen=True, tag="starred_set"):
    """A mark, or none."""

    starred: bool = False


class BudgetSet(Base, frozen=True, tag="budget_set"):
    """Other budgets."""

    budget: Budget | None = None
    tree_budget: Budget | None = None


class BudgetRaised(Base, frozen=True, tag="budget_raised"):
    """A budget that was used up goes on, to these limits."""

    name: str = ""
    request_id: str = ""
    budget: Budget | None = None


class LimitRaised(Base, frozen=True, tag="limit_raised"):
    """The turn may take more rounds."""

    max_iterations: int = 0


# -- agent CLIs ---------------------------------------------------------------------------------


class RunStarted(Base, frozen=True, tag="run_started"):
    """An agent CLI has been started."""

    run_id: str = ""
    prompt: str = ""
    resumed: str = ""
    provider: str = ""
    pid: int = 0
    model: str = ""
    command: str = ""
    working_dir: str = ""
    sandbox: str = ""
    version: str = ""


class RunEnded(Base, frozen=True, tag="run_ended"):
    """It is gone."""

    run_id: str = ""
    exit_code: int | None = None
    signal: int = 0
    killed: bool = False


class Introduced(Base, frozen=True, tag="introduced"):
    """It has said who it is."""

    provider_session: str = ""
    model: str = ""
    working_dir: str = ""
    tools: tuple[str, ...] = ()


class StatusShown(Base, frozen=True, tag="status_shown"):
    """Something that it reports about itself."""

    message: str = ""
    data: Any = None


class StderrAdded(Base, frozen=True, tag="stderr_added"):
    """Lines that it wrote to stderr."""

    text: str = ""


class LimitResumed(Base, frozen=True, tag="limit_resumed"):
    """A usage limit has passed, and the work goes on."""

    message: str = ""
    attempt: int = 0


class LineSkipped(Base, frozen=True, tag="line_skipped"):
    """A line of its output that makes no sense."""

    message: str = ""


class Note(Base, frozen=True, tag="note"):
    """A client, or the agent itself, has put a note into the log."""

    level: str = ""
    message: str = ""
    data: Any = None


class RoundEnded(Base, frozen=True, tag="round_ended"):
    """It is through with one message."""

    index: int = 0
    reason: str = ""
    usage: Used | None = None


class RoundResult(Base, frozen=True, tag="round_result"):
    """What it reports of the message that it is through with."""

    success: bool = False
    message: str = ""
    duration_ms: int | None = None
    turns: int | None = None


class WorktreeMade(Base, frozen=True, tag="worktree_made"):
    """The session works in a git worktree of its own."""

    name: str = ""
    path: str = ""
    repository: str = ""


class WorktreeLeft(Base, frozen=True, tag="worktree_left"):
    """The worktree was removed, or kept because there is work in it."""

    path: str = ""
    removed: bool = False


# -- trouble, and the end -----------------------------------------------------------------------


class Warned(Base, frozen=True, tag="warning"):
    """Something is not as it should be.  With `discard_since`, the answer's pieces from there on do not count; with
    `provider`, it is a usage limit of that.
    """

    message: str = ""
    discard_since: int | None = None
    answer: str = ""
    provider: str = ""
    scope: str = ""
    reset_at: str = ""
    resume_at: str = ""


class Failed(Base, frozen=True, tag="error"):
    """The turn ends with this."""

    error: str = ""
    code: str = ""


class DeleteAsked(Base, frozen=True, tag="delete_asked"):
    """Somebody wants the session gone."""

    by: str = ""


class SessionExited(Base, frozen=True, tag="session_exited"):
    """The session is no more: the last of all."""

    reason: str = ""


class Gap(Base, frozen=True, tag="gap"):
    """What was asked for can't be had any more: take a snapshot.  What follows begins where the log does."""


class StreamEnd(Base, frozen=True, tag="stream_end"):
    """The end of a run's stream, for the oldest clients."""


class Other(Struct, frozen=True, kw_only=True):
    """An event that this version does not know, as it came."""

    type: str
    raw: bytes
    seq: int = 0
    session_id: str = ""
    parent_session_id: str = ""
    root_session_id: str = ""
    agent_name: str = ""
    timestamp: str = ""


Known = (
    AgentInfo
    | TeamInfo
    | ToolsetInfo
    | McpInitStarted
    | McpInitFinished
    | TurnOpened
    | TurnResumed
    | TurnDetached
    | CancelAsked
    | UserMessage
    | MessageWritten
    | MessageEdited
    | StreamStarted
    | SessionTitle
    | AgentSwitching
    | HandedOver
    | StreamStopped
    | MessageQueued
    | MessageDropped
    | ContextAdded
    | AnswerStarted
    | AgentChoice
    | AgentChoiceReasoning
    | PartialToolCall
    | MessageAdded
    | TokenUsage
    | CostAdded
    | TokensSet
    | ModelFallback
    | CompactionAsked
    | SessionCompaction
    | SessionSummary
    | ToolCall
    | ToolCallOutput
    | ToolCallResponse
    | CallLost
    | CallChanged
    | HookStarted
    | HookFinished
    | HookBlocked
    | PlanUpdated
    | RagIndexingStarted
    | RagIndexingProgress
    | RagIndexingCompleted
    | BudgetUsage
    | SessionCreated
    | SubSessionCompleted
    | ToolCallConfirmation
    | ElicitationRequest
    | MaxIterationsReached
    | BudgetExceeded
    | WaitAnswered
    | WaitVoided
    | AuthorizationEvent
    | ModelChosen
    | SafetySet
    | PermissionsSet
    | ThinkingSet
    | LabelsSet
    | ResultSet
    | StarredSet
    | BudgetSet
    | BudgetRaised
    | LimitRaised
    | RunStarted
    | RunEnded
    | Introduced
    | StatusShown
    | StderrAdded
    | LimitResumed
    | LineSkipped
    | Note
    | RoundEnded
    | RoundResult
    | WorktreeMade
    | WorktreeLeft
    | Warned
    | Failed
    | DeleteAsked
    | SessionExited
    | Gap
    | StreamEnd
)
Happening = Known | Other

WAITS = (ToolCallConfirmation, ElicitationRequest, MaxIterationsReached, BudgetExceeded)
"""What waits for a person; each has a `request_id`, which `answer` takes."""

_known: msgspec.json.Decoder[Known] = msgspec.json.Decoder(Known)


class _Peek(Struct, frozen=True, kw_only=True):
    type: str = ""
    session_id: str = ""
    parent_session_id: str = ""
    root_session_id: str = ""
    agent_name: str = ""
    timestamp: str = ""


_peek = msgspec.json.Decoder(_Peek)


def decode(data: bytes, seq: int = 0) -> Happening:
    """An event's text as its type; one of a type that is not known, or that can't be read as it, is `Other`.

    Raises:
        Garbled: it is no event at all.
    """
    text = data.strip()
    try:
        return _known.decode(b'{"seq":%d,%b' % (seq, text[1:]) if text.startswith(b"{") else text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        seen = _peek.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Garbled(f"an event of the server is not understood: {error}") from None
    return Other(
        type=seen.type,
        raw=data,
        seq=seq,
        session_id=seen.session_id,
        parent_session_id=seen.parent_session_id,
        root_session_id=seen.root_session_id,
        agent_name=seen.agent_name,
        timestamp=seen.timestamp,
    )
