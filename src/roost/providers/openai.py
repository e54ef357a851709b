"""OpenAI's Chat Completions, which many servers speak, each with an accent."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from roost.core.agents import ModelSpec, Schema
from roost.core.ids import fresh
from roost.core.messages import Definition, File, Image, Message, Part, Text, ToolCall
from roost.core.usage import Usage
from roost.ports import CallPiece, Finished, ModelRequest, Piece, ReasoningPiece, TextPiece
from roost.providers import failures, schema, thinking
from roost.providers.parts import Document, Files, plain, shown
from roost.wire import sse

T = TypeVar("T")

PASSED_ON = ("top_k", "repetition_penalty", "min_p", "seed", "service_tier", "tool_choice")
"""Keys of `provider_opts` that go into a request as they are."""

SAMPLING = ("temperature", "top_p", "frequency_penalty", "presence_penalty")
"""Settings that OpenAI's own models refuse while they reason."""

_ECHO = ("deepseek", "moonshot")  # they want a tool call's reasoning back
_REASONS = {"length": "length", "max_tokens": "length", "content_filter": "content_filter", "refusal": "refusal"}


class Chat:
    """Requests and answers of one model.  `genuine` is OpenAI itself rather than a server like it."""

    path = "/chat/completions"

    def __init__(self, spec: ModelSpec, *, genuine: bool = False) -> None:
        self._spec = spec
        self._genuine = genuine
        self._short_ids = spec.provider == "mistral" or "mistral.ai" in spec.base_url

    def headers(self, request: ModelRequest, key: str) -> dict[str, str]:
        """The headers that this dialect needs."""
        return {"authorization": f"Bearer {key}"} if key else {}

    def body(self, request: ModelRequest, files: Files) -> dict[str, Any]:
        """The request as JSON."""
        spec = self._spec
        body: dict[str, Any] = {"model": spec.model, "messages": self._messages(request, files), "stream": True}
        if spec.track_usage:
            body["stream_options"] = {"include_usage": True}
        if request.tools:
            body["tools"] = [self._tool(tool) for tool in request.tools]
            if spec.parallel_tool_calls is not None:
                body["parallel_tool_calls"] = spec.parallel_tool_calls
        body.update(self._limits(request))
        for field in SAMPLING if body.get("reasoning_effort", "none") == "none" or not self._genuine else ():
            if (value := getattr(spec, field)) is not None:
                body[field] = value
        if request.schema is not None:
            body["response_format"] = {"type": "json_schema", "json_schema": formed(request.schema)}
        return body | passed_on(spec, tools=bool(request.tools))

    def answer(self) -> "ChatAnswer":
        """A fresh reader of one answer."""
        return ChatAnswer()

    def _limits(self, request: ModelRequest) -> dict[str, Any]:
        spec, limits = self._spec, dict[str, Any]()
        reasoning = self._genuine and thinking.reasons(spec.model)
        effort = thinking.effort(spec, thinking=request.thinking, genuine=self._genuine)
        if effort:
            limits["reasoning_effort"] = effort
        elif thinking.off(spec.thinking_budget) and not self._genuine:
            limits["chat_template_kwargs"] = {"enable_thinking": False}
        most = request.max_tokens or spec.max_tokens
        if most is not None:
            name = "max_completion_tokens" if reasoning else "max_tokens"
            limits[name] = max(most, 256) if reasoning and effort != "none" else most
        return limits

    def _tool(self, tool: Definition) -> dict[str, Any]:
        parameters = schema.rooted(tool.parameters)
        function: dict[str, Any] = {"name": tool.name, "description": tool.description, "parameters": parameters}
        if self._genuine and schema.strict(parameters):
            function["strict"] = True
        return {"type": "function", "function": function}

    def _messages(self, request: ModelRequest, files: Files) -> list[dict[str, Any]]:
        system = [plain(message, files) for message in request.messages if message.role == "system"]
        out: list[dict[str, Any]] = [{"role": "system", "content": "\n\n".join(system)}] if system else []
        pictures: list[dict[str, Any]] = []
        for message in request.messages:
            if message.role != "tool" and pictures:  # a tool's answer is text alone: its pictures come after
                out.append({"role": "user", "content": pictures})
                pictures = []
            match message.role:
                case "user":
                    out.append({"role": "user", "content": self._content(message, files)})
                case "assistant":
                    out.append(self._assistant(message))
                case "tool":
                    out.append({"role": "tool", "tool_call_id": self._id(message.call_id), "content": _said(message)})
                    pictures.extend(self._pictures(message, files))
                case "system":
                    pass
        return [*out, {"role": "user", "content": pictures}] if pictures else out

    def _assistant(self, message: Message) -> dict[str, Any]:
        out: dict[str, Any] = {"role": "assistant", "content": message.content or (None if message.calls else "")}
        if message.calls:
            out["tool_calls"] = [self._call(call) for call in message.calls]
            if message.reasoning and self._spec.provider in _ECHO:
                out["reasoning_content"] = message.reasoning
        return out

    def _call(self, call: ToolCall) -> dict[str, Any]:
        text = msgspec.json.encode(schema.arguments(call.arguments)).decode()
        return {"id": self._id(call.id), "type": "function", "function": {"name": call.name, "arguments": text}}

    def _content(self, message: Message, files: Files) -> str | list[dict[str, Any]]:
        if not message.parts:
            return message.content
        blocks = [self._block(part, files) for part in message.parts]
        if all(block["type"] == "text" for block in blocks):
            return "\n".join(block["text"] for block in blocks)
        return blocks

    def _block(self, part: Part, files: Files) -> dict[str, Any]:
        genuine, images = self._genuine, self._spec.images is not False
        pdf = genuine if self._spec.pdf is None else self._spec.pdf
        match shown(part, files, images=images, pdf=pdf, ids=genuine):
            case Text(text=text):
                return {"type": "text", "text": text}
            case Image(url=url, detail=detail):
                return {"type": "image_url", "image_url": {"url": url, **({"detail": detail} if detail else {})}}
            case Document(name=name, data=data):
                return {"type": "file", "file": {"filename": name, "file_data": f"data:application/pdf;base64,{data}"}}
            case File(file_id=file_id):
                return {"type": "file", "file": {"file_id": file_id}}

    def _pictures(self, message: Message, files: Files) -> list[dict[str, Any]]:
        pictures = [self._block(part, files) for part in message.parts if isinstance(part, Image)]
        shown_ones = [block for block in pictures if block["type"] == "image_url"]
        note = {"type": "text", "text": f"Images returned by the tool call {self._id(message.call_id)}:"}
        return [note, *shown_ones] if shown_ones else []

    def _id(self, call: str) -> str:
        """The call's id; Mistral takes nine letters and digits, and nothing else."""
        if not self._short_ids or re.fullmatch(r"[A-Za-z0-9]{9}", call):
            return call
        return hashlib.sha256(call.encode()).hexdigest()[:9]


def _said(message: Message) -> str:
    texts = [part.text for part in message.parts if isinstance(part, Text)]
    return "\n".join(texts) if texts else message.content


class _Function(Struct):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _Call(Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(Struct):
    content: str | list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: Any = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(Struct):
    delta: _Delta | None = None
    message: _Delta | None = None  # of a server that does not stream
    finish_reason: str | None = None


class _Chunk(Struct):
    choices: list[_Choice] | None = None
    usage: dict[str, Any] | None = None
    model: str | None = None
    error: Any = None


_CHUNK = msgspec.json.Decoder(_Chunk)


class Drafts:
    """The calls of one answer: which delta belongs to which, however a server tells them apart."""

    def __init__(self) -> None:
        self._index: dict[int, int] = {}  # the server's index to ours
        self._ids: list[str] = []
        self._named: list[bool] = []
        self._held: list[str] = []  # arguments that came before the name

    def __bool__(self) -> bool:
        return bool(self._ids)

    def add(self, index: int | None, id: str, name: str, arguments: str) -> Iterator[CallPiece]:
        """One delta, as the pieces it makes."""
        ours = self._find(index, id, name)
        if ours is None:
            ours = len(self._ids)
            self._ids.append(id or f"call_{fresh().replace('-', '')[:24]}")
            self._named.append(False)
            self._held.append("")
            if index is not None:
                self._index[index] = ours
        if self._named[ours]:
            if arguments:
                yield CallPiece(ours, arguments=arguments)
        elif name:
            self._named[ours] = True
            yield CallPiece(ours, self._ids[ours], name, self._held[ours] + arguments)
        else:
            self._held[ours] += arguments

    def _find(self, index: int | None, id: str, name: str) -> int | None:
        if id and id in self._ids:
            return self._ids.index(id)
        known = self._index.get(index) if index is not None else None
        if known is None:
            if index is not None or id or not self._ids or (name and self._named[-1]):
                return None
            return len(self._ids) - 1
        # Another id, or a second name, under the same index: a server that gives every call the index 0.
        return known if not id or not self._named[known] else None


class ChatAnswer:
    """Reads one answer, event by event."""

    def __init__(self) -> None:
        self.done = False
        self._drafts = Drafts()
        self._reason = ""
        self._usage: Usage | None = None
        self._model = ""

    def feed(self, event: sse.Event) -> list[Piece]:
        """The pieces of one event.

        Raises:
            ModelFailed: the provider tells of an error.
        """
        if self.done:
            return []
        if event.data.strip() == b"[DONE]":
            return self._finish()
        chunk = decoded(_CHUNK, event)
        if chunk.error or event.event == "error":
            raise failures.told(chunk.error or msgspec.json.decode(event.data))
        self._model = chunk.model or self._model
        if chunk.usage:
            self._usage = usage(chunk.usage)
        choice = chunk.choices[0] if chunk.choices else None
        if choice is None:
            return []
        self._reason = choice.finish_reason or self._reason
        pieces = self._delta(choice.delta or choice.message or _Delta())
        return [*pieces, *self._finish()] if choice.message is not None and choice.delta is None else pieces

    def end(self) -> list[Piece]:
        """The stream has ended: what is still to be said.

        Raises:
            ModelFailed: it was cut off.
        """
        if self.done:
            return []
        if not self._reason:
            raise failures.cut()
        return self._finish()

    def _delta(self, delta: _Delta) -> list[Piece]:
        pieces: list[Piece] = []
        if thought := delta.reasoning_content or (delta.reasoning if isinstance(delta.reasoning, str) else ""):
            pieces.append(ReasoningPiece(thought))
        if isinstance(delta.content, str) and delta.content:
            pieces.append(TextPiece(delta.content))
        elif isinstance(delta.content, list):
            pieces.extend(_blocks(delta.content))
        if delta.refusal:
            self._reason = "refusal"
            pieces.append(TextPiece(delta.refusal))
        for call in delta.tool_calls or ():
            function = call.function or _Function()
            arguments = function.arguments or ""
            text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
            pieces.extend(self._drafts.add(call.index, call.id or "", function.name or "", text))
        return pieces

    def _finish(self) -> list[Piece]:
        self.done = True
        reason = _REASONS.get(self._reason) or ("tool_calls" if self._drafts else "stop")
        return [Finished(reason, self._usage, self._model)]


def _blocks(content: Sequence[Any]) -> Iterator[Piece]:
    """Content in blocks, as Mistral's reasoning models send it."""
    for block in content:
        if not isinstance(block, dict):
            continue
        if block.get("type") == "thinking":
            inner = block.get("thinking")
            texts = (
                [inner] if isinstance(inner, str) else [b.get("text", "") for b in inner or () if isinstance(b, dict)]
            )
            yield from (ReasoningPiece(text) for text in texts if text)
        elif text := block.get("text"):
            yield TextPiece(str(text))


def formed(form: Schema) -> dict[str, Any]:
    """The form of an answer, as OpenAI describes one."""
    described = {"description": form.description} if form.description else {}
    return {"name": form.name, **described, "schema": form.schema, "strict": form.strict}


def passed_on(spec: ModelSpec, *, tools: bool) -> dict[str, Any]:
    """What `provider_opts` put into a request as it is; without tools there is nothing to choose from."""
    given = {key: spec.options[key] for key in PASSED_ON if key in spec.options and (tools or key != "tool_choice")}
    return given | (spec.options.get("extra_body") or {})


def decoded(decoder: "msgspec.json.Decoder[T]", event: sse.Event) -> T:
    """An event's JSON.

    Raises:
        ModelFailed: it is none.
    """
    try:
        return decoder.decode(event.data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise failures.cut(f"the provider sent an event that can't be read: {error}") from error


def usage(raw: Mapping[str, Any]) -> Usage:
    """Tokens, as servers of this kind count them: their `prompt_tokens` hold the cached ones."""
    cached = _count(raw.get("prompt_tokens_details"), "cached_tokens") or _count(raw, "prompt_cache_hit_tokens")
    return Usage(
        input=max(_count(raw, "prompt_tokens") - cached, 0),
        output=_count(raw, "completion_tokens"),
        cached_input=cached,
        reasoning=_count(raw.get("completion_tokens_details"), "reasoning_tokens"),
    )


def _count(raw: Any, key: str) -> int:
    value = raw.get(key) if isinstance(raw, Mapping) else None
    return int(value) if isinstance(value, int | float) else 0
