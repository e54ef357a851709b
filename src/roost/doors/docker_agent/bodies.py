"""Bodies of requests, and what they mean in our own values."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct, ValidationError, convert

from roost.core import durations
from roost.core import events as e
from roost.core.errors import BadValue
from roost.core.ids import CallId, Micros
from roost.core.messages import File, Image, Message, Part, Role, Text, ToolCall
from roost.core.usage import Usage
from roost.service.sessions import SCOPES, Scope

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool")
MODEL_NAME = 256


class PermissionsBody(Struct, frozen=True):
    """Patterns of tools."""

    allow: list[str] = []
    ask: list[str] = []
    deny: list[str] = []

    def value(self) -> e.Permissions:
        """The same, frozen."""
        return e.Permissions(tuple(self.allow), tuple(self.ask), tuple(self.deny))


class BudgetBody(Struct, frozen=True):
    """What may be spent."""

    max_cost: float = 0.0
    max_tokens: int = 0
    max_time: float | str = 0.0  # seconds, or as `1h30m`

    def value(self) -> e.Budget:
        """The same, frozen.

        Raises:
            BadValue: the time is no duration.
        """
        time = durations.seconds(self.max_time) if isinstance(self.max_time, str) else self.max_time
        return e.Budget(max_cost=self.max_cost, max_tokens=self.max_tokens, max_time=time)


def budget_value(budget: BudgetBody | None) -> e.Budget | None:
    """The same, frozen; None stays None."""
    return None if budget is None else budget.value()


class NewSession(Struct, frozen=True):
    """What a session is made from; clients may send a whole session object."""

    title: str = ""
    working_dir: str = ""
    tools_approved: bool = False
    safety_policy: str = ""
    permissions: PermissionsBody | None = None
    max_iterations: int = 0
    max_consecutive_tool_calls: int = 0
    max_old_tool_call_tokens: int = 0
    max_tool_result_tokens: int = 0
    attributes: dict[str, str] = {}
    agent_model_overrides: dict[str, str] = {}
    custom_models_used: list[str] = []
    budget: BudgetBody | None = None
    tree_budget: BudgetBody | None = None

    def template(self) -> e.Template:
        """The same, as the session's first fact."""
        return e.Template(
            title=self.title,
            working_dir=self.working_dir,
            safety=self.safety_policy or ("autonomous" if self.tools_approved else ""),
            permissions=self.permissions.value() if self.permissions else None,
            max_iterations=self.max_iterations,
            max_consecutive_tool_calls=self.max_consecutive_tool_calls,
            max_old_tool_call_tokens=self.max_old_tool_call_tokens,
            max_tool_result_tokens=self.max_tool_result_tokens,
            attributes=self.attributes,
            model_overrides=self.agent_model_overrides,
            custom_models=tuple(self.custom_models_used),
            budget=budget_value(self.budget),
            tree_budget=budget_value(self.tree_budget),
        )


# -- messages -----------------------------------------------------------------------------------


class ImageBody(Struct, frozen=True):
    """A picture."""

    url: str = ""
    detail: str = ""


class FileBody(Struct, frozen=True):
    """A file."""

    path: str = ""
    file_id: str = ""
    mime_type: str = ""


class PartBody(Struct, frozen=True):
    """One part of a message."""

    type: str = ""
    text: str = ""
    image_url: ImageBody | None = None
    file: FileBody | None = None

    def value(self) -> Part:
        """The same, as one of our parts.

        Raises:
            BadValue: it is of a kind that nobody knows, or empty.
        """
        if self.type == "image_url" or (not self.type and self.image_url):
            if not self.image_url or not self.image_url.url:
                raise BadValue("an image_url part needs an image_url with a url")
            return Image(self.image_url.url, self.image_url.detail)
        if self.type == "file" or (not self.type and self.file):
            if not self.file:
                raise BadValue("a file part needs a file")
            return File(self.file.path, self.file.file_id, self.file.mime_type)
        if self.type in ("", "text"):
            return Text(self.text)
        raise BadValue(f'unsupported content part type "{self.type}": must be one of text, image_url, file')


class FunctionBody(Struct, frozen=True):
    """The function of a call."""

    name: str = ""
    arguments: str = ""


class CallBody(Struct, frozen=True):
    """A tool call."""

    id: str = ""
    function: FunctionBody = FunctionBody()


class UsageBody(Struct, frozen=True):
    """Tokens of one request."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cached_write_tokens: int = 0
    reasoning_tokens: int = 0

    def value(self) -> Usage:
        """The same, frozen.

        Raises:
            BadValue: a count is negative.
        """
        counts = (
            self.input_tokens,
            self.output_tokens,
            self.cached_input_tokens,
            self.cached_write_tokens,
            self.reasoning_tokens,
        )
        if min(counts) < 0:
            raise BadValue("usage token counts must not be negative")
        return Usage(*counts)


class PostedMessage(Struct, frozen=True):
    """A message for an agent."""

    role: str = ""
    content: str = ""
    multi_content: list[PartBody] = []

    def value(self) -> Message:
        """The same, from a user.

        An assistant's keeps its role, since old clients send what was said before along; none is stored so.
        """
        parts = tuple(part.value() for part in self.multi_content)
        return Message("assistant" if self.role == "assistant" else "user", self.content, parts=parts)


class ChatBody(Struct, frozen=True):
    """A message, as models see it."""

    role: str = ""
    content: str = ""
    multi_content: list[PartBody] = []
    reasoning_content: str = ""
    thinking_signature: str = ""
    thought_signature: str = ""
    tool_calls: list[CallBody] = []
    tool_call_id: str = ""
    is_error: bool = False
    created_at: str = ""
    usage: UsageBody | None = None
    model: str = ""
    cost: float = 0.0


class SessionMessage(Struct, frozen=True):
    """A message in a session."""

    agent_name: str = ""
    agentName: str = ""  # noqa: N815 - what the oldest clients write
    message: ChatBody = ChatBody()
    implicit: bool = False

    def value(self) -> Message:
        """The same, as one of our messages.

        Raises:
            BadValue: a role, a part or a time that can't be.
        """
        chat = self.message
        role = next((known for known in _ROLES if known == chat.role), None)
        if role is None:
            raise BadValue(f'invalid role "{chat.role}": must be one of {", ".join(_ROLES)}')
        return Message(
            role=role,
            content=chat.content,
            parts=tuple(part.value() for part in chat.multi_content),
            agent=self.agent_name or self.agentName,
            calls=tuple(ToolCall(CallId(c.id), c.function.name, c.function.arguments) for c in chat.tool_calls),
            call_id=CallId(chat.tool_call_id),
            is_error=chat.is_error,
            reasoning=chat.reasoning_content,
            thinking_signature=chat.thinking_signature,
            thought_signature=chat.thought_signature,
            at=_time(chat.created_at),
            usage=chat.usage.value() if chat.usage else None,
            model=chat.model,
            cost=chat.cost,
            implicit=self.implicit,
        )


class MessageBody(Struct, frozen=True):
    """A message to put into a session's history."""

    message: SessionMessage | None = None


class Run(Struct, frozen=True):
    """A turn to run.  The old form of this body is the bare list of messages."""

    messages: list[PostedMessage] = []
    model: str = ""


class Queue(Struct, frozen=True):
    """Messages that wait for their moment; `framing` is looked at when they steer."""

    messages: list[PostedMessage] = []
    framing: str = ""


def posted(messages: Iterable[PostedMessage]) -> list[Message]:
    """Messages of a request, in order."""
    return [message.value() for message in messages]


def _time(text: str) -> Micros:
    """The moment that RFC 3339 text names; 0 for none and for the zero time."""
    if not text:
        return Micros(0)
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None or "T" not in text.upper():
            raise ValueError("it names no zone")
        micros = (at - _EPOCH) // (_EPOCH.resolution)
    except (ValueError, OverflowError):
        raise BadValue(f'invalid created_at "{text}": must be a time as RFC 3339 has it') from None
    return Micros(max(micros, 0))


# -- answers of people --------------------------------------------------------------------------


class Resume(Struct, frozen=True):
    """What a person says to a call, to the end of the iterations, or to a budget that is used up."""

    confirmation: str = ""
    reason: str = ""
    tool_name: str = ""
    tool_call_id: str = ""
    budget: BudgetBody | None = None


class Elicitation(Struct, frozen=True):
    """What a person answers to a question."""

    action: str = ""
    content: dict[str, Any] | None = None
    elicitation_id: str = ""


class WaitAnswer(Struct, frozen=True):
    """An answer by the id of the wait: the fields of a resume or of an elicitation."""

    confirmation: str = ""
    reason: str = ""
    tool_name: str = ""
    action: str = ""
    content: dict[str, Any] | None = None
    budget: BudgetBody | None = None


# -- small changes ------------------------------------------------------------------------------


class Title(Struct, frozen=True):
    """Another title."""

    title: str = ""


class Safety(Struct, frozen=True):
    """Another safety policy."""

    safety_policy: str = ""


class PermissionsChange(Struct, frozen=True):
    """Other permissions, whole; null takes them away."""

    permissions: PermissionsBody | None = None


class BudgetsChange(Struct, frozen=True):
    """Other budgets; null takes one away, and one that is not named stays as it is."""

    budget: BudgetBody | None = None
    tree_budget: BudgetBody | None = None


def budget_changes(body: dict[str, Any]) -> dict[Scope, e.Budget | None]:
    """What a `BudgetsChange` asks for.

    Raises:
        BadValue: one of them is no budget.
    """
    try:
        found = {scope: body[scope] for scope in SCOPES if scope in body}
        bodies = {scope: None if it is None else convert(it, BudgetBody) for scope, it in found.items()}
    except ValidationError as error:
        raise BadValue(f"invalid budget: {error}") from None
    return {scope: budget_value(budget) for scope, budget in bodies.items()}


class Tokens(Struct, frozen=True):
    """Other counters."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0


class Starred(Struct, frozen=True):
    """A mark, or none."""

    starred: bool = False


class Fork(Struct, frozen=True):
    """Where a fork parts; `message_index` is an older name."""

    user_message_index: int | None = None
    message_index: int | None = None


class Compaction(Struct, frozen=True):
    """A wish to have the history summed up, and what the summary is to heed."""

    instruction: str = ""


class Summary(Struct, frozen=True):
    """A summary that stands for what went before it."""

    summary: str = ""
    first_kept_entry: int = 0
    cost: float = 0.0
    model: str = ""
    usage: UsageBody | None = None

    def value(self) -> e.SummaryAdded:
        """The same, as a fact.

        Raises:
            BadValue: something about it can't be.
        """
        if not self.summary:
            raise BadValue("summary is required")
        if len(self.model) > MODEL_NAME:
            raise BadValue(f"model name exceeds {MODEL_NAME} characters")
        if any(ord(char) < 32 or 127 <= ord(char) < 160 for char in self.model):
            raise BadValue("model name must not contain control characters")
        usage = self.usage.value() if self.usage else None
        return e.SummaryAdded(self.summary, self.first_kept_entry, self.cost, self.model, usage)


class Sessions(Struct, frozen=True):
    """Several sessions at once."""

    session_ids: list[str] = []
    format: str = ""
