"""What comes back: the accents of many servers, read as one."""

import httpx2
import pytest

from roost.core.agents import ModelSpec
from roost.core.errors import ModelFailed
from roost.core.messages import Message
from roost.core.usage import Usage
from roost.ports import CallPiece, Finished, ModelRequest, Piece, ReasoningPiece, TextPiece
from roost.providers.anthropic import MessagesAnswer
from roost.providers.dialects import Remote
from roost.providers.http import open_http
from roost.providers.openai import ChatAnswer, Drafts
from roost.providers.responses import ResponsesAnswer
from roost.wire import sse

DONE = "[DONE]"


def read(answer: ChatAnswer | MessagesAnswer | ResponsesAnswer, *events: str) -> list[Piece]:
    pieces = [piece for event in events for piece in answer.feed(sse.Event(event.encode()))]
    return [*pieces, *answer.end()]


def chat(*deltas: str, finish: str = "stop") -> list[Piece]:
    chunks = ['{"choices":[{"index":0,"delta":' + delta + "}]}" for delta in deltas]
    return read(ChatAnswer(), *chunks, '{"choices":[{"delta":{},"finish_reason":"' + finish + '"}]}', DONE)


def calls(pieces: list[Piece]) -> list[tuple[str, str, str]]:
    found: list[list[str]] = []
    for piece in pieces:
        if isinstance(piece, CallPiece):
            if piece.id:
                assert piece.index == len(found)
                found.append([piece.id, piece.name, ""])
            found[piece.index][2] += piece.arguments
    return [(call, name, arguments) for call, name, arguments in found]


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        (  # as OpenAI does it
            [
                '[{"index":0,"id":"a","function":{"name":"f","arguments":""}}]',
                '[{"index":0,"function":{"arguments":"{\\"x\\""}}]',
                '[{"index":1,"id":"b","function":{"name":"g","arguments":""}}]',
                '[{"index":0,"function":{"arguments":":1}"}}]',
                '[{"index":1,"function":{"arguments":"{}"}}]',
            ],
            [("a", "f", '{"x":1}'), ("b", "g", "{}")],
        ),
        (  # id and name in every delta
            [
                '[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}]',
                '[{"index":0,"id":"a","function":{"name":"f","arguments":"}"}}]',
            ],
            [("a", "f", "{}")],
        ),
        (  # every call whole, all with the index 0
            [
                '[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]',
                '[{"index":0,"id":"b","function":{"name":"g","arguments":"{}"}}]',
            ],
            [("a", "f", "{}"), ("b", "g", "{}")],
        ),
        (  # no index at all
            [
                '[{"id":"a","function":{"name":"f","arguments":"{"}}]',
                '[{"function":{"arguments":"}"}}]',
                '[{"id":"b","function":{"name":"g","arguments":{"x":1}}}]',
            ],
            [("a", "f", "{}"), ("b", "g", '{"x":1}')],
        ),
        (  # the name after the id
            [
                '[{"index":0,"id":"a"}]',
                '[{"index":0,"function":{"arguments":"{"}}]',
                '[{"index":0,"function":{"name":"f","arguments":"}"}}]',
            ],
            [("a", "f", "{}")],
        ),
    ],
)
def test_calls_are_told_apart(deltas: list[str], expected: list[tuple[str, str, str]]) -> None:
    pieces = chat(*('{"tool_calls":' + delta + "}" for delta in deltas), finish="tool_calls")
    assert calls(pieces) == expected
    assert pieces[-1] == Finished("tool_calls")


def test_missing_ids_are_made() -> None:
    pieces = chat('{"tool_calls":[{"function":{"name":"f"}},{"function":{"name":"g","arguments":"{}"}}]}')
    one, two = calls(pieces)
    assert one[0].startswith("call_")
    assert one[0] != two[0]
    assert (one[1:], two[1:]) == (("f", ""), ("g", "{}"))
    assert pieces[-1] == Finished("tool_calls")  # though the server said stop, as Ollama does


def test_a_call_that_nobody_names_is_none() -> None:
    assert not list(Drafts().add(0, "a", "", "{}"))


@pytest.mark.parametrize(
    ("delta", "piece"),
    [
        ('{"reasoning_content":"r"}', ReasoningPiece("r")),
        ('{"reasoning":"r"}', ReasoningPiece("r")),
        ('{"reasoning":"r","reasoning_content":"r"}', ReasoningPiece("r")),
        ('{"content":[{"type":"thinking","thinking":[{"type":"text","text":"r"}]}]}', ReasoningPiece("r")),
        ('{"content":[{"type":"text","text":"t"}]}', TextPiece("t")),
        ('{"content":"t","role":"assistant","unknown":{"a":[1]}}', TextPiece("t")),
    ],
)
def test_deltas(delta: str, piece: Piece) -> None:
    assert chat(delta) == [piece, Finished("stop")]


def test_a_refusal_says_so() -> None:
    assert read(ChatAnswer(), '{"choices":[{"delta":{"refusal":"no"}}]}', DONE) == [
        TextPiece("no"),
        Finished("refusal"),
    ]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ('{"prompt_tokens":10,"completion_tokens":3}', Usage(10, 3)),
        ('{"prompt_tokens":10,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":4}}', Usage(6, 3, 4)),
        ('{"prompt_tokens":10,"completion_tokens":3,"prompt_cache_hit_tokens":4}', Usage(6, 3, 4)),
        (
            '{"prompt_tokens":1,"completion_tokens":9,"completion_tokens_details":{"reasoning_tokens":5}}',
            Usage(1, 9, reasoning=5),
        ),
        ('{"prompt_tokens":1,"prompt_tokens_details":null}', Usage(1)),
    ],
)
def test_usage_comes_after_the_last_word(usage: str, expected: Usage) -> None:
    end = '{"choices":[{"delta":{},"finish_reason":"stop"}]}'
    assert read(ChatAnswer(), end, '{"choices":[],"usage":' + usage + "}", DONE) == [Finished("stop", expected)]


def test_a_server_that_names_no_reason_or_sends_no_done() -> None:
    word = '{"choices":[{"delta":{"content":"a"}}]}'
    assert read(ChatAnswer(), word, DONE)[-1] == Finished("stop")
    assert read(ChatAnswer(), word, '{"choices":[{"delta":{},"finish_reason":"length"}]}')[-1] == Finished("length")
    with pytest.raises(ModelFailed, match="closed before the answer was complete"):
        read(ChatAnswer(), word)


@pytest.mark.parametrize("answer", [ChatAnswer, lambda: MessagesAnswer(SPEC), lambda: ResponsesAnswer(SPEC)])
def test_what_is_no_json_is_a_failure(answer) -> None:
    with pytest.raises(ModelFailed, match="can't be read") as failed:
        read(answer(), "{oops")
    assert failed.value.kind == "retryable"


SPEC = ModelSpec("n", "p", "m", "x")


def test_anthropic_keeps_hidden_thoughts_and_the_order_of_blocks() -> None:
    events = [
        '{"type":"message_start","message":{"model":"c","usage":{"input_tokens":5,"cache_read_input_tokens":2}}}',
        '{"type":"content_block_start","index":0,"content_block":{"type":"redacted_thinking","data":"xyz"}}',
        '{"type":"content_block_stop","index":0}',
        '{"type":"content_block_start","index":1,"content_block":{"type":"thinking","thinking":""}}',
        '{"type":"content_block_delta","index":1,"delta":{"type":"thinking_delta","thinking":"hm"}}',
        '{"type":"content_block_delta","index":1,"delta":{"type":"signature_delta","signature":"s"}}',
        '{"type":"content_block_stop","index":1}',
        '{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}',
        '{"type":"content_block_stop","index":2}',
        '{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":9}}',
        '{"type":"message_stop"}',
    ]
    *pieces, last = read(MessagesAnswer(SPEC), *events)
    assert pieces == [ReasoningPiece("hm"), CallPiece(0, "t", "f"), CallPiece(0, arguments="{}")]
    assert isinstance(last, Finished)
    assert (last.reason, last.usage, last.thinking_signature) == ("tool_calls", Usage(5, 9, 2), "s")
    assert [block["type"] for block in last.replay[0]["items"]] == ["redacted_thinking", "thinking", "tool_use"]
    assert last.replay[0]["items"][2]["input"] == {}


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("refusal", "refusal"),
        ("pause_turn", "stop"),
        ("model_context_window_exceeded", "length"),
    ],
)
def test_anthropic_reasons(reason: str, expected: str) -> None:
    delta = '{"type":"message_delta","delta":{"stop_reason":"' + reason + '"}}'
    assert read(MessagesAnswer(SPEC), delta, '{"type":"message_stop"}')[-1] == Finished(expected, Usage())


def test_responses_say_what_was_not_streamed() -> None:
    whole = (
        '{"type":"response.completed","response":{"model":"g","usage":{"input_tokens":3,"output_tokens":4},"output":['
        '{"type":"message","content":[{"type":"output_text","text":"hi"}]},'
        '{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}]}}'
    )
    assert read(ResponsesAnswer(SPEC), whole) == [
        TextPiece("hi"),
        CallPiece(0, "c", "f"),
        CallPiece(0, arguments="{}"),
        Finished("tool_calls", Usage(3, 4), "g"),
    ]


def test_responses_may_fail() -> None:
    error = '{"type":"response.failed","response":{"error":{"code":"server_error","message":"sorry"}}}'
    with pytest.raises(ModelFailed, match="sorry") as failed:
        read(ResponsesAnswer(SPEC), error)
    assert failed.value.kind == "retryable"
    with pytest.raises(ModelFailed, match="closed before"):
        read(ResponsesAnswer(SPEC), '{"type":"response.created","response":{}}')


ODD = [
    '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":null}}',
    '{"type":"message_start","message":{"usage":[1]}}',
    '{"type":"response.completed","response":{"output":[5]}}',
    '{"type":"response.output_item.done","item":{"type":"message","content":[7]}}',
    '{"choices":[{"delta":{"content":7}}]}',
    '{"choices":7}',
    '{"error":{"code":[]}}',
    "[]",
    "7",
]


@pytest.mark.anyio
@pytest.mark.parametrize("dialect", ["openai-chat", "openai-responses", "anthropic"])
@pytest.mark.parametrize("event", ODD)
async def test_no_shape_of_an_event_is_more_than_a_failure(dialect: str, event: str) -> None:
    body = f"data: {event}\n\n".encode()
    headers = {"content-type": "text/event-stream"}
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, headers=headers, content=body))
    async with open_http(transport) as http:
        provider = Remote(ModelSpec("n", "p", "m", dialect), http, base_url="http://x.test")
        with pytest.raises(ModelFailed):
            async for _ in provider.stream(ModelRequest((Message("user", "x"),))):
                pass
