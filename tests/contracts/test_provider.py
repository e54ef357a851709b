"""What every provider over HTTP promises, whatever its dialect."""

import base64
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial

import anyio
import msgspec
import pytest

from fakes.llm import FakeLLM
from roost.core.agents import ModelSpec
from roost.core.errors import ModelFailed
from roost.core.ids import CallId
from roost.core.messages import Definition, File, Image, Message, Result, Text, ToolCall, tool_message
from roost.core.usage import Usage
from roost.ports import CallPiece, Finished, ModelRequest, Piece, ReasoningPiece, TextPiece
from roost.providers.dialects import Remote
from roost.providers.dmr import RunnerChat
from roost.providers.http import Http, Timeouts, open_http

pytestmark = pytest.mark.anyio

DIALECTS = ["openai-chat", "openai-responses", "anthropic", "google", "bedrock", "azure", "dmr"]
MODELS = {
    "anthropic": "claude-sonnet-4-5",
    "google": "gemini-2.5-flash",
    "bedrock": "us.anthropic.claude-sonnet-4-5-v1:0",
}
TOOLS = (
    Definition("weather", description="the weather", parameters={"type": "object", "properties": {"city": {}}}),
    Definition("clock", description="the time"),
)
PNG = "data:image/png;base64," + base64.b64encode(b"\x89PNG fake").decode()


@pytest.fixture(params=DIALECTS)
def spec(request: pytest.FixtureRequest, fake_llm: FakeLLM) -> ModelSpec:
    model = MODELS.get(request.param, "fake-model")
    return ModelSpec("m", "fake", model, request.param, base_url=f"{fake_llm.url}/v1", token_key="K")


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with open_http(timeouts=Timeouts(connect=2, first_byte=5, idle=5)) as client:
        yield client


@pytest.fixture
def provider(spec: ModelSpec, http: Http) -> Remote:
    return made(spec, http, key="sk-very-secret")


def made(spec: ModelSpec, http: Http, *, key: str = "") -> Remote:
    """The provider of a spec; that of a runner found already."""
    speaks = RunnerChat(spec) if spec.dialect == "dmr" else None
    return Remote(spec, http, base_url=spec.base_url, key=key, speaks=speaks)


def asked(text: str, *, tools: tuple[Definition, ...] = (), thinking: bool = False) -> ModelRequest:
    system = Message("system", "You are a test.")
    return ModelRequest((system, Message("user", text)), tools, thinking=thinking)


async def pieces(provider: Remote, request: ModelRequest) -> list[Piece]:
    async with aclosing(provider.stream(request)) as stream:
        return [piece async for piece in stream]


def text(got: list[Piece]) -> str:
    return "".join(piece.text for piece in got if isinstance(piece, TextPiece))


def reasoning(got: list[Piece]) -> str:
    return "".join(piece.text for piece in got if isinstance(piece, ReasoningPiece))


def calls(got: list[Piece]) -> list[ToolCall]:
    """The calls, put together as the contract says: id and name with the first piece of an index."""
    found: dict[int, ToolCall] = {}
    for piece in got:
        if isinstance(piece, CallPiece):
            if piece.index not in found:
                assert piece.id
                assert piece.name
                found[piece.index] = ToolCall(CallId(piece.id), piece.name)
            before = found[piece.index]
            found[piece.index] = ToolCall(before.id, before.name, before.arguments + piece.arguments)
    return [found[index] for index in sorted(found)]


def finished(got: list[Piece]) -> Finished:
    assert [isinstance(piece, Finished) for piece in got] == [False] * (len(got) - 1) + [True]
    last = got[-1]
    assert isinstance(last, Finished)
    return last


async def test_text_comes_in_pieces_and_ends(provider: Remote) -> None:
    got = await pieces(provider, asked("[[say one two three four five six]]"))
    assert text(got) == "one two three four five six"
    assert sum(isinstance(piece, TextPiece) for piece in got) > 1
    assert finished(got).reason == "stop"


async def test_usage_leaves_out_what_was_cached(provider: Remote) -> None:
    got = await pieces(provider, asked("[[usage 100 7 40]] [[say hi]]"))
    assert finished(got).usage == Usage(input=60, output=7, cached_input=40)
    assert finished(got).model == provider.spec.model


async def test_reasoning_is_told_apart_from_text(provider: Remote) -> None:
    got = await pieces(provider, asked("[[think well, let me see]] [[say done]]", thinking=True))
    assert (reasoning(got), text(got)) == ("well, let me see", "done")


async def test_two_calls_in_one_answer(provider: Remote) -> None:
    script = '[[tools weather {"city": "Zürich", "days": [1, 2]} | clock]]'
    got = await pieces(provider, asked(script, tools=TOOLS))
    one, two = calls(got)
    assert (one.name, msgspec.json.decode(one.arguments)) == ("weather", {"city": "Zürich", "days": [1, 2]})
    assert (two.name, two.arguments) == ("clock", "{}")
    assert one.id != two.id
    assert finished(got).reason == "tool_calls"


async def test_results_go_back_and_the_turn_goes_on(provider: Remote, fake_llm: FakeLLM) -> None:
    request = asked("[[tools weather | clock]] [[tool clock]] [[say all done]]", tools=TOOLS)
    for _ in range(3):
        got = await pieces(provider, request)
        made = tuple(calls(got))
        last = finished(got)
        said = Message("assistant", text(got), calls=made, reasoning=reasoning(got), replay=last.replay)
        results = [tool_message(call, Result(f"{call.name} says hi"), agent="a", at=said.at) for call in made]
        request = ModelRequest((*request.messages, said, *results), TOOLS, thinking=False)
    assert text(got) == "all done"
    assert [message.role for message in request.messages].count("tool") == 3
    assert len(fake_llm.requests) == 3


async def test_thoughts_are_given_back_word_for_word(provider: Remote, fake_llm: FakeLLM) -> None:
    request = asked("[[think hmm]] [[tool clock]] [[say done]]", tools=TOOLS, thinking=True)
    got = await pieces(provider, request)
    said = Message("assistant", text(got), calls=tuple(calls(got)), reasoning="hmm", replay=finished(got).replay)
    result = tool_message(said.calls[0], Result("noon"), agent="a", at=said.at)
    again = await pieces(provider, ModelRequest((*request.messages, said, result), TOOLS))
    assert text(again) == "done"
    body = fake_llm.requests[-1]["body"]
    match provider.spec.dialect:
        case "anthropic":
            thought, call = body["messages"][1]["content"]
            assert thought == {"type": "thinking", "thinking": "hmm", "signature": "ZmFrZQ=="}
            assert call["type"] == "tool_use"
        case "google":
            (call,) = body["contents"][1]["parts"]
            assert call["thoughtSignature"] == "ZmFrZQ=="
            assert call["functionCall"]["id"] == body["contents"][2]["parts"][0]["functionResponse"]["id"]
            assert finished(got).thought_signature == "ZmFrZQ=="
        case "bedrock":
            thought, call, mark = body["messages"][1]["content"]
            assert mark == {"cachePoint": {"type": "default"}}
            assert thought == {"reasoningContent": {"reasoningText": {"text": "hmm", "signature": "ZmFrZQ=="}}}
            assert "toolUse" in call
        case "openai-responses":
            kinds = [item.get("type", "message") for item in body["input"]]
            assert kinds == ["message", "reasoning", "function_call", "function_call_output"]
            assert body["input"][1]["encrypted_content"] == "enc-0001"
        case _:
            assert "hmm" not in str(body["messages"][2:])


async def test_a_picture_goes_in(provider: Remote, fake_llm: FakeLLM) -> None:
    message = Message("user", parts=(Text("what is this?"), Image(PNG, "low")))
    assert text(await pieces(provider, ModelRequest((message,)))) == "fake reply to: what is this?"
    body = str(fake_llm.requests[-1]["body"])
    assert PNG.rpartition(",")[2] in body
    kinds = {
        "anthropic": "'media_type': 'image/png'",
        "google": "'mimeType': 'image/png'",
        "bedrock": "'format': 'png'",
    }
    assert kinds.get(provider.spec.dialect, PNG) in body


async def test_a_text_file_goes_in_as_text(provider: Remote, fake_llm: FakeLLM, tmp_path) -> None:
    note = tmp_path / "note.md"
    note.write_text("buy milk")
    other = tmp_path / "x.bin"
    other.write_bytes(b"\0\1\2")
    parts = (Text("read"), File(str(note)), File(str(other)), File(str(tmp_path / "gone.txt")))
    await pieces(provider, ModelRequest((Message("user", parts=parts),)))
    body = str(fake_llm.requests[-1]["body"]).replace("\\", "")
    assert '<file name="note.md">' in body
    assert "buy milk" in body
    assert "[the file x.bin (application/octet-stream), which this model can't be shown]" in body
    assert "[the file gone.txt: it can't be read (No such file or directory)]" in body


async def test_a_tool_may_return_a_picture(provider: Remote, fake_llm: FakeLLM) -> None:
    call = ToolCall(CallId("call_1"), "shot", "{}")
    result = Message("tool", "here", parts=(Text("here"), Image(PNG)), call_id=call.id)
    messages = (Message("user", "hi"), Message("assistant", calls=(call,)), result, Message("user", "and?"))
    await pieces(provider, ModelRequest(messages))
    assert PNG.rpartition(",")[2] in str(fake_llm.requests[-1]["body"])


async def test_a_limit_names_when_to_come_back(provider: Remote) -> None:
    with pytest.raises(ModelFailed) as failed:
        await pieces(provider, asked("[[after 7]] [[status 429]]"))
    assert (failed.value.kind, failed.value.status, failed.value.retry_after) == ("rate_limit", 429, 7.0)
    assert str(failed.value) == "fake 429"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(500, "retryable"), (529, "retryable"), (503, "retryable"), (400, "client"), (401, "auth"), (404, "missing")],
)
async def test_a_refusal_has_its_kind(provider: Remote, status: int, kind: str) -> None:
    with pytest.raises(ModelFailed) as failed:
        await pieces(provider, asked(f"[[status {status} 1]] [[say fine]]"))
    assert (failed.value.kind, failed.value.status) == (kind, status)
    assert text(await pieces(provider, asked(f"[[status {status} 1]] [[say fine]]"))) == "fine"


async def test_a_context_too_long_is_its_own_kind(provider: Remote) -> None:
    with pytest.raises(ModelFailed) as failed:
        await pieces(provider, asked("[[overflow]]"))
    assert failed.value.kind == "overflow"


async def test_a_cut_line_is_no_answer(provider: Remote) -> None:
    got: list[Piece] = []
    with pytest.raises(ModelFailed) as failed:
        async with aclosing(provider.stream(asked("[[cut]] [[say one two three four]]"))) as stream:
            async for piece in stream:
                got.append(piece)
    assert text(got) == "one two thre"
    assert (failed.value.kind, failed.value.status) == ("retryable", 0)


async def test_an_error_in_the_stream_has_its_kind(provider: Remote) -> None:
    with pytest.raises(ModelFailed) as failed:
        await pieces(provider, asked("[[trouble overloaded_error]] [[say one two three four]]"))
    assert (failed.value.kind, str(failed.value)) == ("retryable", "fake overloaded_error")


async def test_silence_in_the_middle_ends(spec: ModelSpec) -> None:
    async with open_http(timeouts=Timeouts(idle=0.1)) as http:
        provider = made(spec, http)
        with pytest.raises(ModelFailed, match=r"timeout: the provider sent nothing for 0\.1 s") as failed:
            await pieces(provider, asked("[[hang]] [[say one two three four]]"))
    assert failed.value.kind == "retryable"


async def test_silence_before_the_first_byte_ends(spec: ModelSpec) -> None:
    async with open_http(timeouts=Timeouts(first_byte=0.1)) as http:
        provider = made(spec, http)
        with pytest.raises(ModelFailed, match=r"timeout: 127\.0\.0\.1 sent nothing for 0\.1 s") as failed:
            await pieces(provider, asked("[[mute]]"))
    assert failed.value.kind == "retryable"


@pytest.mark.parametrize(
    ("option", "script"), [("idle_timeout", "[[hang]] [[say one two three four]]"), ("first_byte_timeout", "[[mute]]")]
)
async def test_a_model_may_have_its_own_patience(spec: ModelSpec, http: Http, option: str, script: str) -> None:
    spec = msgspec.structs.replace(spec, options={option: 0.1})
    with pytest.raises(ModelFailed, match=r"sent nothing for 0\.1 s"):
        await pieces(made(spec, http), asked(script))


async def test_our_own_slowness_is_no_silence(spec: ModelSpec) -> None:
    async with open_http(timeouts=Timeouts(idle=0.1)) as http:
        provider = made(spec, http)
        got: list[Piece] = []
        async with aclosing(provider.stream(asked("[[say one two three four]]"))) as stream:
            async for piece in stream:
                got.append(piece)
                await anyio.sleep(0.15)
    assert text(got) == "one two three four"


async def test_nobody_there(http: Http) -> None:
    provider = Remote(ModelSpec("m", "x", "m", "openai-chat"), http, base_url="http://127.0.0.1:9/v1")
    with pytest.raises(ModelFailed, match=r"no connection to 127\.0\.0\.1") as failed:
        await pieces(provider, asked("hi"))
    assert failed.value.kind == "retryable"


async def test_an_empty_reply_is_an_end_without_words(provider: Remote) -> None:
    got = await pieces(provider, asked("[[empty]]"))
    assert (text(got), calls(got), finished(got).reason) == ("", [], "stop")


@pytest.mark.parametrize(
    ("stop", "dialect"),
    [
        ("length", "openai-chat"),
        ("max_output_tokens", "openai-responses"),
        ("max_tokens", "anthropic"),
        ("MAX_TOKENS", "google"),
        ("max_tokens", "bedrock"),
    ],
)
async def test_an_answer_at_its_limit_says_so(fake_llm: FakeLLM, http: Http, stop: str, dialect: str) -> None:
    spec = ModelSpec("m", "fake", "m", dialect)
    provider = Remote(spec, http, base_url=f"{fake_llm.url}/v1")
    assert finished(await pieces(provider, asked(f"[[stop {stop}]] [[say hal]]"))).reason == "length"


async def test_text_survives_a_cut_inside_a_character(provider: Remote) -> None:
    got = await pieces(provider, asked("[[bytes]] [[say Grüße, 世界 🦉]]"))
    assert text(got) == "Grüße, 世界 🦉"


async def test_closing_in_mid_stream_closes_the_line(provider: Remote, fake_llm: FakeLLM) -> None:
    async with aclosing(provider.stream(asked("[[hang]] [[say one two three four]]"))) as stream:
        async for _ in stream:
            break
    await until(partial(dropped, fake_llm))


async def test_cancelling_closes_the_line(provider: Remote, fake_llm: FakeLLM) -> None:
    first = anyio.Event()

    async def read() -> None:
        async with aclosing(provider.stream(asked("[[hang]] [[say one two three four]]"))) as stream:
            async for _ in stream:
                first.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await first.wait()
        tasks.cancel_scope.cancel()
    await until(partial(dropped, fake_llm))


async def test_one_line_serves_several_answers(provider: Remote, fake_llm: FakeLLM) -> None:
    for word in ("one", "two"):
        assert text(await pieces(provider, asked(f"[[say {word}]]"))) == word
    ports = {request["client"] for request in fake_llm.requests}
    assert len(ports) == 1


async def test_the_key_is_sent_and_never_told(provider: Remote, fake_llm: FakeLLM) -> None:
    with pytest.raises(ModelFailed) as failed:
        await pieces(provider, asked("[[echo-key]] [[status 401]]"))
    headers = fake_llm.requests[-1]["headers"]
    names = ("x-api-key", "x-goog-api-key", "api-key", "authorization")
    assert "sk-very-secret" in [headers.get(name, "").removeprefix("Bearer ") for name in names]
    assert "sk-very-secret" not in str(failed.value)
    with pytest.raises(ModelFailed) as cut:
        await pieces(provider, asked("[[say so]] [[trouble sk-very-secret]]"))
    assert "***" in str(cut.value) and "sk-very-secret" not in f"{cut.value} {cut.value.provider_code}"


async def test_headers_and_body_of_the_file_go_along(spec: ModelSpec, http: Http, fake_llm: FakeLLM) -> None:
    options = {"http_headers": {"X-Team": "blue"}, "extra_body": {"temperature": 0.25, "metadata": {"a": 1}}}
    provider = made(msgspec.structs.replace(spec, temperature=0.5, options=options), http)
    await pieces(provider, asked("hi"))
    request = fake_llm.requests[-1]
    assert request["headers"]["x-team"] == "blue"
    assert (request["body"]["temperature"], request["body"]["metadata"]) == (0.25, {"a": 1})
    assert "authorization" not in request["headers"]


def dropped(fake: FakeLLM) -> bool:
    return bool(fake.requests) and fake.requests[-1]["dropped"]


async def until(true) -> None:
    with anyio.fail_after(5):
        while not true():
            await anyio.sleep(0.01)
