"""Anthropic's models by workload identity federation: a token of ours for one of theirs."""

import sys
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fakes import post
from fakes.llm import FakeLLM
from fakes.post import Post
from roost.core.agents import Agent, ModelSpec, Team
from roost.core.errors import BadModel, ModelFailed
from roost.core.messages import Message
from roost.ports import ModelRequest, TextPiece
from roost.providers.federation import Federation
from roost.providers.references import Models, open_models

pytestmark = pytest.mark.anyio

WHO = {"federation_rule_id": "fdrl_1", "organization_id": "org"}


@pytest.fixture
def house() -> Iterator[Post]:
    with post.serve() as server:
        server.answers["/v1/oauth/token"] = [(200, {"access_token": "sk-ant-oat-1", "expires_in": 600})]
        server.answers["/id"] = [(200, {"value": "jwt-by-url"})]
        server.answers["/plain"] = [(200, b" jwt-plain\n")]
        yield server


def spec(base_url: str, source: dict[str, Any], **more: Any) -> ModelSpec:
    auth = {"workload_identity_federation": {**WHO, **more, "identity_token": source}}
    return ModelSpec("m", "anthropic", "claude-sonnet-4-5", "anthropic", base_url=base_url, auth=auth)


def team(model: ModelSpec) -> Team:
    return Team("a", "h", (Agent("root", model="m"),), {"m": model})


async def ask(models: Models, a_team: Team) -> str:
    async with aclosing(models.provider(a_team, "m").stream(ModelRequest((Message("user", "x"),)))) as stream:
        return "".join([piece.text async for piece in stream if isinstance(piece, TextPiece)])


async def exchanged(house: Post, source: dict[str, Any], env: dict[str, str] | None = None) -> dict[str, Any]:
    """What is sent to be exchanged."""
    ready = Federation(spec(house.url, source), env or {}, house.url)
    headers = await ready("u", {"anthropic-beta": "one"}, b"")
    assert headers == {"anthropic-beta": "one,oauth-2025-04-20", "authorization": "Bearer sk-ant-oat-1"}
    request = house.requests[-1]
    assert request["path"] == "/v1/oauth/token"
    assert request["headers"]["anthropic-beta"] == "oauth-2025-04-20,oidc-federation-2026-04-01"
    found: dict[str, Any] = msgspec.json.decode(request["body"])
    return found


async def test_every_source(house: Post, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("jwt-by-file\n")
    command = [sys.executable, "-c", "print('jwt-by-command')"]
    url = {"url": f"{house.url}/id?a=${{AUDIENCE}}", "headers": {"X-Ask": "${ASK}"}, "response_field": "value"}
    assert (await exchanged(house, {"file": str(file)}))["assertion"] == "jwt-by-file"
    assert (await exchanged(house, {"env": "ID"}, {"ID": "jwt-by-env"}))["assertion"] == "jwt-by-env"
    assert (await exchanged(house, {"command": command}))["assertion"] == "jwt-by-command"
    assert (await exchanged(house, url, {"AUDIENCE": "x", "ASK": "s"}))["assertion"] == "jwt-by-url"
    assert house.requests[-2]["path"] == "/id?a=x"
    assert house.requests[-2]["headers"]["x-ask"] == "s"
    assert await exchanged(house, {"url": f"{house.url}/plain"}) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": "jwt-plain",
        **WHO,
    }


async def test_the_sdk_would_send_the_same(house: Post) -> None:
    workload = pytest.importorskip("anthropic.lib.credentials._workload")
    theirs = {**WHO, "service_account_id": "svac_1"}
    workload.exchange_federation_assertion(assertion="jwt", base_url=house.url, **theirs)
    await Federation(spec(house.url, {"env": "T"}, service_account_id="svac_1"), {"T": "jwt"}, house.url)("u", {}, b"")
    one, two = house.requests
    assert msgspec.json.decode(one["body"]) == msgspec.json.decode(two["body"])
    assert one["headers"]["anthropic-beta"] == two["headers"]["anthropic-beta"]


async def test_a_model_is_asked_with_the_token_and_no_key(house: Post, fake_llm: FakeLLM) -> None:
    model = spec(fake_llm.url, {"env": "ID"})
    ready = Federation(model, {"ID": "jwt"}, house.url)
    headers = await ready("u", {}, b"")
    assert headers["authorization"] == "Bearer sk-ant-oat-1"
    async with open_models({}) as models:
        assert models.missing(team(model), ["root"]) == ["ID"]
    async with open_models({"ID": "jwt"}) as models:
        assert models.missing(team(model), ["root"]) == []
        with pytest.raises(ModelFailed, match="Anthropic gave no token: status 404"):  # this fake has none
            await ask(models, team(model))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"file": "/nowhere/token"}, "can't be read: No such file"),
        ({"env": "UNSET"}, "identity token of the env is empty"),
        ({"command": ["/nowhere/program"]}, "can't be run: No such file"),
        ({"command": "exit 3"}, r"failed \(exit code 3\)"),
        ({"command": "yes"}, "longer than 16384 bytes"),
        ({"url": "{}/gone"}, "no identity token from .*: status 404"),
        ({"url": "{}/id", "response_field": "other"}, "has no field 'other'"),
    ],
)
async def test_a_source_that_fails_says_how(house: Post, source: dict[str, str], words: str) -> None:
    source = {key: value.replace("{}", house.url) if isinstance(value, str) else value for key, value in source.items()}
    with pytest.raises(ModelFailed, match=words):
        await Federation(spec(house.url, source), {}, house.url)("u", {}, b"")


async def test_a_refusal_does_not_tell_the_token(house: Post) -> None:
    house.answers["/v1/oauth/token"] = [(401, {"error": {"type": "x", "message": "your jwt-secret is bad"}})]
    with pytest.raises(ModelFailed, match="Anthropic gave no token: status 401") as failed:
        await Federation(spec(house.url, {"env": "T"}), {"T": "jwt-secret"}, house.url)("u", {}, b"")
    assert failed.value.kind == "auth"
    assert "jwt-secret" not in str(failed.value)


@pytest.mark.parametrize("source", [{}, {"env": "A", "file": "b"}])
async def test_what_lacks_something_is_refused_at_once(source: dict[str, str]) -> None:
    async with open_models({}) as models:
        with pytest.raises(BadModel, match="auth needs federation_rule_id"):
            models.provider(team(spec("https://api.anthropic.com", source)), "m")
        with pytest.raises(BadModel, match="over https only"):
            models.provider(team(spec("http://far.test", {"env": "A"})), "m")
        other = msgspec.structs.replace(spec("https://x.test", {"env": "A"}), provider="openai", dialect="openai-chat")
        with pytest.raises(BadModel, match="only Anthropic's models take auth"):
            models.provider(team(other), "m")
