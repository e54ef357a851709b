"""What a model is sent: system messages, then the conversation, whole and in order.

Rules of the runtime specification, 3.3.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

from roost.core.agents import Agent
from roost.core.history import History
from roost.core.ids import CallId, Micros
from roost.core.messages import Definition, Image, Message, Text
from roost.ports import ModelRequest

LOST_RESULT = "The result of this tool call is not known."
TRUNCATED = "[content truncated]"
OLD_TOOL_TOKENS = 40_000  # for older tool results; 4 characters count as a token


class Guidance(Struct, frozen=True):
    """The texts that are not in the agent's file: read once, at the start of a turn."""

    toolsets: tuple[str, ...] = ()
    date: str = ""
    environment: str = ""
    files: tuple[str, ...] = ()


def request(
    agent: Agent, guidance: Guidance, history: History, tools: Sequence[Definition], *, images: bool = True
) -> ModelRequest:
    """The next request of a turn."""
    system, marks = _system(agent, guidance)
    conversation = _conversation(history)
    conversation = _newest(conversation, agent.num_history_items)
    conversation = _repaired(conversation)
    conversation = _trimmed(conversation)
    if not images:
        conversation = [_without_images(message) for message in conversation]
    return ModelRequest(messages=(*system, *conversation), tools=tuple(tools), cache_marks=marks)


def _system(agent: Agent, guidance: Guidance) -> tuple[list[Message], tuple[int, ...]]:
    stable = [agent.instruction, *guidance.toolsets]
    local = [guidance.date, guidance.environment, *guidance.files]
    messages: list[Message] = []
    marks: list[int] = []
    for group in (stable, local):
        messages += [Message("system", text) for text in group if text.strip()]
        if messages and (not marks or marks[-1] != len(messages) - 1):
            marks.append(len(messages) - 1)
    return messages, tuple(marks)


def _conversation(history: History) -> list[Message]:
    """The session's own messages from the newest summary on; sub-sessions are left out."""
    start, summary = 0, ""
    for index, item in enumerate(history.items):
        if item.summary is not None:
            kept = item.summary.first_kept
            start, summary = (kept if 0 < kept <= index else index + 1), item.summary.summary
    messages = [Message("user", f"Session Summary: {summary}")] if summary else []
    return messages + [i.message for i in history.items[start:] if i.message is not None and i.message.role != "system"]


def _newest(messages: list[Message], limit: int) -> list[Message]:
    """The last `limit` messages; user messages are kept whatever their age."""
    if limit <= 0 or len(messages) <= limit:
        return messages
    surplus = len(messages) - limit
    kept: list[Message] = []
    for message in messages:
        if surplus and message.role != "user":
            surplus -= 1
        else:
            kept.append(message)
    return kept


def _repaired(messages: Sequence[Message]) -> list[Message]:
    """Each call is followed by exactly one result, in call order; results without a call are gone."""
    repaired: list[Message] = []
    for index, message in enumerate(messages):
        if message.role == "tool":
            continue
        repaired.append(message)
        repaired += [_result(messages, index, call.id) for call in message.calls]
    return repaired


def _result(messages: Sequence[Message], asked: int, call: CallId) -> Message:
    """What a call returned: before its id is used again, for small models count anew with each answer."""
    for index in range(asked + 1, len(messages)):
        message = messages[index]
        if message.role == "tool" and message.call_id == call:
            return message
        if any(other.id == call for other in message.calls):
            break
    return Message("tool", LOST_RESULT, call_id=call, is_error=True)


def _trimmed(messages: list[Message]) -> list[Message]:
    """Tool results past the budget, counted from the newest, are replaced by a note.

    Those that the model has not seen yet stay whole.
    """
    left = OLD_TOOL_TOKENS * 4
    trimmed: list[Message] = []
    seen = False
    for message in reversed(messages):
        seen = seen or message.role == "assistant"
        old = message.role == "tool" and seen
        left -= len(message.content) if old else 0
        trimmed.append(replace(message, content=TRUNCATED, parts=()) if old and left < 0 else message)
    trimmed.reverse()
    return trimmed


def _without_images(message: Message) -> Message:
    if not any(isinstance(part, Image) for part in message.parts):
        return message
    parts = tuple(
        p if not isinstance(p, Image) else Text("[image left out: this model reads text only]") for p in message.parts
    )
    return replace(message, parts=parts)


def today(now: Micros) -> str:
    """The line of `add_date`."""
    return f"Today's date: {datetime.fromtimestamp(now / 1e6, UTC).date().isoformat()}"
