"""OpenAI's models at Azure: every form of address that people have in their files."""

from contextlib import aclosing

import httpx2
import pytest

from roost.core.agents import Agent, ModelSpec, Team
from roost.core.errors import BadModel
from roost.core.messages import Message
from roost.ports import ModelRequest
from roost.providers.references import open_models

pytestmark = pytest.mark.anyio

BARE = "https://lab.openai.azure.com"
DATED = {"api_version": "2024-12-01-preview"}
NEWER = {"api_type": "openai_responses"}


@pytest.mark.parametrize(
    ("base_url", "options", "url"),
    [
        (BARE, {}, f"{BARE}/openai/v1/chat/completions"),
        (f"{BARE}/", {"api_version": "preview"}, f"{BARE}/openai/v1/chat/completions?api-version=preview"),
        (
            BARE,
            DATED,
            f"{BARE}/openai/deployments/gpt-5/chat/completions?api-version=2024-12-01-preview",
        ),
        (
            f"{BARE}/openai",
            DATED,
            f"{BARE}/openai/deployments/gpt-5/chat/completions?api-version=2024-12-01-preview",
        ),
        (f"{BARE}/openai/v1/", {}, f"{BARE}/openai/v1/chat/completions"),
        (
            f"{BARE}/openai/deployments/other",
            DATED,
            f"{BARE}/openai/deployments/other/chat/completions?api-version=2024-12-01-preview",
        ),
        (BARE, NEWER, f"{BARE}/openai/v1/responses"),
        (BARE, NEWER | DATED, f"{BARE}/openai/responses?api-version=2024-12-01-preview"),
    ],
)
async def test_addresses(base_url: str, options: dict, url: str) -> None:
    sent: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        body = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}], "output": []}
        return httpx2.Response(200, json=body)

    model = ModelSpec("m", "azure", "gpt-5", "auto", base_url=base_url, options=options)
    team = Team("a", "h", (Agent("root", model="m"),), {"m": model})
    request = ModelRequest((Message("user", "x"),))
    async with (
        open_models({"AZURE_API_KEY": "k"}, httpx2.MockTransport(answer)) as models,
        aclosing(models.provider(team, "m").stream(request)) as stream,
    ):
        assert [piece async for piece in stream]
    assert str(sent[0].url) == url
    assert sent[0].headers["api-key"] == "k"
    assert "authorization" not in sent[0].headers


async def test_without_an_address_it_says_which() -> None:
    async with open_models({"AZURE_API_KEY": "k"}) as models:
        with pytest.raises(BadModel, match=r"has no base_url, as in https://NAME\.openai\.azure\.com"):
            models.provider(Team("a", "h", (Agent("root"),)), "azure/gpt-5")


async def test_its_key_is_needed() -> None:
    model = ModelSpec("m", "azure", "gpt-5", "auto", base_url=BARE)
    team = Team("a", "h", (Agent("root", model="m"),), {"m": model})
    async with open_models({}) as models:
        assert models.missing(team, ["root"]) == ["AZURE_API_KEY"]
        with pytest.raises(BadModel, match="set the variable AZURE_API_KEY"):
            models.provider(team, "m")
