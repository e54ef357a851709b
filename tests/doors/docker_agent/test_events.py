"""Facts to frames: the table is whole, and a frame is the same wherever a reader begins."""

import re
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast, get_args

import msgspec
import pytest

from roost.core import events as e
from roost.core.errors import StoreFull
from roost.core.ids import AnswerId, CallId, LogId, Micros, ServerId, SessionId, TurnId, WaitId
from roost.core.messages import Annotations, Definition, Image, Media, Message, Result, Text, ToolCall
from roost.core.usage import Usage
from roost.doors.docker_agent import events, frames
from roost.doors.docker_agent.memory import GROWTH, PREVIEW, Memory
from roost.doors.docker_agent.renderer import Renderer
from roost.service.archive import Archive
from roost.service.desk import Desk
from roost.stores.memory import Memory as Store

pytestmark = pytest.mark.anyio

LOG = LogId("S")
START = 1_780_384_447_000_000
SHELL = Definition("shell", "system", "Runs <it>", {"type": "object", "max": 1.0}, Annotations("Shell", read_only=True))
CALL = ToolCall(CallId("call_1"), "shell", '{"cmd":"rm -r /tmp/x"}')
ANSWER, OTHER, SUB = AnswerId("a1"), AnswerId("a2"), SessionId("inner")
TURN = TurnId("t")


def shown(fact: e.Fact, *before: e.Fact) -> dict[str, Any] | None:
    """The data of a fact's frame after some others."""
    memory, data = Memory(), None
    for seq, each in enumerate((*before, fact), 1):
        data = frames.render(e.Event(LOG, seq, Micros(START + seq), each), memory)
    return None if data is None else dict(msgspec.json.decode(data))


# -- the table ------------------------------------------------------------------------------------


def test_every_fact_is_in_the_table_or_silent() -> None:
    known = {*get_args(e.Known), e.Unknown}
    special = {e.WaitOpened, e.WaitAnswered, e.SessionExited}
    assert set(events.TABLE) | events.SILENT | special == known
    assert not set(events.TABLE) & events.SILENT
    assert set(events.WAITS) == set(get_args(e.Kind))


def line(fact: e.Fact, *before: e.Fact) -> str:
    memory, data = Memory(), b""
    for seq, each in enumerate((*before, fact), 1):
        data = frames.render(e.Event(LOG, seq, Micros(START), each), memory) or b""
    return data.decode()


T = '"timestamp":"2026-06-02T07:14:07Z"'
TC = '{"id":"call_1","type":"function","function":{"name":"shell","arguments":"{\\"cmd\\":\\"rm -r /tmp/x\\"}"}}'
TD = (
    '{"name":"shell","category":"system","description":"Runs \\u003cit\\u003e","parameters":{"max":1,"type":"object"},'
    '"annotations":{"title":"Shell","readOnlyHint":true},"outputSchema":null}'
)
NONE = '{"name":"shell","category":"","parameters":null,"annotations":{},"outputSchema":null}'
TOOLS = e.ToolsShown("root", 3, definitions={"d1": SHELL})
RESULT = Result("no", is_error=True)


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (
            e.AgentShown("root", "openai/gpt-4o-mini", "Ops helper"),
            f'{{"agent_name":"root",{T},"type":"agent_info","model":"openai/gpt-4o-mini","description":"Ops helper",'
            '"agent":"root"}',
        ),
        (
            e.TeamShown((e.Teammate("root", "Ops helper", "openai", "gpt-4o-mini"),), "root"),
            f'{{"agent_name":"root",{T},"type":"team_info","available_agents":[{{"name":"root","description":'
            '"Ops helper","provider":"openai","model":"gpt-4o-mini"}],"current_agent":"root","agent":"root"}',
        ),
        (
            TOOLS,
            f'{{"agent_name":"root",{T},"type":"toolset_info","available_tools":3,"loading":false,"agent":"root"}}',
        ),
        (
            e.UserSaid("Clean tmp", 0),
            f'{{{T},"type":"user_message","message":"Clean tmp","session_id":"S","session_position":0}}',
        ),
        (
            e.TurnStarted("root"),
            f'{{"agent_name":"root",{T},"type":"stream_started","session_id":"S","agent":"root"}}',
        ),
        (
            e.CallDrafted(ANSWER, CallId("call_1"), "shell", '{"cmd":"rm -r /tmp/x"}', "root", "d1"),
            f'{{"agent_name":"root",{T},"type":"partial_tool_call","tool_call":{TC},"tool_definition":{TD},'
            '"agent":"root"}',
        ),
        (
            e.MessageAdded(Message("assistant", "x"), agent="root"),
            f'{{"agent_name":"root",{T},"type":"message_added","session_id":"S","agent":"root"}}',
        ),
        (
            e.UsageAdded(
                Usage(611, 9, reasoning=2), "openai/gpt-4o-mini", "root", 0.000097, 0.000097, 611, 9, 128000, "stop"
            ),
            f'{{"agent_name":"root",{T},"type":"token_usage","session_id":"S","usage":{{"input_tokens":611,'
            '"output_tokens":9,"context_length":620,"context_limit":128000,"cost":0.000097,"last_message":{'
            '"input_tokens":611,"output_tokens":9,"cached_input_tokens":0,"cached_write_tokens":0,'
            '"reasoning_tokens":2,"Cost":0.000097,"Model":"openai/gpt-4o-mini","finish_reason":"stop"}},"agent":"root"}',
        ),
        (
            e.WaitOpened(WaitId("w"), "approval", "root", call=CALL, definition="d1", metadata={"z": "1", "a": "2"}),
            f'{{"agent_name":"root",{T},"type":"tool_call_confirmation","tool_call":{TC},"tool_definition":{TD},'
            '"metadata":{"a":"2","z":"1"},"session_id":"S","request_id":"w","agent":"root"}',
        ),
        (
            e.ToolReturned(CALL, RESULT, "root", "d1"),
            f'{{"agent_name":"root",{T},"type":"tool_call_response","tool_call_id":"call_1","tool_call":{TC},'
            f'"tool_definition":{TD},"response":"no","result":{{"output":"no","isError":true}},"agent":"root"}}',
        ),
        (
            e.ToolReturned(CALL, RESULT, "root"),
            f'{{"agent_name":"root",{T},"type":"tool_call_response","tool_call_id":"call_1","tool_call":{TC},'
            f'"tool_definition":{NONE},"response":"no","result":{{"output":"no","isError":true}},"agent":"root"}}',
        ),
        (
            e.TextAdded(ANSWER, "Left <as> is.", "root"),
            f'{{"agent_name":"root",{T},"type":"agent_choice","content":"Left \\u003cas\\u003e is.","session_id":"S",'
            '"agent":"root"}',
        ),
        (
            e.TurnEnded(TURN, "normal", "root"),
            f'{{"agent_name":"root",{T},"type":"stream_stopped","session_id":"S","reason":"normal","agent":"root"}}',
        ),
        (
            e.ErrorMet("it broke", "model_error", "root"),
            f'{{{T},"type":"error",'
            '"session_id":"S","error":"it broke","code":"model_error"}',
        ),
        (e.TitleSet("<T>"), f'{{{T},"type":"session_title","session_id":"S","title":"\\u003cT\\u003e"}}'),
        (
            e.WaitOpened(WaitId("w"), "limit", "root", max_iterations=5),
            f'{{{T},"type":"max_iterations_reached","max_iterations":5,"session_id":"S","request_id":"w"}}',
        ),
        (e.SessionExited(), '{"type":"session_exited","reason":"session ended"}'),
        (
            e.AnswerDropped(ANSWER, 7, "cut off", "root"),
            f'{{"agent_name":"root",{T},"type":"warning","message":"cut off","discard_since":7,"agent":"root"}}',
        ),
    ],
)  # fmt: skip
def test_frames_byte_for_byte(fact: e.Fact, expected: str) -> None:
    assert line(fact, TOOLS) == expected


def test_what_frames_say() -> None:
    assert shown(e.ReasoningAdded(ANSWER, "hm", "root"))["type"] == "agent_choice_reasoning"
    assert shown(e.McpStarting("root"))["type"] == "mcp_init_started"
    assert shown(e.McpReady("root"))["type"] == "mcp_init_finished"
    assert shown(e.Warned("careful", "root"))["message"] == "careful"
    assert shown(e.ToolCalled(CALL, "ask", "root", definition="d1"), TOOLS)["type"] == "tool_call"
    output = shown(e.OutputAdded(CALL.id, "line\n", "root", "d1"), TOOLS)
    assert output is not None
    assert (output["tool_call_id"], output["output"], output["tool_definition"]["name"]) == (
        "call_1",
        "line\n",
        "shell",
    )
    fallback = shown(e.FellBack("a/b", "c/d", "busy", 1, 2, "root"))
    assert fallback is not None
    assert (fallback["failed_model"], fallback["fallback_model"], fallback["attempt"]) == ("a/b", "c/d", 1)
    switched = shown(e.AgentSwitched("root", True, "root", "coder"))
    assert switched is not None
    assert (switched["switching"], switched["from_agent"], switched["to_agent"]) == (True, "root", "coder")
    assert shown(e.CompactionStarted("root"))["status"] == "started"
    assert shown(e.CompactionEnded("applied", "root"))["outcome"] == "applied"
    assert shown(e.Authorized("accept", "root"))["confirmation"] == "accept"
    taken = shown(e.MessageTaken(3, 0, Message("user", "left", (Image("data:x", "auto"),)), 4))
    assert taken is not None
    assert (taken["message"], taken["session_position"]) == ("left", 4)
    assert taken["multi_content"] == [{"type": "image_url", "image_url": {"url": "data:x", "detail": "auto"}}]
    result = Result("o", meta={"n": 1.0}, images=(Media("aGk=", "image/png"),), structured={"a": [2.0]})
    response = shown(e.ToolReturned(CALL, result, "root"))
    assert response is not None
    assert response["result"] == {
        "output": "o", "meta": {"n": 1}, "images": [{"data": "aGk=", "mimeType": "image/png"}],
        "structuredContent": {"a": [2]},
    }  # fmt: skip


def test_a_title_costs_but_shows_no_usage() -> None:
    assert shown(e.UsageAdded(Usage(1, 1), "m", "root", 0.1, 0.1, 1, 1, why="title")) is None
    assert shown(e.UsageAdded(Usage(1, 1), "m", "root", 0.1, 0.1, 1, 1, why="vain")) is None
    compacted = shown(e.UsageAdded(Usage(1, 1), "m", "root", 0.1, 0.1, 1, 0, why="compaction", threshold=0.8))
    assert compacted is not None
    assert compacted["usage"]["compaction_threshold"] == 0.8
    assert "last_message" not in compacted["usage"]


def test_a_wait_that_is_withdrawn_warns_unless_its_turn_ended() -> None:
    assert shown(e.WaitVoided(WaitId("w"), e.TURN_ENDED)) is None
    assert shown(e.WaitVoided(WaitId("w"), "it died"))["message"] == "a request was withdrawn: it died"


def test_a_fact_of_a_sub_session_names_it() -> None:
    assert shown(e.TextAdded(ANSWER, "x", "coder", sub=SUB))["session_id"] == "inner"
    assert shown(e.TurnEnded(TURN, "normal", "coder", sub=SUB))["session_id"] == "inner"


def test_an_unknown_fact_shows_nothing() -> None:
    assert shown(e.Unknown("Later", msgspec.Raw(b"{}"))) is None


def test_last_words_have_no_numbers() -> None:
    text = frames.broken("S", StoreFull("full"), Micros(START)).decode()
    assert re.findall(r'"type":"(\w+)"', text) == ["error", "stream_stopped"]
    assert "id:" not in text
    assert '"code":"store_full"' in text


# -- partial calls --------------------------------------------------------------------------------


def partials(pieces: Sequence[str], *, every: int) -> list[str]:
    """The arguments that clients are shown of a call whose pieces come `every` so many microseconds."""
    memory, found = Memory(), []
    for seq, piece in enumerate(pieces, 1):
        fact = e.CallDrafted(ANSWER, CallId("c"), "f" if seq == 1 else "", piece, "root")
        if (data := frames.render(e.Event(LOG, seq, Micros(START + seq * every), fact), memory)) is not None:
            found.append(msgspec.json.decode(data)["tool_call"]["function"].get("arguments", ""))
    return found


def test_the_first_piece_is_shown_and_the_next_after_a_pause() -> None:
    assert partials(["a", "b", "c", "d"], every=1) == ["a"]
    assert partials(["a", "b", "c", "d"], every=250_000) == ["a", "ab", "abc", "abcd"]
    assert partials(["a", "b", "c", "d"], every=125_000) == ["a", "abc"]


def test_much_growth_is_shown_at_once() -> None:
    found = partials(["x" * 512] * 9, every=1)
    assert [len(text) for text in found] == [512, 512 + GROWTH, 512 + 2 * GROWTH]


def test_a_preview_stays_short_enough_for_old_clients() -> None:
    found = partials(["x" * 1000] * 100, every=1_000_000)
    assert max(map(len, found)) <= PREVIEW


def test_long_responses_leave_out_what_was_said_before() -> None:
    long = ToolCall(CALL.id, "shell", '{"cmd":"' + "y" * 30_000 + '"}')
    memory = Memory()
    memory.learn({"d1": SHELL})
    event = e.Event(LOG, 1, Micros(START), e.ToolReturned(long, Result("x" * 20_000), "root", "d1"))
    data = frames.render(event, memory) or b""
    assert len(data) < 64 * 1024
    shown = msgspec.json.decode(data)
    assert shown["response"] == "x" * 20_000
    assert shown["tool_call"]["id"] == shown["tool_call_id"]


# -- the same bytes from everywhere ---------------------------------------------------------------


def the_log() -> list[e.Fact]:
    """A conversation with everything that frames remember something of."""
    inner = Message("assistant", "inner done", usage=Usage(5, 3), cost=0.25)
    drafts: list[e.Fact] = []
    for part in range(40):
        drafts.append(
            e.CallDrafted(
                ANSWER, CALL.id, "shell" if part == 0 else "", f"{part:04}" * 40, "root", "d1" if part == 0 else ""
            )
        )
        drafts.append(
            e.CallDrafted(
                OTHER,
                CallId("c9"),
                "find" if part == 0 else "",
                f"{part:03}" * 99,
                "coder",
                "d2" if part == 0 else "",
                sub=SUB,
            )
        )
        if part % 7 == 0:
            drafts.append(e.TextAdded(ANSWER, f"word {part}", "root"))
    return [
        e.SessionCreated(e.Template(title="T")),
        e.TurnOpened(TURN, "crew", "root", "/"),
        e.MessageWritten(Message("user", "hi", (Text("hi"),))),
        e.AgentShown("root", "a/b"),
        TOOLS,
        e.TurnStarted("root"),
        e.ModelAsked(ANSWER, "root", "a/b"),
        e.SessionCreated(e.Template(title="Transferred task"), SessionId(LOG), sub=SUB),
        e.ToolsShown("coder", 1, definitions={"d2": Definition("find")}, sub=SUB),
        e.ModelAsked(OTHER, "coder", "a/b", sub=SUB),
        *drafts,
        e.MessageAdded(inner, answer=OTHER, agent="coder", sub=SUB),
        e.SubSessionEnded(SUB, "coder"),
        e.MessageEdited(91, Message("assistant", "changed later")),
        e.MessageAdded(Message("assistant", "x", calls=(CALL,)), answer=ANSWER, agent="root"),
        e.ToolCalled(CALL, "ask", "root", definition="d1"),
        e.OutputAdded(CALL.id, "line", "root", "d1"),
        e.ToolReturned(CALL, Result("done"), "root", "d1"),
        e.MessageAdded(call=CALL.id, agent="root"),
        e.ModelAsked(AnswerId("a3"), "root", "a/b"),
        e.CallDrafted(AnswerId("a3"), CallId("c2"), "shell", "{", "root", "d1"),
        e.AnswerDropped(AnswerId("a3"), 3, "cut", "root"),
        e.ModelAsked(AnswerId("a4"), "root", "a/b"),
        e.CallDrafted(AnswerId("a4"), CallId("c2"), "shell", "{}", "root", "d1"),
        e.TurnEnded(TURN, "normal", "root"),
    ]  # fmt: skip


async def rendered(archive: Any, after: int, events_: Sequence[e.Event]) -> dict[int, bytes | None]:
    frames = Renderer(archive, LOG)
    return {event.seq: await frames.render(event) for event in events_ if event.seq > after}


async def test_a_frame_is_the_same_from_every_cursor() -> None:
    tick = iter(range(START, START * 2, 60_000))
    store = Store(lambda: Micros(next(tick)), ServerId("one"), lambda *_: None)
    facts = the_log()
    await store.put(LOG, facts[:1])
    for fact in facts[1:]:  # one by one, so that time passes between them
        await store.put(LOG, [fact])
    log = await store.page(LOG, after=0, limit=9999)
    archive = Archive(cast(Desk, SimpleNamespace(store=store)))
    whole = await rendered(archive, 0, log)
    assert sum(data is not None for data in whole.values()) > 30
    assert any(data and b"partial_tool_call" in data and b'"find"' in data for data in whole.values())
    for cursor in range(1, len(log)):
        assert await rendered(archive, cursor, log) == {seq: data for seq, data in whole.items() if seq > cursor}
    (ended,) = [data for data in whole.values() if data and b"sub_session_completed" in data]
    sub = msgspec.json.decode(ended)["sub_session"]
    assert (sub["title"], sub["input_tokens"], sub["output_tokens"], sub["cost"]) == ("Transferred task", 5, 3, 0.25)
    assert sub["messages"][0]["message"]["message"]["content"] == "inner done"
