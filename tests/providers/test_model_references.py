"""References lead to providers, or say what is missing."""

import random
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import httpx2
import msgspec
import pytest
from msgspec.structs import replace

from roost.core import vendors
from roost.core.agents import Agent, ModelSpec, Team
from roost.core.errors import BadModel, NotBuilt
from roost.core.messages import Message
from roost.core.usage import Price
from roost.ports import Finished, ModelRequest, Provider
from roost.providers import local
from roost.providers.choices import Alloy
from roost.providers.references import open_models
from roost.wire.eventstream import frame

pytestmark = pytest.mark.anyio

KEYS = {"OPENAI_API_KEY": "sk-openai", "ANTHROPIC_API_KEY": "sk-ant"}


def team(config: dict | None = None, **models: ModelSpec) -> Team:
    return Team("a.yaml", "h", (Agent("root", model="m"),), models, config=config or {})


class Wire:
    """A network that keeps what is sent, and answers with an empty completion."""

    def __init__(self) -> None:
        self.sent: list[httpx2.Request] = []
        self.transport = httpx2.MockTransport(self._answer)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(request)
        if request.url.path.endswith("/messages"):
            body = {"type": "message", "content": [], "stop_reason": "end_turn"}
        elif request.url.path.endswith("/responses"):
            body = {"output": [], "status": "completed"}
        elif request.url.path.endswith(":streamGenerateContent"):
            body = {
                "candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}],
                "usageMetadata": {},
            }
        elif request.url.path.endswith("/converse-stream"):
            stop = frame({":event-type": "messageStop"}, b'{"stopReason": "end_turn"}')
            return httpx2.Response(200, headers={"content-type": "application/vnd.amazon.eventstream"}, content=stop)
        else:
            body = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}
        return httpx2.Response(200, json=body)


async def ask(provider: Provider, **more) -> Finished:
    request = ModelRequest((Message("user", "hi"),), **more)
    async with aclosing(provider.stream(request)) as stream:
        last = [piece async for piece in stream][-1]
    assert isinstance(last, Finished)
    return last


@pytest.mark.parametrize(
    ("ref", "url", "dialect"),
    [
        ("openai/gpt-4o", "https://api.openai.com/v1/chat/completions", "openai-chat"),
        ("openai/gpt-5-mini", "https://api.openai.com/v1/responses", "openai-responses"),
        ("openai/gpt-6-sol", "https://api.openai.com/v1/responses", "openai-responses"),
        ("openai/gpt-oss-20b", "https://api.openai.com/v1/chat/completions", "openai-chat"),
        ("openai/gpt-5.1-codex", "https://api.openai.com/v1/responses", "openai-responses"),
        ("anthropic/claude-sonnet-4-5", "https://api.anthropic.com/v1/messages", "anthropic"),
        ("Mistral/codestral", "https://api.mistral.ai/v1/chat/completions", "openai-chat"),
        ("ollama/gpt-5-like", "http://localhost:11434/v1/chat/completions", "openai-chat"),
        ("openrouter/meta/llama", "https://openrouter.ai/api/v1/chat/completions", "openai-chat"),
    ],
)
async def test_inline_references_go_where_they_say(ref: str, url: str, dialect: str) -> None:
    wire = Wire()
    env = {**KEYS, "MISTRAL_API_KEY": "k", "OPENROUTER_API_KEY": "k"}
    async with open_models(env, wire.transport) as models:
        provider = models.provider(team(), ref)
        assert provider is models.provider(team(), ref)
        assert (provider.spec.name, provider.spec.dialect) == (ref, dialect)
        await ask(provider)
    assert str(wire.sent[0].url) == url


@pytest.mark.parametrize("name", sorted(vendors.VENDORS))
async def test_every_vendor_is_reached_or_names_its_key(name: str) -> None:
    vendor = vendors.VENDORS[name]
    base = "http://azure.test" if name == "azure" else ""
    file = team(m=ModelSpec("m", name, "m", "auto", base_url=base))
    env = {"CLOUDFLARE_ACCOUNT_ID": "acc", "CLOUDFLARE_GATEWAY_ID": "gw", "MODEL_RUNNER_HOST": "http://127.0.0.1:9"}
    async with open_models(env, Wire().transport) as models:
        if vendor.token_key and vendor.dialect != "bedrock":  # AWS may have others
            with pytest.raises(BadModel, match=f"set the variable {vendor.token_key}"):
                models.provider(file, "m")
            assert models.missing(file, ["root"]) == [vendor.token_key]
    if vendor.dialect in ("local", "scripted"):
        return
    wire = Wire()
    async with open_models({**env, vendor.token_key: "sk-12345678"}, wire.transport) as models:
        await ask(models.provider(file, "m"))
        assert models.missing(file, ["root"]) == []
    (request,) = wire.sent
    assert str(request.url).startswith(vendor.base_url.partition("$")[0])
    assert "$" not in str(request.url)
    names = ("authorization", "x-api-key", "x-goog-api-key", "api-key")
    told = next((request.headers[name] for name in names if name in request.headers), "")
    assert told.endswith("sk-12345678") == bool(vendor.token_key)


async def test_a_custom_provider_without_token_key_sends_none() -> None:
    wire = Wire()
    lab = ModelSpec("lab", "lab", "", "auto", base_url="http://lab.test/v1", temperature=0.5, options={"top_k": 5})
    async with open_models(KEYS, wire.transport) as models:
        provider = models.provider(replace(team(), providers={"lab": lab}), "lab/qwen3-coder")
        assert provider.spec.ref == "lab/qwen3-coder"
        await ask(provider)
    request = wire.sent[0]
    assert str(request.url) == "http://lab.test/v1/chat/completions"
    assert "authorization" not in request.headers
    body = msgspec.json.decode(request.content)
    assert (body["model"], body["temperature"], body["top_k"]) == ("qwen3-coder", 0.5, 5)


async def test_a_named_model_brings_its_own_address_and_key() -> None:
    wire = Wire()
    named = ModelSpec("m", "openai", "gpt-5", "auto", base_url="http://proxy.test/v1", token_key="PROXY_KEY")
    async with open_models({**KEYS, "PROXY_KEY": "sk-proxy"}, wire.transport) as models:
        await ask(models.provider(team(m=named), "m"))
    request = wire.sent[0]
    assert str(request.url) == "http://proxy.test/v1/chat/completions"  # only OpenAI itself has the newer API for sure
    assert request.headers["authorization"] == "Bearer sk-proxy"


async def test_a_server_of_ones_own_needs_no_key() -> None:
    wire = Wire()
    named = ModelSpec(
        "m", "openai", "x", "auto", base_url="http://127.0.0.1:9/v1", options={"api_type": "openai_responses"}
    )
    async with open_models({}, wire.transport) as models:
        await ask(models.provider(team(m=named), "m"))
    assert str(wire.sent[0].url) == "http://127.0.0.1:9/v1/responses"
    assert "authorization" not in wire.sent[0].headers


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("nope/m", "there is no provider 'nope'; known are .*anthropic.*"),
        ("nope", r"there is no model 'nope': name one of the file \(m\), or provider/model"),
        ("openai/gpt-4o", "model 'openai/gpt-4o' needs a key: set the variable OPENAI_API_KEY"),
        ("openai", "OPENAI|names no model"),
        ("cloudflare-workers-ai/x", "needs the variable CLOUDFLARE_ACCOUNT_ID"),
        ("m", "is made of itself"),
    ],
)
async def test_what_leads_nowhere_says_why(ref: str, words: str) -> None:
    async with open_models({}, Wire().transport) as models:
        with pytest.raises(BadModel, match=words):
            models.provider(team(m=ModelSpec("m", "", "m,openai/x", "auto")), ref)


@pytest.mark.parametrize("name", sorted(vendors.NOT_BUILT))
async def test_what_is_not_built_says_so(name: str) -> None:
    async with open_models(KEYS, Wire().transport) as models:
        with pytest.raises(NotBuilt, match=f"{name}.* is not built yet"):
            models.provider(team(), f"{name}/m")


@pytest.mark.parametrize(
    ("env", "ref"),
    [
        (KEYS, "anthropic/claude-sonnet-5-5"),
        ({"OPENAI_API_KEY": "k"}, "openai/gpt-6-luna"),
        ({"MISTRAL_API_KEY": "k"}, "mistral/mistral-small-latest"),
        ({"MISTRAL_API_KEY": "k", "GEMINI_API_KEY": "k"}, "google/gemini-3.8-flash"),
        ({"AWS_BEARER_TOKEN_BEDROCK": "k"}, "amazon-bedrock/global.anthropic.claude-sonnet-5-5"),
        ({"AWS_ACCESS_KEY_ID": "k", "MODEL_RUNNER_HOST": "h"}, "amazon-bedrock/global.anthropic.claude-sonnet-5-5"),
        ({"MODEL_RUNNER_HOST": "http://127.0.0.1:9"}, "dmr/ai/qwen3:latest"),
        ({**KEYS, "ROOST_AUTO_MODELS": "mistral/x, openai/gpt-4o"}, "openai/gpt-4o"),
        ({**KEYS, "CAGENT_DEFAULT_MODEL": "openai/gpt-4o"}, "openai/gpt-4o"),
        ({**KEYS, "DOCKER_AGENT_DEFAULT_MODEL": "ollama/x", "CAGENT_DEFAULT_MODEL": "openai/gpt-4o"}, "ollama/x"),
        ({**KEYS, "ROOST_DEFAULT_MODEL": "m", "DOCKER_AGENT_DEFAULT_MODEL": "ollama/x"}, "ollama/named"),
    ],
)
async def test_auto_takes_what_is_there(env: dict[str, str], ref: str) -> None:
    async with open_models(env, Wire().transport) as models:
        provider = models.provider(team(m=ModelSpec("m", "ollama", "named", "auto")), "auto")
        assert provider.spec.ref == ref


async def test_a_table_of_ones_own_for_auto_that_leads_nowhere_says_so() -> None:
    async with open_models({"ROOST_AUTO_MODELS": "openai/gpt-4o"}, Wire().transport) as models:
        with pytest.raises(BadModel, match="none of the models in ROOST_AUTO_MODELS can be used"):
            models.provider(team(), "auto")


async def test_auto_without_anything_names_all_ways_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with open_models({"HOME": str(tmp_path)}, Wire().transport) as models:
        monkeypatch.setattr(local, "installed", lambda: True)
        monkeypatch.setattr(local, "check", lambda: None)
        assert models.provider(team(), "auto").spec.ref == "local/smollm2"
        monkeypatch.setattr(local, "installed", lambda: False)
        with pytest.raises(BadModel, match=r"ANTHROPIC_API_KEY, OPENAI_API_KEY,.*roost model install"):
            models.provider(team(), "auto")


async def test_an_alloy_asks_one_of_its_models_each_time() -> None:
    wire = Wire()
    named = ModelSpec("fast", "ollama", "small", "auto", price=Price(1, 2, 3, 4), context_limit=100)
    mix = ModelSpec("mix", "", "fast, ollama/big", "auto")
    async with open_models({}, wire.transport, dice=random.Random(3)) as models:
        provider = models.provider(team(fast=named, mix=mix), "mix")
        assert isinstance(provider, Alloy)
        assert (provider.spec.ref, provider.context_limit) == ("mix", 100)
        asked = []
        for _ in range(20):
            await ask(provider)
            asked.append(provider.spec.model)
            assert provider.price == (Price(1, 2, 3, 4) if provider.spec.model == "small" else None)
        assert models.provider(team(), "ollama/a, ollama/b").spec.ref == "ollama/a, ollama/b"
    assert asked == [msgspec.json.decode(request.content)["model"] for request in wire.sent]
    assert set(asked) == {"small", "big"}


async def test_a_gateway_takes_native_providers_and_leaves_chosen_addresses_alone() -> None:
    wire = Wire()
    mine = ModelSpec("mine", "openai", "x", "auto", base_url="http://mine.test/v1")
    async with open_models({**KEYS, "DOCKER_TOKEN": "tok-en"}, wire.transport, gateway="http://gw.test") as models:
        for ref in ("openai/gpt-5", "anthropic/claude-opus-4-5", "mine"):
            await ask(models.provider(team(mine=mine), ref))
        assert models.provider(team(), "auto").spec.provider == "anthropic"
    openai, anthropic, own = wire.sent
    assert str(openai.url) == "http://gw.test/responses"
    assert openai.headers["x-cagent-forward"] == "https://api.openai.com/v1"
    assert str(anthropic.url) == "http://gw.test/v1/messages"
    assert anthropic.headers["x-cagent-forward"] == "https://api.anthropic.com"
    assert anthropic.headers["authorization"] == openai.headers["authorization"] == "Bearer tok-en"
    assert "x-api-key" not in anthropic.headers
    assert str(own.url) == "http://mine.test/v1/chat/completions"
    async with open_models(KEYS, wire.transport, gateway="http://gw.test") as models:
        with pytest.raises(BadModel, match="DOCKER_TOKEN"):
            models.provider(team(), "openai/gpt-5")


async def test_where_a_cassette_plays_no_key_is_needed() -> None:
    async with open_models({}, Wire().transport, need_keys=False) as models:
        assert models.provider(team(), "openai/gpt-4o").spec.model == "gpt-4o"


async def test_prices_and_windows_come_from_the_list_unless_the_file_says() -> None:
    own = ModelSpec("own", "openai", "gpt-4o", "auto", price=Price(1, 2, 3, 4), context_limit=5)
    async with open_models(KEYS, Wire().transport) as models:
        listed = models.provider(team(), "openai/gpt-4o")
        assert listed.context_limit == 128000
        assert listed.price is not None
        assert listed.price.input > listed.price.cache_read > 0
        mine = models.provider(team(own=own), "own")
        assert (mine.price, mine.context_limit) == (Price(1, 2, 3, 4), 5)
        assert models.provider(team(), "ollama/llama3").price is None
        assert models.provider(team(), "openai/no-such-model").context_limit == 0


async def test_the_listing_has_the_team_first_then_the_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "installed", lambda: True)
    own = ModelSpec("own", "openai", "gpt-4o", "auto")
    async with open_models({"ANTHROPIC_API_KEY": "k"}, Wire().transport) as models:
        first, *rest = models.listing(team(own=own))
    assert (first.name, first.ref, first.provider, first.model, first.catalog) == (
        "own",
        "own",
        "openai",
        "gpt-4o",
        False,
    )
    assert first.context_limit == 128000
    assert {info.provider for info in rest} == {"anthropic", "local"}
    sonnet = next(info for info in rest if info.ref == "anthropic/claude-sonnet-4-5")
    assert (sonnet.catalog, sonnet.family, sonnet.context_limit) == (True, "claude", 200000)
    assert (sonnet.input_cost, sonnet.output_cost) == (3.0, 15.0)


def test_what_costs_time_is_not_imported() -> None:
    heavy = {"genai_prices", "xllamacpp", "openai", "anthropic", "pydantic", "botocore", "cryptography"}
    code = f"import sys, roost.providers.references; print(*sorted({heavy} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
