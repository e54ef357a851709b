"""A scripted, deterministic fake of five model APIs on loopback (standard library only).

  Anthropic Messages     POST /v1/messages
  OpenAI Chat            POST /v1/chat/completions
  OpenAI Responses       POST /v1/responses
  Gemini                 POST /v1beta/models/M:generateContent, :streamGenerateContent, :countTokens
  Bedrock Converse       POST /model/M/converse-stream
  vectors                POST /embeddings, :batchEmbedContents, :predict, /model/M/invoke
  Docker Model Runner    POST /engines/_configure
  model list             GET  /v1/models
  for tests              GET  /__requests (what came in), POST /__reset (forget it, and let go of what hangs)

The "model" obeys directives found in the LAST user text of the conversation, in order; each tool
directive waits for the results of the one before:

  [[tool NAME {"json": "args"}]]   call a tool (NAME may be A|B|C: the first that is offered)
  [[tools a {..} | b {..}]]        several calls in one answer
  [[say TEXT]] [[think TEXT]]      text before the calls, or the final text; reasoning
  [[sleep 1.5]] [[drip 0.2]]       pause before this answer; between chunks of text
  [[status 429]] [[status 529 2]]  this HTTP status (only the first N times until a reset)
  [[after 7]]                      with a Retry-After of so many seconds
  [[overflow]]                     the complaint that the context is too long
  [[cut]] [[cut 1]]                the line is cut in the middle of the stream (only the first N times)
  [[hang]] [[mute]]                silence in mid-stream; silence before the first byte
  [[hold 3]]                       silence after three pieces of text, until a test lets it go on
  [[trouble overloaded_error]]     an error inside the stream
  [[bytes]]                        every byte of the stream in a packet of its own
  [[empty]]                        an answer that says nothing
  [[stop max_tokens]]              the finish reason, in the dialect's own words
  [[usage IN OUT CACHED]]          tokens; IN includes CACHED where the dialect has it so

Where no user has any, those of the system messages count: so an agent's instruction can be its script.
A test can also say what is meant by a user's text that reads like a person's (FakeLLM.cues).
No directive: it echoes.  Requests for titles and summaries obey none and get TITLE and SUMMARY.
A model called NAME-window-4000 (OpenAI Chat) counts what it reads, and refuses more than that.
Run: python tests/fakes/llm.py --port 0   (prints "listening on PORT")
"""

import argparse
import json
import re
import select
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TITLE = "A fake title"
SUMMARY = "A fake summary."
SIZES = {"text-embedding-3-large": 3072, "ai/mxbai-embed-large": 1024}
"""How many numbers a vector of these models has; those of others have four."""

_WORDS = "tool|tools|say|think|sleep|drip|status|after|overflow|cut|hang|hold|mute|trouble|bytes|empty|stop|usage"
_DIRECTIVE = re.compile(rf"\[\[({_WORDS})\b\s*(.*?)\]\](?!\])", re.S)
_OVERFLOW = {
    "anthropic": "prompt is too long: 250000 tokens > 200000 maximum",
    "bedrock": "Input is too long for requested model.",
    "chat": "This model's maximum context length is 128000 tokens. However, your messages resulted in 150000 tokens.",
    "gemini": "The input token count exceeds the maximum number of tokens allowed.",
    "responses": "Your input exceeds the context window of this model. Please reduce the length of the input.",
}
_TYPES = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error"}
_TYPES |= {429: "rate_limit_error", 529: "overloaded_error"}
_STATES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}
_ROUTING = {"complexity_reasoning": "simple", "complexity_score": 1, "reasoning": "fake", "model_choice": "flash"}

Turn = tuple[str, str]  # user, assistant or tool; what it said


@dataclass
class Plan:
    """What to answer now."""

    text: str = ""
    think: str = ""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    sleep: float = 0.0
    drip: float = 0.0
    status: int = 0
    after: str = "0"
    overflow: bool = False
    cut: bool = False
    hang: bool = False
    hold: int = 0
    mute: bool = False
    trouble: str = ""
    bytewise: bool = False
    stop: str = ""
    usage: tuple[int, int, int] = (11, 7, 0)


class State:
    """What one fake remembers, until it is reset."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.cues: dict[str, str] = {}
        self.title = TITLE
        self.going_on = threading.Semaphore(0)
        self.reset()

    def reset(self) -> None:
        with self.lock:
            self.requests: list[dict[str, Any]] = []
            self.used: dict[str, int] = {}
            getattr(self, "let_go", threading.Event()).set()
            self.let_go = threading.Event()

    def count(self, key: str) -> int:
        """How often this was asked, this time included."""
        with self.lock:
            self.used[key] = self.used.get(key, 0) + 1
            return self.used[key]


def plan(turns: list[Turn], tools: list[str], state: State, key: str) -> Plan:
    """Read the script, and find the place in it."""
    start = _start(turns)
    prompt = turns[start][1] if turns else ""
    results = [text for role, text in turns[start:] if role == "tool"]
    directives = _DIRECTIVE.findall(prompt)
    out = Plan()
    if not directives:
        said = prompt.strip()[-200:]
        out.text = f"tool said: {results[-1][:400]}" if results else f"fake reply to: {said}"
        return out
    done, seen, empty = _steps(turns[start:]), 0, False
    for kind, raw in directives:
        argument = raw.strip()
        if kind in ("tool", "tools"):
            if seen == done:
                out.calls = _calls(argument, tools)
                return out
            seen, out, empty = seen + 1, Plan(drip=out.drip, bytewise=out.bytewise, usage=out.usage), False
        elif kind == "status":
            code, _, times = argument.partition(" ")
            if state.count(key + argument) <= int(times or 10**9):
                out.status = int(code)
        elif kind == "cut":
            out.cut = state.count(key + kind + argument) <= int(argument or 10**9)
        elif kind == "empty":
            empty = True
        else:
            _set(out, kind, argument)
    if not out.text and not empty:
        out.text = f"tool said: {results[-1][:400].strip()}" if results else "done"
    return out


def instructed(turns: list[Turn], system: str) -> list[Turn]:
    """The turns, where the people have no script and the system messages have one, with that in the first."""
    said = [(role, text) for role, text in turns if role == "user"]
    if not said or not _DIRECTIVE.search(system) or any(_DIRECTIVE.search(text) for _, text in said):
        return turns
    first = turns.index(said[0])
    return [*turns[:first], ("user", system), *turns[first + 1 :]]


def cued(turns: list[Turn], cues: Mapping[str, str]) -> list[Turn]:
    """The turns, with what a test means by the users' texts in their places."""
    return [(role, cues.get(text.strip(), text) if role == "user" else text) for role, text in turns]


def _set(out: Plan, kind: str, argument: str) -> None:
    match kind:
        case "say":
            out.text = f"{out.text} {argument}".strip()
        case "think" | "stop" | "after" | "trouble":
            setattr(out, kind, argument or "api_error")
        case "sleep" | "drip":
            setattr(out, kind, float(argument))
        case "bytes":
            out.bytewise = True
        case "usage":
            numbers = [int(number) for number in argument.split()]
            out.usage = (numbers[0], numbers[1], numbers[2] if len(numbers) > 2 else 0)
        case "hold":
            out.hold = int(argument)
        case _:
            setattr(out, kind, True)


def _start(turns: list[Turn]) -> int:
    """The turn that holds the script: the last with directives, unless a plain one came after an answer."""
    spoken = [i for i, (role, text) in enumerate(turns) if role == "user" and text.strip()]
    scripted = [i for i in spoken if _DIRECTIVE.search(turns[i][1])]
    last = spoken[-1] if spoken else 0
    if not scripted:
        return last
    start = scripted[-1]
    answered = any(role == "assistant" for role, _ in turns[start + 1 :])
    return last if last > start and answered and turns[-1][0] == "user" else start


def _steps(turns: list[Turn]) -> int:
    """How many rounds of tool calls have their results."""
    roles = [role for role, _ in turns]
    return sum(1 for i, role in enumerate(roles) if role == "tool" and (i == 0 or roles[i - 1] != "tool"))


def _calls(argument: str, tools: list[str]) -> list[tuple[str, dict[str, Any]]]:
    calls, rest, decoder = [], argument, json.JSONDecoder()
    while rest:
        match = re.match(r"([\w.:/|-]+)\s*", rest)
        if match is None:
            raise ValueError(f"no tool in {rest!r}")
        names, rest = match[1].strip("|").split("|"), rest[match.end() :]
        given: dict[str, Any] = {}
        if rest.startswith("{"):
            given, end = decoder.raw_decode(rest)
            rest = rest[end:]
        calls.append((next((name for name in names if not tools or name in tools), names[0]), given))
        rest = rest.lstrip().removeprefix("|").lstrip()
    return calls


def text_of(content: Any) -> str:
    """All text of a message's content; of several scripts the newest."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else ""
    parts = [part if isinstance(part, str) else part.get("text") or "" for part in content]
    scripted = [part for part in parts if _DIRECTIVE.search(part)]
    return scripted[-1] if scripted else "\n".join(part for part in parts if part)


def tokens(text: str) -> int:
    """About how many it has."""
    return len(text) // 4


def chunks(text: str, size: int = 12) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)] or [""]


class Gone(Exception):
    """The client has left, or is to be left."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Server"
    number = 0
    record: dict[str, Any]
    bytewise = False
    window = 0

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        state, path = self.server.state, self.path.split("?")[0].rstrip("/")
        if path == "/__requests":
            with state.lock:
                return self.json(list(state.requests))
        if path.endswith("/models"):
            names = ("fake-model", "claude-fake-1")
            return self.json({"object": "list", "data": [{"id": name, "object": "model"} for name in names]})
        return self.json({"status": "ok", "fake": True})

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = self.path.split("?")[0]
        if path == "/__reset":
            self.server.state.reset()
            return self.json({})
        routes: dict[str, Callable[[dict[str, Any]], None]] = {
            "/messages": self.anthropic,
            "/chat/completions": self.chat,
            "/responses": self.items,
            ":generateContent": self.contents,
            ":streamGenerateContent": self.contents,
            ":countTokens": lambda _: self.json({"totalTokens": 10}),
            "/converse-stream": self.converse,
            "/_configure": lambda _: self.json({}, 202),
            **dict.fromkeys(("/embeddings", ":batchEmbedContents", ":predict", "/invoke"), self.vectors),
        }
        route = next((route for end, route in routes.items() if path.endswith(end)), None)
        body = json.loads(data or b"{}")
        self._remember(path, body)
        if route is None:
            return self.json({"error": {"type": "not_found_error", "message": f"no route {path}"}}, 404)
        try:
            return route(body)
        except (Gone, OSError):
            self.record["dropped"] = True
            self.close_connection = True

    def _remember(self, path: str, body: Any) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.record = {"method": self.command, "path": path, "headers": headers, "body": body}
        self.record |= {"dropped": False, "client": self.client_address[1]}
        with self.server.state.lock:
            self.server.state.requests.append(self.record)
            self.number = len(self.server.state.requests)
        self.record["n"] = self.number

    # -- plumbing

    def json(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)

    def begin(self, kind: str = "text/event-stream; charset=utf-8") -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def raw(self, data: bytes) -> None:
        for piece in [data[i : i + 1] for i in range(len(data))] if self.bytewise else [data]:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()

    def sse(self, value: Any, event: str = "") -> None:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        self.raw((f"event: {event}\n" if event else "").encode() + f"data: {text}\n\n".encode())

    def close(self) -> None:
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def wait_for_the_end(self) -> None:
        """Be silent until the client leaves, or a reset."""
        let_go = self.server.state.let_go
        while not let_go.is_set():
            ready, _, _ = select.select([self.connection], [], [], 0.05)
            if ready and not self.connection.recv(1, socket.MSG_PEEK):
                break
        raise Gone

    def wait_for_a_word(self) -> None:
        """Be silent until a test says to go on, or the client leaves."""
        while not self.server.state.going_on.acquire(timeout=0.02):
            ready, _, _ = select.select([self.connection], [], [], 0)
            if ready and not self.connection.recv(1, socket.MSG_PEEK):
                raise Gone

    def planned(self, key: str, turns: list[Turn], tools: list[str], *, aside: str, size: int = 0) -> Plan | None:
        """The plan, unless it was to refuse, which is done then; `size` is what was read, where that counts."""
        state = self.server.state
        if aside:
            out = Plan(state.title if aside == TITLE else aside)
        else:
            out = plan(cued(turns, state.cues), tools, state, key)
        if size:
            out.overflow, out.usage = size > self.window, (size, tokens(out.text) + 1, 0)
        self.bytewise = out.bytewise
        time.sleep(out.sleep)
        if out.mute:
            self.wait_for_the_end()
        if out.overflow or out.status:
            status = out.status or 400
            message = _OVERFLOW[key] if out.overflow else f"fake {status}"
            error = {"message": message, "type": _TYPES.get(status, "api_error"), "code": None}
            if key == "gemini":
                error = {"code": status, "message": message, "status": _STATES.get(status, "INTERNAL")}
            if key == "bedrock":
                self.json({"message": message}, status, {"retry-after": out.after} if status in (429, 503) else None)
                return None
            wrapped = {"type": "error", "error": error} if key == "anthropic" else {"error": error}
            self.json(wrapped, status, {"retry-after": out.after} if status in (429, 503, 529) else None)
            return None
        return out

    def interrupt(self, out: Plan, tell: Callable[[], None]) -> None:
        """What may happen after the first piece of text."""
        if out.hang:
            self.wait_for_the_end()
        out.hold -= 1
        if out.hold == 0:
            self.wait_for_a_word()
        if out.cut:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            raise Gone
        if out.trouble:
            tell()
            self.close()
            raise Gone

    # -- Anthropic

    def anthropic(self, body: dict[str, Any]) -> None:
        turns: list[Turn] = []
        for message in body.get("messages", []):
            content = message.get("content")
            parts = content if isinstance(content, list) else []
            turns += [("tool", text_of(p.get("content"))) for p in parts if p.get("type") == "tool_result"]
            said = text_of([p for p in parts if p.get("type") != "tool_result"] if parts else content)
            if said or message["role"] == "assistant":
                turns.append((message["role"], said))
        tools = [tool.get("name") for tool in body.get("tools") or []]
        system = text_of(body.get("system"))
        out = self.planned("anthropic", turns, tools, aside=_aside(body, system, tools))
        if out is None:
            return None
        blocks: list[dict[str, Any]] = []
        if out.think:
            blocks.append({"type": "thinking", "thinking": out.think, "signature": "ZmFrZQ=="})
        if out.text:
            blocks.append({"type": "text", "text": out.text})
        for i, (name, given) in enumerate(out.calls):
            blocks.append({"type": "tool_use", "id": f"toolu_{self.number:04}_{i}", "name": name, "input": given})
        stop = out.stop or ("tool_use" if out.calls else "end_turn")
        given, said_tokens, cached = out.usage
        usage = {"input_tokens": given - cached, "cache_creation_input_tokens": 0}
        usage |= {"cache_read_input_tokens": cached, "output_tokens": said_tokens}
        message = {"id": f"msg_{self.number:04}", "type": "message", "role": "assistant", "model": body.get("model")}
        message |= {"content": blocks, "stop_reason": stop, "stop_sequence": None, "usage": usage}
        if not body.get("stream"):
            return self.json(message)
        return self._anthropic_stream(out, message)

    def _anthropic_stream(self, out: Plan, message: dict[str, Any]) -> None:
        def send(type: str, **more: Any) -> None:
            self.sse({"type": type, **more}, type)

        def trouble() -> None:
            send("error", error={"type": out.trouble, "message": f"fake {out.trouble}"})

        blocks, usage = message["content"], message["usage"]
        started = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
        self.begin()
        send("message_start", message=started)
        send("ping")
        for i, block in enumerate(blocks):
            kind = block["type"]
            empty = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}
            send("content_block_start", index=i, content_block={**block, **empty[kind]})
            for delta in _anthropic_deltas(block):
                if kind == "text":
                    time.sleep(out.drip)
                send("content_block_delta", index=i, delta=delta)
                if kind == "text":
                    self.interrupt(out, trouble)
            send("content_block_stop", index=i)
        stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
        send("message_delta", delta=stop, usage=usage)
        send("message_stop")
        self.close()

    # -- OpenAI Chat Completions

    def chat(self, body: dict[str, Any]) -> None:
        messages = body.get("messages", [])
        turns = [(m["role"], text_of(m.get("content"))) for m in messages if m["role"] in ("user", "assistant", "tool")]
        tools = [tool.get("function", {}).get("name") for tool in body.get("tools") or []]
        system = "\n".join(text_of(m.get("content")) for m in messages if m["role"] in ("system", "developer"))
        self.window = int(str(body.get("model")).partition("-window-")[2] or 0)
        size = tokens(json.dumps([messages, body.get("tools")])) if self.window else 0
        out = self.planned("chat", instructed(turns, system), tools, aside=_aside(body, system, tools), size=size)
        if out is None:
            return None
        stop = out.stop or ("tool_calls" if out.calls else "stop")
        given, said, cached = out.usage
        usage = {"prompt_tokens": given, "completion_tokens": said, "total_tokens": given + said}
        usage |= {"prompt_tokens_details": {"cached_tokens": cached}}
        usage |= {"completion_tokens_details": {"reasoning_tokens": 0}}
        calls = [
            {
                "id": f"call_{self.number:04}_{i}",
                "type": "function",
                "function": {"name": n, "arguments": json.dumps(a)},
            }
            for i, (n, a) in enumerate(out.calls)
        ]
        base = {"id": f"chatcmpl-{self.number:04}", "created": 1, "model": body.get("model")}
        if not body.get("stream"):
            message = {"role": "assistant", "content": out.text or None, **({"tool_calls": calls} if calls else {})}
            choice = {"index": 0, "message": message, "finish_reason": stop}
            return self.json({**base, "object": "chat.completion", "choices": [choice], "usage": usage})
        self._chat_stream(out, base, calls, stop)
        return self._chat_end(body, base, usage)

    def _chat_end(self, body: dict[str, Any], base: dict[str, Any], usage: dict[str, Any]) -> None:
        if (body.get("stream_options") or {}).get("include_usage"):
            self.sse({**base, "object": "chat.completion.chunk", "choices": [], "usage": usage})
        self.sse("[DONE]")
        self.close()

    def _chat_stream(self, out: Plan, base: dict[str, Any], calls: list[dict[str, Any]], stop: str) -> None:
        def send(delta: dict[str, Any], finish: str | None = None) -> None:
            choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
            self.sse({**base, "object": "chat.completion.chunk", "choices": [choice]})

        def trouble() -> None:
            self.sse({"error": {"type": out.trouble, "message": f"fake {out.trouble}", "code": None}})

        self.begin()
        send({"role": "assistant", "content": ""})
        for piece in chunks(out.think) if out.think else ():
            send({"reasoning_content": piece})
        for piece in chunks(out.text) if out.text else ():
            time.sleep(out.drip)
            send({"content": piece})
            self.interrupt(out, trouble)
        for i, call in enumerate(calls):
            function = call["function"]
            head = {"index": i, "id": call["id"], "type": "function"}
            send({"tool_calls": [{**head, "function": {"name": function["name"], "arguments": ""}}]})
            for piece in chunks(function["arguments"]):
                send({"tool_calls": [{"index": i, "function": {"arguments": piece}}]})
        send({}, stop)

    # -- Gemini

    def contents(self, body: dict[str, Any]) -> None:
        config = body.get("generationConfig") or {}
        tools = [f.get("name") for tool in body.get("tools") or [] for f in tool.get("functionDeclarations", [])]
        if config.get("responseMimeType") == "application/json":  # the CLI asks which model fits
            out: Plan | None = Plan(json.dumps({**_ROUTING, "next_speaker": "user"}))
        else:
            system = text_of((body.get("systemInstruction") or {}).get("parts"))
            aside = _aside({"max_tokens": config.get("maxOutputTokens")}, system, tools)
            aside = aside if ":stream" in self.path else ""
            out = self.planned("gemini", _gemini_turns(body.get("contents") or []), tools, aside=aside)
        if out is None:
            return None
        given, said, cached = out.usage
        usage = {"promptTokenCount": given, "candidatesTokenCount": said, "totalTokenCount": given + said}
        usage |= {"cachedContentTokenCount": cached} if cached else {}
        if ":stream" not in self.path:
            return self.json(self._candidate(_gemini_parts(out, self.number), usage, out.stop or "STOP"))
        self.begin()
        parts = _gemini_parts(out, self.number)
        for i, part in enumerate(parts):
            spoken = "text" in part and not part.get("thought")
            time.sleep(out.drip if spoken else 0)
            last = i == len(parts) - 1 and not out.trouble
            self.sse(self._candidate([part], usage, (out.stop or "STOP") if last else ""))
            if spoken:
                self.interrupt(out, lambda: self.sse({"error": {"code": 500, "message": f"fake {out.trouble}"}}))
        return self.close()

    def _candidate(self, parts: list[dict[str, Any]], usage: dict[str, Any], finish: str) -> dict[str, Any]:
        candidate = {"content": {"role": "model", "parts": parts}, "index": 0}
        candidate |= {"finishReason": finish} if finish else {}
        model = self.path.rpartition("/")[2].partition(":")[0]
        name = {"modelVersion": model, "responseId": f"fake{self.number:04}"}
        return {"candidates": [candidate], "usageMetadata": usage, **name}

    # -- Bedrock

    def converse(self, body: dict[str, Any]) -> None:
        turns: list[Turn] = []
        for message in body.get("messages", []):
            results = [block["toolResult"] for block in message["content"] if "toolResult" in block]
            turns += [("tool", text_of(result["content"])) for result in results]
            said = text_of(message["content"])
            if said or message["role"] == "assistant":
                turns.append((message["role"], said))
        tools = [
            tool["toolSpec"]["name"] for tool in (body.get("toolConfig") or {}).get("tools", []) if "toolSpec" in tool
        ]
        most = (body.get("inferenceConfig") or {}).get("maxTokens")
        aside = _aside({"max_tokens": most}, text_of(body.get("system")), tools)
        out = self.planned("bedrock", turns, tools, aside=aside)
        if out is None:
            return
        self.begin("application/vnd.amazon.eventstream")
        self._frame("messageStart", {"role": "assistant"})
        for i, block in enumerate(_converse_blocks(out, self.number)):
            self._converse_block(out, i, block)
        given, said_tokens, cached = out.usage
        self._frame("messageStop", {"stopReason": out.stop or ("tool_use" if out.calls else "end_turn")})
        usage = {"inputTokens": given - cached, "outputTokens": said_tokens, "totalTokens": given + said_tokens}
        usage |= {"cacheReadInputTokens": cached, "cacheWriteInputTokens": 0}
        self._frame("metadata", {"usage": usage, "metrics": {"latencyMs": 1}})
        self.close()

    def _converse_block(self, out: Plan, place: int, block: dict[str, Any]) -> None:
        def trouble() -> None:
            self._frame("serviceUnavailableException", {"message": f"fake {out.trouble}"}, kind="exception")

        if "start" in block:
            self._frame("contentBlockStart", {"start": block["start"], "contentBlockIndex": place})
        for delta in block["deltas"]:
            if "text" in delta:
                time.sleep(out.drip)
            self._frame("contentBlockDelta", {"delta": delta, "contentBlockIndex": place})
            if "text" in delta:
                self.interrupt(out, trouble)
        self._frame("contentBlockStop", {"contentBlockIndex": place})

    def _frame(self, name: str, payload: dict[str, Any], kind: str = "event") -> None:
        headers = {":message-type": kind, f":{kind}-type": name, ":content-type": "application/json"}
        named = b"".join(
            bytes([len(key)]) + key.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
            for key, value in headers.items()
        )
        data = json.dumps(payload, ensure_ascii=False).encode()
        start = struct.pack(">II", 16 + len(named) + len(data), len(named))
        whole = start + struct.pack(">I", zlib.crc32(start)) + named + data
        self.raw(whole + struct.pack(">I", zlib.crc32(whole)))

    # -- vectors

    def vectors(self, body: dict[str, Any]) -> None:
        path = self.path.partition("?")[0]
        if path.endswith("/embeddings"):
            texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
            found = [vector(text, SIZES.get(body["model"], 4)) for text in texts]
            data = [{"object": "embedding", "index": i, "embedding": one} for i, one in enumerate(found)]
            return self.json({"object": "list", "data": data[::-1], "model": body["model"], "usage": {}})
        if path.endswith(":batchEmbedContents"):
            texts = [text_of(request["content"]["parts"]) for request in body["requests"]]
            return self.json({"embeddings": [{"values": vector(text)} for text in texts]})
        if path.endswith(":predict"):
            found = [{"embeddings": {"values": vector(one["content"])}} for one in body["instances"]]
            return self.json({"predictions": found})
        if "texts" in body:
            return self.json({"embeddings": {"float": [vector(text) for text in body["texts"]]}})
        return self.json({"embedding": vector(body["inputText"]), "inputTextTokenCount": 1})

    # -- OpenAI Responses

    def items(self, body: dict[str, Any]) -> None:
        given = body.get("input")
        items = [{"role": "user", "content": given}] if isinstance(given, str) else given or []
        turns: list[Turn] = []
        for item in items:
            kind = item.get("type", "message")
            if kind == "message" and item.get("role") in ("user", "assistant"):
                turns.append((item["role"], text_of(item.get("content"))))
            elif kind == "function_call":
                turns.append(("assistant", ""))
            elif kind.endswith("_output"):
                output = item.get("output")
                turns.append(("tool", text_of(output)))
        turns = _results_together(turns)
        tools = [tool.get("name") for tool in body.get("tools") or []]
        out = self.planned("responses", turns, tools, aside=_aside(body, body.get("instructions") or "", tools))
        if out is None:
            return None
        answer = self._response(out, body)
        if not body.get("stream"):
            return self.json(answer)
        return self._responses_stream(out, answer)

    def _response(self, out: Plan, body: dict[str, Any]) -> dict[str, Any]:
        n, items = f"{self.number:04}", list[dict[str, Any]]()
        if out.think:
            summary = [{"type": "summary_text", "text": out.think}]
            items.append({"type": "reasoning", "id": f"rs_{n}", "summary": summary, "encrypted_content": f"enc-{n}"})
        if out.text:
            content = [{"type": "output_text", "text": out.text, "annotations": []}]
            items.append({"type": "message", "id": f"msg_{n}", "role": "assistant", "content": content})
        for i, (name, given) in enumerate(out.calls):
            call = {"type": "function_call", "id": f"fc_{n}_{i}", "call_id": f"call_{n}_{i}", "name": name}
            items.append({**call, "arguments": json.dumps(given)})
        asked, said, cached = out.usage
        usage = {"input_tokens": asked, "input_tokens_details": {"cached_tokens": cached}, "output_tokens": said}
        usage |= {"output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": asked + said}
        answer = {"id": f"resp_{n}", "object": "response", "created_at": 1, "model": body.get("model")}
        answer |= {"status": "completed", "output": [{**item, "status": "completed"} for item in items]}
        answer |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": usage, "error": None}
        stop = {"reason": out.stop} if out.stop else None
        answer |= {"incomplete_details": stop, "instructions": None, "metadata": {}}
        return answer | ({"status": "incomplete"} if out.stop else {})

    def _responses_stream(self, out: Plan, answer: dict[str, Any]) -> None:
        number = iter(range(10**6))

        def send(type: str, **more: Any) -> None:
            self.sse({"type": type, "sequence_number": next(number), **more}, type)

        def trouble() -> None:
            send("error", code=out.trouble, message=f"fake {out.trouble}", param=None)

        begun = {**answer, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
        self.begin()
        send("response.created", response=begun)
        send("response.in_progress", response=begun)
        for i, item in enumerate(answer["output"]):
            for kind, more in _responses_deltas(item):
                if kind == "response.output_text.delta":
                    time.sleep(out.drip)
                send(kind, output_index=i, **more)
                if kind == "response.output_text.delta":
                    self.interrupt(out, trouble)
        send("response.incomplete" if out.stop else "response.completed", response=answer)
        self.close()


def _anthropic_deltas(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    match block["type"]:
        case "text":
            yield from ({"type": "text_delta", "text": piece} for piece in chunks(block["text"]))
        case "thinking":
            yield from ({"type": "thinking_delta", "thinking": piece} for piece in chunks(block["thinking"]))
            yield {"type": "signature_delta", "signature": block["signature"]}
        case _:
            text = json.dumps(block["input"])
            yield from ({"type": "input_json_delta", "partial_json": piece} for piece in chunks(text))


def _responses_deltas(item: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    item_id, added, done = item["id"], "response.output_item.added", "response.output_item.done"
    match item["type"]:
        case "message":
            part = item["content"][0]
            place = {"item_id": item_id, "content_index": 0}
            yield added, {"item": {**item, "status": "in_progress", "content": []}}
            yield "response.content_part.added", {**place, "part": {**part, "text": ""}}
            for piece in chunks(part["text"]):
                yield "response.output_text.delta", {**place, "delta": piece, "logprobs": []}
            yield "response.output_text.done", {**place, "text": part["text"], "logprobs": []}
            yield "response.content_part.done", {**place, "part": part}
        case "reasoning":
            part = item["summary"][0]
            place = {"item_id": item_id, "summary_index": 0}
            yield added, {"item": {**item, "summary": []}}
            yield "response.reasoning_summary_part.added", {**place, "part": {**part, "text": ""}}
            for piece in chunks(part["text"]):
                yield "response.reasoning_summary_text.delta", {**place, "delta": piece}
            yield "response.reasoning_summary_text.done", {**place, "text": part["text"]}
            yield "response.reasoning_summary_part.done", {**place, "part": part}
        case _:
            yield added, {"item": {**item, "status": "in_progress", "arguments": ""}}
            for piece in chunks(item["arguments"]):
                yield "response.function_call_arguments.delta", {"item_id": item_id, "delta": piece}
            whole = {"item_id": item_id, "arguments": item["arguments"], "name": item["name"]}
            yield "response.function_call_arguments.done", whole
    yield done, {"item": item}


def _results_together(turns: list[Turn]) -> list[Turn]:
    """Neighbouring assistant items are one answer."""
    return [turn for i, turn in enumerate(turns) if not (turn == ("assistant", "") and turns[i - 1][0] == "assistant")]


def _gemini_parts(out: Plan, number: int) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [{"text": out.think, "thought": True}] if out.think else []
    parts += [{"text": piece} for piece in chunks(out.text)] if out.text else []
    for i, (name, given) in enumerate(out.calls):
        call = {"id": f"fc_{number:04}_{i}", "name": name, "args": given}
        parts.append({"functionCall": call, "thoughtSignature": "ZmFrZQ=="})
    return parts or [{"text": ""}]


def _converse_blocks(out: Plan, number: int) -> Iterator[dict[str, Any]]:
    if out.think:
        thoughts = [{"reasoningContent": {"text": piece}} for piece in chunks(out.think)]
        yield {"deltas": [*thoughts, {"reasoningContent": {"signature": "ZmFrZQ=="}}]}
    if out.text:
        yield {"deltas": [{"text": piece} for piece in chunks(out.text)]}
    for i, (name, given) in enumerate(out.calls):
        start = {"toolUse": {"toolUseId": f"tooluse_{number:04}_{i}", "name": name}}
        yield {"start": start, "deltas": [{"toolUse": {"input": piece}} for piece in chunks(json.dumps(given))]}


def vector(text: str, size: int = 4) -> list[float]:
    """The same numbers for the same text, and others for another."""
    return [zlib.crc32(f"{i}{text}".encode()) / 2**32 for i in range(size)]


def _gemini_turns(contents: list[dict[str, Any]]) -> list[Turn]:
    turns: list[Turn] = []
    for message in contents:
        parts = message.get("parts", [])
        results = [part["functionResponse"].get("response") for part in parts if "functionResponse" in part]
        turns += [("tool", json.dumps(result)) for result in results]
        said = text_of(parts)
        if said or message.get("role") == "model":
            turns.append(("assistant" if message.get("role") == "model" else "user", said))
    return turns


def _aside(body: dict[str, Any], system: str, tools: list[str]) -> str:
    """What is said where a title or a summary is asked for: little room and no tools, or a prompt that says so."""
    if system.startswith("You keep the memory of"):
        return SUMMARY
    if tools:
        return ""
    most = next((body[k] for k in ("max_tokens", "max_completion_tokens", "max_output_tokens") if body.get(k)), 10**9)
    titled = most <= 20 or "generate a title" in system.lower() or "session title" in system.lower()
    return TITLE if titled else ""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.state = State()


class FakeLLM:
    """A running fake."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.url = f"http://127.0.0.1:{server.server_address[1]}"

    @property
    def requests(self) -> list[dict[str, Any]]:
        """What came in: method, path, headers, body, and whether the client left before the end."""
        with self._server.state.lock:
            return list(self._server.state.requests)

    @property
    def cues(self) -> dict[str, str]:
        """The directives that are meant by a user's text."""
        return self._server.state.cues

    def entitle(self, title: str) -> None:
        """Answer so when a title is asked for."""
        self._server.state.title = title

    def go_on(self) -> None:
        """Let an answer that is held go on."""
        self._server.state.going_on.release()

    def reset(self) -> None:
        """Forget requests and counters, and let go of what hangs."""
        self._server.state.reset()


@contextmanager
def serve(port: int = 0) -> Iterator[FakeLLM]:
    """A fake in a thread, for as long as the block is open."""
    server = Server(port)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="fake-llm", daemon=True)
    thread.start()
    try:
        yield FakeLLM(server)
    finally:
        server.state.reset()
        server.shutdown()
        server.server_close()
        thread.join()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    server = Server(parser.parse_args().port)
    print("listening on", server.server_address[1], flush=True)
    server.serve_forever()
