"""Texts to vectors, by every provider that has them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes import post
from fakes.llm import FakeLLM, vector
from fakes.post import Post
from roost.core.agents import Agent, ModelSpec, Team
from roost.core.errors import BadModel, ModelFailed
from roost.providers.references import open_models

pytestmark = pytest.mark.anyio

TEXTS = ["one", "zwei ü", "three"]
TITAN = "amazon.titan-embed-text-v2:0"
KEYS = {"KEY": "sk-very-secret", "HOME": "/nowhere"}
MODELS = {
    "openai": ("openai", "text-embedding-3-small", "openai-chat", {"dimensions": 4}),
    "google": ("google", "gemini-embedding-001", "google", {"dimensions": 4}),
    "titan": ("amazon-bedrock", TITAN, "bedrock", {"dimensions": 256}),
    "cohere": ("amazon-bedrock", "cohere.embed-multilingual-v3", "bedrock", {}),
    "azure": ("azure", "ada", "azure", {"api_version": "2024-10-21"}),
    "dmr": ("dmr", "ai/embeddinggemma", "dmr", {}),
    "ollama": ("ollama", "nomic-embed-text", "openai-chat", {}),
}


def team(name: str, url: str) -> Team:
    provider, model, dialect, options = MODELS[name]
    base = url if name == "azure" else f"{url}/v1"
    spec = ModelSpec("m", provider, model, dialect, base_url=base, token_key="KEY", options=options)
    return Team("a", "h", (Agent("root"),), {"m": spec})


@pytest.fixture
def odd() -> Iterator[Post]:
    with post.serve() as server:
        yield server


@pytest.mark.parametrize("name", MODELS)
async def test_a_vector_for_each_text_in_their_order(fake_llm: FakeLLM, name: str) -> None:
    async with open_models(KEYS) as models:
        embedder = models.embedder(team(name, fake_llm.url), "m")
        assert await embedder.embed(TEXTS) == [vector(text) for text in TEXTS]
        assert await embedder.embed([]) == []
    asked = [request for request in fake_llm.requests if not request["path"].endswith("_configure")]
    assert len(asked) == (3 if name == "titan" else 1)
    headers = asked[0]["headers"]
    names = {"google": "x-goog-api-key", "azure": "api-key"}
    if name != "dmr":
        assert headers[names.get(name, "authorization")].endswith("sk-very-secret")


async def test_many_texts_go_to_google_in_several_requests(fake_llm: FakeLLM) -> None:
    texts = [f"text {number}" for number in range(205)]
    async with open_models(KEYS) as models:
        found = await models.embedder(team("google", fake_llm.url), "m").embed(texts)
    assert found == [vector(text) for text in texts]
    assert [len(request["body"]["requests"]) for request in fake_llm.requests] == [100, 100, 5]


async def test_vertex_predicts_them(fake_llm: FakeLLM) -> None:
    options = {"project": "p", "location": "l"}
    spec = ModelSpec("m", "google", "text-embedding-005", "google", base_url=fake_llm.url, options=options)
    a_team = Team("a", "h", (Agent("root"),), {"m": spec})
    async with open_models({}, need_keys=False) as models:
        assert await models.embedder(a_team, "m").embed(TEXTS[:2]) == [vector(text) for text in TEXTS[:2]]
    path = "/v1/projects/p/locations/l/publishers/google/models/text-embedding-005:predict"
    assert {request["path"] for request in fake_llm.requests} == {path}


@pytest.mark.parametrize(
    ("env", "model"),
    [
        ({"OPENAI_API_KEY": "k", "GOOGLE_API_KEY": "k"}, "text-embedding-3-small"),
        ({"GEMINI_API_KEY": "k"}, "gemini-embedding-001"),
        ({"MISTRAL_API_KEY": "k"}, "mistral-embed"),
        ({"AWS_BEARER_TOKEN_BEDROCK": "k"}, TITAN),
        ({"MODEL_RUNNER_HOST": "http://127.0.0.1:9"}, "ai/embeddinggemma"),
    ],
)
async def test_auto_is_the_first_whose_key_is_there(env: dict[str, str], model: str, tmp_path: Path) -> None:
    async with open_models({**env, "HOME": str(tmp_path)}) as models:
        embedder = models.embedder(Team("a", "h", (Agent("root"),)), "auto")
    assert embedder._spec.model == model  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("auto", "there is no embedding model to use: set OPENAI_API_KEY"),
        ("anthropic/claude-sonnet-4-5", "the provider 'anthropic' has no embeddings"),
        ("openai/text-embedding-3-small", "set the variable OPENAI_API_KEY"),
        ("ollama/a,ollama/b", "several models"),
        ("nope/x", "there is no provider 'nope'"),
    ],
)
async def test_what_has_none_says_so(ref: str, words: str, tmp_path: Path) -> None:
    async with open_models({"HOME": str(tmp_path)}) as models:
        with pytest.raises(BadModel, match=words):
            models.embedder(Team("a", "h", (Agent("root"),)), ref)


@pytest.mark.parametrize(
    ("status", "answer", "kind", "words"),
    [
        (200, {"data": []}, "retryable", "0 vectors for 3 texts"),
        (200, {"data": [{"embedding": "x"}]}, "retryable", "can't be read"),
        (200, b"\xff{", "retryable", "can't be read"),
        (200, [], "retryable", "can't be read"),
        (401, {"error": {"message": "bad key sk-very-secret"}}, "auth", "bad key"),
        (429, {"error": {"message": "slow down"}}, "rate_limit", "slow down"),
    ],
)
async def test_answers_that_are_none(odd: Post, status: int, answer: object, kind: str, words: str) -> None:
    odd.answers["/v1/embeddings"] = [(status, answer)]
    async with open_models(KEYS) as models:
        with pytest.raises(ModelFailed, match=words) as failed:
            await models.embedder(team("openai", odd.url), "m").embed(TEXTS)
    assert failed.value.kind == kind
    assert "sk-very-secret" not in str(failed.value)
