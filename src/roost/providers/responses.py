"""OpenAI's Responses API: a conversation of items, all given back, nothing kept over there."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from roost.core.agents import ModelSpec
from roost.core.messages import Definition, File, Image, Message, Part, Text
from roost.core.usage import Usage
from roost.ports import CallPiece, Finished, ModelRequest, Piece, ReasoningPiece, TextPiece
from roost.providers import failures, replay, schema, thinking
from roost.providers.openai import decoded, formed, passed_on
from roost.providers.parts import Document, Files, plain, shown
from roost.wire import sse

DIALECT = "openai-responses"


class Responses:
    """Requests and answers of one model.  `genuine` is OpenAI itself rather than a server like it."""

    path = "/responses"

    def __init__(self, spec: ModelSpec, *, genuine: bool = False) -> None:
        self._spec = spec
        self._genuine = genuine

    def headers(self, request: ModelRequest, key: str) -> dict[str, str]:
        """The headers that this dialect needs."""
        return {"authorization": f"Bearer {key}"} if key else {}

    def body(self, request: ModelRequest, files: Files) -> dict[str, Any]:
        """The request as JSON."""
        spec = self._spec
        body: dict[str, Any] = {"model": spec.model, "input": self._input(request, files), "stream": True}
        body["store"] = False
        system = [plain(message, files) for message in request.messages if message.role == "system"]
        if system:
            body["instructions"] = "\n\n".join(system)
        if request.tools:
            body["tools"] = [self._tool(tool) for tool in request.tools]
            if spec.parallel_tool_calls is not None:
                body["parallel_tool_calls"] = spec.parallel_tool_calls
        body.update(self._limits(request))
        reasons = self._genuine and body.get("reasoning", {"effort": "none"})["effort"] != "none"
        for field in () if reasons else ("temperature", "top_p"):
            if (value := getattr(spec, field)) is not None:
                body[field] = value
        if request.schema is not None:
            body["text"] = {"format": {"type": "json_schema", **formed(request.schema)}}
        return body | passed_on(spec, tools=bool(request.tools))

    def answer(self) -> "ResponsesAnswer":
        """A fresh reader of one answer."""
        return ResponsesAnswer(self._spec)

    def _limits(self, request: ModelRequest) -> dict[str, Any]:
        limits = dict[str, Any]()
        effort = thinking.effort(self._spec, thinking=request.thinking, genuine=self._genuine)
        reasoning = thinking.reasons(self._spec.model) or bool(effort)
        if effort:
            limits["reasoning"] = {"effort": effort, **({"summary": "auto"} if request.thinking else {})}
        if reasoning:
            limits["include"] = ["reasoning.encrypted_content"]
        most = request.max_tokens or self._spec.max_tokens
        if most is not None:
            limits["max_output_tokens"] = max(most, 256 if reasoning and effort != "none" else 16)
        return limits

    def _tool(self, tool: Definition) -> dict[str, Any]:
        parameters = schema.rooted(tool.parameters)
        return {
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": parameters,
            "strict": self._genuine and schema.strict(parameters),
        }

    def _input(self, request: ModelRequest, files: Files) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        for message in request.messages:
            match message.role:
                case "user":
                    items.append({"role": "user", "content": self._content(message, files)})
                case "assistant":
                    items.extend(self._assistant(message))
                case "tool":
                    output = self._content(message, files) if message.parts else message.content
                    items.append({"type": "function_call_output", "call_id": message.call_id, "output": output})
                case "system":
                    pass
        return items

    def _assistant(self, message: Message) -> list[dict[str, Any]]:
        kept = replay.items(message, self._spec, DIALECT)
        if kept and _calls(kept) == [call.id for call in message.calls] and _text(kept) == message.content:
            return [_given(item) for item in kept if item.get("type") != "reasoning" or item.get("encrypted_content")]
        items: list[dict[str, Any]] = []
        if message.content:
            content = [{"type": "output_text", "text": message.content}]
            items.append({"type": "message", "role": "assistant", "content": content})
        for call in message.calls:
            text = msgspec.json.encode(schema.arguments(call.arguments)).decode()
            items.append({"type": "function_call", "call_id": call.id, "name": call.name, "arguments": text})
        return items

    def _content(self, message: Message, files: Files) -> str | list[dict[str, Any]]:
        if not message.parts:
            return message.content
        return [self._block(part, files) for part in message.parts]

    def _block(self, part: Part, files: Files) -> dict[str, Any]:
        genuine, images = self._genuine, self._spec.images is not False
        pdf = genuine if self._spec.pdf is None else self._spec.pdf
        match shown(part, files, images=images, pdf=pdf, ids=genuine):
            case Text(text=text):
                return {"type": "input_text", "text": text}
            case Image(url=url, detail=detail):
                return {"type": "input_image", "image_url": url, "detail": detail or "auto"}
            case Document(name=name, data=data):
                return {"type": "input_file", "filename": name, "file_data": f"data:application/pdf;base64,{data}"}
            case File(file_id=file_id):
                return {"type": "input_file", "file_id": file_id}


def _given(item: dict[str, Any]) -> dict[str, Any]:
    """An item as it is given back: all of it but its status."""
    return {key: value for key, value in item.items() if key != "status"}


def _calls(items: list[dict[str, Any]]) -> list[str]:
    return [item.get("call_id", "") for item in items if item.get("type") == "function_call"]


def _text(items: list[dict[str, Any]]) -> str:
    messages = [item for item in items if item.get("type") == "message"]
    blocks = [block for message in messages for block in message.get("content") or ()]
    return "".join(block.get("text") or block.get("refusal") or "" for block in blocks)


class _Event(Struct):
    type: str = ""
    delta: str | None = None
    output_index: int = 0
    summary_index: int = 0
    item: dict[str, Any] | None = None
    response: dict[str, Any] | None = None


_EVENT = msgspec.json.Decoder(_Event)


class ResponsesAnswer:
    """Reads one answer, event by event."""

    def __init__(self, spec: ModelSpec) -> None:
        self.done = False
        self._spec = spec
        self._calls: dict[int, int] = {}  # the place of an item to the index of its call
        self._spoken: set[int] = set()  # places whose deltas have come
        self._items: dict[int, dict[str, Any]] = {}
        self._refused = False

    def feed(self, event: sse.Event) -> list[Piece]:
        """The pieces of one event.

        Raises:
            ModelFailed: the provider tells of an error.
        """
        if self.done or event.data.strip() == b"[DONE]":
            return []
        if event.event == "error" or event.data.startswith(b'{"error"'):
            raise _error(event)
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
        item, told = event.item or {}, event.response or {}
        match event.type:
            case "response.output_item.added":
                yield from self._added(event.output_index, item)
            case "response.output_item.done":
                yield from self._closed(event.output_index, item)
            case "response.completed" | "response.incomplete":
                yield from self._finish(told)
            case "response.failed":
                raise failures.told(told.get("error"))
            case "error":
                raise _error(raw)
            case "" if event.response is None and b'"output"' in raw.data:  # a server that does not stream
                whole = msgspec.json.decode(raw.data)
                for number, item in enumerate(whole.get("output") or ()):
                    yield from self._closed(number, item)
                yield from self._finish(whole)
            case _:
                yield from self._delta(event, event.output_index, event.delta or "")

    def _delta(self, event: _Event, place: int, delta: str) -> Iterator[Piece]:
        match event.type:
            case "response.output_text.delta" | "response.refusal.delta":
                self._spoken.add(place)
                self._refused = self._refused or "refusal" in event.type
                yield TextPiece(delta)
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                yield ReasoningPiece(delta)
            case "response.reasoning_summary_part.added" if event.summary_index > 0:
                yield ReasoningPiece("\n\n")
            case "response.function_call_arguments.delta" if place in self._calls:
                self._spoken.add(place)
                yield CallPiece(self._calls[place], arguments=delta)
            case _:
                pass

    def _added(self, place: int, item: Mapping[str, Any]) -> Iterator[Piece]:
        if item.get("type") == "function_call" and place not in self._calls:
            index = self._calls[place] = len(self._calls)
            yield CallPiece(index, item.get("call_id", ""), item.get("name", ""))

    def _closed(self, place: int, item: dict[str, Any]) -> Iterator[Piece]:
        """An item is complete; what was not streamed of it comes now."""
        if place in self._items:
            return
        self._items[place] = item
        yield from self._added(place, item)
        if place in self._spoken:
            return
        if item.get("type") == "function_call" and item.get("arguments"):
            yield CallPiece(self._calls[place], arguments=item["arguments"])
        elif item.get("type") == "message" and (text := _text([item])):
            yield TextPiece(text)

    def _finish(self, response: Mapping[str, Any]) -> Iterator[Piece]:
        for place, item in enumerate(response.get("output") or ()):
            yield from self._closed(place, item)
        self.done = True
        kept = [self._items[place] for place in sorted(self._items)]
        wanted = any(item.get("type") == "reasoning" for item in kept)
        yield Finished(
            self._reason(response),
            usage(response.get("usage") or {}) if self._spec.track_usage else None,
            response.get("model") or "",
            replay=replay.keep(kept, self._spec, DIALECT) if wanted else (),
        )

    def _reason(self, response: Mapping[str, Any]) -> str:
        why = (response.get("incomplete_details") or {}).get("reason")
        if why:
            return "content_filter" if why == "content_filter" else "length"
        if self._refused:
            return "refusal"
        return "tool_calls" if self._calls else "stop"


def _error(event: sse.Event) -> Exception:
    raw = decoded(msgspec.json.Decoder(dict[str, Any]), event)
    return failures.told(raw.get("error") or {key: value for key, value in raw.items() if key != "type"})


def usage(raw: Mapping[str, Any]) -> Usage:
    """Tokens, as this API counts them: its `input_tokens` hold the cached ones."""
    cached = (raw.get("input_tokens_details") or {}).get("cached_tokens") or 0
    return Usage(
        input=max((raw.get("input_tokens") or 0) - cached, 0),
        output=raw.get("output_tokens") or 0,
        cached_input=cached,
        reasoning=(raw.get("output_tokens_details") or {}).get("reasoning_tokens") or 0,
    )
