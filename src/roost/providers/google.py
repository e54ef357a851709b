"""Google's Gemini API, as the Gemini Developer API and as Vertex AI speak it."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from roost.core.agents import ModelSpec
from roost.core.errors import ModelFailed
from roost.core.ids import CallId, fresh
from roost.core.messages import Definition, File, Image, Message, Part, Text, ToolCall
from roost.core.usage import Usage
from roost.ports import CallPiece, Finished, ModelRequest, Piece, ReasoningPiece, TextPiece
from roost.providers import failures, replay, schema, thinking
from roost.providers.openai import decoded
from roost.providers.parts import Document, Files, inline, plain, shown
from roost.wire import sse

DIALECT = "google"

_BUILT_IN = {"google_search": "googleSearch", "google_maps": "googleMaps", "code_execution": "codeExecution"}
_SAMPLING = {"temperature": "temperature", "top_p": "topP"}
_SAMPLING |= {"frequency_penalty": "frequencyPenalty", "presence_penalty": "presencePenalty"}
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "any": "ANY"}
_UNSIGNED = "skip_thought_signature_validator"  # for calls that another model made, as Google's pages have it
_REASONS = {"STOP": "stop", "MAX_TOKENS": "length"}
_REASONS |= dict.fromkeys(
    ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "LANGUAGE"), "content_filter"
)
_BROKEN = ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE")
_LEAST = 256  # tokens of an answer, where thoughts that can't be switched off count among them


class Gemini:
    """Requests and answers of one model.  `vertex` is the path of a project on Vertex AI, or "" for the other API."""

    def __init__(self, spec: ModelSpec, *, vertex: str = "") -> None:
        self._spec = spec
        model = quote(spec.model.removeprefix("models/"), safe="-._~@")
        where = f"/v1/{vertex}/publishers/google/models" if vertex else "/v1beta/models"
        self.path = f"{where}/{model}:streamGenerateContent?alt=sse"

    def headers(self, request: ModelRequest, key: str) -> dict[str, str]:
        """The headers that this dialect needs."""
        return {"x-goog-api-key": key} if key else {}

    def body(self, request: ModelRequest, files: Files) -> dict[str, Any]:
        """The request as JSON."""
        body: dict[str, Any] = {}
        if system := [text for m in request.messages if m.role == "system" and (text := plain(m, files))]:
            body["systemInstruction"] = {"parts": [{"text": text} for text in system]}
        body["contents"] = self._contents(request, files)
        body.update(self._tools(request))
        if config := self._config(request):
            body["generationConfig"] = config
        if "service_tier" in self._spec.options:
            body["serviceTier"] = self._spec.options["service_tier"]
        return body | (self._spec.options.get("extra_body") or {})

    def answer(self) -> "GeminiAnswer":
        """A fresh reader of one answer."""
        return GeminiAnswer(self._spec)

    def _config(self, request: ModelRequest) -> dict[str, Any]:
        spec = self._spec
        config = {theirs: value for ours, theirs in _SAMPLING.items() if (value := getattr(spec, ours)) is not None}
        config |= {
            theirs: spec.options[ours] for ours, theirs in (("top_k", "topK"), ("seed", "seed")) if ours in spec.options
        }
        thoughts = thinking.gemini(spec, thinking=request.thinking)
        most = request.max_tokens or spec.max_tokens
        if most is not None:
            config["maxOutputTokens"] = max(most, _LEAST) if thoughts and thoughts.get("thinkingBudget") != 0 else most
        if thoughts:
            config["thinkingConfig"] = thoughts
        if request.schema is not None:
            config["responseMimeType"] = "application/json"
            config["responseSchema"] = schema.subset(request.schema.schema)
        return config

    def _tools(self, request: ModelRequest) -> dict[str, Any]:
        options = self._spec.options
        tools: list[dict[str, Any]] = [{theirs: {}} for ours, theirs in _BUILT_IN.items() if options.get(ours) is True]
        built_in = bool(tools)
        config: dict[str, Any] = {}
        if request.tools:
            tools.append({"functionDeclarations": [_declared(tool) for tool in request.tools]})
            config["functionCallingConfig"] = _choice(options.get("tool_choice"))
            if built_in:
                config["includeServerSideToolInvocations"] = True
        return ({"tools": tools} if tools else {}) | ({"toolConfig": config} if config else {})

    def _contents(self, request: ModelRequest, files: Files) -> list[dict[str, Any]]:
        """The conversation; neighbours of one role become one content, so that results stand beside each other."""
        out: list[dict[str, Any]] = []
        calls: dict[str, tuple[str, str]] = {}  # of each call: its tool, and the id that Google gave it
        for message in request.messages:
            if message.role == "system":
                continue
            role = "model" if message.role == "assistant" else "user"
            match message.role:
                case "assistant":
                    parts = self._model(message, calls)
                case "tool":
                    parts = self._result(message, files, calls)
                case _:
                    parts = self._said(message, files)
            if out and out[-1]["role"] == role:
                out[-1]["parts"].extend(parts)
            elif parts:
                out.append({"role": role, "parts": parts})
        return out

    def _model(self, message: Message, calls: dict[str, tuple[str, str]]) -> list[dict[str, Any]]:
        kept = replay.items(message, self._spec, DIALECT)
        if kept and _same(kept, message):
            made = [part["functionCall"] for part in kept if "functionCall" in part]
            for call, theirs in zip(message.calls, made, strict=True):
                calls[call.id] = (call.name, str(theirs.get("id") or ""))
            return kept
        parts: list[dict[str, Any]] = [{"text": message.content}] if message.content.strip() else []
        for call in message.calls:
            calls[call.id] = (call.name, "")
            parts.append({"functionCall": {"name": call.name, "args": schema.arguments(call.arguments)}})
        self._sign(parts, message)
        return parts

    def _sign(self, parts: list[dict[str, Any]], message: Message) -> None:
        """Put a signature on the first call: the one that is known, or where newer models want one, none."""
        newer = thinking.gemini_version(self._spec.model) >= (3, 0)
        signature = message.thought_signature if not message.replay else ""
        signature = signature or (_UNSIGNED if newer else "")
        first = next((part for part in parts if "functionCall" in part), None)
        if first is not None and signature:
            first["thoughtSignature"] = signature

    def _result(self, message: Message, files: Files, calls: Mapping[str, tuple[str, str]]) -> list[dict[str, Any]]:
        name, theirs = calls.get(message.call_id, ("unknown", ""))
        shown_parts = self._said(message, files)
        texts = [part["text"] for part in shown_parts if "text" in part]
        key = "error" if message.is_error else "result"
        answer: dict[str, Any] = {"name": name, "response": {key: "\n".join(texts)}}
        if theirs:
            answer["id"] = theirs
        media = [part for part in shown_parts if "inlineData" in part]
        if media and thinking.gemini_version(self._spec.model) >= (3, 0):
            answer["parts"], media = media, []
        return [{"functionResponse": answer}, *media]

    def _said(self, message: Message, files: Files) -> list[dict[str, Any]]:
        if not message.parts:
            return [{"text": message.content}] if message.content else []
        return [block for part in message.parts if (block := self._block(part, files)).get("text") != ""]

    def _block(self, part: Part, files: Files) -> dict[str, Any]:
        images, pdf = self._spec.images is not False, self._spec.pdf is not False
        match shown(part, files, images=images, pdf=pdf):
            case Text(text=text):
                return {"text": text}
            case Image() as image:
                return _picture(image)
            case Document(data=data):
                return {"inlineData": {"mimeType": "application/pdf", "data": data}}
            case File(file_id=file_id, mime_type=mime) if "://" in file_id:
                return {"fileData": {"fileUri": file_id, **({"mimeType": mime} if mime else {})}}
            case File(file_id=file_id):
                return {"text": f"[the file {file_id}, which this model can't be shown]"}


def _declared(tool: Definition) -> dict[str, Any]:
    parameters = schema.subset(schema.rooted(tool.parameters))
    out: dict[str, Any] = {"name": tool.name, "description": tool.description}
    return {**out, "parameters": parameters} if parameters.get("properties") else out


def _choice(wish: Any) -> dict[str, Any]:
    """How calls are to be chosen, in any of the words for it."""
    if isinstance(wish, Mapping):
        function = wish.get("function")
        name = function.get("name") if isinstance(function, Mapping) else wish.get("name")
        return {"mode": "ANY", "allowedFunctionNames": [name]} if name else {"mode": "AUTO"}
    return {"mode": _MODES.get(wish.lower(), "AUTO") if isinstance(wish, str) else "AUTO"}


def _picture(image: Image) -> dict[str, Any]:
    data = inline(image)
    if data is None:
        return {"text": f"[an image at {image.url}, which this model can't be shown]"}
    return {"inlineData": {"mimeType": data[0], "data": data[1]}}


def _same(kept: list[dict[str, Any]], message: Message) -> bool:
    """Whether the parts still say what the message says: it may have been edited."""
    text = "".join(part.get("text") or "" for part in kept if "functionCall" not in part)
    made = [
        (part["functionCall"].get("name"), part["functionCall"].get("args") or {})
        for part in kept
        if "functionCall" in part
    ]
    return text == message.content and made == [(c.name, schema.arguments(c.arguments)) for c in message.calls]


class _Candidate(Struct, rename="camel"):
    content: dict[str, Any] | None = None
    finish_reason: str | None = None
    finish_message: str | None = None


class _Chunk(Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    usage_metadata: dict[str, Any] | None = None
    prompt_feedback: dict[str, Any] | None = None
    model_version: str | None = None
    error: Any = None


_CHUNK = msgspec.json.Decoder(_Chunk)
_CHUNKS = msgspec.json.Decoder(list[msgspec.Raw])


class GeminiAnswer:
    """Reads one answer, event by event."""

    def __init__(self, spec: ModelSpec) -> None:
        self.done = False
        self._spec = spec
        self._kept: list[dict[str, Any]] = []
        self._calls: list[ToolCall] = []
        self._signature = ""
        self._reason = ""
        self._usage: dict[str, Any] | None = None
        self._model = ""

    def feed(self, event: sse.Event) -> list[Piece]:
        """The pieces of one event.

        Raises:
            ModelFailed: the provider tells of an error, or refuses to answer.
        """
        if self.done:
            return []
        if event.data.startswith(b"["):  # a server that does not stream
            whole = [sse.Event(bytes(raw)) for raw in decoded(_CHUNKS, event)]
            return [piece for one in whole for piece in self.feed(one)]
        chunk = decoded(_CHUNK, event)
        if chunk.error:
            raise failures.told(chunk.error)
        self._model = chunk.model_version or self._model
        self._usage = chunk.usage_metadata or self._usage
        if not chunk.candidates:
            self._blocked(chunk.prompt_feedback or {})
            return []
        return self._answered(chunk.candidates[0], last=bool(chunk.usage_metadata))

    def _answered(self, candidate: _Candidate, *, last: bool) -> list[Piece]:
        parts = (candidate.content or {}).get("parts") or ()
        pieces = [piece for part in parts for piece in self._part(part)]
        self._reason = candidate.finish_reason or self._reason
        if self._reason in _BROKEN:
            text = candidate.finish_message or f"the model's answer can't be used ({self._reason})"
            raise ModelFailed(failures.clean(text), kind="retryable", provider_code=self._reason)
        return [*pieces, self._finish()] if candidate.finish_reason and last else pieces

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

    def _part(self, part: dict[str, Any]) -> Iterator[Piece]:
        if part.get("thought"):
            if text := part.get("text"):
                yield ReasoningPiece(text)
            return
        self._keep(part)
        if call := part.get("functionCall"):
            yield self._call(call, str(part.get("thoughtSignature") or ""))
        elif text := part.get("text"):
            yield TextPiece(text)

    def _call(self, call: Mapping[str, Any], signature: str) -> CallPiece:
        """A call, whole as it comes.  Where Google gives it no id, it gets one."""
        given, name = (
            CallId(str(call.get("id") or f"call_{fresh().replace('-', '')[:24]}")),
            str(call.get("name") or ""),
        )
        text = msgspec.json.encode(call.get("args") or {}).decode()
        self._signature = self._signature or signature
        self._calls.append(ToolCall(given, name, text))
        return CallPiece(len(self._calls) - 1, given, name, text)

    def _keep(self, part: dict[str, Any]) -> None:
        """Keep a part for the next request; texts that follow each other are one."""
        last = self._kept[-1] if self._kept else {}
        if part.keys() == last.keys() == {"text"}:
            last["text"] += part["text"]
        elif part and part != {"text": ""}:
            self._kept.append(dict(part))

    def _blocked(self, feedback: Mapping[str, Any]) -> None:
        if reason := feedback.get("blockReason"):
            text = feedback.get("blockReasonMessage") or f"Gemini refused the prompt ({reason})"
            raise ModelFailed(failures.clean(str(text)), kind="client", provider_code=str(reason))

    def _finish(self) -> Finished:
        self.done = True
        reason = _REASONS.get(self._reason, "stop")
        wanted = any(part.keys() - {"text"} for part in self._kept)
        return Finished(
            "tool_calls" if self._calls and reason == "stop" else reason,
            usage(self._usage) if self._usage and self._spec.track_usage else None,
            self._model,
            thought_signature=self._signature,
            replay=replay.keep(self._kept, self._spec, DIALECT) if wanted else (),
        )


def usage(raw: Mapping[str, Any]) -> Usage:
    """Tokens, as this API counts them: what it read holds the cached ones, what it wrote leaves out its thoughts."""

    def count(key: str) -> int:
        value = raw.get(key)
        return int(value) if isinstance(value, int | float) else 0

    cached, thoughts = count("cachedContentTokenCount"), count("thoughtsTokenCount")
    return Usage(
        input=max(count("promptTokenCount") + count("toolUsePromptTokenCount") - cached, 0),
        output=count("candidatesTokenCount") + thoughts,
        cached_input=cached,
        reasoning=thoughts,
    )
