"""Which model answers: by examples, by chance, by what is there."""

import random
from contextlib import aclosing
from pathlib import Path

import pytest

from fakes.llm import FakeLLM
from roost.core.agents import Agent, Compaction, Fallback, Harness, ModelSpec, Route, Team, ToolsetSpec
from roost.core.errors import BadModel
from roost.core.messages import Message
from roost.ports import ModelRequest, TextPiece
from roost.providers.references import open_models

pytestmark = pytest.mark.anyio

ROUTES = (
    Route("coder", ("write a function in Python", "fix this bug")),
    Route("ollama/poet", ("write a poem", "a haiku about rain")),
    Route("ollama/a,ollama/b", ("translate this into French",)),
)


def team(*agents: Agent, **models: ModelSpec) -> Team:
    return Team("a.yaml", "h", agents or (Agent("root", model="m"),), models)


def ollama(name: str, **fields) -> ModelSpec:
    return ModelSpec(name, "ollama", name, "auto", **fields)


ROUTED = team(
    m=ollama("m", routing=ROUTES, context_limit=900), coder=ollama("coder", context_limit=500), own=ollama("own")
)


@pytest.mark.parametrize(
    ("text", "models"),
    [
        ("Please fix the bugs in my Python functions", {"coder"}),
        ("Poems about the rain, please", {"poet"}),
        ("could you translate: good morning", {"a", "b"}),
        ("what is the weather?", {"m"}),
        ("", {"m"}),
        ("the of and", {"m"}),
    ],
)
async def test_a_route_by_what_was_said(text: str, models: set[str]) -> None:
    async with open_models({}, dice=random.Random(1)) as made:
        provider = made.provider(ROUTED, "m")
        assert {provider.route(text).spec.model for _ in range(30)} == models
        assert (provider.spec.model, provider.context_limit) == ("m", 500)
        assert provider.takes_tools and provider.titles and provider.price is None


async def test_whoever_asks_for_no_route_gets_the_model_s_own(fake_llm: FakeLLM) -> None:
    a_team = team(m=ollama("m", base_url=f"{fake_llm.url}/v1", routing=ROUTES[:1]), coder=ollama("coder"))
    async with open_models({}) as made:
        request = ModelRequest((Message("user", "fix this bug"),))
        async with aclosing(made.provider(a_team, "m").stream(request)) as stream:
            assert [piece.text async for piece in stream if isinstance(piece, TextPiece)]
    assert fake_llm.requests[0]["body"]["model"] == "m"


@pytest.mark.parametrize(
    ("routes", "words"),
    [
        ((Route("other", ("x",)),), "a route leads to 'other', which has routes itself"),
        ((Route("m", ("x",)),), "made of itself|has routes itself"),
        ((Route("nowhere", ("x",)),), "there is no model 'nowhere'"),
        ((Route("openai/gpt-4o", ("x",)),), "set the variable OPENAI_API_KEY"),
    ],
)
async def test_a_route_that_leads_nowhere_says_so(routes: tuple[Route, ...], words: str) -> None:
    a_team = team(m=ollama("m", routing=routes), other=ollama("other", routing=(Route("ollama/x", ("y",)),)))
    async with open_models({}) as made:
        with pytest.raises(BadModel, match=words):
            made.provider(a_team, "m")


async def test_an_alloy_is_thrown_for_anew_at_each_route() -> None:
    async with open_models({}, dice=random.Random(2)) as made:
        alloy = made.provider(team(), "ollama/a, ollama/b")
        routes = [alloy.route("same") for _ in range(20)]
    assert {route.spec.model for route in routes} == {"a", "b"}


async def test_where_a_tape_runs_the_words_choose_from_an_alloy() -> None:
    async with open_models({}, dice=None) as made:
        alloy = made.provider(team(), "ollama/a, ollama/b")
        routes = [[alloy.route(f"word {n}").spec.model for n in range(20)] for _ in range(2)]
    assert routes[0] == routes[1]
    assert set(routes[0]) == {"a", "b"}


def choice(*candidates: str) -> ModelSpec:
    return ModelSpec("best", "", "", "auto", candidates=candidates)


@pytest.mark.parametrize(
    ("env", "ref"),
    [
        ({"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}, "anthropic/claude-sonnet-4-5"),
        ({"OPENAI_API_KEY": "k"}, "openai/gpt-4o"),
        ({}, "ollama/llama"),
    ],
)
async def test_the_first_whose_key_is_there(env: dict[str, str], ref: str) -> None:
    best = choice("anthropic/claude-sonnet-4-5", "inner", "ollama/llama")
    a_team = team(best=best, inner=ModelSpec("inner", "", "", "auto", candidates=("openai/gpt-4o",)))
    async with open_models(env) as made:
        if ref.startswith("ollama"):
            with pytest.raises(BadModel, match="none of openai/gpt-4o can be used: set one of OPENAI_API_KEY"):
                made.provider(a_team, "best")
            a_team = team(best=choice("anthropic/claude-sonnet-4-5", "ollama/llama"))
        provider = made.provider(a_team, "best")
        assert (provider.spec.ref, provider.spec.name) == (ref, "best")


async def test_where_no_candidate_can_be_used_all_keys_are_named(tmp_path: Path) -> None:
    best = choice("anthropic/claude-sonnet-4-5", "google/gemini-3-pro", "amazon-bedrock/x")
    async with open_models({"HOME": str(tmp_path)}) as made:
        words = "set one of ANTHROPIC_API_KEY, GOOGLE_API_KEY, AWS_BEARER_TOKEN_BEDROCK"
        with pytest.raises(BadModel, match=words):
            made.provider(team(best=best), "best")
        assert made.missing(team(Agent("root", model="best"), best=best), ["root"]) == ["ANTHROPIC_API_KEY"]


MANY = team(
    Agent(
        "root",
        model="mix",
        fallback=Fallback(("openai/gpt-4o", "nowhere/x")),
        compaction=Compaction(model="groq/small"),
        toolsets=(ToolsetSpec("shell", model="deepseek/chat"),),
    ),
    Agent("routed", model="routed"),
    Agent("cli", model="xai/grok", harness=Harness("claude")),
    Agent("own", model="own"),
    mix=ModelSpec("mix", "", "anthropic/claude-sonnet-4-5,together/x", "auto"),
    routed=ollama("routed", routing=(Route("nebius/a", ("x",)),), title_model="fireworks/t", compaction_model="xai/c"),
    own=ModelSpec("own", "openai", "x", "auto", base_url="http://127.0.0.1:1/v1", token_key="MY_KEY"),
)


async def test_all_that_is_missing_is_named_at_once() -> None:
    async with open_models({"OPENAI_API_KEY": "k"}) as made:
        assert made.missing(MANY, ["root"]) == [
            "ANTHROPIC_API_KEY",
            "DEEPSEEK_API_KEY",
            "GROQ_API_KEY",
            "TOGETHER_API_KEY",
        ]
        assert made.missing(MANY, ["routed"]) == ["FIREWORKS_API_KEY", "NEBIUS_API_KEY", "XAI_API_KEY"]
        assert made.missing(MANY, ["cli"]) == []
        assert made.missing(MANY, ["own", "gone"]) == ["MY_KEY"]
    async with open_models({}, need_keys=False) as made:
        assert made.missing(MANY, ["root", "routed", "own"]) == []


async def test_a_gateway_has_a_key_of_its_own_and_models_may_go_past_it() -> None:
    direct = ModelSpec("direct", "openai", "gpt-4o", "auto", bypass_gateway=True)
    a_team = team(Agent("root", model="anthropic/claude-sonnet-4-5"), Agent("direct", model="direct"), direct=direct)
    async with open_models({}, gateway="http://gw.test") as made:
        assert made.missing(a_team, ["root"]) == ["DOCKER_TOKEN"]
        assert made.missing(a_team, ["direct"]) == ["OPENAI_API_KEY"]
    async with open_models({"DOCKER_TOKEN": "t", "OPENAI_API_KEY": "k"}, gateway="http://gw.test") as made:
        assert made.missing(a_team, ["root", "direct"]) == []
        assert made.provider(a_team, "direct")._url == "https://api.openai.com/v1/chat/completions"  # type: ignore[attr-defined]


async def test_addresses_with_variables_name_those_too() -> None:
    a_team = team(Agent("root", model="cloudflare-ai-gateway/x"))
    async with open_models({}) as made:
        names = ["CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_API_TOKEN", "CLOUDFLARE_GATEWAY_ID"]
        assert made.missing(a_team, ["root"]) == names


async def test_a_provider_of_the_file_without_a_key_needs_none() -> None:
    lab = ModelSpec("lab", "lab", "", "auto", base_url="http://127.0.0.1:1/v1")
    async with open_models({}) as made:
        assert made.missing(Team("a", "h", (Agent("root", model="lab/x"),), providers={"lab": lab}), ["root"]) == []


async def test_longest_answers_are_told_where_they_are_known() -> None:
    env = {"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k", "GOOGLE_API_KEY": "k"}
    said = ModelSpec("said", "openai", "gpt-4o", "auto", max_tokens=77)
    known = {
        "openai/gpt-4o": 16_384,
        "openai/gpt-5-mini": 128_000,
        "openai/new": 0,
        "anthropic/claude-sonnet-4-5": 32_000,
        "google/gemini-2.5-flash": 65_536,
        "ollama/gpt-4o-like": 0,
        "said": 77,
        "openai/gpt-4o,openai/new": 0,
        "openai/gpt-4o,openai/gpt-5": 128_000,
    }
    async with open_models(env) as made:
        assert {ref: made.provider(team(said=said), ref).output_limit for ref in known} == known
