"""What is sent, field by field: OpenAI's two dialects and Anthropic's."""

from contextlib import aclosing

import httpx2
import msgspec
import pytest

from roost.core.agents import ModelSpec, Schema
from roost.core.errors import ModelFailed
from roost.core.ids import CallId
from roost.core.messages import Definition, File, Image, Message, Text, ToolCall
from roost.ports import ModelRequest
from roost.providers.anthropic import Messages
from roost.providers.bedrock import Converse
from roost.providers.dialects import Remote
from roost.providers.http import open_http
from roost.providers.openai import Chat
from roost.providers.parts import Loaded
from roost.providers.responses import Responses
from roost.providers.schema import strict

FILES = {"/x/doc.pdf": Loaded("doc.pdf", "application/pdf", b"%PDF"), "/x/p.png": Loaded("p.png", "image/png", b"png")}
LOOSE = {"type": ["object", "null"], "properties": {"a": {"type": "string", "format": "uri"}}}
TIGHT = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
TOOLS = (Definition("t", description="d", parameters=LOOSE), Definition("u", parameters=TIGHT), Definition("v"))
CALLS = (ToolCall(CallId("call_1"), "t", '{"a":1}'), ToolCall(CallId("call_2"), "u", "not json"))
TALK = (
    Message("system", "One."),
    Message("system", "Two."),
    Message("user", "hi"),
    Message("assistant", "let me", calls=CALLS),
    Message("tool", "r1", call_id=CallId("call_1")),
    Message("tool", "r2", call_id=CallId("call_2"), is_error=True),
    Message("user", "and?"),
)


def spec(dialect: str, model: str = "m", provider: str = "p", **fields) -> ModelSpec:
    return ModelSpec("n", provider, model, dialect, **fields)


def test_chat_messages() -> None:
    body = Chat(spec("openai-chat")).body(ModelRequest(TALK), {})
    assert body["messages"] == [
        {"role": "system", "content": "One.\n\nTwo."},
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": "let me",
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "t", "arguments": '{"a":1}'}},
                {
                    "id": "call_2",
                    "type": "function",
                    "function": {"name": "u", "arguments": '{"invalid_arguments":"not json"}'},
                },
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "r1"},
        {"role": "tool", "tool_call_id": "call_2", "content": "r2"},
        {"role": "user", "content": "and?"},
    ]
    assert body["stream_options"] == {"include_usage": True}
    assert {"max_tokens", "tools", "reasoning_effort", "temperature"}.isdisjoint(body)


def test_chat_settings() -> None:
    options = {"top_k": 4, "seed": 1, "tool_choice": "required", "extra_body": {"seed": 2, "x": 1}}
    fields = {"temperature": 0.5, "top_p": 0.9, "frequency_penalty": 1.0, "presence_penalty": -1.0, "max_tokens": 77}
    model = spec("openai-chat", **fields, parallel_tool_calls=False, track_usage=False, options=options)
    body = Chat(model).body(ModelRequest(TALK, TOOLS), {})
    expected = {**fields, "top_k": 4, "seed": 2, "x": 1, "tool_choice": "required", "parallel_tool_calls": False}
    assert {key: body[key] for key in expected} == expected
    assert "stream_options" not in body
    alone = Chat(model).body(ModelRequest(TALK, max_tokens=5), {})
    assert alone["max_tokens"] == 5
    assert {"tools", "tool_choice", "parallel_tool_calls"}.isdisjoint(alone)


def test_schemas_are_strict_only_at_openai_and_only_where_nothing_is_optional() -> None:
    body = Chat(spec("openai-chat")).body(ModelRequest(TALK, TOOLS), {})
    one, two, three = (tool["function"] for tool in body["tools"])
    assert one["parameters"] == {**LOOSE, "type": "object"}
    assert two["parameters"] == TIGHT
    assert three["parameters"] == {"type": "object", "properties": {}}
    assert not any("strict" in tool["function"] for tool in body["tools"])
    genuine = Chat(spec("openai-chat"), genuine=True).body(ModelRequest(TALK, TOOLS), {})
    assert [tool["function"].get("strict") for tool in genuine["tools"]] == [None, True, None]
    newer = Responses(spec("openai-responses"), genuine=True).body(ModelRequest(TALK, TOOLS), {})
    assert [tool["strict"] for tool in newer["tools"]] == [False, True, False]


@pytest.mark.parametrize(
    ("schema", "is_strict"),
    [
        (TIGHT, True),
        (LOOSE, False),
        ({**TIGHT, "required": []}, False),
        ({**TIGHT, "additionalProperties": True}, False),
        ({**TIGHT, "properties": {"a": {"type": "array", "items": TIGHT}}}, True),
        ({**TIGHT, "properties": {"a": {"type": "array"}}}, False),
        ({**TIGHT, "properties": {"a": {"type": "string", "format": "uri"}}}, False),
        ({**TIGHT, "properties": {"a": {}}}, False),
    ],
)
def test_strict(schema: dict, is_strict: bool) -> None:
    assert strict(schema) is is_strict


def test_reasoning_models_of_openai_get_their_own_fields() -> None:
    genuine = Chat(spec("openai-chat", "o3", max_tokens=50), genuine=True).body(ModelRequest(TALK), {})
    assert (genuine["max_completion_tokens"], genuine["reasoning_effort"]) == (256, "medium")
    title = Responses(spec("openai-responses", "gpt-5"), genuine=True)
    body = title.body(ModelRequest(TALK, max_tokens=20, thinking=False), {})
    assert (body["max_output_tokens"], body["reasoning"]) == (256, {"effort": "minimal"})
    assert body["include"] == ["reasoning.encrypted_content"]
    other = Chat(spec("openai-chat", "qwen3", thinking_budget="none")).body(ModelRequest(TALK), {})
    assert other["chat_template_kwargs"] == {"enable_thinking": False}


def test_mistral_gets_short_ids() -> None:
    messages = Chat(spec("openai-chat", provider="mistral")).body(ModelRequest(TALK), {})["messages"]
    ids = [call["id"] for call in messages[2]["tool_calls"]]
    assert ids == [messages[3]["tool_call_id"], messages[4]["tool_call_id"]]
    assert all(len(short) == 9 and short.isalnum() for short in ids)


def test_deepseek_gets_the_reasoning_of_its_calls_back() -> None:
    talk = (Message("user", "x"), Message("assistant", "", calls=CALLS, reasoning="hm"))
    for provider, echoed in (("deepseek", "hm"), ("other", None)):
        messages = Chat(spec("openai-chat", provider=provider)).body(ModelRequest(talk), {})["messages"]
        assert messages[1].get("reasoning_content") == echoed


PARTS = (Text("see"), Image("https://x.test/a.png", "low"), File("/x/p.png"), File("/x/doc.pdf"), File(file_id="f-1"))
SEEN = (Message("user", parts=PARTS),)


def test_chat_parts() -> None:
    body = Chat(spec("openai-chat"), genuine=True).body(ModelRequest(SEEN), FILES)
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n"}},
        {"type": "file", "file": {"filename": "doc.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}},
        {"type": "file", "file": {"file_id": "f-1"}},
    ]
    blind = Chat(spec("openai-chat", images=False)).body(ModelRequest(SEEN), FILES)
    image = "[an image that this model can't be shown]"
    assert blind["messages"][0]["content"].startswith(f"see\n{image}\n[the file p.png (image/png), which this model")


def test_responses_parts_and_items() -> None:
    body = Responses(spec("openai-responses"), genuine=True).body(ModelRequest((*TALK, *SEEN)), FILES)
    assert (body["instructions"], body["store"]) == ("One.\n\nTwo.", False)
    assert body["input"][:5] == [
        {"role": "user", "content": "hi"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "let me"}]},
        {"type": "function_call", "call_id": "call_1", "name": "t", "arguments": '{"a":1}'},
        {
            "type": "function_call",
            "call_id": "call_2",
            "name": "u",
            "arguments": '{"invalid_arguments":"not json"}',
        },
        {"type": "function_call_output", "call_id": "call_1", "output": "r1"},
    ]
    assert body["input"][-1]["content"] == [
        {"type": "input_text", "text": "see"},
        {"type": "input_image", "image_url": "https://x.test/a.png", "detail": "low"},
        {"type": "input_image", "image_url": "data:image/png;base64,cG5n", "detail": "auto"},
        {"type": "input_file", "filename": "doc.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
        {"type": "input_file", "file_id": "f-1"},
    ]


def test_anthropic_messages() -> None:
    dialect = Messages(spec("anthropic", "claude-sonnet-4-5", temperature=0.3, options={"top_k": 3}))
    request = ModelRequest(TALK, TOOLS, thinking=False, cache_marks=(0, 1))
    body = dialect.body(request, {})
    cached = {"cache_control": {"type": "ephemeral"}}
    assert body["system"] == [{"type": "text", "text": "One.", **cached}, {"type": "text", "text": "Two.", **cached}]
    said, asked, results = body["messages"][1], body["messages"][0], body["messages"][2]
    assert asked == {"role": "user", "content": [{"type": "text", "text": "hi"}]}
    assert said["content"] == [
        {"type": "text", "text": "let me"},
        {"type": "tool_use", "id": "call_1", "name": "t", "input": {"a": 1}},
        {"type": "tool_use", "id": "call_2", "name": "u", "input": {"invalid_arguments": "not json"}, **cached},
    ]
    assert results == {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "r1"}]},
            {
                "type": "tool_result",
                "tool_use_id": "call_2",
                "content": [{"type": "text", "text": "r2"}],
                "is_error": True,
            },
            {"type": "text", "text": "and?", **cached},
        ],
    }
    assert (body["max_tokens"], body["temperature"], body["top_k"]) == (32000, 0.3, 3)
    assert "thinking" not in body
    assert dialect.headers(request, "k") == {
        "anthropic-version": "2023-06-01",
        "x-api-key": "k",
        "anthropic-beta": "fine-grained-tool-streaming-2025-05-14",
    }


def test_anthropic_parts() -> None:
    dialect = Messages(spec("anthropic"))
    assert "files-api" in dialect.headers(ModelRequest(SEEN), "")["anthropic-beta"]
    blocks = dialect.body(ModelRequest((*SEEN, Message("assistant", "ok"), Message("user", "x"))), FILES)
    assert blocks["messages"][0]["content"] == [
        {"type": "text", "text": "see"},
        {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "cG5n"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
            "title": "doc.pdf",
        },
        {"type": "document", "source": {"type": "file", "file_id": "f-1"}},
    ]


def test_anthropic_thinks_with_its_own_thoughts_only() -> None:
    model = spec("anthropic", "claude-sonnet-4-5", "anthropic", temperature=0.3)
    dialect = Messages(model)
    fresh = ModelRequest((Message("user", "x"),), TOOLS)
    assert dialect.body(fresh, {})["thinking"] == {"type": "enabled", "budget_tokens": 8192}
    assert "temperature" not in dialect.body(fresh, {})
    assert "interleaved-thinking" in dialect.headers(fresh, "")["anthropic-beta"]
    foreign = ModelRequest(TALK[:-1], TOOLS)  # in the middle of a turn whose calls another model made
    assert "thinking" not in dialect.body(foreign, {})
    assert "thinking" in dialect.body(ModelRequest(TALK, TOOLS), {})
    signed = Message("assistant", "let me", calls=CALLS, reasoning="hm", thinking_signature="sig")
    own = ModelRequest((*TALK[:3], signed, *TALK[4:6]), TOOLS)
    body = dialect.body(own, {})
    assert body["thinking"]["type"] == "enabled"
    assert body["messages"][1]["content"][0] == {"type": "thinking", "thinking": "hm", "signature": "sig"}
    off = dialect.body(msgspec.structs.replace(own, thinking=False), {})
    assert off["messages"][1]["content"][0] == {"type": "text", "text": "let me"}


def test_newer_claudes_take_no_sampling_and_are_asked_to_show_their_thoughts() -> None:
    model = spec("anthropic", "claude-sonnet-5-5", temperature=0.3, top_p=0.9, options={"top_k": 3})
    body = Messages(model).body(ModelRequest(TALK[:-1], TOOLS), {})  # no matter who made the calls
    assert body["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert {"temperature", "top_p", "top_k"}.isdisjoint(body)
    title = Messages(spec("anthropic", "claude-opus-5-5")).body(ModelRequest(TALK, max_tokens=20, thinking=False), {})
    assert (title["max_tokens"], title["output_config"]) == (256, {"effort": "low"})
    assert "thinking" not in title


FORM = Schema(
    "verdict",
    {
        "type": "object",
        "properties": {
            "ok": {"type": "boolean"},
            "why": {"type": "array", "items": {"type": "string", "minLength": 3}, "minItems": 2, "maxItems": 9},
            "who": {
                "anyOf": [{"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}, {"type": "null"}]
            },
        },
        "required": ["ok"],
    },
    "what it comes to",
    strict=True,
)


def test_the_form_of_an_answer_is_asked_for_in_each_dialect() -> None:
    request = ModelRequest(TALK, schema=FORM)
    formed = {"name": "verdict", "description": "what it comes to", "schema": FORM.schema, "strict": True}
    chat = Chat(spec("openai-chat")).body(request, {})
    assert chat["response_format"] == {"type": "json_schema", "json_schema": formed}
    newer = Responses(spec("openai-responses")).body(request, {})
    assert newer["text"] == {"format": {"type": "json_schema", **formed}}
    claude = Messages(spec("anthropic", "claude-sonnet-4-5")).body(request, {})
    assert claude["output_config"] == {
        "format": {
            "type": "json_schema",
            "schema": {
                "type": "object",
                "properties": {
                    "ok": {"type": "boolean"},
                    "why": {"type": "array", "items": {"type": "string"}},
                    "who": {
                        "anyOf": [
                            {
                                "type": "object",
                                "properties": {"n": {"type": "integer"}},
                                "additionalProperties": False,
                            },
                            {"type": "null"},
                        ]
                    },
                },
                "required": ["ok"],
                "additionalProperties": False,
            },
        }
    }
    assert "output_config" not in Messages(spec("anthropic", "claude-3-7-sonnet-latest")).body(request, {})
    assert FORM.name not in str(Converse(spec("bedrock")).body(request, {}))


def test_anthropic_s_own_settings() -> None:
    options = {
        "fallbacks": ["claude-haiku-4-5", {"model": "claude-sonnet-4-5", "max_tokens": 9}],
        "service_tier": "auto",
    }
    model = spec("anthropic", "claude-opus-4-7", thinking_budget="xhigh", task_budget=50_000, options=options)
    request = ModelRequest(TALK, schema=Schema("v", {"type": "string"}))
    body, headers = Messages(model).body(request, {}), Messages(model).headers(request, "")
    assert body["output_config"] == {
        "effort": "xhigh",
        "task_budget": {"type": "tokens", "total": 50_000},
        "format": {"type": "json_schema", "schema": {"type": "string"}},
    }
    assert body["fallbacks"] == [{"model": "claude-haiku-4-5"}, {"model": "claude-sonnet-4-5", "max_tokens": 9}]
    assert body["service_tier"] == "auto"
    assert headers["anthropic-beta"].split(",") == ["task-budgets-2026-03-13", "server-side-fallback-2026-07-01"]


def test_a_file_may_say_what_a_model_can_be_shown() -> None:
    seen = ModelRequest((Message("user", parts=(File("/x/doc.pdf"),)),))
    note = "which this model can't be shown"
    for cls, block in ((Chat, "'type': 'file'"), (Responses, "input_file")):
        assert note in str(cls(spec("x")).body(seen, FILES))
        assert block in str(cls(spec("x", pdf=True)).body(seen, FILES))
        assert note in str(cls(spec("x", pdf=False), genuine=True).body(seen, FILES))
    assert note in str(Messages(spec("anthropic", pdf=False)).body(seen, FILES))
    assert note in str(Converse(spec("bedrock", pdf=False)).body(seen, FILES))


def test_openai_takes_no_sampling_while_it_reasons() -> None:
    for cls in (Chat, Responses):
        model = spec("openai-chat", "gpt-6-sol", temperature=0.3)
        assert "temperature" not in cls(model, genuine=True).body(ModelRequest(TALK), {})
        assert cls(model, genuine=True).body(ModelRequest(TALK, thinking=False), {})["temperature"] == 0.3
        assert cls(model).body(ModelRequest(TALK), {})["temperature"] == 0.3


def test_what_is_kept_for_one_model_is_not_given_to_another() -> None:
    items = [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "enc"},
        {"type": "message", "id": "m_1", "role": "assistant", "status": "completed", "content": [{"text": "hello"}]},
    ]
    kept = ({"dialect": "openai-responses", "provider": "openai", "model": "gpt-5", "items": items},)
    talk = ModelRequest((Message("user", "x"), Message("assistant", "hello", replay=kept), Message("user", "y")))
    own = Responses(spec("openai-responses", "gpt-5", "openai")).body(talk, {})["input"]
    assert own[1] == items[0]
    assert own[2] == {key: value for key, value in items[1].items() if key != "status"}
    for other in (spec("openai-responses", "gpt-5-mini", "openai"), spec("openai-responses", "gpt-5", "azure")):
        assert len(Responses(other).body(talk, {})["input"]) == 3
    edited = ModelRequest((Message("user", "x"), Message("assistant", "edited", replay=kept)))
    given = Responses(spec("openai-responses", "gpt-5", "openai")).body(edited, {})["input"]
    assert given[1:] == [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "edited"}]}
    ]
    assert "enc" not in str(Messages(spec("anthropic")).body(talk, {}))
    assert "enc" not in str(Chat(spec("openai-chat")).body(talk, {}))


@pytest.mark.anyio
@pytest.mark.parametrize(("model", "mode"), [("claude-sonnet-4-5", None), ("claude-opus-5-5", "adaptive")])
async def test_thoughts_that_are_no_longer_taken_are_left_out(model: str, mode: str | None) -> None:
    seen: list[dict] = []
    complaint = (
        "messages.1.content.0: Invalid `signature` in `thinking` block. The block is bound to another conversation"
    )

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(msgspec.json.decode(request.content))
        if len(seen) == 1:
            return httpx2.Response(400, json={"type": "error", "error": {"type": "x", "message": complaint}})
        return httpx2.Response(200, json={"type": "message", "content": [], "stop_reason": "end_turn"})

    signed = Message("assistant", "let me", calls=CALLS, reasoning="hm", thinking_signature="sig")
    async with open_http(httpx2.MockTransport(answer)) as http:
        provider = Remote(spec("anthropic", model), http, base_url="http://x.test")
        async with aclosing(provider.stream(ModelRequest((*TALK[:3], signed, *TALK[4:])))) as stream:
            assert len([piece async for piece in stream]) == 1
    before, after = (body["messages"][1]["content"] for body in seen)
    assert [block["type"] for block in before] == ["thinking", "text", "tool_use", "tool_use"]
    assert after == before[1:]
    assert seen[1].get("thinking", {}).get("type") == mode


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("complaint", "sent"),
    [
        ("input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000, decrease", [32000, 10000]),
        ("max_tokens: 32000 > 8192, which is the maximum allowed number of output tokens", [32000, 8192]),
        ("input length and `max_tokens` exceed context limit: 199990 + 32000 > 200000", [32000]),
        ("something else", [32000]),
    ],
)
async def test_anthropic_is_asked_once_more_with_less_room(complaint: str, sent: list[int]) -> None:
    seen: list[dict] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(msgspec.json.decode(request.content))
        return httpx2.Response(400, json={"type": "error", "error": {"type": "x", "message": complaint}})

    async with open_http(httpx2.MockTransport(answer)) as http:
        provider = Remote(spec("anthropic", "claude-sonnet-4-5"), http, base_url="http://x.test")
        with pytest.raises(ModelFailed):
            async with aclosing(provider.stream(ModelRequest((Message("user", "x"),)))) as stream:
                await anext(stream)
    assert [body["max_tokens"] for body in seen] == sent
    assert all(body["thinking"]["budget_tokens"] < body["max_tokens"] for body in seen)
