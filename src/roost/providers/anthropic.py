"""Anthropic's Messages API."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from roost.core.agents import ModelSpec
from roost.core.errors import ModelFailed
from roost.core.messages import File, Image, Message, Part, Text
from roost.core.usage import Usage
from roost.ports import CallPiece, Finished, ModelRequest, Piece, ReasoningPiece, TextPiece
from roost.providers import failures, replay, schema, thinking
from roost.providers.openai import decoded
from roost.providers.parts import Document, Files, inline, plain, shown
from roost.providers.thinking import Thought
from roost.wire import sse

DIALECT = "anthropic"
MAX_TOKENS = 32_000

_CACHE = {"cache_control": {"type": "ephemeral"}}
_PICTURES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_THOUGHT = ("thinking", "redacted_thinking")
_REASONS = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "refusal",
}
_OLD_LIMITS = (("claude-3-opus", 4096), ("claude-3-haiku", 4096), ("claude-3-sonnet", 4096), ("claude-3-5", 8192))


class Messages:
    """Requests and answers of one model."""

    path = "/v1/messages"

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec

    def headers(self, request: ModelRequest, key: str) -> dict[str, str]:
        """The headers that this dialect needs."""
        betas = ["fine-grained-tool-streaming-2025-05-14"] if request.tools else []
        budget = (self._thinking(request).mode or {}).get("type") == "enabled"
        if budget and self._spec.options.get("interleaved_thinking") is not False:
            betas.append("interleaved-thinking-2025-05-14")
        if any(isinstance(part, File) and part.file_id for message in request.messages for part in message.parts):
            betas.append("files-api-2025-04-14")
        if self._spec.task_budget:
            betas.append("task-budgets-2026-03-13")
        if self._spec.options.get("fallbacks"):
            betas.append("server-side-fallback-2026-07-01")
        headers = {"anthropic-version": "2023-06-01"}
        if key:
            headers["x-api-key"] = key
        return {**headers, "anthropic-beta": ",".join(betas)} if betas else headers

    def body(self, request: ModelRequest, files: Files) -> dict[str, Any]:
        """The request as JSON."""
        spec, thought = self._spec, self._thinking(request)
        body: dict[str, Any] = {"model": spec.model, "max_tokens": self.most(request)}
        if system := self._system(request, files):
            body["system"] = system
        body["messages"] = self._messages(request, files, thoughts=thought.on)
        if request.tools:
            body["tools"] = [
                {"name": t.name, "description": t.description, "input_schema": schema.rooted(t.parameters)}
                for t in request.tools
            ]
            body.update(self._choice())
        if thought.mode is not None:
            body["thinking"] = {**thought.mode, **self._display(thought.mode)}
        if output := self._output(request, thought):
            body["output_config"] = output
        if fallbacks := spec.options.get("fallbacks"):
            body["fallbacks"] = _fallbacks(fallbacks)
        body.update(self._sampling(thought=thought.on))
        body["stream"] = True
        body.update(spec.options.get("extra_body") or {})
        return body

    def answer(self) -> "MessagesAnswer":
        """A fresh reader of one answer."""
        return MessagesAnswer(self._spec)

    def again(self, body: Mapping[str, Any], error: ModelFailed) -> dict[str, Any] | None:
        """The request as it can be asked once more, where the complaint says what was wrong with it.

        That is too much room for the answer, or thoughts that are no longer taken, since what was said
        before them has changed.
        """
        if error.status != 400:
            return None
        if re.search(r"thinking`? block|`signature`", str(error)) and _without_thoughts(body) != body:
            return _without_thoughts(body)
        room = _room(str(error))
        if room is None or not 1 <= room < body.get("max_tokens", 0):
            return None
        smaller = {**body, "max_tokens": room}
        mode = body.get("thinking") or {}
        if mode.get("type") == "enabled" and mode["budget_tokens"] >= room:
            if room <= thinking.LEAST:
                del smaller["thinking"]
            else:
                smaller["thinking"] = {**mode, "budget_tokens": room - 1}
        return smaller

    def most(self, request: ModelRequest) -> int:
        """How many tokens an answer may have: it is always said."""
        known = next((limit for name, limit in _OLD_LIMITS if self._spec.model.startswith(name)), MAX_TOKENS)
        most = request.max_tokens or self._spec.max_tokens or known
        return max(most, 256) if thinking.always_thinks(self._spec.model) else most

    def _output(self, request: ModelRequest, thought: Thought) -> dict[str, Any]:
        """Effort, a budget for the whole task, and the form of the answer, where the model knows of forms."""
        output: dict[str, Any] = {"effort": thought.effort} if thought.effort else {}
        if self._spec.task_budget:
            output["task_budget"] = {"type": "tokens", "total": self._spec.task_budget}
        version = thinking.claude_version(self._spec.model)
        if request.schema is not None and (version >= (4, 1) or version == (0, 0)):
            output["format"] = {"type": "json_schema", "schema": schema.closed(request.schema.schema)}
        return output

    def _thinking(self, request: ModelRequest) -> Thought:
        most = self.most(request)
        thought = thinking.claude(self._spec, thinking=request.thinking, max_tokens=most)
        budget = thought.mode is not None and thought.mode["type"] == "enabled"
        return Thought() if budget and not self._may_think(request) else thought

    def _display(self, mode: Mapping[str, Any]) -> dict[str, Any]:
        """Whether thoughts are to be read by people; newer models hide them unless they are asked."""
        wish = self._spec.options.get("thinking_display")
        if wish is None and mode["type"] == "adaptive" and thinking.claude_version(self._spec.model) >= (4, 7):
            wish = "summarized"
        if wish is None or mode["type"] not in ("adaptive", "enabled"):
            return {}
        return {"display": "summarized" if wish == "display" else wish}

    def _may_think(self, request: ModelRequest) -> bool:
        """Whether the turn in which the conversation stands began with thoughts of this model.

        With a budget, a turn whose tool calls another model made can't be gone on with in thought.
        """
        for message in reversed(request.messages):
            if message.role == "user":
                return True
            if message.role == "assistant" and message.calls and not self._thoughts(message):
                return False
        return True

    def _choice(self) -> dict[str, Any]:
        """`tool_choice`, with the switch for parallel calls in it."""
        choice = self._spec.options.get("tool_choice")
        if isinstance(choice, str):
            choice = {"type": {"required": "any"}.get(choice, choice)}
        if self._spec.parallel_tool_calls is False:
            choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
        return {"tool_choice": choice} if choice else {}

    def _sampling(self, *, thought: bool) -> dict[str, Any]:
        """Temperature and the like; beside thinking the API takes hardly any, and newer models take none."""
        spec, out = self._spec, dict[str, Any]()
        if "service_tier" in spec.options:
            out["service_tier"] = spec.options["service_tier"]
        if thinking.claude_version(spec.model) >= (4, 7):
            return out
        if spec.temperature is not None and not thought:
            out["temperature"] = min(spec.temperature, 1.0)
        if spec.top_p is not None and "temperature" not in out and (not thought or spec.top_p >= 0.95):
            out["top_p"] = spec.top_p
        if "top_k" in spec.options and not thought:
            out["top_k"] = spec.options["top_k"]
        return out

    def _system(self, request: ModelRequest, files: Files) -> list[dict[str, Any]]:
        marks = set(sorted(request.cache_marks)[-2:])
        blocks = []
        for number, message in enumerate(request.messages):
            if message.role == "system" and (text := plain(message, files)):
                blocks.append({"type": "text", "text": text, **(_CACHE if number in marks else {})})
        return blocks

    def _messages(self, request: ModelRequest, files: Files, *, thoughts: bool) -> list[dict[str, Any]]:
        """The conversation; neighbours of one role become one message, as the API wants tool results."""
        out: list[dict[str, Any]] = []
        for message in request.messages:
            if message.role == "system":
                continue
            role = "assistant" if message.role == "assistant" else "user"
            blocks = self._blocks(message, files, thoughts=thoughts)
            if out and out[-1]["role"] == role:
                out[-1]["content"].extend(blocks)
            elif blocks:
                out.append({"role": role, "content": blocks})
        for message_out in out[-2:]:
            last = message_out["content"][-1]
            if last["type"] not in _THOUGHT:
                message_out["content"][-1] = {**last, **_CACHE}
        return out

    def _blocks(self, message: Message, files: Files, *, thoughts: bool) -> list[dict[str, Any]]:
        if message.role == "assistant":
            return self._assistant(message, thoughts=thoughts)
        said = self._content(message, files)
        if message.role == "user":
            return said
        result = {"type": "tool_result", "tool_use_id": message.call_id, "content": said}
        return [{**result, "is_error": True} if message.is_error else result]

    def _assistant(self, message: Message, *, thoughts: bool) -> list[dict[str, Any]]:
        kept = replay.items(message, self._spec, DIALECT)
        if thoughts and kept and _same(kept, message):
            return kept
        blocks = self._thoughts(message) if thoughts else []
        if message.content.strip():
            blocks = [*blocks, {"type": "text", "text": message.content}]
        calls = [
            {"type": "tool_use", "id": call.id, "name": call.name, "input": schema.arguments(call.arguments)}
            for call in message.calls
        ]
        return [*blocks, *calls]

    def _thoughts(self, message: Message) -> list[dict[str, Any]]:
        kept = replay.items(message, self._spec, DIALECT)
        if blocks := [block for block in kept if block.get("type") in _THOUGHT]:
            return blocks
        if message.thinking_signature and not message.replay:
            thought = {"type": "thinking", "thinking": message.reasoning, "signature": message.thinking_signature}
            return [thought]
        return []

    def _content(self, message: Message, files: Files) -> list[dict[str, Any]]:
        if not message.parts:
            return [{"type": "text", "text": message.content}] if message.content.strip() else []
        blocks = [self._block(part, files) for part in message.parts]
        return [block for block in blocks if block.get("text") != ""]

    def _block(self, part: Part, files: Files) -> dict[str, Any]:
        match shown(part, files, images=self._spec.images is not False, pdf=self._spec.pdf is not False):
            case Text(text=text):
                return {"type": "text", "text": text}
            case Image() as image:
                return _picture(image)
            case Document(name=name, data=data):
                source = {"type": "base64", "media_type": "application/pdf", "data": data}
                return {"type": "document", "source": source, "title": name}
            case File(file_id=file_id, mime_type=mime):
                kind = "image" if mime.startswith("image/") else "document"
                return {"type": kind, "source": {"type": "file", "file_id": file_id}}


def _picture(image: Image) -> dict[str, Any]:
    data = inline(image)
    if data is None:
        return {"type": "image", "source": {"type": "url", "url": image.url}}
    mime, text = data
    if mime not in _PICTURES:
        return {"type": "text", "text": f"[an image ({mime}) that this model can't be shown]"}
    return {"type": "image", "source": {"type": "base64", "media_type": mime, "data": text}}


def _fallbacks(wish: Any) -> Any:
    """Models that answer in its place where it declines, each by name or with settings of its own."""
    return [{"model": one} if isinstance(one, str) else one for one in wish] if isinstance(wish, list) else wish


def _without_thoughts(body: Mapping[str, Any]) -> dict[str, Any]:
    """The request with nothing in it that the model has thought."""
    messages = []
    for message in body["messages"]:
        content = [block for block in message["content"] if block["type"] not in _THOUGHT]
        messages.append({**message, "content": content or [{"type": "text", "text": "…"}]})
    mode = body.get("thinking") or {}
    left_out = "thinking" if mode.get("type") == "enabled" else ""  # with a budget, a turn must begin with thoughts
    return {key: value for key, value in body.items() if key != left_out} | {"messages": messages}


def _same(kept: list[dict[str, Any]], message: Message) -> bool:
    """Whether the blocks still say what the message says: it may have been edited."""
    text = "".join(block.get("text", "") for block in kept if block.get("type") == "text")
    calls = [block.get("id") for block in kept if block.get("type") == "tool_use"]
    return text == message.content and calls == [call.id for call in message.calls]


def _room(text: str) -> int | None:
    """How long an answer may be, read out of a complaint about its limit."""
    if match := re.search(r"(\d+) \+ (\d+) > (\d+)", text):
        room = int(match[3]) - int(match[1])
        return room if room >= 256 else None
    match = re.search(r"max_tokens: (\d+) > (\d+)", text)
    return int(match[2]) if match else None


class _Event(Struct):
    type: str = ""
    index: int = 0
    message: dict[str, Any] | None = None
    content_block: dict[str, Any] | None = None
    delta: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


_EVENT = msgspec.json.Decoder(_Event)


class MessagesAnswer:
    """Reads one answer, event by event."""

    def __init__(self, spec: ModelSpec) -> None:
        self.done = False
        self._spec = spec
        self._blocks: dict[int, dict[str, Any]] = {}
        self._inputs: dict[int, str] = {}
        self._calls: dict[int, int] = {}  # the place of a block to the index of its call
        self._usage: dict[str, int] = {}
        self._model = ""
        self._reason = ""

    def feed(self, event: sse.Event) -> list[Piece]:
        """The pieces of one event.

        Raises:
            ModelFailed: the provider tells of an error.
        """
        if self.done:
            return []
        return list(self._pieces(decoded(_EVENT, event), event))

    def end(self) -> list[Piece]:
        """The stream has ended.

        Raises:
            ModelFailed: it was cut off.
        """
        if not self.done:
            raise failures.cut()
        return []

    def _pieces(self, event: _Event, raw: sse.Event) -> Iterator[Piece]:
        match event.type:
            case "content_block_delta":
                yield from self._delta(event.index, event.delta or {})
            case "content_block_start":
                yield from self._start(event.index, event.content_block or {})
            case "content_block_stop":
                yield from self._stop(event.index)
            case "message_start":
                self._begin(event.message or {})
            case "message_delta":
                self._near_end(event.delta or {}, event.usage)
            case "message_stop":
                yield self._finish()
            case "error":
                raise failures.told(event.error)
            case "message":  # a server that does not stream
                yield from self._whole(msgspec.json.decode(raw.data))
            case _ if event.error:
                raise failures.told(event.error)
            case _:
                pass

    def _begin(self, message: Mapping[str, Any]) -> None:
        self._model = message.get("model") or ""
        self._count(message.get("usage"))

    def _near_end(self, delta: Mapping[str, Any], usage: Mapping[str, Any] | None) -> None:
        self._reason = delta.get("stop_reason") or self._reason
        self._count(usage)

    def _start(self, place: int, block: dict[str, Any]) -> Iterator[Piece]:
        self._blocks[place] = dict(block)
        match block.get("type"):
            case "tool_use":
                index = self._calls[place] = len(self._calls)
                yield CallPiece(index, block.get("id", ""), block.get("name", ""))
            case "text" if block.get("text"):
                yield TextPiece(block["text"])
            case "thinking" if block.get("thinking"):
                yield ReasoningPiece(block["thinking"])
            case _:
                pass

    def _delta(self, place: int, delta: dict[str, Any]) -> Iterator[Piece]:
        block = self._blocks.setdefault(place, {})
        match delta.get("type"):
            case "text_delta":
                block["text"] = block.get("text", "") + delta.get("text", "")
                yield TextPiece(delta.get("text", ""))
            case "thinking_delta":
                block["thinking"] = block.get("thinking", "") + delta.get("thinking", "")
                yield ReasoningPiece(delta.get("thinking", ""))
            case "signature_delta":
                block["signature"] = block.get("signature", "") + delta.get("signature", "")
            case "input_json_delta" if delta.get("partial_json") and place in self._calls:
                self._inputs[place] = self._inputs.get(place, "") + delta["partial_json"]
                yield CallPiece(self._calls[place], arguments=delta["partial_json"])
            case _:
                pass

    def _stop(self, place: int) -> Iterator[Piece]:
        """A block is complete; a call whose input was not streamed gets it now."""
        if place not in self._calls:
            return
        block = self._blocks[place]
        if place not in self._inputs:
            text = msgspec.json.encode(block.get("input") or {}).decode()
            yield CallPiece(self._calls[place], arguments=text)
            self._inputs[place] = text
        block["input"] = schema.arguments(self._inputs[place])

    def _whole(self, message: dict[str, Any]) -> Iterator[Piece]:
        self._model, self._reason = message.get("model") or "", message.get("stop_reason") or ""
        self._count(message.get("usage"))
        for place, block in enumerate(message.get("content") or ()):
            yield from self._start(place, block)
            yield from self._stop(place)
        yield self._finish()

    def _finish(self) -> Finished:
        self.done = True
        blocks = [self._blocks[place] for place in sorted(self._blocks)]
        thoughts = [block for block in blocks if block.get("type") in _THOUGHT]
        return Finished(
            _REASONS.get(self._reason) or ("tool_calls" if self._calls else "stop"),
            self._used() if self._spec.track_usage else None,
            self._model,
            thinking_signature=next((b["signature"] for b in reversed(thoughts) if b.get("signature")), ""),
            replay=replay.keep(blocks, self._spec, DIALECT) if thoughts else (),
        )

    def _count(self, usage: Mapping[str, Any] | None) -> None:
        """Take in the counts that are there: later ones replace earlier ones."""
        for key, value in (usage or {}).items():
            if isinstance(value, int):
                self._usage[key] = value
            elif key == "output_tokens_details" and isinstance(value, dict):
                self._usage["thinking"] = value.get("thinking_tokens") or 0

    def _used(self) -> Usage:
        count = self._usage.get
        return Usage(
            input=count("input_tokens", 0),
            output=count("output_tokens", 0),
            cached_input=count("cache_read_input_tokens", 0),
            cached_write=count("cache_creation_input_tokens", 0),
            reasoning=count("thinking", 0),
        )
