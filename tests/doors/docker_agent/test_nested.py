"""Tasks handed to sub-agents, and other facts that come into a log by another hand: how they are shown."""

from typing import Any

import msgspec
import pytest

from fakes import logs
from roost.core import events as e
from roost.core.ids import LogId, SessionId
from roost.core.messages import Message
from roost.testing.house import Frame, House

pytestmark = pytest.mark.anyio


async def seeded(house: House, *facts: e.Fact) -> str:
    """A session whose log has these facts; with none, those of a task handed over."""
    session = await house.session(title="T")
    await house.store.put(LogId(session), facts or logs.handed_over(session))
    return session


async def shown(house: House, session: str) -> list[Frame]:
    """The events of a session's log, whose last fact is one that is shown."""
    last = (await house.store.head(LogId(session))).last_seq
    async with house.events(session) as frames:
        while (frame := await frames.next()) is not None and frame.id != str(last):
            pass
        return frames.seen


async def get(house: House, session: str, path: str = "") -> Any:
    answer = await house.client.get(f"/api/sessions/{session}{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


ORDER = [
    *("agent_info", "toolset_info", "user_message", "stream_started"),
    *("partial_tool_call", "message_added", "token_usage", "tool_call", "agent_switching"),
    *("agent_info", "toolset_info", "stream_started"),
    *("partial_tool_call", "message_added", "token_usage", "tool_call", "tool_call_response", "message_added"),
    *("stream_started", "agent_choice", "message_added", "token_usage", "stream_stopped", "sub_session_completed"),
    *("agent_choice", "message_added", "token_usage", "stream_stopped", "sub_session_completed"),
    *("agent_switching", "agent_info", "tool_call_response", "message_added"),
    *("agent_choice", "message_added", "token_usage", "stream_stopped"),
]


async def test_a_task_handed_over_is_shown_between_its_call_and_its_response(house: House) -> None:
    session = await seeded(house)
    frames = await shown(house, session)
    assert [frame.type for frame in frames] == ORDER
    switches = [frame.data for frame in frames if frame.type == "agent_switching"]
    assert [(d["switching"], d["from_agent"], d["to_agent"]) for d in switches] == [
        (True, "root", "coder"),
        (False, "coder", "root"),
    ]
    started = [frame.data for frame in frames if frame.type == "stream_started"]
    assert [(d["agent_name"], d["session_id"], d.get("parent_session_id")) for d in started] == [
        ("root", session, None),
        ("coder", logs.SUB, session),
        ("helper", logs.DEEP, logs.SUB),
    ]
    fields = ["agent_name", "timestamp", "type", "session_id", "parent_session_id", "root_session_id", "agent"]
    assert list(started[1]) == fields
    facts = {str(ev.seq): ev.fact for ev in await house.store.page(LogId(session), after=0, limit=999)}
    for frame in frames:
        assert frame.data.get("root_session_id") == (session if facts[frame.id].sub else None)
    stopped = [(f.data["session_id"], f.data["reason"]) for f in frames if f.type == "stream_stopped"]
    assert stopped == [(logs.DEEP, "normal"), (logs.SUB, "normal"), (session, "normal")]
    words = [(f.data["session_id"], f.data["content"]) for f in frames if f.type == "agent_choice"]
    assert words == [(logs.DEEP, "helped"), (logs.SUB, "Fixed it"), (session, "It is fixed.")]


SUB_FIELDS = [
    *("id", "title", "messages", "created_at", "tools_approved", "safety_policy", "prior_safety_policy"),
    *("hide_tool_results", "working_dir", "SendUserMessage", "max_iterations", "max_tool_result_tokens", "starred"),
    *("input_tokens", "output_tokens", "cost"),
]


async def test_what_ended_is_sent_whole(house: House) -> None:
    session = await seeded(house)
    inner, outer = [f.data for f in await shown(house, session) if f.type == "sub_session_completed"]
    assert (inner["parent_session_id"], inner["sub_session"]["id"]) == (logs.SUB, logs.DEEP)
    assert (outer["parent_session_id"], outer["agent_name"]) == (session, "root")
    sub = outer["sub_session"]
    assert list(sub) == SUB_FIELDS
    assert (sub["id"], sub["title"], sub["safety_policy"], sub["prior_safety_policy"]) == (
        *(logs.SUB, "Transferred task"),
        *("balanced", "strict"),
    )
    assert (sub["input_tokens"], sub["output_tokens"], sub["cost"]) == (120, 5, 0.75)
    kinds = [next(iter(item)) for item in sub["messages"]]
    assert kinds == ["message", "message", "message", "message", "sub_session", "message"]
    system, proceed, calling, answer, deep, last = (next(iter(item.values())) for item in sub["messages"])
    assert system["message"]["role"] == "system"
    assert (proceed["message"]["content"], proceed["implicit"]) == ("Please proceed.", True)
    assert [known["name"] for known in calling["message"]["tool_definitions"]] == ["read_file"]
    assert (answer["message"]["tool_call_id"], answer["message"]["content"]) == ("call_2", "text of a")
    assert [item["message"]["message"]["content"] for item in deep["messages"]] == ["Please proceed.", "helped"]
    assert last["message"]["content"] == "Fixed it"


FLAT = [
    *(("user", "Find the bug"), ("assistant", ""), ("user", "Please proceed."), ("assistant", "")),
    *(("tool", "text of a"), ("user", "Please proceed."), ("assistant", "helped"), ("assistant", "Fixed it")),
    *(("tool", "Fixed it"), ("assistant", "It is fixed.")),
]


async def test_the_messages_of_a_sub_session_stand_in_their_place(house: House) -> None:
    session = await seeded(house)
    for path in ("", "/snapshot", "/recovery"):
        messages = (await get(house, session, path))["messages"]
        assert [(m["message"]["role"], m["message"]["content"]) for m in messages] == FLAT
    (listed,) = (await house.client.get("/api/sessions")).json()
    assert (listed["id"], listed["num_messages"]) == (session, len(FLAT))
    status = await get(house, session, "/status")
    assert (status["agent"], status["num_messages"], status["streaming"]) == ("root", len(FLAT), False)


@pytest.mark.parametrize(("ordinal", "kept"), [(0, 0), (1, None), (2, None), (3, 10)])
async def test_a_fork_is_cut_outside_of_sub_sessions(house: House, ordinal: int, kept: int | None) -> None:
    session = await seeded(house)
    await house.store.put(LogId(session), [e.MessageWritten(Message("user", "Thanks"))])
    answer = await house.client.post(f"/api/sessions/{session}/fork", json={"user_message_index": ordinal})
    if kept is None:
        said = f"fork user-message index falls inside a sub-session at ordinal {ordinal}"
        assert (answer.status_code, answer.json()) == (400, {"message": said})
        return
    forked = answer.json()
    assert [(m["message"]["role"], m["message"]["content"]) for m in forked.get("messages", [])] == FLAT[:kept]
    head = await house.store.head(LogId(forked["id"]))
    assert (head.messages, head.items) == (kept, 5 if kept else 0)
    created = [ev.fact for ev in await house.store.page(LogId(forked["id"]), after=1, limit=99)]
    subs = [(f.sub, f.parent) for f in created if isinstance(f, e.SessionCreated)]
    assert [parent for _, parent in subs] == ([forked["id"], subs[0][0]] if kept else [])
    assert not {sub for sub, _ in subs} & {logs.SUB, logs.DEEP}


async def test_a_fork_knows_the_tools_that_its_messages_call(house: House) -> None:
    session = await seeded(house)
    await house.store.put(LogId(session), [e.MessageWritten(Message("user", "Thanks"))])
    forked = (await house.client.post(f"/api/sessions/{session}/fork", json={"user_message_index": 3})).json()
    assert (await house.client.delete(f"/api/sessions/{session}?wait=true")).status_code == 200
    for messages in (forked["messages"], (await get(house, forked["id"]))["messages"]):
        called = [m["message"] for m in messages if "tool_calls" in m["message"]]
        assert [[known["name"] for known in m["tool_definitions"]] for m in called] == [
            ["transfer_task"],
            ["read_file"],
        ]


async def test_a_later_turn_counts_the_sub_session_as_one_item(house: House) -> None:
    session = await seeded(house)
    frames = await house.run(session, "and now?")
    (said,) = [frame.data for frame in frames if frame.type == "user_message"]
    assert said["session_position"] == 5  # question, call, sub-session, result, answer
    model = [(m.role, m.content) for m in house.provider.requests[-1].messages if m.role != "system"]
    assert [content for role, content in model if role == "user"] == ["Find the bug", "and now?"]
    assert "helped" not in str(model)  # the model is shown this session's messages alone


async def test_what_else_comes_by_another_hand(house: House) -> None:
    session = await seeded(house, *logs.summed_up())
    frames = {}
    for frame in await shown(house, session):
        frames.setdefault(frame.type, []).append(frame.data)
    common = {"agent_name": "root", "agent": "root"}
    assert own(frames["authorization_event"]) == [{"confirmation": "accept", **common}]
    assert own(frames["session_compaction"]) == [
        {"session_id": session, "status": "started", **common},
        {"session_id": session, "status": "completed", "outcome": "applied", **common},
    ]
    usage = {"input_tokens": 900, "output_tokens": 40, "cached_input_tokens": 0, "cached_write_tokens": 0}
    (summary,) = own(frames["session_summary"])
    assert list(summary.items()) == [
        ("session_id", session), ("summary", "What was said."), ("first_kept_entry", 1), ("cost", 0.125),
        ("model", "fake/m"), ("usage", usage),
    ]  # fmt: skip
    after = frames["token_usage"][0]["usage"]
    assert (after["input_tokens"], after["output_tokens"], "last_message" in after) == (40, 0, False)
    assert own(frames["model_fallback"]) == [
        {"failed_model": "fake/m", "fallback_model": "fake/n", "reason": "rate limited", "attempt": 1,
         "max_attempts": 2, **common}
    ]  # fmt: skip
    assert own(frames["error"]) == [{"session_id": session, "error": "it broke", "code": "model_error"}]
    assert own(frames["stream_stopped"])[0]["reason"] == "error"
    (kept,) = (await get(house, session, "/recovery"))["errors"]
    assert (kept["message"], kept["code"], kept["agent_name"]) == ("it broke", "model_error", "root")


def own(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in event.items() if key not in ("type", "timestamp")} for event in events]


async def test_a_task_without_its_beginning_is_shown_as_far_as_it_is_known(house: House) -> None:
    """A log of another version: what can't be found is left out, and nothing breaks."""
    lost = SessionId("lost")
    session = await seeded(house, e.TurnStarted("coder", sub=lost), e.SubSessionEnded(lost, "root"))
    started, ended = await shown(house, session)
    assert started.data["parent_session_id"] == session
    assert ended.data["sub_session"] is None
    assert msgspec.json.encode(ended.data)
