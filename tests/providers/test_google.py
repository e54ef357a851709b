"""Gemini, request by request: what is sent, and what is made of every kind of answer."""

import msgspec
import pytest

from roost.core.agents import ModelSpec, Schema
from roost.core.errors import ModelFailed
from roost.core.ids import CallId
from roost.core.messages import Definition, File, Image, Message, Text, ToolCall
from roost.core.usage import Usage
from roost.ports import CallPiece, Finished, ModelRequest, Piece, TextPiece
from roost.providers.google import Gemini
from roost.providers.parts import Loaded
from roost.providers.schema import subset
from roost.providers.thinking import gemini
from roost.wire.sse import Event

PNG = "data:image/png;base64,cG5n"
CALLS = (ToolCall(CallId("a"), "t", '{"x":1}'), ToolCall(CallId("b"), "u", "broken"))


def spec(model: str = "gemini-3-pro", **fields) -> ModelSpec:
    return ModelSpec("n", "google", model, "google", **fields)


def fed(*chunks: dict, model: str = "gemini-3-pro", end: bool = True) -> list[Piece]:
    answer = Gemini(spec(model)).answer()
    pieces = [piece for chunk in chunks for piece in answer.feed(Event(msgspec.json.encode(chunk)))]
    return [*pieces, *(answer.end() if end else ())]


def chunk(*parts: dict, finish: str = "", **more) -> dict:
    candidate = {"content": {"role": "model", "parts": list(parts)}, **({"finishReason": finish} if finish else {})}
    return {"candidates": [candidate], **more}


def last(pieces: list[Piece]) -> Finished:
    assert isinstance(pieces[-1], Finished)
    return pieces[-1]


def test_a_whole_request() -> None:
    talk = (
        Message("system", "One."),
        Message("system", "Two."),
        Message("user", "hi"),
        Message("assistant", "let me", calls=CALLS),
        Message("tool", "r1", call_id=CallId("a")),
        Message("tool", "no", call_id=CallId("b"), is_error=True),
        Message("user", "and?"),
    )
    fields = {"temperature": 0.5, "top_p": 0.9, "frequency_penalty": 1.0, "presence_penalty": -1.0, "max_tokens": 900}
    options = {"top_k": 4, "seed": 7, "service_tier": "flex", "extra_body": {"labels": {"a": "b"}}}
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}, "additionalProperties": False}
    tools = (Definition("t", description="d", parameters=schema), Definition("v"))
    body = Gemini(spec(options=options, **fields)).body(ModelRequest(talk, tools), {})
    assert body == {
        "systemInstruction": {"parts": [{"text": "One."}, {"text": "Two."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}]},
            {
                "role": "model",
                "parts": [
                    {"text": "let me"},
                    {
                        "functionCall": {"name": "t", "args": {"x": 1}},
                        "thoughtSignature": "skip_thought_signature_validator",
                    },
                    {"functionCall": {"name": "u", "args": {"invalid_arguments": "broken"}}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"name": "t", "response": {"result": "r1"}}},
                    {"functionResponse": {"name": "u", "response": {"error": "no"}}},
                    {"text": "and?"},
                ],
            },
        ],
        "tools": [
            {
                "functionDeclarations": [
                    {
                        "name": "t",
                        "description": "d",
                        "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}},
                    },
                    {"name": "v", "description": ""},
                ]
            }
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
        "generationConfig": {
            "temperature": 0.5,
            "topP": 0.9,
            "frequencyPenalty": 1.0,
            "presencePenalty": -1.0,
            "topK": 4,
            "seed": 7,
            "maxOutputTokens": 900,
            "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "high"},
        },
        "serviceTier": "flex",
        "labels": {"a": "b"},
    }


def test_google_s_own_tools_stand_beside_ours() -> None:
    options = {"google_search": True, "google_maps": False, "code_execution": True, "tool_choice": "required"}
    body = Gemini(spec(options=options)).body(ModelRequest((Message("user", "x"),), (Definition("t"),)), {})
    assert body["tools"][:2] == [{"googleSearch": {}}, {"codeExecution": {}}]
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "ANY"}, "includeServerSideToolInvocations": True}
    alone = Gemini(spec(options=options)).body(ModelRequest((Message("user", "x"),)), {})
    assert alone["tools"] == [{"googleSearch": {}}, {"codeExecution": {}}]
    assert "toolConfig" not in alone


def test_one_tool_may_be_asked_for() -> None:
    chosen = {"type": "function", "function": {"name": "t"}}
    body = Gemini(spec(options={"tool_choice": chosen})).body(
        ModelRequest((Message("user", "x"),), (Definition("t"),)), {}
    )
    assert body["toolConfig"]["functionCallingConfig"] == {"mode": "ANY", "allowedFunctionNames": ["t"]}


def test_the_form_of_an_answer() -> None:
    form = Schema("v", {"type": "object", "properties": {"ok": {"type": "boolean"}}, "additionalProperties": False})
    config = Gemini(spec()).body(ModelRequest((Message("user", "x"),), schema=form), {})["generationConfig"]
    assert config["responseMimeType"] == "application/json"
    assert config["responseSchema"] == {"type": "object", "properties": {"ok": {"type": "boolean"}}}


def test_parts() -> None:
    files = {"/d.pdf": Loaded("d.pdf", "application/pdf", b"%PDF")}
    uri = "https://generativelanguage.googleapis.com/v1beta/files/x"
    parts = (
        Text("see"),
        Image(PNG),
        Image("https://x.test/a.png"),
        File("/d.pdf"),
        File(file_id=uri, mime_type="video/mp4"),
        File(file_id="file-1"),
    )
    (content,) = Gemini(spec()).body(ModelRequest((Message("user", parts=parts),)), files)["contents"]
    assert content["parts"] == [
        {"text": "see"},
        {"inlineData": {"mimeType": "image/png", "data": "cG5n"}},
        {"text": "[an image at https://x.test/a.png, which this model can't be shown]"},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}},
        {"fileData": {"fileUri": uri, "mimeType": "video/mp4"}},
        {"text": "[the file file-1, which this model can't be shown]"},
    ]
    blind = Gemini(spec(images=False, pdf=False)).body(ModelRequest((Message("user", parts=parts),)), files)
    assert not any("inlineData" in part for part in blind["contents"][0]["parts"])


@pytest.mark.parametrize(("model", "inside"), [("gemini-3-flash", True), ("gemini-2.5-flash", False)])
def test_pictures_of_a_tool_go_where_the_model_takes_them(model: str, inside: bool) -> None:
    said = Message("assistant", calls=CALLS[:1])
    result = Message("tool", "shot", parts=(Text("shot"), Image(PNG)), call_id=CallId("a"))
    body = Gemini(spec(model)).body(ModelRequest((Message("user", "x"), said, result)), {})
    answer, *beside = body["contents"][2]["parts"]
    picture = {"inlineData": {"mimeType": "image/png", "data": "cG5n"}}
    assert answer["functionResponse"].get("parts") == ([picture] if inside else None)
    assert beside == ([] if inside else [picture])


@pytest.mark.parametrize(
    ("model", "budget", "thinking", "expected"),
    [
        ("gemini-2.0-flash", None, True, {}),
        ("gemini-2.5-flash", None, True, {"includeThoughts": True, "thinkingBudget": -1}),
        ("gemini-2.5-flash", 0, True, {"includeThoughts": False, "thinkingBudget": 0}),
        ("gemini-2.5-flash", "none", True, {"includeThoughts": False, "thinkingBudget": 0}),
        ("gemini-2.5-flash", None, False, {"includeThoughts": False, "thinkingBudget": 0}),
        ("gemini-2.5-flash", 500, True, {"includeThoughts": True, "thinkingBudget": 500}),
        ("gemini-2.5-flash", 99999, True, {"includeThoughts": True, "thinkingBudget": 24576}),
        ("gemini-2.5-flash", "max", True, {"includeThoughts": True, "thinkingBudget": 24576}),
        ("gemini-2.5-pro", "max", True, {"includeThoughts": True, "thinkingBudget": 32768}),
        ("gemini-2.5-pro", 0, True, {"includeThoughts": False, "thinkingBudget": 128}),
        ("gemini-2.5-pro", "adaptive", True, {"includeThoughts": True, "thinkingBudget": -1}),
        ("gemini-3-pro-preview", None, True, {"includeThoughts": True, "thinkingLevel": "high"}),
        ("gemini-3-pro-preview", "medium", True, {"includeThoughts": True, "thinkingLevel": "high"}),
        ("gemini-3.1-pro-preview", "medium", True, {"includeThoughts": True, "thinkingLevel": "medium"}),
        ("gemini-3-pro-preview", "none", True, {"includeThoughts": False, "thinkingLevel": "low"}),
        ("gemini-3.8-flash", None, True, {"includeThoughts": True, "thinkingLevel": "medium"}),
        ("gemini-3.8-flash", "xhigh", True, {"includeThoughts": True, "thinkingLevel": "high"}),
        ("gemini-3.8-flash", "minimal", True, {"includeThoughts": True, "thinkingLevel": "minimal"}),
        ("gemini-3.8-flash", 2000, True, {"includeThoughts": True, "thinkingLevel": "low"}),
        ("gemini-3.8-flash", None, False, {"includeThoughts": False, "thinkingLevel": "minimal"}),
        ("gemini-flash-latest", "low", True, {"includeThoughts": True, "thinkingLevel": "low"}),
        ("gemma-4-31b-it", "high", True, {}),
    ],
)
def test_thinking(model: str, budget: str | int | None, thinking: bool, expected: dict) -> None:
    assert gemini(spec(model, thinking_budget=budget), thinking=thinking) == expected


def test_thoughts_that_can_t_be_switched_off_leave_room_for_words() -> None:
    def room(model: str) -> int:
        request = ModelRequest((Message("user", "x"),), max_tokens=20, thinking=False)
        return Gemini(spec(model)).body(request, {})["generationConfig"]["maxOutputTokens"]

    assert (room("gemini-3-pro"), room("gemini-2.5-pro"), room("gemini-2.5-flash")) == (256, 256, 20)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": ["string", "null"], "minLength": 1}, {"type": "string", "nullable": True, "minLength": 1}),
        ({"type": "string", "format": "uri"}, {"type": "string"}),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"const": "a"}, {"type": "string", "enum": ["a"]}),
        ({"enum": ["a", None]}, {"type": "string", "enum": ["a"]}),
        (
            {"type": "integer", "enum": [1, 2], "description": "n."},
            {"type": "integer", "description": "n. One of: 1, 2."},
        ),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"nullable": True, "type": "string"}),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ({"type": ["string", "integer"]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ({"type": "array"}, {"type": "array", "items": {}}),
        ({"type": "object", "properties": {"a": True}, "required": ["a", "b"]}, None),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "integer", "exclusiveMinimum": 0}}}, {"type": "integer"}),
        (
            {"allOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}], "properties": {"b": {}}},
            {"properties": {"b": {}, "a": {"type": "string"}}, "type": "object", "required": ["a"]},
        ),
        ({"$ref": "#/nowhere/to/go"}, {}),
        ({"patternProperties": {"x": {}}, "$schema": "s", "not": {}}, {}),
    ],
)
def test_schemas_become_what_gemini_reads(given: dict, expected: dict | None) -> None:
    if expected is None:
        expected = {"type": "object", "properties": {"a": {}}, "required": ["a"]}
    assert subset(given) == expected


def test_a_schema_that_holds_itself_ends() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "n": {"type": "integer"}}}
    text = msgspec.json.encode(subset({"$ref": "#/$defs/node", "$defs": {"node": node}})).decode()
    assert 5 < text.count('"next"') < 20
    assert "$" not in text
    assert subset({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}) == {}


def test_calls_without_ids_get_some() -> None:
    call = {"functionCall": {"name": "t", "args": {"x": 1}}, "thoughtSignature": "c2ln"}
    got = fed(chunk({"text": "hm"}, call, {"functionCall": {"name": "u"}}, finish="STOP", usageMetadata={}))
    one, two = [piece for piece in got if isinstance(piece, CallPiece)]
    assert (one.name, one.arguments, two.name, two.arguments) == ("t", '{"x":1}', "u", "{}")
    assert one.id != two.id
    assert (last(got).reason, last(got).thought_signature) == ("tool_calls", "c2ln")
    calls = tuple(ToolCall(CallId(p.id), p.name, p.arguments) for p in (one, two))
    said = Message("assistant", "hm", calls=calls, replay=last(got).replay)
    result = Message("tool", "r", call_id=CallId(one.id))
    body = Gemini(spec()).body(ModelRequest((Message("user", "x"), said, result)), {})
    assert body["contents"][1]["parts"] == [{"text": "hm"}, call, {"functionCall": {"name": "u"}}]
    assert body["contents"][2]["parts"] == [{"functionResponse": {"name": "t", "response": {"result": "r"}}}]


def test_an_edited_answer_is_not_given_back_as_it_was() -> None:
    got = fed(chunk({"text": "hm", "thoughtSignature": "c2ln"}, finish="STOP"))
    said = Message("assistant", "edited", replay=last(got).replay)
    body = Gemini(spec()).body(ModelRequest((Message("user", "x"), said)), {})
    assert body["contents"][1]["parts"] == [{"text": "edited"}]


def test_what_google_ran_itself_goes_back_as_it_came() -> None:
    ran = {"executableCode": {"language": "PYTHON", "code": "print(1)"}}
    output = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}
    got = fed(chunk({"text": "a"}), chunk({"text": "b"}, ran, output, {"text": "c"}, finish="STOP"))
    assert [piece.text for piece in got if isinstance(piece, TextPiece)] == ["a", "b", "c"]
    body = Gemini(spec()).body(
        ModelRequest((Message("user", "x"), Message("assistant", "abc", replay=last(got).replay))), {}
    )
    assert body["contents"][1]["parts"] == [{"text": "ab"}, ran, output, {"text": "c"}]


def test_plain_text_needs_no_replay() -> None:
    assert last(fed(chunk({"text": "hi"}, finish="STOP"))).replay == ()


def test_tokens() -> None:
    counted = {"promptTokenCount": 100, "cachedContentTokenCount": 40, "candidatesTokenCount": 7}
    counted |= {"thoughtsTokenCount": 5, "toolUsePromptTokenCount": 3, "totalTokenCount": 115}
    got = fed(chunk({"text": "hi"}), chunk(finish="STOP", usageMetadata=counted))
    assert last(got).usage == Usage(input=63, output=12, cached_input=40, reasoning=5)


@pytest.mark.parametrize(
    ("finish", "reason"),
    [("STOP", "stop"), ("MAX_TOKENS", "length"), ("SAFETY", "content_filter"), ("RECITATION", "content_filter")],
)
def test_reasons(finish: str, reason: str) -> None:
    assert last(fed(chunk({"text": "x"}, finish=finish))).reason == reason


def test_a_prompt_that_is_refused_says_so() -> None:
    with pytest.raises(ModelFailed, match=r"Gemini refused the prompt \(SAFETY\)") as failed:
        fed({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}})
    assert (failed.value.kind, failed.value.provider_code) == ("client", "SAFETY")


def test_a_candidate_without_content_that_was_filtered_is_an_end() -> None:
    got = fed({"candidates": [{"finishReason": "SAFETY", "index": 0}], "usageMetadata": {"promptTokenCount": 3}})
    assert last(got).reason == "content_filter"


def test_a_call_that_google_could_not_read_is_worth_another_try() -> None:
    with pytest.raises(ModelFailed) as failed:
        fed(chunk(finish="MALFORMED_FUNCTION_CALL"))
    assert failed.value.kind == "retryable"


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [(429, "RESOURCE_EXHAUSTED", "rate_limit"), (503, "UNAVAILABLE", "retryable"), (400, "INVALID_ARGUMENT", "client")],
)
def test_an_error_in_the_stream(code: int, status: str, kind: str) -> None:
    with pytest.raises(ModelFailed, match="oh no") as failed:
        fed({"error": {"code": code, "status": status, "message": "oh no"}})
    assert (failed.value.kind, failed.value.status, failed.value.provider_code) == (kind, code, status)


def test_a_stream_without_an_end_was_cut() -> None:
    with pytest.raises(ModelFailed) as failed:
        fed(chunk({"text": "x"}))
    assert failed.value.kind == "retryable"


@pytest.mark.parametrize("data", [b"{", b"[1", b'{"candidates": 5}', b"\xff"])
def test_what_is_no_event_is_a_cut_line(data: bytes) -> None:
    with pytest.raises(ModelFailed) as failed:
        Gemini(spec()).answer().feed(Event(data))
    assert failed.value.kind == "retryable"
