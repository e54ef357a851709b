"""Amazon Bedrock's Converse API, which speaks to the models of many makers."""

import base64
import mimetypes
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from roost.core.agents import ModelSpec
from roost.core.errors import ModelFailed
from roost.core.messages import Definition, File, Image, Message, Part, Text
from roost.core.usage import Usage
from roost.ports import CallPiece, Finished, ModelRequest, Piece, ReasoningPiece, TextPiece
from roost.providers import failures, replay, schema, thinking
from roost.providers.openai import decoded
from roost.providers.parts import Document, Files, inline, plain, shown
from roost.providers.thinking import Thought
from roost.wire import eventstream, sse

DIALECT = "bedrock"

_CACHE = {"cachePoint": {"type": "default"}}
_PICTURES = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_REASONS = {"max_tokens": "length", "model_context_window_exceeded": "length", "tool_use": "tool_calls"}
_REASONS |= {"guardrail_intervened": "content_filter", "content_filtered": "content_filter"}
_BROKEN = ("malformed_model_output", "malformed_tool_use")
_STATUS = {
    "throttlingException": 429,
    "serviceUnavailableException": 503,
    "internalServerException": 500,
    "modelStreamErrorException": 500,
    "modelTimeoutException": 408,
    "validationException": 400,
}
_USUAL = 32_000  # tokens of an answer, where nobody says


class Converse:
    """Requests and answers of one model."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._claude = "claude" in spec.model
        self.path = f"/model/{quote(spec.model, safe='')}/converse-stream"

    def headers(self, request: ModelRequest, key: str) -> dict[str, str]:
        """The headers that this dialect needs; without a key the request is signed when it is sent."""
        accept = {"accept": eventstream.KIND}
        return {**accept, "authorization": f"Bearer {key}"} if key else accept

    def body(self, request: ModelRequest, files: Files) -> dict[str, Any]:
        """The request as JSON."""
        thought = self._thinking(request)
        body: dict[str, Any] = {"messages": self._messages(request, files, thoughts=thought.on)}
        if system := self._system(request, files):
            body["system"] = system
        if config := self._config(request, thought=thought.on):
            body["inferenceConfig"] = config
        if request.tools:
            choice = _choice(self._spec.options.get("tool_choice"))
            body["toolConfig"] = {"tools": [_tool(tool) for tool in request.tools], **choice}
        if more := self._more(thought, request):
            body["additionalModelRequestFields"] = more
        if "service_tier" in self._spec.options:
            body["serviceTier"] = {"type": self._spec.options["service_tier"]}
        return body | (self._spec.options.get("extra_body") or {})

    def answer(self) -> "ConverseAnswer":
        """A fresh reader of one answer."""
        return ConverseAnswer(self._spec)

    def _thinking(self, request: ModelRequest) -> Thought:
        if not self._claude:
            return Thought()
        most = request.max_tokens or self._spec.max_tokens or _USUAL
        thought = thinking.claude(self._spec, thinking=request.thinking, max_tokens=most)
        budget = thought.mode is not None and thought.mode["type"] == "enabled"
        return Thought() if budget and not self._may_think(request) else thought

    def _may_think(self, request: ModelRequest) -> bool:
        """Whether the turn in which the conversation stands began with thoughts of this model."""
        for message in reversed(request.messages):
            if message.role == "user":
                return True
            if message.role == "assistant" and message.calls and not self._thoughts(message):
                return False
        return True

    def _more(self, thought: Thought, request: ModelRequest) -> dict[str, Any]:
        """What the maker of the model understands, and Converse has no word for."""
        options, more = self._spec.options, dict[str, Any]()
        if "top_k" in options and not thought.on:
            more |= {"inferenceConfig": {"topK": options["top_k"]}} if self._nova else {"top_k": options["top_k"]}
        if self._claude:
            if thought.mode is not None:
                more["thinking"] = thought.mode
            if thought.mode is not None and thought.mode["type"] == "enabled" and self._interleaved:
                more["anthropic_beta"] = ["interleaved-thinking-2025-05-14"]
            if thought.effort:
                more["output_config"] = {"effort": thought.effort}
        elif self._spec.thinking_budget is not None and request.thinking:
            more |= self._effort()
        return more

    def _effort(self) -> dict[str, Any]:
        level = thinking.level(self._spec)
        effort = {"minimal": "low", "xhigh": "high", "max": "high"}.get(level, level)
        if self._nova and effort:
            return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}}
        return {"reasoning_effort": effort} if "openai." in self._spec.model and effort else {}

    @property
    def _nova(self) -> bool:
        return "amazon.nova" in self._spec.model

    @property
    def _interleaved(self) -> bool:
        return self._spec.options.get("interleaved_thinking") is not False

    @property
    def _caches(self) -> bool:
        """Whether the model can keep the beginning of a prompt."""
        if self._spec.options.get("disable_prompt_caching") is True:
            return False
        return self._nova or (self._claude and thinking.claude_version(self._spec.model) >= (3, 5))

    def _config(self, request: ModelRequest, *, thought: bool) -> dict[str, Any]:
        spec, config = self._spec, dict[str, Any]()
        if (most := request.max_tokens or spec.max_tokens) is not None:
            config["maxTokens"] = max(most, 256) if self._claude and thinking.always_thinks(spec.model) else most
        if thought or (self._claude and thinking.claude_version(spec.model) >= (4, 7)):
            return config
        if spec.temperature is not None:
            config["temperature"] = min(spec.temperature, 1.0)
        if spec.top_p is not None and not (self._claude and "temperature" in config):
            config["topP"] = spec.top_p
        return config

    def _system(self, request: ModelRequest, files: Files) -> list[dict[str, Any]]:
        marks = set(sorted(request.cache_marks)[-2:]) if self._caches else set()
        blocks: list[dict[str, Any]] = []
        for number, message in enumerate(request.messages):
            if message.role == "system" and (text := plain(message, files)).strip():
                blocks += [{"text": text}, *([_CACHE] if number in marks else [])]
        return blocks

    def _messages(self, request: ModelRequest, files: Files, *, thoughts: bool) -> list[dict[str, Any]]:
        """The conversation; neighbours of one role become one message, as the API wants tool results."""
        out: list[dict[str, Any]] = []
        for message in request.messages if request.tools else _told(request.messages):
            if message.role == "system":
                continue
            role = "assistant" if message.role == "assistant" else "user"
            blocks = self._assistant(message, thoughts=thoughts) if role == "assistant" else self._user(message, files)
            if out and out[-1]["role"] == role:
                out[-1]["content"].extend(blocks)
            elif blocks:
                out.append({"role": role, "content": blocks})
        for one in out[-2:] if self._caches else ():
            if "reasoningContent" not in one["content"][-1]:
                one["content"].append(_CACHE)
        return out

    def _assistant(self, message: Message, *, thoughts: bool) -> list[dict[str, Any]]:
        blocks = self._thoughts(message) if thoughts or not self._claude else []
        if message.content.strip():
            blocks = [*blocks, {"text": message.content}]
        calls = [
            {"toolUse": {"toolUseId": _id(call.id), "name": call.name, "input": schema.arguments(call.arguments)}}
            for call in message.calls
        ]
        return [*blocks, *calls]

    def _thoughts(self, message: Message) -> list[dict[str, Any]]:
        return [block for block in replay.items(message, self._spec, DIALECT) if "reasoningContent" in block]

    def _user(self, message: Message, files: Files) -> list[dict[str, Any]]:
        parts = message.parts or (Text(message.content),)
        blocks = [block for part in parts if (block := self._block(part, files)) and block.get("text", "x").strip()]
        if message.role == "user":
            needs = any("document" in block for block in blocks) and not any("text" in block for block in blocks)
            return [*blocks, {"text": "See the document."}] if needs else blocks
        status = {"status": "error"} if message.is_error else {}
        content = blocks or [{"text": "(no output)"}]
        return [{"toolResult": {"toolUseId": _id(message.call_id), "content": content, **status}}]

    def _block(self, part: Part, files: Files) -> dict[str, Any]:
        images, pdf = self._spec.images is not False, self._spec.pdf is not False
        match shown(part, files, images=images, pdf=pdf, ids=False):
            case Text(text=text):
                return {"text": text}
            case Image() as image:
                return _picture(image)
            case Document(name=name, data=data):
                return {"document": {"format": "pdf", "name": _named(name), "source": {"bytes": data}}}
            case File(file_id=file_id):
                return {"text": f"[the file {file_id}, which this model can't be shown]"}


def _tool(tool: Definition) -> dict[str, Any]:
    described = tool.description.strip() or tool.name
    return {
        "toolSpec": {
            "name": tool.name,
            "description": described,
            "inputSchema": {"json": schema.rooted(tool.parameters)},
        }
    }


def _choice(wish: Any) -> dict[str, Any]:
    if isinstance(wish, Mapping):
        function = wish.get("function")
        name = function.get("name") if isinstance(function, Mapping) else wish.get("name")
        return {"toolChoice": {"tool": {"name": name}}} if name else {}
    return {"toolChoice": {"any": {}}} if wish in ("required", "any") else {}


def _told(messages: tuple[Message, ...]) -> Iterator[Message]:
    """The conversation with calls and results as text: the API takes neither where no tools are offered."""
    for message in messages:
        if message.calls:
            used = [f"[used the tool {call.name}: {call.arguments}]" for call in message.calls]
            content = "\n".join([*([message.content] if message.content.strip() else []), *used])
            yield msgspec.structs.replace(message, content=content, calls=(), replay=())
        elif message.role == "tool":
            said = message.parts or (Text(message.content),)
            yield Message("user", parts=(Text("[result of a tool]"), *said))
        else:
            yield message


def _picture(image: Image) -> dict[str, Any]:
    data = inline(image)
    if data is None:
        return {"text": f"[an image at {image.url}, which this model can't be shown]"}
    if (kind := _PICTURES.get(data[0])) is None:
        return {"text": f"[an image ({data[0]}) that this model can't be shown]"}
    return {"image": {"format": kind, "source": {"bytes": data[1]}}}


def _named(name: str) -> str:
    """A document's name as the API takes it."""
    stem = name.removesuffix(mimetypes.guess_extension("application/pdf") or ".pdf")
    return re.sub(r"\s+", " ", re.sub(r"[^A-Za-z0-9\s()\[\]-]", "-", stem)).strip()[:100] or "document"


def _id(call: str) -> str:
    """A call's id as the API takes it, whoever made it."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", call)[:64] or "call"


class _Event(Struct, rename="camel"):
    content_block_index: int = 0
    start: dict[str, Any] | None = None
    delta: dict[str, Any] | None = None
    stop_reason: str = ""
    usage: dict[str, Any] | None = None
    message: Any = None
    original_status_code: int = 0
    original_message: str = ""


_EVENT = msgspec.json.Decoder(_Event)


class ConverseAnswer:
    """Reads one answer, event by event."""

    def __init__(self, spec: ModelSpec) -> None:
        self.done = False
        self._spec = spec
        self._thoughts: dict[int, dict[str, Any]] = {}
        self._calls: dict[int, int] = {}  # the place of a block to the index of its call
        self._usage: dict[str, Any] | None = None
        self._reason = ""

    def feed(self, event: sse.Event) -> list[Piece]:
        """The pieces of one event.

        Raises:
            ModelFailed: the provider tells of an error.
        """
        if self.done:
            return []
        if event.event == "error":
            raise failures.told({"message": event.data.decode("utf-8", "replace")})
        return list(self._pieces(event.event, decoded(_EVENT, event)))

    def end(self) -> list[Piece]:
        """The stream has ended: what is still to be said.

        Raises:
            ModelFailed: it was cut off.
        """
        if self.done:
            return []
        if not self._reason:
            raise failures.cut()
        return [self._finish()]

    def _pieces(self, name: str, event: _Event) -> Iterator[Piece]:
        place = event.content_block_index
        match name:
            case "contentBlockDelta":
                yield from self._delta(place, event.delta or {})
            case "contentBlockStart" if made := (event.start or {}).get("toolUse"):
                index = self._calls[place] = len(self._calls)
                yield CallPiece(index, made.get("toolUseId", ""), made.get("name", ""))
            case "messageStop":
                self._reason = event.stop_reason or "end_turn"
                if self._reason in _BROKEN:
                    text = f"the model's answer can't be used ({self._reason})"
                    raise ModelFailed(text, kind="retryable", provider_code=self._reason)
            case "metadata":
                self._usage = event.usage
                yield self._finish()
            case _ if name.endswith("Exception"):
                raise _failed(name, event)
            case _:
                pass

    def _delta(self, place: int, delta: Mapping[str, Any]) -> Iterator[Piece]:
        if text := delta.get("text"):
            yield TextPiece(text)
        elif (use := delta.get("toolUse")) and place in self._calls:
            if use.get("input"):
                yield CallPiece(self._calls[place], arguments=use["input"])
        elif thought := delta.get("reasoningContent"):
            kept = self._thoughts.setdefault(place, {})
            for key in ("text", "signature", "redactedContent"):
                if thought.get(key):
                    kept[key] = _joined(key, kept.get(key, ""), thought[key])
            if thought.get("text"):
                yield ReasoningPiece(thought["text"])

    def _finish(self) -> Finished:
        self.done = True
        thoughts = [_kept(self._thoughts[place]) for place in sorted(self._thoughts)]
        reason = _REASONS.get(self._reason) or ("tool_calls" if self._calls else "stop")
        signed = [kept["signature"] for kept in self._thoughts.values() if kept.get("signature")]
        return Finished(
            reason,
            usage(self._usage) if self._usage and self._spec.track_usage else None,
            self._spec.model,
            thinking_signature=signed[-1] if signed else "",
            replay=replay.keep(thoughts, self._spec, DIALECT) if thoughts else (),
        )


def _joined(key: str, before: str, more: str) -> str:
    """Two pieces in a row; those in base64 are bytes."""
    if key != "redactedContent" or not before:
        return before + more
    return base64.b64encode(base64.b64decode(before) + base64.b64decode(more)).decode()


def _kept(thought: Mapping[str, str]) -> dict[str, Any]:
    if "redactedContent" in thought:
        return {"reasoningContent": {"redactedContent": thought["redactedContent"]}}
    signature = {"signature": thought["signature"]} if thought.get("signature") else {}
    return {"reasoningContent": {"reasoningText": {"text": thought.get("text", ""), **signature}}}


def _failed(name: str, event: _Event) -> ModelFailed:
    text = event.original_message or str(event.message or name)
    status = event.original_status_code or _STATUS.get(name, 500)
    return ModelFailed(failures.clean(text), kind=failures.kind(status, text), status=status, provider_code=name)


def usage(raw: Mapping[str, Any]) -> Usage:
    """Tokens, as this API counts them: its `inputTokens` leave out the cached ones."""

    def count(key: str) -> int:
        value = raw.get(key)
        return int(value) if isinstance(value, int | float) else 0

    return Usage(
        input=count("inputTokens"),
        output=count("outputTokens"),
        cached_input=count("cacheReadInputTokens"),
        cached_write=count("cacheWriteInputTokens"),
    )
