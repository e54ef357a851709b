"""What was said: text, images, tool calls and what they returned."""

from typing import Any, Literal

from msgspec import Struct

from roost.core.ids import CallId, Micros
from roost.core.usage import Usage

Role = Literal["system", "user", "assistant", "tool"]
Effect = Literal["safe", "once", "ask"]


class Text(Struct, frozen=True, tag="text", omit_defaults=True):
    """A piece of text in a message of several parts."""

    text: str


class Image(Struct, frozen=True, tag="image", omit_defaults=True):
    """A picture: an http(s) address or a `data:` URL."""

    url: str
    detail: str = ""  # "", "auto", "low" or "high"


class File(Struct, frozen=True, tag="file", omit_defaults=True):
    """A file: by path on the server's machine, or by the id a provider gave it."""

    path: str = ""
    file_id: str = ""
    mime_type: str = ""
    firm: bool = False  # the path was permitted as it is: where a link has come into it since, it is not followed


Part = Text | Image | File


class ToolCall(Struct, frozen=True, omit_defaults=True):
    """A model's wish to use a tool.  `arguments` is the JSON text as the model wrote it."""

    id: CallId
    name: str
    arguments: str = ""


class Annotations(Struct, frozen=True, omit_defaults=True):
    """What a tool says of itself, in MCP's words."""

    title: str = ""
    read_only: bool = False
    destructive: bool | None = None
    idempotent: bool | None = None
    open_world: bool | None = None


class Definition(Struct, frozen=True, omit_defaults=True):
    """A tool as models and clients see it, and what running it twice would do.

    `effect` says what becomes of a call that a crash cut off: `safe` runs again, `once` never
    does, `ask` lets a person decide.  Tools that say nothing are `ask`; read-only ones `safe`.
    """

    name: str
    category: str = ""
    description: str = ""
    parameters: dict[str, Any] | None = None  # a JSON schema
    annotations: Annotations = Annotations()
    output_schema: dict[str, Any] | None = None
    effect: Effect = "ask"


class Media(Struct, frozen=True):
    """Bytes of a picture or a sound, base64, with their type."""

    data: str
    mime_type: str


class Result(Struct, frozen=True, omit_defaults=True):
    """What a tool returned.  `output` is what the model reads."""

    output: str
    is_error: bool = False
    meta: dict[str, Any] | None = None
    images: tuple[Media, ...] = ()
    audios: tuple[Media, ...] = ()
    structured: Any = None


class Message(Struct, frozen=True, omit_defaults=True):
    """One message of a conversation, in any role.

    `parts` replaces `content` for the model when it is not empty.  `replay` holds what a provider
    wants back word for word on the next request (encrypted reasoning, item ids), in its own form.
    """

    role: Role
    content: str = ""
    parts: tuple[Part, ...] = ()
    agent: str = ""
    calls: tuple[ToolCall, ...] = ()
    definitions: tuple[str, ...] = ()  # of each call: the digest of its tool in this log, or ""
    call_id: CallId = CallId("")  # role tool: the call this answers
    is_error: bool = False  # role tool
    reasoning: str = ""
    thinking_signature: str = ""
    thought_signature: str = ""  # base64
    replay: tuple[Any, ...] = ()
    at: Micros = Micros(0)
    usage: Usage | None = None
    model: str = ""
    cost: float = 0.0
    finish: str = ""  # why the model stopped: stop, length, tool_calls …
    implicit: bool = False  # not to be shown to people


def tool_message(call: ToolCall, result: Result, *, agent: str, at: Micros) -> Message:
    """The message that tells a model what its call returned."""
    images = tuple(Image(f"data:{i.mime_type};base64,{i.data}", "auto") for i in result.images)
    content = result.output if result.output.strip() else "(no output)"
    return Message(
        role="tool",
        content=content,
        parts=(Text(content), *images) if images else (),
        agent=agent,
        call_id=call.id,
        is_error=result.is_error,
        at=at,
    )
