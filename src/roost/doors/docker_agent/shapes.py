"""Objects of the wire: sessions, messages, tools, and bodies of requests; and our own values as them."""

# ruff: noqa: N815  (names as clients know them)

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from roost.core import budgets
from roost.core import events as e
from roost.core.agents import Agent
from roost.core.history import History, Item
from roost.core.ids import Micros, SessionId
from roost.core.messages import Definition, File, Image, Message, Part, Result, Text, ToolCall
from roost.core.session import Head
from roost.core.usage import Usage
from roost.wire.json import Number, free, moment, number, rfc3339


class Wire(Struct, kw_only=True, frozen=True, omit_defaults=True):
    """An object that is sent: fields in the order of the specification; one with a default is left out when empty."""


# -- tools --------------------------------------------------------------------------------------


class FunctionShape(Wire, frozen=True, kw_only=True):
    """The function of a call."""

    name: str = ""
    arguments: str = ""


class CallShape(Wire, frozen=True, kw_only=True):
    """A tool call."""

    id: str = ""
    type: str
    function: FunctionShape


class AnnotationsShape(Wire, frozen=True, kw_only=True):
    """What a tool says of itself."""

    title: str = ""
    readOnlyHint: bool = False
    destructiveHint: bool | None = None
    idempotentHint: bool | None = None
    openWorldHint: bool | None = None


class DefinitionShape(Wire, frozen=True, kw_only=True):
    """A tool, as models and clients see it."""

    name: str
    category: str
    description: str = ""
    parameters: dict[str, Any] | None
    annotations: AnnotationsShape
    outputSchema: dict[str, Any] | None


class MediaShape(Wire, frozen=True, kw_only=True):
    """A picture or a sound, base64."""

    data: str
    mimeType: str


class ResultShape(Wire, frozen=True, kw_only=True):
    """What a tool returned."""

    output: str
    isError: bool = False
    meta: dict[str, Any] | None = None
    images: tuple[MediaShape, ...] = ()
    audios: tuple[MediaShape, ...] = ()
    structuredContent: Any = None


def call_shape(call: ToolCall) -> CallShape:
    """A tool call."""
    return CallShape(id=call.id, type="function", function=FunctionShape(name=call.name, arguments=call.arguments))


def definition_shape(known: Definition) -> DefinitionShape:
    """A tool's definition."""
    hints = known.annotations
    return DefinitionShape(
        name=known.name,
        category=known.category,
        description=known.description,
        parameters=free(known.parameters),
        annotations=AnnotationsShape(
            title=hints.title,
            readOnlyHint=hints.read_only,
            destructiveHint=hints.destructive,
            idempotentHint=hints.idempotent,
            openWorldHint=hints.open_world,
        ),
        outputSchema=free(known.output_schema),
    )


def result_shape(result: Result) -> ResultShape:
    """What a tool returned."""
    return ResultShape(
        output=result.output,
        isError=result.is_error,
        meta=free(result.meta) or None,
        images=tuple(MediaShape(data=media.data, mimeType=media.mime_type) for media in result.images),
        audios=tuple(MediaShape(data=media.data, mimeType=media.mime_type) for media in result.audios),
        structuredContent=free(result.structured),
    )


# -- messages -----------------------------------------------------------------------------------


class UsageShape(Wire, frozen=True, kw_only=True):
    """Tokens of one request."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    cached_write_tokens: int
    reasoning_tokens: int = 0


class ImageShape(Wire, frozen=True, kw_only=True):
    """A picture in a message."""

    url: str = ""
    detail: str = ""


class FileShape(Wire, frozen=True, kw_only=True):
    """A file in a message."""

    path: str = ""
    file_id: str = ""
    mime_type: str = ""


class PartShape(Wire, frozen=True, kw_only=True):
    """One part of a message: text, a picture or a file."""

    type: str = ""
    text: str = ""
    image_url: ImageShape | None = None
    file: FileShape | None = None


class ChatShape(Wire, frozen=True, kw_only=True):
    """A message, as models see it."""

    role: str
    content: str
    multi_content: tuple[PartShape, ...] = ()
    reasoning_content: str = ""
    thinking_signature: str = ""
    thought_signature: str = ""
    tool_calls: tuple[CallShape, ...] = ()
    tool_definitions: tuple[DefinitionShape, ...] = ()
    tool_call_id: str = ""
    is_error: bool = False
    created_at: str = ""
    usage: UsageShape | None = None
    model: str = ""
    cost: Number | None = None


class MessageShape(Wire, frozen=True, kw_only=True):
    """A message in a session.  `id` names it for PATCH; `agentName` is for the oldest clients."""

    agent_name: str
    message: ChatShape
    implicit: bool = False
    id: int = 0
    agentName: str = ""


class ErrorShape(Wire, frozen=True, kw_only=True):
    """An error that ended a turn."""

    message: str
    code: str = ""
    agent_name: str = ""
    created_at: str = ""


class ItemShape(Wire, frozen=True, kw_only=True):
    """One entry of a session's history."""

    message: MessageShape | None = None
    sub_session: "SessionShape | None" = None
    summary: str = ""
    first_kept_entry: int = 0
    cost: Number | None = None
    model: str = ""
    usage: UsageShape | None = None
    error: ErrorShape | None = None


def usage_shape(usage: Usage | None) -> UsageShape | None:
    """Tokens of one request."""
    if usage is None:
        return None
    return UsageShape(
        input_tokens=usage.input,
        output_tokens=usage.output,
        cached_input_tokens=usage.cached_input,
        cached_write_tokens=usage.cached_write,
        reasoning_tokens=usage.reasoning,
    )


def part_shape(part: Part) -> PartShape:
    """One part of a message."""
    match part:
        case Text(text=text):
            return PartShape(type="text", text=text)
        case Image(url=url, detail=detail):
            return PartShape(type="image_url", image_url=ImageShape(url=url, detail=detail))
        case File():
            file = FileShape(path=part.path, file_id=part.file_id, mime_type=part.mime_type)
            return PartShape(type="file", file=file)


def cost_shape(cost: float) -> Number | None:
    """A cost that is left out where there is none."""
    return number(cost) if cost else None


Known = Mapping[str, DefinitionShape]
"""Definitions of tools, by digest."""


def known_shapes(definitions: Mapping[str, Definition]) -> Known:
    """Definitions of tools, by digest."""
    return {digest: definition_shape(known) for digest, known in definitions.items()}


def chat_shape(message: Message, known: Known) -> ChatShape:
    """A message, as models see it."""
    return ChatShape(
        role=message.role,
        content=message.content,
        multi_content=tuple(part_shape(part) for part in message.parts),
        reasoning_content=message.reasoning,
        thinking_signature=message.thinking_signature,
        thought_signature=message.thought_signature,
        tool_calls=tuple(call_shape(call) for call in message.calls),
        tool_definitions=tuple(known[digest] for digest in message.definitions if digest in known),
        tool_call_id=message.call_id,
        is_error=message.is_error,
        created_at=rfc3339(message.at) if message.at else "",
        usage=usage_shape(message.usage),
        model=message.model,
        cost=cost_shape(message.cost),
    )


def message_shape(seq: int, message: Message, known: Known) -> MessageShape:
    """A message in a session."""
    chat = chat_shape(message, known)
    return MessageShape(
        agent_name=message.agent, message=chat, implicit=message.implicit, id=seq, agentName=message.agent
    )


def message_shapes(history: History, definitions: Mapping[str, Definition]) -> list[MessageShape]:
    """The messages of a session, flattened; `definitions` are those of the tools that they call."""
    known = known_shapes(definitions)
    return [message_shape(seq, message, known) for seq, message in history.messages()]


def error_shape(met: e.ErrorMet, at: Micros) -> ErrorShape:
    """An error that ended a turn."""
    return ErrorShape(message=met.message, code=met.code, agent_name=met.agent, created_at=rfc3339(at))


def item_shape(item: Item, known: Known) -> ItemShape:
    """One entry of a history."""
    if item.message is not None:
        return ItemShape(message=message_shape(item.seq, item.message, known))
    if item.session is not None:
        return ItemShape(sub_session=nested_shape(item.session, known))
    if item.summary is not None:
        summary = item.summary
        return ItemShape(
            summary=summary.summary,
            first_kept_entry=summary.first_kept,
            cost=cost_shape(summary.cost),
            model=summary.model,
            usage=usage_shape(summary.usage),
        )
    assert item.error is not None
    return ItemShape(error=error_shape(item.error, item.at))


# -- sessions -----------------------------------------------------------------------------------


class PermissionsShape(Wire, frozen=True, kw_only=True):
    """Patterns of tools."""

    allow: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


class BudgetShape(Wire, frozen=True, kw_only=True):
    """What may be spent; `max_time` is in seconds."""

    max_cost: Number | None = None
    max_tokens: int = 0
    max_time: Number | None = None


class SessionShape(Wire, frozen=True, kw_only=True):
    """A session, whole."""

    id: str
    title: str
    messages: list[ItemShape] | None
    created_at: str
    tools_approved: bool
    thinking: bool = False
    safety_policy: str = ""
    prior_safety_policy: str = ""
    hide_tool_results: bool
    working_dir: str = ""
    SendUserMessage: bool
    max_iterations: int
    max_consecutive_tool_calls: int = 0
    max_old_tool_call_tokens: int = 0
    max_tool_result_tokens: int = 0
    starred: bool
    input_tokens: int
    output_tokens: int
    cost: Number
    permissions: PermissionsShape | None = None
    attributes: dict[str, str] = {}
    agent_model_overrides: dict[str, str] = {}
    custom_models_used: tuple[str, ...] = ()
    attached_files: tuple[str, ...] = ()
    budget: BudgetShape | None = None
    tree_budget: BudgetShape | None = None


def budget_shapes(head: Head) -> tuple[BudgetShape | None, BudgetShape | None]:
    """What a session may spend, and what its tree may: as people have raised it."""
    caps = {held.caps.name: held.caps for held in budgets.of_session(head)}
    return budget_shape(caps.get("session")), budget_shape(caps.get("tree"))


def budget_shape(budget: e.Budget | None) -> BudgetShape | None:
    """What may be spent; None where nothing bounds it."""
    if budget is None:
        return None
    cost, time = (number(value) if value else None for value in (budget.max_cost, budget.max_time))
    return BudgetShape(max_cost=cost, max_tokens=budget.max_tokens, max_time=time)


def permissions_shape(permissions: e.Permissions | None) -> PermissionsShape | None:
    """Patterns of tools; None where the session has no lists of its own."""
    if permissions is None:
        return None
    return PermissionsShape(allow=permissions.allow, ask=permissions.ask, deny=permissions.deny)


def new_shape(head: Head) -> SessionShape:
    """A session that has just been made: all of it but messages."""
    budget, tree_budget = budget_shapes(head)
    return SessionShape(
        id=head.id,
        title=head.title,
        messages=None,
        created_at=moment(head.created_at),
        tools_approved=head.tools_approved,
        thinking=head.thinking,
        safety_policy=head.safety,
        prior_safety_policy=head.prior_safety,
        hide_tool_results=head.hide_tool_results,
        working_dir=head.working_dir,
        SendUserMessage=head.send_user_message,
        max_iterations=head.max_iterations,
        max_consecutive_tool_calls=head.max_consecutive_tool_calls,
        max_old_tool_call_tokens=head.max_old_tool_call_tokens,
        max_tool_result_tokens=head.max_tool_result_tokens,
        starred=head.starred,
        input_tokens=head.input_tokens,
        output_tokens=head.output_tokens,
        cost=number(head.cost),
        permissions=permissions_shape(head.permissions),
        attributes=head.attributes,
        agent_model_overrides=head.model_overrides,
        custom_models_used=head.custom_models,
        attached_files=head.attached_files,
        budget=budget,
        tree_budget=tree_budget,
    )


def nested_shape(history: History, known: Known) -> SessionShape:
    """A sub-session, whole, as the facts that bear messages tell it."""
    born = history.created or e.SessionCreated(e.Template(), sub=history.id)
    template = born.template
    usages = [item.message.usage for item in history.items if item.message and item.message.usage]
    newest = usages[-1] if usages else None
    return SessionShape(
        id=history.id,
        title=template.title,
        messages=[item_shape(item, known) for item in history.items] or None,
        created_at=moment(history.at),
        tools_approved=template.safety == "autonomous",
        thinking=template.thinking,
        safety_policy=template.safety,
        prior_safety_policy=template.prior_safety,
        hide_tool_results=template.hide_tool_results,
        working_dir=template.working_dir,
        SendUserMessage=template.send_user_message,
        max_iterations=template.max_iterations,
        max_consecutive_tool_calls=template.max_consecutive_tool_calls,
        max_old_tool_call_tokens=template.max_old_tool_call_tokens,
        max_tool_result_tokens=template.max_tool_result_tokens,
        starred=template.starred,
        input_tokens=newest.context if newest else 0,
        output_tokens=newest.output if newest else 0,
        cost=number(sum(_cost(item) for item in history.items)),
        permissions=permissions_shape(template.permissions),
        attributes=template.attributes,
        agent_model_overrides=template.model_overrides,
        custom_models_used=template.custom_models,
        attached_files=template.attached_files,
    )


def _cost(item: Item) -> float:
    """What an entry cost; a sub-session's is its own."""
    if item.message is not None:
        return item.message.cost
    return item.summary.cost if item.summary is not None else 0.0


def find_nested(history: History, session: SessionId) -> History | None:
    """A sub-session of a history, however deep."""
    for item in history.items:
        if item.session is not None:
            if item.session.id == session:
                return item.session
            if (deeper := find_nested(item.session, session)) is not None:
                return deeper
    return None


# -- agents -------------------------------------------------------------------------------------


class CommandShape(Wire, frozen=True, kw_only=True):
    """A slash command."""

    description: str = ""
    instruction: str = ""


def commands_shape(commands: Iterable[e.Command]) -> dict[str, CommandShape]:
    """Slash commands by name."""
    return {c.name: CommandShape(description=c.description, instruction=c.instruction) for c in commands}


class AgentShape(Wire, frozen=True, kw_only=True):
    """An agent file in the list."""

    name: str
    description: str
    multi: bool
    commands: tuple[str, ...] = ()


def agent_shape(source: str, agents: Sequence[Agent]) -> AgentShape:
    """An agent file in the list."""
    first = agents[0]
    commands = tuple(sorted(command.name for command in first.commands))
    return AgentShape(name=source, description=first.description, multi=len(agents) > 1, commands=commands)


def placeholder(name: str) -> DefinitionShape:
    """The definition of a tool that the agent does not have."""
    return DefinitionShape(name=name, category="", parameters=None, annotations=AnnotationsShape(), outputSchema=None)


def slim(known: DefinitionShape) -> DefinitionShape:
    """A definition without its schemas."""
    return DefinitionShape(
        name=known.name,
        category=known.category,
        description=known.description,
        parameters=None,
        annotations=known.annotations,
        outputSchema=None,
    )
