"""The official SDKs read the same streams, and agree with us."""

from collections.abc import Callable

import httpx2
import msgspec
import pytest

from fakes.llm import FakeLLM
from roost.core.agents import ModelSpec
from roost.core.messages import Definition, Message
from roost.core.usage import Usage
from roost.ports import CallPiece, Finished, ModelRequest, Piece, ReasoningPiece, TextPiece
from roost.providers.dialects import Remote
from roost.providers.http import open_http

anthropic = pytest.importorskip("anthropic")
openai = pytest.importorskip("openai")

pytestmark = pytest.mark.anyio

SCRIPTS = {
    "text": "[[usage 100 7 40]] [[say Grüße aus Zürich, 世界 🦉 and a good day]]",
    "reasoning": "[[think hm, hm, let me see]] [[say done]]",
    "calls": '[[think which?]] [[say let me]] [[tools weather {"city": "Zürich", "n": [1, 2.5]} | clock]]',
    "length": "[[stop {}]] [[say cut sho]]",
    "empty": "[[empty]]",
}
STOPS = {"openai-chat": "length", "openai-responses": "max_output_tokens", "anthropic": "max_tokens"}
TOOLS = (Definition("weather", description="w"), Definition("clock", description="c"))

Heard = tuple[str, str, list[tuple[str, str, object]], Usage]


class Replay:
    """Keeps the bytes of one real answer, and gives them to whoever asks next."""

    def __init__(self) -> None:
        self.body = b""
        self.request = httpx2.Request("GET", "http://none.test")

    async def record(self, request: httpx2.Request) -> httpx2.Response:
        async with httpx2.AsyncClient() as client:
            answer = await client.request(
                request.method, request.url, headers={"content-type": "application/json"}, content=request.content
            )
        self.request, self.body = request, answer.content
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=self.body)

    def client(self) -> httpx2.AsyncClient:
        def answer(request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=self.body)

        return httpx2.AsyncClient(transport=httpx2.MockTransport(answer))


def heard(pieces: list[Piece]) -> Heard:
    """What our pieces say."""
    calls: dict[int, list[str]] = {}
    for piece in pieces:
        if isinstance(piece, CallPiece):
            calls.setdefault(piece.index, [piece.id, piece.name, ""])[2] += piece.arguments
    last = pieces[-1]
    assert isinstance(last, Finished)
    assert last.usage is not None
    return (
        "".join(piece.text for piece in pieces if isinstance(piece, TextPiece)),
        "".join(piece.text for piece in pieces if isinstance(piece, ReasoningPiece)),
        [(call, name, msgspec.json.decode(arguments or "{}")) for call, name, arguments in calls.values()],
        last.usage,
    )


async def by_chat(replay: Replay, body: dict) -> Heard:
    client = openai.AsyncOpenAI(api_key="x", base_url="http://x.test/v1", http_client=replay.client(), max_retries=0)
    text, thought, calls, usage = "", "", dict[int, list[str]](), Usage()
    async for chunk in await client.chat.completions.create(**body):
        if chunk.usage:
            cached = chunk.usage.prompt_tokens_details.cached_tokens
            usage = Usage(chunk.usage.prompt_tokens - cached, chunk.usage.completion_tokens, cached)
        for choice in chunk.choices:
            text += choice.delta.content or ""
            thought += getattr(choice.delta, "reasoning_content", None) or ""
            for call in choice.delta.tool_calls or ():
                entry = calls.setdefault(call.index, [call.id, call.function.name, ""])
                entry[2] += call.function.arguments or ""
    return text, thought, [(call, name, msgspec.json.decode(raw)) for call, name, raw in calls.values()], usage


async def by_responses(replay: Replay, body: dict) -> Heard:
    client = openai.AsyncOpenAI(api_key="x", base_url="http://x.test/v1", http_client=replay.client(), max_retries=0)
    final = None
    async for event in await client.responses.create(**body):
        if event.type in ("response.completed", "response.incomplete"):
            final = event.response
    assert final is not None
    thoughts = [item.summary[0].text for item in final.output if item.type == "reasoning"]
    calls = [item for item in final.output if item.type == "function_call"]
    cached = final.usage.input_tokens_details.cached_tokens
    return (
        final.output_text,
        "".join(thoughts),
        [(call.call_id, call.name, msgspec.json.decode(call.arguments)) for call in calls],
        Usage(final.usage.input_tokens - cached, final.usage.output_tokens, cached),
    )


async def by_anthropic(replay: Replay, body: dict) -> Heard:
    client = anthropic.AsyncAnthropic(api_key="x", base_url="http://x.test", http_client=replay.client(), max_retries=0)
    given = {key: value for key, value in body.items() if key != "stream"}
    async with client.messages.stream(**given) as stream:
        message = await stream.get_final_message()
    kinds = {
        kind: [block for block in message.content if block.type == kind] for kind in ("text", "thinking", "tool_use")
    }
    return (
        "".join(block.text for block in kinds["text"]),
        "".join(block.thinking for block in kinds["thinking"]),
        [(block.id, block.name, block.input) for block in kinds["tool_use"]],
        Usage(message.usage.input_tokens, message.usage.output_tokens, message.usage.cache_read_input_tokens),
    )


ORACLES: dict[str, Callable] = {
    "openai-chat": by_chat,
    "openai-responses": by_responses,
    "anthropic": by_anthropic,
}


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("dialect", ORACLES)
async def test_the_official_sdk_hears_the_same(fake_llm: FakeLLM, dialect: str, script: str) -> None:
    model = "claude-sonnet-5-5" if dialect == "anthropic" else "fake-model"
    replay = Replay()
    async with open_http(httpx2.MockTransport(replay.record)) as http:
        provider = Remote(ModelSpec("m", "fake", model, dialect), http, base_url=f"{fake_llm.url}/v1")
        text = SCRIPTS[script].replace("{}", STOPS[dialect]) if script == "length" else SCRIPTS[script]
        pieces = [piece async for piece in provider.stream(ModelRequest((Message("user", text),), TOOLS))]
    body = msgspec.json.decode(replay.request.content)
    assert heard(pieces) == await ORACLES[dialect](replay, body)
