"""Every provider through a real server: what its model says, what it is given back, and how its failures end."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from acceptance.house import House, Server, until
from acceptance.sse import Frame
from fakes.llm import FakeLLM
from roost.providers import local

FILE = """\
models:
  chat:
    provider: openai
    model: fake-chat
    base_url: {url}/v1
    provider_opts: {{api_type: openai_chatcompletions, idle_timeout: 0.3}}
    token_key: FAKE_KEY
    cost: &cost {{input: 1, output: 2, cache_read: 0.5}}
  responses:
    provider: openai
    model: fake-responses
    base_url: {url}/v1
    provider_opts: {{api_type: openai_responses, idle_timeout: 0.3}}
    token_key: FAKE_KEY
    cost: *cost
  anthropic:
    provider: anthropic
    model: fake-claude
    base_url: {url}
    provider_opts: {{idle_timeout: 0.3}}
    token_key: FAKE_KEY
    cost: *cost
  google:
    provider: google
    model: fake-gemini
    base_url: {url}
    provider_opts: {{idle_timeout: 0.3}}
    token_key: FAKE_KEY
    cost: *cost
  bedrock:
    provider: amazon-bedrock
    model: us.amazon.fake-v1:0
    provider_opts: {{idle_timeout: 0.3, endpoint_url: "{url}"}}
    token_key: FAKE_KEY
    cost: *cost
agents:
  chat: {{model: chat, toolsets: &tools [{{type: shell}}]}}
  responses: {{model: responses, toolsets: *tools}}
  anthropic: {{model: anthropic, toolsets: *tools}}
  google: {{model: google, toolsets: *tools}}
  bedrock: {{model: bedrock, toolsets: *tools}}
"""
SMALL = """\
models: {small: {provider: local, model: smollm2, max_tokens: 12}}
agents: {root: {model: small}}
"""
KEY = "sk-fake-key"
WORDS = "one two three four"  # more than one piece of the fake's
PIXEL = base64.b64encode(b"\x89PNG fake").decode()
ONE = '{"cmd": "until test -e go; do sleep 0.02; done; sleep 0.2; echo one"}'  # ends only if the other runs beside it
TWO = '{"cmd": "echo two; touch go"}'

Body = dict[str, Any]


@dataclass(frozen=True)
class Dialect:
    """What is a provider's own: its path, its key's header, and how the parts of a conversation look there."""

    name: str
    ref: str
    path: str
    key: tuple[str, str]
    picture: Body
    pictured: Callable[[Body], list[Body]]
    calls: Callable[[Body], list[tuple[str, str]]]
    results: Callable[[Body], list[tuple[str, str]]]

    @property
    def agent(self) -> str:
        return f"my-agent/{self.name}"


def _of_type(items: Sequence[Any], kind: str) -> list[Body]:
    return [item for item in items if isinstance(item, dict) and item.get("type") == kind]


def _blocks(body: Body, kind: str) -> list[Body]:
    return [block for message in body["messages"] for block in _of_type(message["content"], kind)]


def _named(messages: list[Body], where: str, kind: str) -> list[Body]:
    return [block[kind] for message in messages for block in message[where] if kind in block]


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


CHAT = Dialect(
    "chat",
    "openai/fake-chat",
    "/v1/chat/completions",
    ("authorization", f"Bearer {KEY}"),
    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "low"}},
    lambda body: body["messages"][-1]["content"],
    lambda body: [
        (call["id"], call["function"]["arguments"])
        for message in body["messages"]
        for call in message.get("tool_calls") or ()
    ],
    lambda body: [(m["tool_call_id"], _text(m["content"])) for m in body["messages"] if m["role"] == "tool"],
)
RESPONSES = Dialect(
    "responses",
    "openai/fake-responses",
    "/v1/responses",
    ("authorization", f"Bearer {KEY}"),
    {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "low"},
    lambda body: body["input"][-1]["content"],
    lambda body: [(item["call_id"], item["arguments"]) for item in _of_type(body["input"], "function_call")],
    lambda body: [(i["call_id"], _text(i["output"])) for i in _of_type(body["input"], "function_call_output")],
)
ANTHROPIC = Dialect(
    "anthropic",
    "anthropic/fake-claude",
    "/v1/messages",
    ("x-api-key", KEY),
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
    lambda body: body["messages"][-1]["content"],
    lambda body: [(block["id"], block["input"]["cmd"]) for block in _blocks(body, "tool_use")],
    lambda body: [(block["tool_use_id"], _text(block["content"])) for block in _blocks(body, "tool_result")],
)
GOOGLE = Dialect(
    "google",
    "google/fake-gemini",
    "/v1beta/models/fake-gemini:streamGenerateContent",
    ("x-goog-api-key", KEY),
    {"inlineData": {"mimeType": "image/png", "data": PIXEL}},
    lambda body: body["contents"][-1]["parts"],
    lambda body: [(call["id"], call["args"]["cmd"]) for call in _named(body["contents"], "parts", "functionCall")],
    lambda body: [
        (answer["id"], answer["response"]["result"]) for answer in _named(body["contents"], "parts", "functionResponse")
    ],
)
BEDROCK = Dialect(
    "bedrock",
    "amazon-bedrock/us.amazon.fake-v1:0",
    "/model/us.amazon.fake-v1%3A0/converse-stream",
    ("authorization", f"Bearer {KEY}"),
    {"image": {"format": "png", "source": {"bytes": PIXEL}}},
    lambda body: body["messages"][-1]["content"],
    lambda body: [(use["toolUseId"], use["input"]["cmd"]) for use in _named(body["messages"], "content", "toolUse")],
    lambda body: [
        (result["toolUseId"], result["content"][0]["text"])
        for result in _named(body["messages"], "content", "toolResult")
    ],
)


@pytest.fixture(scope="module")
def served(shared: House) -> Server:
    shared.agent(text=FILE.format(url=shared.model.url))
    return shared.serve(env={"FAKE_KEY": KEY})


@pytest.fixture(params=[CHAT, RESPONSES, ANTHROPIC, GOOGLE, BEDROCK], ids=lambda dialect: dialect.name)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    found: Dialect = request.param
    return found


@pytest.fixture
def model(shared: House) -> FakeLLM:
    shared.model.reset()
    return shared.model


def said(frames: Sequence[Frame], kind: str = "agent_choice") -> str:
    """The text of the frames, without what was taken back."""
    discarded = [f.event["discard_since"] for f in frames if "discard_since" in f.event]
    kept = [f for f in frames if f.type == kind and not any(since <= f.id < _end(frames, since) for since in discarded)]
    return "".join(f.event["content"] for f in kept)


def _end(frames: Sequence[Frame], since: int) -> int:
    """The number of the warning that takes back what came from `since` on."""
    return next(f.id for f in frames if f.event.get("discard_since") == since and f.id is not None)


def one(frames: Sequence[Frame], kind: str) -> Body:
    """The one event of a type."""
    (found,) = (f.event for f in frames if f.type == kind)
    return found


def stored(server: Server, session: str, role: str = "assistant") -> list[Body]:
    """The messages of a role that a new client would see."""
    messages = [item["message"] for item in server.snapshot(session)["messages"]]
    return [message for message in messages if message["role"] == role]


def test_text_and_reasoning(served: Server, model: FakeLLM, dialect: Dialect) -> None:
    session = served.create(title="t")
    frames = served.run(session, f"[[think well, let me see]] [[say {WORDS}]]", dialect.agent)
    assert said(frames, "agent_choice_reasoning") == "well, let me see"
    assert said(frames) == WORDS
    assert sum(f.type == "agent_choice" for f in frames) > 1
    assert frames[-1].event["reason"] == "normal"
    (answer,) = stored(served, session)
    assert (answer["content"], answer["reasoning_content"], answer["model"]) == (WORDS, "well, let me see", dialect.ref)
    (request,) = model.requests
    header, value = dialect.key
    assert (request["path"], request["headers"][header]) == (dialect.path, value)


def test_two_calls_run_side_by_side_and_go_back_in_order(
    served: Server, model: FakeLLM, dialect: Dialect, tmp_path: Path
) -> None:
    session = served.create(title="t", tools_approved=True, working_dir=str(tmp_path))
    frames = served.run(session, f"[[tools shell {ONE} | shell {TWO}]] [[say {WORDS}]]", dialect.agent)
    called = [f.event["tool_call"]["id"] for f in frames if f.type == "tool_call"]
    returned = {f.event["tool_call_id"]: f.event["response"].strip() for f in frames if f.type == "tool_call_response"}
    first, second = sorted(called)
    assert returned == {first: "one", second: "two"}
    assert [message["content"].strip() for message in stored(served, session, "tool")] == ["one", "two"]
    assert said(frames) == WORDS
    body = model.requests[-1]["body"]
    assert len(model.requests) == 2
    sent = dialect.calls(body)
    assert [call for call, _ in sent] == [first, second]
    assert "echo one" in sent[0][1] and "echo two" in sent[1][1]
    assert [(call, text.strip()) for call, text in dialect.results(body)] == [(first, "one"), (second, "two")]


def test_usage(served: Server, model: FakeLLM, dialect: Dialect) -> None:
    session = served.create(title="t")
    frames = served.run(session, f"[[usage 100 7 40]] [[say {WORDS}]]", dialect.agent)
    usage = one(frames, "token_usage")["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["context_length"]) == (100, 7, 107)
    last, price = usage["last_message"], (60 * 1 + 7 * 2 + 40 * 0.5) / 1_000_000
    assert (last["input_tokens"], last["cached_input_tokens"], last["output_tokens"]) == (60, 40, 7)
    assert (last["Model"], last["finish_reason"]) == (dialect.ref, "stop")
    assert usage["cost"] == last["Cost"] == pytest.approx(price)
    assert served.snapshot(session)["cost"] == pytest.approx(price)


def test_a_picture_goes_in_as_the_provider_s_own_block(served: Server, model: FakeLLM, dialect: Dialect) -> None:
    session = served.create(title="t")
    picture = {"url": f"data:image/png;base64,{PIXEL}", "detail": "low"}
    parts = [{"type": "text", "text": f"[[say {WORDS}]]"}, {"type": "image_url", "image_url": picture}]
    body = {"messages": [{"role": "user", "content": "", "multi_content": parts}]}
    frames = list(served.open("POST", f"/api/sessions/{session}/agent/{dialect.agent}", body))
    assert one(frames, "user_message")["multi_content"] == parts
    assert said(frames) == WORDS
    (request,) = model.requests
    blocks = [{k: v for k, v in b.items() if k != "cache_control"} for b in dialect.pictured(request["body"])]
    assert [block for block in blocks if block.get("text") is None] == [dialect.picture]


def test_a_rate_limit_is_waited_out(served: Server, model: FakeLLM, dialect: Dialect) -> None:
    session = served.create(title="t")
    frames = served.run(session, f"[[after 0.2]] [[status 429 1]] [[say {WORDS}]]", dialect.agent)
    assert len(model.requests) == 2
    assert "".join(f.event["content"] for f in frames if f.type == "agent_choice") == WORDS
    assert not {"warning", "error"} & {f.type for f in frames}
    assert frames[-1].event["reason"] == "normal"
    assert [message["content"] for message in stored(served, session)] == [WORDS]


def test_a_cut_stream_is_asked_for_anew(served: Server, model: FakeLLM, dialect: Dialect) -> None:
    session = served.create(title="t")
    frames = served.run(session, f"[[cut 1]] [[say {WORDS}]]", dialect.agent)
    assert len(model.requests) == 2
    warning = next(f for f in frames if f.type == "warning")
    taken_back = [f for f in frames if f.type == "agent_choice" and f.id < warning.id]
    assert taken_back and all(f.id >= warning.event["discard_since"] for f in taken_back)
    assert said([f for f in frames if f.id > warning.id]) == WORDS
    assert one(frames, "warning")["message"].startswith("the answer was cut off")
    assert frames[-1].event["reason"] == "normal"
    assert [message["content"] for message in stored(served, session)] == [WORDS]


def test_a_provider_that_falls_silent_is_given_up(served: Server, model: FakeLLM, dialect: Dialect) -> None:
    session = served.create(title="t")
    frames = served.run(session, f"[[hang]] [[say {WORDS}]]", dialect.agent)
    assert len(model.requests) == 3
    until(lambda: all(request["dropped"] for request in model.requests))
    error = one(frames, "error")
    assert (error["error"], error["code"]) == ("timeout: the provider sent nothing for 0.3 s", "model_error")
    assert (frames[-1].type, frames[-1].event["reason"]) == ("stream_stopped", "error")
    assert sum("discard_since" in f.event for f in frames) == 3 and said(frames) == ""
    assert stored(served, session) == []
    assert said(served.run(session, "[[say and on it goes]]", dialect.agent)) == "and on it goes"


@pytest.mark.skipif(not local.installed(), reason="the local model is missing: run `roost model install`")
def test_the_local_model_says_something(shared: House) -> None:
    shared.agent("small", text=SMALL)
    server = shared.serve(agents=shared.agents / "small.yaml", db=shared.folder / "local.db")
    session = server.create()
    frames = server.run(session, "Say hello.", "small")
    assert said(frames).strip()
    assert frames[-1].event["reason"] == "normal"
    usage = one(frames, "token_usage")["usage"]
    assert usage["input_tokens"] > 0 and usage["output_tokens"] > 0 and usage["cost"] == 0
    assert [message["content"] for message in stored(server, session)] == [said(frames)]
    assert server.term() == 0
