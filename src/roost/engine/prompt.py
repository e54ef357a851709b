"""What a model is sent: system messages, then the conversation, whole and in order.

Rules of the runtime specification, 3.3.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from mimetypes import guess_type

from msgspec import Struct
from msgspec.structs import replace

from roost.core import estimates
from roost.core.agents import Agent
from roost.core.history import History
from roost.core.ids import CallId, Micros
from roost.core.messages import Definition, File, Image, Message, Part, Text
from roost.core.redaction import Redactor
from roost.core.session import Head
from roost.engine.structured import native
from roost.ports import ModelRequest

SUMMARY = "Session Summary: "
LOST_RESULT = "The result of this tool call is not known."
TRUNCATED = "[content truncated]"
NO_IMAGE = "[image left out: this model reads text only]"
NO_PDF = "[PDF left out: this model can't read it]"


class Guidance(Struct, frozen=True):
    """The texts that are not in the agent's file: read once, at the start of a turn."""

    toolsets: tuple[str, ...] = ()
    date: str = ""
    environment: str = ""
    files: tuple[str, ...] = ()
    team: tuple[str, ...] = ()  # whom it may give tasks to, and hand over to; before its instruction
    skills: tuple[str, ...] = ()


def request(
    agent: Agent,
    guidance: Guidance,
    history: History,
    tools: Sequence[Definition],
    *,
    images: bool = True,
    pdf: bool = True,
    head: Head | None = None,
    contexts: Sequence[str] = (),
) -> ModelRequest:
    """The next request of a turn.

    `head` is the session's, whose limits outweigh the agent's; `contexts` are what hooks say for this
    request alone.
    """
    system, marks = _system(agent, guidance)
    briefed = [i.message for i in history.items if i.message is not None and i.message.role == "system"]
    hooked = [Message("system", text) for text in (*history.contexts, *contexts) if text.strip()]
    conversation = _conversation(history)
    conversation = _newest(conversation, agent.num_history_items)
    conversation = _repaired(conversation)
    conversation = _trimmed(conversation, estimates.old_results(agent, head))
    if not (images and pdf):
        conversation = [_readable(message, images=images, pdf=pdf) for message in conversation]
    return ModelRequest(
        messages=(*system, *briefed, *hooked, *conversation),
        tools=tuple(tools),
        cache_marks=marks,
        schema=native(agent),
    )


def _system(agent: Agent, guidance: Guidance) -> tuple[list[Message], tuple[int, ...]]:
    stable = [*guidance.team, agent.instruction, *guidance.toolsets]
    local = [guidance.date, guidance.environment, *guidance.files, *guidance.skills]
    messages: list[Message] = []
    marks: list[int] = []
    for group in (stable, local):
        messages += [Message("system", text) for text in group if text.strip()]
        if messages and (not marks or marks[-1] != len(messages) - 1):
            marks.append(len(messages) - 1)
    return messages, tuple(marks)


def _conversation(history: History) -> list[Message]:
    """The session's own messages from the newest summary on; sub-sessions are left out.

    The newest message of a person is always there, also where it is older than what was kept.
    """
    start, summary = history.beginning()
    messages = [Message("user", f"{SUMMARY}{summary}")] if summary else []
    if summary and (said := history.said()) is not None and said[0] < start:
        messages.append(said[1])
    return messages + [i.message for i in history.items[start:] if i.message is not None and i.message.role != "system"]


def _newest(messages: list[Message], limit: int) -> list[Message]:
    """The last `limit` messages; user messages are kept whatever their age.

    Calls are older than their results, so what may be left of an exchange is results alone: `_repaired`
    takes these.
    """
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


def _trimmed(messages: list[Message], most: int) -> list[Message]:
    """Tool results past so many tokens, counted from the newest, are replaced by a note; -1 is no limit.

    Those that the model has not seen yet stay whole.
    """
    if most < 0:
        return messages
    trimmed: list[Message] = []
    seen = False
    for message in reversed(messages):
        seen = seen or message.role == "assistant"
        old = message.role == "tool" and seen
        most -= estimates.of_message(message) - estimates.MESSAGE if old else 0
        trimmed.append(replace(message, content=TRUNCATED, parts=()) if old and most < 0 else message)
    trimmed.reverse()
    return trimmed


def _readable(message: Message, *, images: bool, pdf: bool) -> Message:
    """The message with notes in place of what the model can't read."""
    parts = tuple(_note(part, images=images, pdf=pdf) for part in message.parts)
    return message if parts == message.parts else replace(message, parts=parts)


def _note(part: Part, *, images: bool, pdf: bool) -> Part:
    match part:
        case Image(url=url) if not pdf and url.startswith("data:application/pdf"):
            return Text(NO_PDF)
        case Image() if not images:
            return Text(NO_IMAGE)
        case File() if not images and _kind(part).startswith("image/"):
            return Text(NO_IMAGE)
        case File() if not pdf and _kind(part) == "application/pdf":
            return Text(NO_PDF)
    return part


def _kind(file: File) -> str:
    """What is in a file, by what was said of it or by its name."""
    return (file.mime_type or guess_type(file.path)[0] or "").lower()


def redacted(message: Message, redactor: Redactor) -> Message:
    """A message of a person without the secrets in it; answers, and what tools returned, are as they are."""
    if message.role != "user":
        return message
    parts = tuple(Text(redactor.text(part.text)) if isinstance(part, Text) else part for part in message.parts)
    return replace(message, content=redactor.text(message.content), parts=parts)


def today(now: Micros) -> str:
    """The line of `add_date`."""
    return f"Today's date: {datetime.fromtimestamp(now / 1e6, UTC).date().isoformat()}"
