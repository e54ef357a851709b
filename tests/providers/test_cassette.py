"""What was recorded is replayed, without the network and without secrets."""

import gzip
from contextlib import aclosing
from pathlib import Path

import httpx2
import pytest
import yaml

from fakes.llm import FakeLLM
from roost.core.agents import Agent, ModelSpec, Team
from roost.core.errors import BadValue, ModelFailed
from roost.core.ids import CallId
from roost.core.messages import Definition, Message, ToolCall
from roost.ports import ModelRequest, Piece
from roost.providers.cassette import Player, Recorder, conversation, normalised
from roost.providers.references import Models, open_models
from roost.wire.eventstream import begins

pytestmark = pytest.mark.anyio

MODELS = {"openai-chat": "gpt-4o", "openai-responses": "gpt-5", "anthropic": "claude-sonnet-4-5"}
MODELS |= {"google": "gemini-3-pro", "bedrock": "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "azure": "gpt-5"}
MODELS |= {"mistral": "mistral-large-latest"}


def team(fake: FakeLLM) -> Team:
    specs = {
        name: ModelSpec(
            name,
            "mistral" if name == "mistral" else "lab",
            model,
            "openai-chat" if name == "mistral" else name,
            base_url=f"{fake.url}/v1",
            token_key="KEY",
        )
        for name, model in MODELS.items()
    }
    return Team("a", "h", (Agent("root"),), specs)


async def pieces(models: Models, team: Team, name: str, text: str, *, system: str = "s", **more) -> list[Piece]:
    request = ModelRequest((Message("system", system), Message("user", text)), thinking=False, **more)
    async with aclosing(models.provider(team, name).stream(request)) as stream:
        return [piece async for piece in stream]


@pytest.mark.parametrize("dialect", MODELS)
async def test_a_recording_plays_back(fake_llm: FakeLLM, tmp_path: Path, dialect: str) -> None:
    a_team, recorder = team(fake_llm), Recorder(tmp_path / "tape")
    async with recorder, open_models({"KEY": "sk-secret"}, recorder) as models:
        first = await pieces(models, a_team, dialect, "[[say one two three]]")
        tools = await pieces(models, a_team, dialect, '[[tool t {"a": "ü"}]]', tools=(Definition("t"),))
        with pytest.raises(ModelFailed, match="fake 401"):
            await pieces(models, a_team, dialect, "[[status 401]]")
    text = (tmp_path / "tape.yaml").read_text()
    assert "sk-secret" not in text
    data = yaml.safe_load(text)
    assert data["version"] == 2
    assert [entry["id"] for entry in data["interactions"]] == [0, 1, 2]
    request, response = data["interactions"][0]["request"], data["interactions"][0]["response"]
    assert (request["method"], request["host"], request["proto"]) == ("POST", "127.0.0.1", "HTTP/1.1")
    assert (response["code"], response["status"], response["headers"]) == (200, "200 OK", {})
    assert "headers" not in request
    assert data["interactions"][2]["response"]["status"] == "401 Unauthorized"
    before = len(fake_llm.requests)
    async with open_models({}, Player(tmp_path / "tape.yaml"), need_keys=False) as models:
        with pytest.raises(ModelFailed, match="fake 401"):
            await pieces(models, a_team, dialect, "[[status 401]]")
        assert await pieces(models, a_team, dialect, '[[tool t {"a": "ü"}]]', tools=(Definition("t"),)) == tools
        assert await pieces(models, a_team, dialect, "[[say one two three]]") == first
        with pytest.raises(ModelFailed, match=r"cassette tape\.yaml has no unused answer for POST http") as failed:
            await pieces(models, a_team, dialect, "[[say one two three]]")
        assert (failed.value.status, failed.value.kind) == (500, "client")
    assert len(fake_llm.requests) == before


@pytest.mark.parametrize("dialect", MODELS)
async def test_matching_has_three_stages(
    fake_llm: FakeLLM, tmp_path: Path, dialect: str, caplog: pytest.LogCaptureFixture
) -> None:
    a_team = team(fake_llm)
    async with open_models({"KEY": "k"}, Recorder(tmp_path / "t")) as models:
        for word in ("one", "two", "three"):
            await pieces(models, a_team, dialect, f"[[say {word}]]")
    async with open_models({}, Player(tmp_path / "t"), need_keys=False) as models:
        with caplog.at_level("WARNING", "roost"):
            exact = await pieces(models, a_team, dialect, "[[say two]]", max_tokens=4000)
            similar = await pieces(models, a_team, dialect, "[[say three]]", system="other", tools=(Definition("t"),))
        assert caplog.records == []
        with caplog.at_level("WARNING", "roost"):
            last = await pieces(models, a_team, dialect, "something else")
        assert [record.action for record in caplog.records] == ["cassette_guess"]  # type: ignore[attr-defined]
    assert ["".join(getattr(p, "text", "") for p in got) for got in (exact, similar, last)] == ["two", "three", "one"]


async def test_ids_and_times_that_tools_made_up_are_no_difference(
    fake_llm: FakeLLM, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    a_team = team(fake_llm)

    async def told(models: Models, words: str) -> list[Piece]:
        call = ToolCall(CallId("call_1"), "t", "{}")
        asked = Message("user", "[[tool t {}]] [[say " + words[:3] + "]]")
        result = Message("tool", words, call_id=call.id)
        request = ModelRequest((asked, Message("assistant", calls=(call,)), result))
        async with aclosing(models.provider(a_team, "openai-chat").stream(request)) as stream:
            return [piece async for piece in stream]

    async with open_models({"KEY": "k"}, Recorder(tmp_path / "t")) as models:
        await told(models, "one: kept as 0123456789abcdef at 2026-01-02T03:04:05+00:00")
        two = await told(models, "two: kept as 9b2d6c1e-0000-4000-8000-000000000001, 1767323045")
    async with open_models({}, Player(tmp_path / "t"), need_keys=False) as models:
        with caplog.at_level("WARNING", "roost"):
            again = await told(models, "two: kept as 11111111-2222-4333-8444-555555555555, 1999999999")
    assert (again, caplog.records) == (two, [])


async def test_a_stream_is_recorded_as_it_passes_and_a_closed_one_as_far_as_it_came(
    fake_llm: FakeLLM, tmp_path: Path
) -> None:
    a_team = team(fake_llm)
    async with open_models({"KEY": "k"}, Recorder(tmp_path / "t")) as models:
        request = ModelRequest((Message("user", "[[hang]] [[say one two three]]"),))
        async with aclosing(models.provider(a_team, "openai-chat").stream(request)) as stream:
            assert (await anext(stream)).text == "one two thre"
    (entry,) = yaml.safe_load((tmp_path / "t.yaml").read_text())["interactions"]
    assert "one two thre" in entry["response"]["body"]


UPSTREAM = """---
version: 2
interactions:
- id: 0
  request:
    proto: HTTP/1.1
    proto_major: 1
    proto_minor: 1
    content_length: 0
    host: api.openai.com
    body: '{"messages":[{"content":"You are upstream","role":"system"},{"content":"ping","role":"user"}],"stream":true}'
    url: https://api.openai.com/v1/chat/completions
    method: POST
  response:
    proto: HTTP/2.0
    proto_major: 2
    proto_minor: 0
    content_length: -1
    body: "data: {\\"choices\\":[{\\"index\\":0,\\"delta\\":{\\"content\\":\\"pong\\"}}]}\\n\\ndata: [DONE]\\n\\n"
    headers: {}
    status: 200 OK
    code: 200
    duration: 1.2s
"""


@pytest.mark.parametrize("gateway", ["", "http://gateway.test"])
async def test_a_cassette_of_the_original_plays(tmp_path: Path, gateway: str) -> None:
    (tmp_path / "up.yaml").write_text(UPSTREAM)
    a_team = Team("a", "h", (Agent("root"),))
    async with open_models({}, Player(tmp_path / "up"), need_keys=False, gateway=gateway) as models:
        got = await pieces(models, a_team, "openai/gpt-4o-mini", "ping")
    assert "".join(getattr(piece, "text", "") for piece in got) == "pong"


async def test_a_binary_stream_is_kept_byte_for_byte(fake_llm: FakeLLM, tmp_path: Path) -> None:
    a_team = team(fake_llm)
    async with open_models({"KEY": "k"}, Recorder(tmp_path / "t")) as models:
        before = await pieces(models, a_team, "bedrock", '[[think hm]] [[say Grüße 世界]] [[tool t {"a": "ü"}]]')
    text = (tmp_path / "t.yaml").read_text()
    assert "!!binary" in text
    (entry,) = yaml.safe_load(text)["interactions"]
    assert begins(entry["response"]["body"])
    async with open_models({}, Player(tmp_path / "t"), need_keys=False) as models:
        assert (
            await pieces(models, a_team, "bedrock", '[[think hm]] [[say Grüße 世界]] [[tool t {"a": "ü"}]]') == before
        )


async def test_gemini_by_a_gateway_is_kept_under_its_own_address(fake_llm: FakeLLM, tmp_path: Path) -> None:
    a_team, env = Team("a", "h", (Agent("root"),)), {"DOCKER_TOKEN": "tok-en"}
    async with open_models(env, Recorder(tmp_path / "t"), gateway=f"{fake_llm.url}/gw") as models:
        await pieces(models, a_team, "google/gemini-2.5-flash", "[[say one]]")
    assert fake_llm.requests[0]["headers"]["authorization"] == "Bearer tok-en"
    (entry,) = yaml.safe_load((tmp_path / "t.yaml").read_text())["interactions"]
    base = "https://generativelanguage.googleapis.com"
    assert entry["request"]["url"] == f"{base}/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    async with open_models({}, Player(tmp_path / "t"), need_keys=False) as models:  # and without one, too
        got = await pieces(models, a_team, "google/gemini-2.5-flash", "[[say one]]")
    assert "".join(getattr(piece, "text", "") for piece in got) == "one"


async def test_a_damaged_binary_stream_is_a_cut_line(fake_llm: FakeLLM, tmp_path: Path) -> None:
    a_team = team(fake_llm)
    async with open_models({"KEY": "k"}, Recorder(tmp_path / "t")) as models:
        await pieces(models, a_team, "bedrock", "[[say one two three four]]")
    data = yaml.safe_load((tmp_path / "t.yaml").read_text())
    body = data["interactions"][0]["response"]["body"]
    data["interactions"][0]["response"]["body"] = body[:200] + bytes([body[200] ^ 1]) + body[201:]
    (tmp_path / "t.yaml").write_text(yaml.safe_dump(data))
    async with open_models({}, Player(tmp_path / "t"), need_keys=False) as models:
        with pytest.raises(ModelFailed, match="stream can't be read") as failed:
            await pieces(models, a_team, "bedrock", "[[say one two three four]]")
    assert failed.value.kind == "retryable"


def test_what_differs_from_run_to_run_does_not_count() -> None:
    one = '{"max_tokens":5,"id":"call_abc-1","generationConfig":{"maxOutputTokens": 9,"thinkingConfig":{"a":1},"x":2}}'
    two = '{"max_tokens":77,"id":"call_zz","generationConfig":{"maxOutputTokens":1,"thinkingConfig":{"b":2},"x":2}}'
    assert normalised(one) == normalised(two) == '{"id":"call_ID","generationConfig":{"x":2}}'


def test_a_conversation_is_the_same_in_all_formats() -> None:
    anthropic = (
        '{"system": "x", "messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]},'
        '{"role": "assistant", "content": [{"type": "tool_use", "name": "t"}]},'
        '{"role": "user", "content": [{"type": "tool_result", "content": "r"}]}]}'
    )
    chat = (
        '{"messages": [{"role": "system", "content": "y"}, {"role": "user", "content": "a"},'
        '{"role": "assistant", "content": null}, {"role": "tool", "content": "r"}]}'
    )
    google = (
        '{"systemInstruction": {"parts": [{"text": "z"}]}, "contents": [{"role": "user", "parts": [{"text": "a"}]},'
        '{"role": "model", "parts": [{"functionCall": {"name": "t"}}]},'
        '{"role": "user", "parts": [{"functionResponse": {"name": "t", "response": {"result": "r"}}}]}]}'
    )
    bedrock = (
        '{"system": [{"text": "z"}], "messages": [{"role": "user", "content": [{"text": "a"}]},'
        '{"role": "assistant", "content": [{"toolUse": {"name": "t"}}]},'
        '{"role": "user", "content": [{"toolResult": {"content": [{"text": "r"}]}}]}]}'
    )
    assert conversation(google) == conversation(bedrock) == conversation(chat)
    assert conversation(anthropic) == conversation(chat) == (("user", "a"), ("assistant", ""), ("tool", "r"))
    assert conversation('{"input": "a"}') == (("user", "a"),)
    assert conversation("no json") == ()


@pytest.mark.parametrize("text", ["- 1", "interactions: [{request: {}}]", "{", "interactions: 5"])
def test_what_is_no_cassette_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.yaml").write_text(text)
    with pytest.raises(BadValue, match="is no cassette"):
        Player(tmp_path / "t")


def test_a_missing_cassette_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadValue, match=r"gone\.yaml can't be read: No such file"):
        Player(tmp_path / "gone")


async def test_a_compressed_answer_is_kept_as_text(tmp_path: Path) -> None:
    body = gzip.compress(b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}')
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    inner = httpx2.MockTransport(lambda request: httpx2.Response(200, headers=headers, content=body))
    async with open_models({"OPENAI_API_KEY": "k"}, Recorder(tmp_path / "t", inner)) as models:
        got = await pieces(models, Team("a", "h", (Agent("root"),)), "openai/gpt-4o", "x")
    assert got[0].text == "hi"
    assert "hi" in (tmp_path / "t.yaml").read_text()
