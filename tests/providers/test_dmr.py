"""Docker Model Runner: where it is, how a model is set up, and what is particular in its requests."""

from contextlib import aclosing
from pathlib import Path

import pytest

from fakes.llm import FakeLLM
from roost.core.agents import Agent, ModelSpec, Schema, Team
from roost.core.messages import Definition, Image, Message, Text
from roost.ports import ModelRequest, TextPiece
from roost.providers import dmr
from roost.providers.dmr import RunnerChat, merged, setup
from roost.providers.references import Models, open_models

pytestmark = pytest.mark.anyio

HELLO = (Message("user", "hi"),)


def spec(**fields) -> ModelSpec:
    return ModelSpec("m", "dmr", "ai/qwen3", "dmr", **fields)


def team(**fields) -> Team:
    return Team("a", "h", (Agent("root", model="m"),), {"m": spec(**fields)})


async def ask(models: Models, a_team: Team) -> str:
    async with aclosing(models.provider(a_team, "m").stream(ModelRequest(HELLO))) as stream:
        return "".join([piece.text async for piece in stream if isinstance(piece, TextPiece)])


@pytest.mark.parametrize(
    ("base_url", "env", "inside", "url"),
    [
        ("http://own.test/v1", {"MODEL_RUNNER_HOST": "http://h"}, False, "http://own.test/v1"),
        ("", {"MODEL_RUNNER_HOST": "http://h:1/"}, False, "http://h:1/engines/v1/"),
        ("", {"PATH": ""}, False, "http://127.0.0.1:12434/engines/v1/"),
        ("", {"PATH": ""}, True, "http://model-runner.docker.internal/engines/v1/"),
    ],
)
async def test_where_it_is(
    monkeypatch: pytest.MonkeyPatch, base_url: str, env: dict[str, str], inside: bool, url: str
) -> None:
    monkeypatch.setattr(dmr, "_contained", lambda: inside)
    assert await dmr.address(spec(base_url=base_url), env) == url


@pytest.mark.parametrize(
    ("script", "url"),
    [
        ('echo \'{"running": true, "endpoint": "http://told.test/engines/v1/"}\'', "http://told.test/engines/v1/"),
        ("exit 1", dmr.USUAL),
        ("echo no json", dmr.USUAL),
        ("echo '[]'", dmr.USUAL),
        ('echo \'{"endpoint": "unix:/x"}\'', dmr.USUAL),
    ],
)
async def test_the_docker_cli_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, url: str) -> None:
    monkeypatch.setattr(dmr, "_contained", lambda: False)
    program = tmp_path / "docker"
    program.write_text(f'#!/bin/sh\n[ "$*" = "model status --json" ] || exit 9\n{script}\n')
    program.chmod(0o755)
    assert await dmr.address(spec(), {"PATH": str(tmp_path)}) == url


async def test_a_docker_cli_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dmr, "_contained", lambda: False)
    monkeypatch.setattr(dmr, "_ASK", 0.2)
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\n/bin/sleep 600\n")
    program.chmod(0o755)
    assert await dmr.address(spec(), {"PATH": str(tmp_path)}) == dmr.USUAL


def test_how_a_model_is_set_up() -> None:
    options = {
        "context_size": 4096,
        "runtime_flags": "--threads 4,--temp=0.9",
        "speculative_draft_model": "ai/small",
        "speculative_num_tokens": 5,
        "speculative_acceptance_rate": 0.8,
        "keep_alive": "5m",
    }
    assert setup(spec(options=options, temperature=0.5, top_p=0.75, thinking_budget="low", max_tokens=99)) == {
        "model": "ai/qwen3",
        "context-size": 4096,
        "runtime-flags": ["--top-p", "0.75", "--threads", "4", "--temp=0.9"],
        "speculative": {"draft_model": "ai/small", "num_tokens": 5, "min_acceptance_rate": 0.8},
        "llamacpp": {"reasoning-budget": 2048},
        "keep_alive": "5m",
    }
    assert setup(spec(max_tokens=99, thinking_budget="adaptive", options={"runtime_flags": ["-x", 1]})) == {
        "model": "ai/qwen3",
        "context-size": 99,
        "runtime-flags": ["-x", "1"],
        "llamacpp": {"reasoning-budget": -1},
    }
    assert setup(spec()) == {"model": "ai/qwen3"}


async def test_a_model_is_set_up_once_before_it_is_asked(fake_llm: FakeLLM) -> None:
    a_team = team(options={"context_size": 8192})
    async with open_models({"MODEL_RUNNER_HOST": fake_llm.url}) as models:
        assert models.missing(a_team, ["root"]) == []
        assert [await ask(models, a_team) for _ in range(2)] == ["fake reply to: hi"] * 2
        assert models.provider(a_team, "m").spec.ref == "dmr/ai/qwen3"
    paths = [request["path"] for request in fake_llm.requests]
    assert paths == ["/engines/_configure", *["/engines/v1/chat/completions"] * 2]
    assert fake_llm.requests[0]["body"] == {"model": "ai/qwen3", "context-size": 8192}


async def test_a_runner_that_takes_no_settings_answers_all_the_same(
    fake_llm: FakeLLM, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("WARNING", "roost"):
        async with open_models({}) as models:
            await dmr.configure(spec(), "http://127.0.0.1:9/v1")
            assert await ask(models, team(base_url=f"{fake_llm.url}/v1")) == "fake reply to: hi"
    assert [record.action for record in caplog.records] == ["runner_not_configured"]  # type: ignore[attr-defined]


def test_neighbours_of_one_role_are_one_message() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:x"}}
    assert merged(
        [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "a"},
            {"role": "user", "content": [picture]},
            {"role": "assistant", "content": None, "tool_calls": []},
            {"role": "tool", "tool_call_id": "1", "content": "x"},
            {"role": "tool", "tool_call_id": "2", "content": "y"},
            {"role": "assistant", "content": "b"},
            {"role": "assistant", "content": "c"},
        ]
    ) == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, picture]},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "tool", "tool_call_id": "1", "content": "x"},
        {"role": "tool", "tool_call_id": "2", "content": "y"},
        {"role": "assistant", "content": "b\n\nc"},
    ]


def test_requests() -> None:
    tools = (Definition("t"),)
    body = RunnerChat(spec(max_tokens=50)).body(ModelRequest((*HELLO, Message("user", "there")), tools), {})
    assert body["messages"] == [{"role": "user", "content": "hi\n\nthere"}]
    assert body["tools"][0]["function"]["description"] == "Function t"
    assert (body["max_tokens"], "chat_template_kwargs" in body) == (50, False)
    for request, budget in ((ModelRequest(HELLO, thinking=False), None), (ModelRequest(HELLO), "none")):
        silent = RunnerChat(spec(max_tokens=50, thinking_budget=budget)).body(request, {})
        assert (silent["max_tokens"], silent["chat_template_kwargs"]) == (256, {"enable_thinking": False})
    form = Schema("v", {"type": "object"}, strict=True)
    formed = RunnerChat(spec()).body(ModelRequest(HELLO, schema=form), {})
    assert formed["response_format"]["json_schema"] == {"name": "v", "schema": {"type": "object"}, "strict": True}


def test_pictures_are_shown_unless_the_file_says_that_they_can_t_be() -> None:
    seen = (Message("user", parts=(Text("x"), Image("data:image/png;base64,eA=="))),)
    assert "image_url" in str(RunnerChat(spec()).body(ModelRequest(seen), {}))
    assert "image_url" not in str(RunnerChat(spec(images=False)).body(ModelRequest(seen), {}))
