"""A conversation as hooks read it, and as they may give it back."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from roost.core.errors import BadValue
from roost.core.ids import CallId
from roost.core.messages import Message, Role, Text, ToolCall


class _Function(Struct, frozen=True):
    name: str
    arguments: str = ""


class _Call(Struct, frozen=True):
    id: str
    function: _Function
    type: Literal["function"] = "function"


class _Said(Struct, frozen=True, omit_defaults=True):
    """A message, in the words of the most common API."""

    role: Role
    content: str | None = ""
    tool_calls: list[_Call] = []
    tool_call_id: str = ""
    is_error: bool = False


def shown(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The messages as data; pictures and files are left out."""
    return [msgspec.to_builtins(_said(message)) | {"content": message.content} for message in messages]


def taken(updated: Sequence[Mapping[str, Any]], messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages that a hook gave back in place of these.

    Where one has only other words than the message in its place, all else of that stays; but what a
    provider wanted back word for word is gone.  One that is as it was stays whole.

    Raises:
        BadValue: it holds something that is no message.
    """
    try:
        said = [msgspec.convert(entry, _Said) for entry in updated]
    except msgspec.ValidationError as error:
        raise BadValue(f"updated_messages: {error}") from None
    in_place = len(said) == len(messages)
    unused = list(messages)
    return tuple(_kept(new, messages[at] if in_place else None, unused) for at, new in enumerate(said))


def _kept(new: _Said, beside: Message | None, unused: list[Message]) -> Message:
    """The message that this one comes from, with the words that it has now."""
    text = new.content or ""
    if beside is not None and replace(_said(beside), content="") == replace(new, content=""):
        return beside if beside.content == text else _reworded(beside, text)
    for at, message in enumerate(unused):
        if replace(_said(message), content=message.content) == replace(new, content=text):
            del unused[: at + 1]
            return message
    calls = tuple(ToolCall(CallId(c.id), c.function.name, c.function.arguments) for c in new.tool_calls)
    return Message(new.role, text, calls=calls, call_id=CallId(new.tool_call_id), is_error=new.is_error)


def _reworded(message: Message, text: str) -> Message:
    others = tuple(part for part in message.parts if not isinstance(part, Text))
    parts = (Text(text), *others) if others else ()
    return replace(
        message, content=text, parts=parts, replay=(), reasoning="", thinking_signature="", thought_signature=""
    )


def _said(message: Message) -> _Said:
    calls = [_Call(call.id, _Function(call.name, call.arguments)) for call in message.calls]
    return _Said(message.role, message.content, calls, message.call_id, message.is_error)
