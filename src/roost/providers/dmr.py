"""Docker Model Runner: models on this machine, behind OpenAI's chat format, set up before they are first asked."""

import logging
import shutil
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import anyio
import msgspec

from roost.core.agents import ModelSpec
from roost.core.errors import ModelFailed
from roost.core.messages import Definition
from roost.core.usage import Price
from roost.ports import ModelRequest, Piece, Provider
from roost.providers import commands, prices, thinking
from roost.providers.dialects import Remote
from roost.providers.http import Http, Timeouts, open_http
from roost.providers.openai import Chat
from roost.providers.parts import Files

log = logging.getLogger(__name__)

HOST = "MODEL_RUNNER_HOST"
USUAL = "http://127.0.0.1:12434/engines/v1/"
INSIDE = "http://model-runner.docker.internal/engines/v1/"  # of a container

_SETUP = Timeouts(connect=5.0, first_byte=10.0, idle=10.0)
_ASK = 5.0  # seconds for the Docker CLI
_MOST = 64 * 1024  # bytes of what it says
_LEAST = 256  # tokens of an answer without thoughts, since some templates think a little all the same
_FLAGS = {"temperature": "--temp", "top_p": "--top-p"}
_FLAGS |= {"frequency_penalty": "--frequency-penalty", "presence_penalty": "--presence-penalty"}
_LARGEST = 2**31 - 1


class RunnerChat(Chat):
    """Chat Completions as local engines want it: no two messages of one role in a row, thoughts off by the template."""

    def body(self, request: ModelRequest, files: Files) -> dict[str, Any]:
        """The request as JSON."""
        body = super().body(request, files)
        return {**body, "messages": merged(body["messages"])}

    def _limits(self, request: ModelRequest) -> dict[str, Any]:
        silent = not request.thinking or thinking.off(self._spec.thinking_budget)
        limits: dict[str, Any] = {"chat_template_kwargs": {"enable_thinking": False}} if silent else {}
        if (most := request.max_tokens or self._spec.max_tokens) is not None:
            limits["max_tokens"] = max(most, _LEAST) if silent else most
        return limits

    def _tool(self, tool: Definition) -> dict[str, Any]:
        return super()._tool(msgspec.structs.replace(tool, description=tool.description or f"Function {tool.name}"))


def merged(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Neighbours of one role as one message; calls and their results stay apart."""
    out: list[dict[str, Any]] = []
    for message in messages:
        last = out[-1] if out else {}
        plain = message.keys() == last.keys() == {"role", "content"}
        if plain and message["role"] == last["role"] and message["role"] != "tool":
            out[-1] = {"role": last["role"], "content": _together(last["content"], message["content"])}
        else:
            out.append(message)
    return out


def _together(one: Any, other: Any) -> Any:
    if isinstance(one, str) and isinstance(other, str):
        return f"{one}\n\n{other}"
    blocks = [[{"type": "text", "text": part}] if isinstance(part, str) else part or [] for part in (one, other)]
    return [*blocks[0], *blocks[1]]


class Runner:
    """The provider.  Where it is, is found when it is first asked; with `offline` nothing but the models is."""

    def __init__(self, spec: ModelSpec, http: Http, env: Mapping[str, str], *, offline: bool = False) -> None:
        self._spec = spec
        self._http = http
        self._env = env
        self._offline = offline
        self._lock = anyio.Lock()
        self._remote: Remote | None = None

    @property
    def spec(self) -> ModelSpec:
        """What it was made from."""
        return self._spec

    @property
    def takes_tools(self) -> bool:
        """It does."""
        return True

    @property
    def titles(self) -> bool:
        """It is."""
        return True

    @property
    def context_limit(self) -> int:
        """Tokens of its window: what it is set up with."""
        return prices.context_limit(self._spec)

    @property
    def output_limit(self) -> int:
        """What the file says."""
        return prices.output_limit(self._spec)

    @property
    def price(self) -> Price | None:
        """What the file says."""
        return self._spec.price

    def route(self, text: str) -> Provider:
        """Itself."""
        return self

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Piece, None]:
        """Ask, and yield what comes."""
        async with self._lock:
            if self._remote is None:
                self._remote = await self._found()
            remote = self._remote
        async with aclosing(remote.stream(request)) as pieces:
            async for piece in pieces:
                yield piece

    async def _found(self) -> Remote:
        base = await address(self._spec, self._env, ask=not self._offline)
        if not self._offline:
            await configure(self._spec, base)
        key = self._env.get(self._spec.token_key, "") if self._spec.token_key else ""
        return Remote(self._spec, self._http, base_url=base, key=key, speaks=RunnerChat(self._spec))


async def address(spec: ModelSpec, env: Mapping[str, str], *, ask: bool = True) -> str:
    """The base URL: the file's, the environment's, that of the Docker CLI, or the usual one."""
    if spec.base_url:
        return spec.base_url
    if host := env.get(HOST):
        return host.rstrip("/") + "/engines/v1/"
    if ask and (told := await _told(env)):
        return told
    return INSIDE if _contained() else USUAL


def _contained() -> bool:
    return Path("/.dockerenv").exists()


async def configure(spec: ModelSpec, base: str) -> None:
    """Tell the runner how the model is to be loaded.  Where it refuses, it goes on with what it has."""
    parts = urlsplit(base)
    path = parts.path.rstrip("/").removesuffix("/v1") + "/_configure"
    url = urlunsplit((parts.scheme, parts.netloc, path, "", ""))
    try:
        async with open_http(timeouts=_SETUP) as http:
            await http.post(url, {"content-type": "application/json"}, msgspec.json.encode(setup(spec)))
    except ModelFailed as error:
        told = {"action": "runner_not_configured"}
        log.warning("the model runner took no settings for %s: %s", spec.model, error, extra=told)


def setup(spec: ModelSpec) -> dict[str, Any]:
    """The settings of a model, as the runner takes them."""
    options = spec.options
    out: dict[str, Any] = {"model": spec.model}
    size = options.get("context_size") or spec.max_tokens
    if isinstance(size, int) and size > 0:
        out["context-size"] = min(size, _LARGEST)
    if flags := _flags(spec):
        out["runtime-flags"] = flags
    if raw := str(options.get("raw_runtime_flags") or "").strip():
        out["raw-runtime-flags"] = raw
    if draft := _draft(options):
        out["speculative"] = draft
    if (budget := spec.thinking_budget) is not None:
        out["llamacpp"] = {"reasoning-budget": thinking.tokens(budget)}
    out |= {name: options[name] for name in ("mode", "keep_alive") if options.get(name) is not None}
    return out


def _flags(spec: ModelSpec) -> list[str]:
    """Flags for the engine: the user's, and of the settings those that the user's leave open."""
    wish = spec.options.get("runtime_flags") or ()
    given = wish.replace(",", " ").split() if isinstance(wish, str) else [str(flag) for flag in wish]
    if spec.options.get("raw_runtime_flags"):
        return given
    named = {flag.partition("=")[0] for flag in given}
    derived = [(flag, getattr(spec, field)) for field, flag in _FLAGS.items() if flag not in named]
    return [word for flag, value in derived if value is not None for word in (flag, f"{value:g}")] + given


def _draft(options: Mapping[str, Any]) -> dict[str, Any]:
    names = {
        "speculative_draft_model": "draft_model",
        "speculative_num_tokens": "num_tokens",
        "speculative_acceptance_rate": "min_acceptance_rate",
    }
    return {theirs: options[ours] for ours, theirs in names.items() if options.get(ours) is not None}


async def _told(env: Mapping[str, str]) -> str:
    """Where the Docker CLI says that the runner is; "" where there is none, or it does not say."""
    program = shutil.which("docker", path=env.get("PATH", ""))
    if program is None:
        return ""
    try:
        code, said = await commands.output([program, "model", "status", "--json"], seconds=_ASK, most=_MOST, env=env)
        told = msgspec.json.decode(said).get("endpoint") if code == 0 else ""
    except (OSError, TimeoutError, msgspec.DecodeError, UnicodeDecodeError, AttributeError):
        return ""
    return told if isinstance(told, str) and told.startswith("http") else ""
