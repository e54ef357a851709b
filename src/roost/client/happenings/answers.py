"""What happens as a model answers: pieces of text, usage, summaries."""

from msgspec import Struct, field

from roost.client.happenings.base import Base
from roost.client.shapes import Call, Chat, Definition, Used


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


Answers = (
    ContextAdded
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
)
