"""Amazon Bedrock: what is sent to Converse, what its events mean, and who may ask."""

import hashlib
import hmac
from contextlib import aclosing
from pathlib import Path
from urllib.parse import quote

import httpx2
import msgspec
import pytest

from fakes import post
from fakes.llm import FakeLLM
from roost.core.agents import Agent, ModelSpec, Team
from roost.core.errors import BadModel, ModelFailed
from roost.core.ids import CallId
from roost.core.messages import Definition, File, Image, Message, ToolCall
from roost.core.usage import Usage
from roost.ports import CallPiece, Finished, ModelRequest, Piece, ReasoningPiece, TextPiece
from roost.providers import aws
from roost.providers.bedrock import Converse
from roost.providers.parts import Loaded
from roost.providers.references import Models, open_models
from roost.wire.sse import Event

pytestmark = pytest.mark.anyio

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
HELLO = (Message("user", "hi"),)
PNG = "data:image/png;base64,cG5n"
CALLS = (ToolCall(CallId("call_1"), "t", '{"x":1}'), ToolCall(CallId("a/b"), "u", "{}"))
TALK = (
    Message("system", "One."),
    Message("system", "Two."),
    Message("user", "hi"),
    Message("assistant", "let me", calls=CALLS),
    Message("tool", "r1", call_id=CallId("call_1")),
    Message("tool", "no", call_id=CallId("a/b"), is_error=True),
    Message("user", "and?"),
)
MARK = {"cachePoint": {"type": "default"}}


def spec(model: str = CLAUDE, **fields) -> ModelSpec:
    return ModelSpec("n", "amazon-bedrock", model, "bedrock", **fields)


def body(request: ModelRequest, model: str = CLAUDE, files: dict | None = None, **fields) -> dict:
    return Converse(spec(model, **fields)).body(request, files or {})


def fed(*events: tuple[str, dict], end: bool = True) -> list[Piece]:
    answer = Converse(spec()).answer()
    pieces = [p for name, data in events for p in answer.feed(Event(msgspec.json.encode(data), name))]
    return [*pieces, *(answer.end() if end else ())]


def test_a_whole_request() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    tools = (Definition("t", description="d", parameters=schema), Definition("u"))
    options = {"tool_choice": "required", "service_tier": "priority", "extra_body": {"requestMetadata": {"a": "b"}}}
    request = ModelRequest(TALK, tools, thinking=False, cache_marks=(0,))
    assert body(request, temperature=1.5, top_p=0.5, max_tokens=900, options=options) == {
        "messages": [
            {"role": "user", "content": [{"text": "hi"}]},
            {
                "role": "assistant",
                "content": [
                    {"text": "let me"},
                    {"toolUse": {"toolUseId": "call_1", "name": "t", "input": {"x": 1}}},
                    {"toolUse": {"toolUseId": "a_b", "name": "u", "input": {}}},
                    MARK,
                ],
            },
            {
                "role": "user",
                "content": [
                    {"toolResult": {"toolUseId": "call_1", "content": [{"text": "r1"}]}},
                    {"toolResult": {"toolUseId": "a_b", "content": [{"text": "no"}], "status": "error"}},
                    {"text": "and?"},
                    MARK,
                ],
            },
        ],
        "system": [{"text": "One."}, MARK, {"text": "Two."}],
        "inferenceConfig": {"maxTokens": 900, "temperature": 1.0},
        "toolConfig": {
            "tools": [
                {"toolSpec": {"name": "t", "description": "d", "inputSchema": {"json": schema}}},
                {
                    "toolSpec": {
                        "name": "u",
                        "description": "u",
                        "inputSchema": {"json": {"type": "object", "properties": {}}},
                    }
                },
            ],
            "toolChoice": {"any": {}},
        },
        "serviceTier": {"type": "priority"},
        "requestMetadata": {"a": "b"},
    }


def test_without_tools_calls_are_told_in_words() -> None:
    messages = body(ModelRequest(TALK, thinking=False), options={"disable_prompt_caching": True})["messages"]
    assert messages == [
        {"role": "user", "content": [{"text": "hi"}]},
        {
            "role": "assistant",
            "content": [{"text": 'let me\n[used the tool t: {"x":1}]\n[used the tool u: {}]'}],
        },
        {
            "role": "user",
            "content": [
                {"text": "[result of a tool]"},
                {"text": "r1"},
                {"text": "[result of a tool]"},
                {"text": "no"},
                {"text": "and?"},
            ],
        },
    ]


@pytest.mark.parametrize(
    ("model", "options", "marked"),
    [
        (CLAUDE, {}, True),
        (CLAUDE, {"disable_prompt_caching": True}, False),
        ("amazon.nova-pro-v1:0", {}, True),
        ("anthropic.claude-3-haiku-20240307-v1:0", {}, False),
        ("meta.llama4-maverick-17b-instruct-v1:0", {}, False),
    ],
)
def test_prompts_are_cached_where_the_model_can(model: str, options: dict, marked: bool) -> None:
    sent = body(ModelRequest(TALK, cache_marks=(0, 1), thinking=False), model, options=options)
    assert ("cachePoint" in str(sent)) == marked


@pytest.mark.parametrize(
    ("model", "fields", "more"),
    [
        (
            CLAUDE,
            {},
            {
                "thinking": {"type": "enabled", "budget_tokens": 8192},
                "anthropic_beta": ["interleaved-thinking-2025-05-14"],
            },
        ),
        (
            CLAUDE,
            {"thinking_budget": 2000, "options": {"interleaved_thinking": False}},
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        ),
        (CLAUDE, {"thinking_budget": 0, "options": {"top_k": 4}}, {"top_k": 4}),
        (
            "global.anthropic.claude-opus-4-7-v1:0",
            {"thinking_budget": "xhigh"},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}},
        ),
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", {}, None),
        (
            "global.amazon.nova-2-lite-v1:0",
            {"thinking_budget": "high"},
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}},
        ),
        ("amazon.nova-pro-v1:0", {"options": {"top_k": 9}}, {"inferenceConfig": {"topK": 9}}),
        ("openai.gpt-oss-120b-1:0", {"thinking_budget": "minimal"}, {"reasoning_effort": "low"}),
        ("meta.llama4-maverick-17b-instruct-v1:0", {}, None),
    ],
)
def test_thinking(model: str, fields: dict, more: dict | None) -> None:
    sent = body(ModelRequest(HELLO), model, temperature=0.5, **fields)
    assert sent.get("additionalModelRequestFields") == more
    assert ("inferenceConfig" in sent) != ("thinking" in (more or {}))


def test_a_turn_that_another_model_began_goes_on_without_thoughts() -> None:
    sent = body(ModelRequest(TALK[:-1], (Definition("t"),)))
    assert "additionalModelRequestFields" not in sent


def test_parts() -> None:
    files = {"/d.pdf": Loaded("Q3 (draft)_v2.pdf", "application/pdf", b"%PDF"), "/t.txt": Loaded("t.txt", "", b"words")}
    parts = (Image(PNG), Image("https://x.test/a.png"), Image("data:image/bmp;base64,eA=="), File("/d.pdf"))
    (message,) = body(ModelRequest((Message("user", parts=parts),)), files=files)["messages"]
    assert message["content"][:-1] == [
        {"image": {"format": "png", "source": {"bytes": "cG5n"}}},
        {"text": "[an image at https://x.test/a.png, which this model can't be shown]"},
        {"text": "[an image (image/bmp) that this model can't be shown]"},
        {"document": {"format": "pdf", "name": "Q3 (draft)-v2", "source": {"bytes": "JVBERg=="}}},
    ]
    (alone,) = body(ModelRequest((Message("user", parts=(File("/d.pdf"),)),)), files=files)["messages"]
    assert alone["content"][1] == {"text": "See the document."}
    more = (File("/t.txt"), File(file_id="f-1"))
    (told,) = body(ModelRequest((Message("user", parts=more),)), files=files, images=False)["messages"]
    assert [block.get("text") for block in told["content"][:2]] == [
        '<file name="t.txt">\nwords\n</file>',
        "[the file f-1, which this model can't be shown]",
    ]


def delta(place: int, **more) -> tuple[str, dict]:
    return "contentBlockDelta", {"contentBlockIndex": place, "delta": more}


def test_an_answer() -> None:
    got = fed(
        ("messageStart", {"role": "assistant"}),
        delta(0, reasoningContent={"text": "hm "}),
        delta(0, reasoningContent={"text": "hm"}),
        delta(0, reasoningContent={"signature": "c2ln"}),
        delta(1, reasoningContent={"redactedContent": "YWI="}),
        delta(1, reasoningContent={"redactedContent": "Yw=="}),
        delta(2, text="let me"),
        ("contentBlockStart", {"contentBlockIndex": 3, "start": {"toolUse": {"toolUseId": "i", "name": "t"}}}),
        delta(3, toolUse={"input": '{"x"'}),
        delta(3, toolUse={"input": ":1}"}),
        ("contentBlockStop", {"contentBlockIndex": 3}),
        ("something new", {}),
        ("messageStop", {"stopReason": "tool_use"}),
        ("metadata", {"usage": {"inputTokens": 5, "outputTokens": 6, "cacheReadInputTokens": 7}, "metrics": {}}),
        end=False,
    )
    assert "".join(piece.text for piece in got if isinstance(piece, ReasoningPiece)) == "hm hm"
    assert [piece.text for piece in got if isinstance(piece, TextPiece)] == ["let me"]
    assert [(p.id, p.name, p.arguments) for p in got if isinstance(p, CallPiece)] == [
        ("i", "t", ""),
        ("", "", '{"x"'),
        ("", "", ":1}"),
    ]
    last = got[-1]
    assert isinstance(last, Finished)
    assert (last.reason, last.usage) == ("tool_calls", Usage(input=5, output=6, cached_input=7))
    said = Message("assistant", "let me", calls=(ToolCall(CallId("i"), "t", '{"x":1}'),), replay=last.replay)
    sent = body(ModelRequest((Message("user", "x"), said), (Definition("t"),)))
    assert sent["messages"][1]["content"][:2] == [
        {"reasoningContent": {"reasoningText": {"text": "hm hm", "signature": "c2ln"}}},
        {"reasoningContent": {"redactedContent": "YWJj"}},
    ]


@pytest.mark.parametrize(
    ("name", "data", "kind", "status"),
    [
        ("throttlingException", {"message": "slow"}, "rate_limit", 429),
        ("serviceUnavailableException", {"message": "gone"}, "retryable", 503),
        ("modelStreamErrorException", {"message": "m", "originalStatusCode": 529}, "retryable", 529),
        ("validationException", {"message": "Input is too long for requested model."}, "overflow", 400),
        ("unknownException", {"message": "?"}, "retryable", 500),
    ],
)
def test_an_exception_has_its_kind(name: str, data: dict, kind: str, status: int) -> None:
    with pytest.raises(ModelFailed) as failed:
        fed((name, data))
    assert (failed.value.kind, failed.value.status, failed.value.provider_code) == (kind, status, name)


def test_endings() -> None:
    stopped = fed(delta(0, text="x"), ("messageStop", {"stopReason": "guardrail_intervened"}))
    assert isinstance(stopped[-1], Finished)
    assert (stopped[-1].reason, stopped[-1].usage) == ("content_filter", None)
    for events in ([delta(0, text="x")], [("error", {})], [("messageStop", {"stopReason": "malformed_tool_use"})]):
        with pytest.raises(ModelFailed) as failed:
            fed(*events)
        assert failed.value.kind in ("retryable", "client")


# -- who may ask


def team(fake: str, **options) -> Team:
    model = spec(options={"endpoint_url": fake, "region": "eu-central-1", **options})
    return Team("a", "h", (Agent("root", model="m"),), {"m": model})


async def ask(models: Models, a_team: Team) -> str:
    async with aclosing(models.provider(a_team, "m").stream(ModelRequest(HELLO, thinking=False))) as stream:
        return "".join([piece.text async for piece in stream if isinstance(piece, TextPiece)])


def signed(request: dict, secret: str, region: str) -> str:
    """The signature that AWS would expect, worked out anew from what came in."""
    headers = request["headers"]
    given = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0]
    named = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in given.split(";"))
    digest = hashlib.sha256(request["raw"]).hexdigest()
    path = quote(request["path"], safe="/-_.~")
    canonical = "\n".join(["POST", path, "", named, given, digest])
    moment = headers["x-amz-date"]
    scope = f"{moment[:8]}/{region}/bedrock/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for part in (moment[:8], region, "bedrock", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


async def test_a_bearer_token_needs_no_botocore(fake_llm: FakeLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "find_spec", lambda name: None)
    async with open_models({"MY_TOKEN": "bedrock-key"}) as models:
        model = spec(token_key="MY_TOKEN", base_url=fake_llm.url)
        a_team = Team("a", "h", (Agent("root", model="m"),), {"m": model})
        assert await ask(models, a_team) == "fake reply to: hi"
        with pytest.raises(BadModel, match=r"AWS_BEARER_TOKEN_BEDROCK.*pip install 'roost\[bedrock\]'"):
            models.provider(team(fake_llm.url), "m")
    request = fake_llm.requests[-1]
    assert request["headers"]["authorization"] == "Bearer bedrock-key"
    assert request["path"] == f"/model/{quote(CLAUDE, safe='')}/converse-stream"


async def test_requests_are_signed_with_the_key_of_the_environment(fake_llm: FakeLLM) -> None:
    pytest.importorskip("botocore")
    env = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "sEcReT", "AWS_SESSION_TOKEN": "session"}
    async with open_models(env) as models:
        assert await ask(models, team(fake_llm.url)) == "fake reply to: hi"
    request = fake_llm.requests[-1]
    headers = request["headers"]
    assert "Credential=AKIDEXAMPLE/" in headers["authorization"]
    assert "/eu-central-1/bedrock/aws4_request" in headers["authorization"]
    assert headers["x-amz-security-token"] == "session"
    raw = msgspec.json.encode(request["body"])
    expected = signed({**request, "raw": raw}, "sEcReT", "eu-central-1")
    assert headers["authorization"].endswith(f"Signature={expected}")


async def test_a_profile_is_found_in_its_file(
    fake_llm: FakeLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("botocore")
    file = tmp_path / "credentials"
    file.write_text("[lab]\naws_access_key_id = AKIDLAB\naws_secret_access_key = lab\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    async with open_models({"AWS_SHARED_CREDENTIALS_FILE": str(file)}) as models:
        assert await ask(models, team(fake_llm.url, profile="lab")) == "fake reply to: hi"
        assert "Credential=AKIDLAB/" in fake_llm.requests[-1]["headers"]["authorization"]
        with pytest.raises(ModelFailed, match=r"no AWS credentials: .*gone") as failed:
            await ask(models, team(fake_llm.url, profile="gone"))
    assert failed.value.kind == "auth"


async def test_without_credentials_all_ways_are_named(
    fake_llm: FakeLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("botocore")
    for name, value in {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    async with open_models({}) as models:
        with pytest.raises(ModelFailed, match="set AWS_BEARER_TOKEN_BEDROCK, or AWS_ACCESS_KEY_ID") as failed:
            await ask(models, team(fake_llm.url))
    assert failed.value.kind == "auth"
    assert fake_llm.requests == []


STS = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>AKIDROLE</AccessKeyId><SecretAccessKey>role</SecretAccessKey><SessionToken>role-session</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""


async def test_a_role_is_taken(fake_llm: FakeLLM) -> None:
    pytest.importorskip("botocore")
    with post.serve() as sts:
        sts.answers["/"] = [(200, STS.encode())]
        env = {"AWS_ACCESS_KEY_ID": "AKIDOWN", "AWS_SECRET_ACCESS_KEY": "own", "AWS_ENDPOINT_URL_STS": sts.url}
        role = "arn:aws:iam::123456789012:role/talker"
        options = {"role_arn": role, "role_session_name": "lab", "external_id": "x-1"}
        async with open_models(env) as models:
            for _ in range(2):
                assert await ask(models, team(fake_llm.url, **options)) == "fake reply to: hi"
        (request,) = sts.requests
    assert "RoleSessionName=lab" in request["body"]
    assert "ExternalId=x-1" in request["body"]
    headers = fake_llm.requests[-1]["headers"]
    assert "Credential=AKIDROLE/" in headers["authorization"]
    assert headers["x-amz-security-token"] == "role-session"


@pytest.mark.parametrize(
    ("options", "env", "url"),
    [
        ({}, {}, "https://bedrock-runtime.us-east-1.amazonaws.com"),
        ({}, {"AWS_DEFAULT_REGION": "eu-west-1"}, "https://bedrock-runtime.eu-west-1.amazonaws.com"),
        (
            {},
            {"AWS_REGION": "ap-south-1", "AWS_DEFAULT_REGION": "x"},
            "https://bedrock-runtime.ap-south-1.amazonaws.com",
        ),
        ({"region": "cn-north-1"}, {}, "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
        ({"endpoint_url": "http://vpce.test"}, {}, "http://vpce.test"),
    ],
)
def test_where_it_is(options: dict, env: dict, url: str) -> None:
    assert aws.address(spec(options=options), env) == url


async def test_where_a_cassette_plays_nothing_is_signed() -> None:
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, json={}))
    async with open_models({}, transport, need_keys=False) as models:
        assert models.provider(Team("a", "h", (Agent("root"),)), f"amazon-bedrock/{CLAUDE}").spec.model == CLAUDE


async def test_prices_are_those_of_the_region_or_of_the_model() -> None:
    async with open_models({"AWS_BEARER_TOKEN_BEDROCK": "k"}) as models:
        a_team = Team("a", "h", (Agent("root"),))
        us = models.provider(a_team, f"amazon-bedrock/{CLAUDE}")
        everywhere = models.provider(a_team, f"amazon-bedrock/global.{CLAUDE.removeprefix('us.')}")
        assert us.price is not None
        assert everywhere.price is not None
        assert us.price.input > everywhere.price.input > 0
        assert us.context_limit == 200_000
        assert models.provider(a_team, "amazon-bedrock/us.meta.llama3-3-70b-instruct-v1:0").price is not None
        listed = {info.ref: info for info in models.listing(a_team)}
        assert f"amazon-bedrock/{CLAUDE}" in listed
        assert not any("regional." in ref or "embed" in ref for ref in listed)
        assert listed[f"amazon-bedrock/{CLAUDE}"].family == "claude"
