"""A session in the unified events that agent CLIs are wrapped in, and what a run of it came to: a fold of its facts."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from roost.core import events as e
from roost.core.ids import CallId, Micros, WaitId
from roost.core.messages import Message, ToolCall
from roost.core.session import Head
from roost.core.usage import Usage

# -- values -------------------------------------------------------------------------------------


class TextBlock(Struct, frozen=True, tag="text", tag_field="type"):
    """A piece of what was said."""

    text: str


class ToolUse(Struct, frozen=True, tag="tool_use", tag_field="type"):
    """A wish to use a tool."""

    id: str
    name: str
    input: Any


Block = TextBlock | ToolUse


class Tokens(Struct, frozen=True):
    """What was used up."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int | None = None
    cache_creation_tokens: int | None = None
    web_search_requests: int | None = None
    web_fetch_requests: int | None = None


class Outcome(Struct, frozen=True):
    """What a tool returned."""

    success: bool
    output: str | None = None
    error: str | None = None
    data: Any = None


class Unified(Struct, frozen=True, kw_only=True, tag_field="type"):
    """One event."""


class Init(Unified, frozen=True, tag="init"):
    """The agent has said who it is."""

    model: str
    tools: tuple[str, ...] = ()
    working_directory: str | None = None
    metadata: dict[str, Any] = {}


class UserMessage(Unified, frozen=True, tag="user_message"):
    """Somebody said something to the agent."""

    content: tuple[Block, ...]


class AssistantMessage(Unified, frozen=True, tag="assistant_message"):
    """The agent said something, or wants to use tools."""

    content: tuple[Block, ...]
    usage: Tokens | None = None
    parent_tool_use_id: str | UnsetType = UNSET


class ToolExecution(Unified, frozen=True, tag="tool_execution"):
    """A tool was used."""

    tool_name: str
    tool_id: str
    input: Any
    result: Outcome
    parent_tool_use_id: str | UnsetType = UNSET


class TurnComplete(Unified, frozen=True, tag="turn_complete"):
    """The agent is through with one message; `turn_index` counts from 0."""

    stop_reason: str | None
    turn_index: int
    usage: Tokens | None = None


class ResultReported(Unified, frozen=True, tag="result"):
    """What came of it."""

    success: bool
    message: str | None = None
    duration_ms: int | None = None
    num_turns: int | None = None


class ErrorReported(Unified, frozen=True, tag="error"):
    """Something went wrong."""

    message: str
    details: Any = None


class PermissionRequest(Unified, frozen=True, tag="permission_request"):
    """A person was asked whether a tool may be used, and has answered."""

    tool_name: str
    description: str
    granted: bool


class UsageLimitDetected(Unified, frozen=True, tag="usage_limit_detected"):
    """The provider refuses more work for now; `reset_at` is worded by the door."""

    provider: str
    scope: str
    reset_at: Micros | UnsetType = UNSET
    raw: str | UnsetType = UNSET


class AgentOutput(Struct, frozen=True, kw_only=True):
    """What a run came to, whole."""

    agent: str
    session_id: str
    events: tuple[Unified, ...] = ()
    result: str | None = None
    is_error: bool = False
    exit_code: int | UnsetType = UNSET
    error_message: str | UnsetType = UNSET
    total_cost_usd: float | None = None
    usage: Tokens | None = None
    model: str | UnsetType = UNSET
    provider: str | UnsetType = UNSET
    log_path: str | UnsetType = UNSET


# -- the fold -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Fold:
    """Facts to events, in the order of the log and from its beginning: at most one for each."""

    driven: bool = False  # the turn is played by an agent CLI, which says itself who it is and what came of it
    said: str = ""  # the newest text of the turn
    asked: dict[WaitId, e.WaitOpened] = field(default_factory=dict)
    calls: dict[CallId, ToolCall] = field(default_factory=dict)

    def render(self, event: e.Event) -> Unified | None:
        """The event that a fact is; None where it is none."""
        fact = event.fact
        match fact:
            case e.TurnOpened() if not fact.sub:
                self.driven, self.said = bool(fact.driver), ""
            case e.WaitOpened():
                self.asked[fact.wait] = fact
            case e.MessageWritten(message=message) | e.MessageTaken(message=message) if not fact.sub:
                return _user(message)
            case e.MessageAdded(message=message) if message is not None and message.role == "assistant":
                return self._assistant(fact, message)
            case e.ToolReturned():
                return _tool(fact)
            case e.WaitAnswered(wait=wait, answer=answer):
                return self._permission(wait, answer)
            case e.Unknown():
                return None
            case _ if not fact.sub:
                return self._reported(fact)
        return None

    def _reported(self, fact: e.Known) -> Unified | None:
        match fact:
            case e.Introduced():
                return _init(fact)
            case e.AgentShown() if not self.driven:
                return Init(model=fact.model, metadata={"agent": fact.agent})
            case e.RoundEnded():
                return TurnComplete(stop_reason=fact.reason or None, turn_index=fact.index, usage=tokens(fact.usage))
            case e.RoundResult():
                return ResultReported(
                    success=fact.success,
                    message=fact.message or None,
                    duration_ms=fact.duration_ms,
                    num_turns=fact.turns,
                )
            case e.TurnEnded() if not self.driven:
                return ResultReported(success=fact.outcome == "normal", message=fact.error or self.said or None)
            case e.ErrorMet():
                return ErrorReported(message=fact.message, details={"code": fact.code} if fact.code else None)
            case e.LimitHit():
                return _limited(fact)
            case _:
                return None

    def _assistant(self, fact: e.MessageAdded, message: Message) -> Unified | None:
        """What was said; what was only thought is left out."""
        blocks: list[Block] = [TextBlock(message.content)] if message.content.strip() else []
        blocks += [ToolUse(call.id, call.name, arguments(call)) for call in message.calls]
        if message.content.strip() and not fact.sub:
            self.said = message.content
        if not blocks:
            return None
        return AssistantMessage(
            content=tuple(blocks), usage=tokens(message.usage), parent_tool_use_id=fact.sub or UNSET
        )

    def _permission(self, wait: WaitId, answer: e.Answer) -> Unified | None:
        asked = self.asked.pop(wait, None)
        if asked is None or asked.kind != "approval" or asked.call is None:
            return None
        return PermissionRequest(
            tool_name=asked.call.name, description=described(asked), granted=answer.action == "approve"
        )


def _init(fact: e.Introduced) -> Init:
    metadata = {"session_id": fact.provider_session} if fact.provider_session else {}
    metadata |= fact.data
    return Init(model=fact.model, tools=fact.tools, working_directory=fact.working_dir or None, metadata=metadata)


def _limited(fact: e.LimitHit) -> UsageLimitDetected:
    return UsageLimitDetected(
        provider=fact.provider,
        scope=fact.scope,
        reset_at=UNSET if fact.reset_at is None else fact.reset_at,
        raw=fact.raw or UNSET,
    )


def _user(message: Message) -> Unified | None:
    if message.role != "user" or message.implicit or not message.content.strip():
        return None
    return UserMessage(content=(TextBlock(message.content),))


def _tool(fact: e.ToolReturned) -> Unified:
    result = fact.result
    said = {"error": result.output} if result.is_error else {"output": result.output}
    return ToolExecution(
        tool_name=fact.call.name,
        tool_id=fact.call.id,
        input=arguments(fact.call),
        result=Outcome(success=not result.is_error, data=result.structured, **said),
        parent_tool_use_id=fact.sub or UNSET,
    )


def described(asked: e.WaitOpened) -> str:
    """What a person was asked, in a line."""
    if asked.message or asked.call is None:
        return asked.message
    return asked.metadata.get("reason") or f"{asked.call.name} {asked.call.arguments}".strip()


def arguments(call: ToolCall) -> Any:
    """The arguments of a call as data; the text itself where a model wrote something else."""
    try:
        return json.loads(call.arguments) if call.arguments.strip() else {}
    except (ValueError, RecursionError):
        return call.arguments


def tokens(usage: Usage | None) -> Tokens | None:
    """Tokens as the unified events count them."""
    if usage is None:
        return None
    return Tokens(usage.input, usage.output, usage.cached_input or None, usage.cached_write or None)


# -- what a run came to -------------------------------------------------------------------------


@dataclass(slots=True)
class Sums:
    """Tokens and money of some facts, and the words that count among them."""

    input: int = 0
    output: int = 0
    cached_input: int = 0
    cached_write: int = 0
    cost: float = 0.0
    known: bool = False
    result: str = ""
    said: str = ""
    model: str = ""
    code: int | None = None

    def add(self, fact: e.Fact) -> None:
        """Take in one more."""
        match fact:
            case e.UsageAdded(usage=usage):
                self.known = True
                self.cost += fact.cost
                self.input += usage.input
                self.output += usage.output
                self.cached_input += usage.cached_input
                self.cached_write += usage.cached_write
                self.model = fact.model or self.model
            case e.ResultSet(result=result):
                self.result = result
            case e.MessageAdded(message=Message(role="assistant", content=content), sub="") if content.strip():
                self.said = content
            case e.RunEnded(code=code):
                self.code = code
            case _:
                pass

    def tokens(self) -> Tokens | None:
        """The tokens, where any were counted."""
        return tokens(Usage(self.input, self.output, self.cached_input, self.cached_write)) if self.known else None


def output(events: Iterable[e.Event], head: Head, *, after: int = 0, session: str, log_path: str = "") -> AgentOutput:
    """What the turns past `after` came to; `events` are those of the whole log, in order."""
    fold, sums, shown = Fold(), Sums(), list[Unified]()
    for event in events:
        rendered = fold.render(event)
        if event.seq > after:
            sums.add(event.fact)
            if rendered is not None:
                shown.append(rendered)
    return AgentOutput(
        agent=head.provider or head.source,
        session_id=session,
        events=tuple(shown),
        result=sums.result or sums.said or None,
        is_error=head.outcome not in ("", "normal"),
        exit_code=UNSET if sums.code is None else sums.code,
        error_message=head.error or UNSET,
        total_cost_usd=sums.cost if sums.known else None,
        usage=sums.tokens(),
        model=sums.model or head.model or UNSET,
        provider=head.provider or UNSET,
        log_path=log_path or UNSET,
    )
