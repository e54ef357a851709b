"""The official SDKs read the same streams, and agree with us."""

from collections.abc import Callable, Iterator

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

pytestmark = pytest.mark.anyio

SCRIPTS = {
    "text": "[[usage 100 7 40]] [[say Grüße aus Zürich, 世界 🦉 and a good day]]",
    "reasoning": "[[think hm, hm, let me see]] [[say done]]",
    "calls": '[[think which?]] [[say let me]] [[tools weather {"city": "Zürich", "n": [1, 2.5]} | clock]]',
    "length": "[[stop {}]] [[say cut sho]]",
    "empty": "[[empty]]",
}
STOPS = {"openai-chat": "length", "openai-responses": "max_output_tokens", "anthropic": "max_tokens"}
STOPS |= {"bedrock": "max_tokens", "azure": "length"}
MODELS = {"anthropic": "claude-sonnet-5-5", "bedrock": "us.anthropic.claude-sonnet-4-5-20250929-v1:0"}
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
        kind = answer.headers["content-type"]
        return httpx2.Response(200, headers={"content-type": kind}, content=self.body)

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
    openai = pytest.importorskip("openai")
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
    openai = pytest.importorskip("openai")
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
    anthropic = pytest.importorskip("anthropic")
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


async def by_azure(replay: Replay, body: dict) -> Heard:
    """Azure's client goes to the same address as we do, and hears what OpenAI's does."""
    openai = pytest.importorskip("openai")
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=replay.body)

    client = openai.AsyncAzureOpenAI(
        api_key="sk-azure",
        azure_endpoint=f"http://{replay.request.url.host}:{replay.request.url.port}",
        api_version="2024-12-01-preview",
        http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(answer)),
        max_retries=0,
    )
    async for _ in await client.chat.completions.create(**body):
        pass
    assert str(asked[0].url) == str(replay.request.url)
    assert asked[0].headers["api-key"] == replay.request.headers["api-key"] == "sk-azure"
    return await by_chat(replay, body)


async def by_bedrock(replay: Replay, body: dict) -> Heard:
    """AWS's client sends the very body that we do, and hears the same."""
    session = pytest.importorskip("botocore.session").Session()
    session.set_credentials("AKID", "secret")
    client = session.create_client("bedrock-runtime", region_name="us-east-1", endpoint_url="http://x.test")
    sent: list[bytes] = []

    def answer(request, **_):
        sent.append(request.body)
        return Wired(request.url, replay.body)

    client.meta.events.register("before-send.bedrock-runtime.ConverseStream", answer)
    text, thought, calls, usage = "", "", dict[int, list[str]](), Usage()
    for event in client.converse_stream(modelId=MODELS["bedrock"], **body)["stream"]:
        if "metadata" in event:
            told = event["metadata"]["usage"]
            usage = Usage(told["inputTokens"], told["outputTokens"], told["cacheReadInputTokens"])
        if made := event.get("contentBlockStart", {}).get("start", {}).get("toolUse"):
            calls[event["contentBlockStart"]["contentBlockIndex"]] = [made["toolUseId"], made["name"], ""]
        delta = event.get("contentBlockDelta", {}).get("delta", {})
        text += delta.get("text", "")
        thought += delta.get("reasoningContent", {}).get("text", "")
        if "toolUse" in delta:
            calls[event["contentBlockDelta"]["contentBlockIndex"]][2] += delta["toolUse"]["input"]
    assert msgspec.json.decode(sent[0]) == body
    return text, thought, [(call, name, msgspec.json.decode(raw)) for call, name, raw in calls.values()], usage


class Wired:
    """An answer as botocore's HTTP layer hands it on."""

    def __init__(self, url: str, body: bytes) -> None:
        self.url, self.status_code, self.content = url, 200, body
        self.headers = {"content-type": "application/vnd.amazon.eventstream"}
        self.raw = self

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        yield self.content

    def close(self) -> None:
        pass


ORACLES: dict[str, Callable] = {
    "openai-chat": by_chat,
    "openai-responses": by_responses,
    "anthropic": by_anthropic,
    "azure": by_azure,
    "bedrock": by_bedrock,
}


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("dialect", ORACLES)
async def test_the_official_sdk_hears_the_same(fake_llm: FakeLLM, dialect: str, script: str) -> None:
    azure = dialect == "azure"
    options = {"api_version": "2024-12-01-preview"} if azure else {}
    spec = ModelSpec("m", "fake", MODELS.get(dialect, "fake-model"), dialect, options=options)
    base_url = fake_llm.url if azure else f"{fake_llm.url}/v1"
    replay = Replay()
    async with open_http(httpx2.MockTransport(replay.record)) as http:
        provider = Remote(spec, http, base_url=base_url, key="sk-azure" if azure else "")
        text = SCRIPTS[script].replace("{}", STOPS[dialect]) if script == "length" else SCRIPTS[script]
        pieces = [piece async for piece in provider.stream(ModelRequest((Message("user", text),), TOOLS))]
    body = msgspec.json.decode(replay.request.content)
    assert heard(pieces) == await ORACLES[dialect](replay, body)
