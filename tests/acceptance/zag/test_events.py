"""Events of all kinds, from wherever they are read; agents of files at this door; what is too long or too much."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from acceptance import front
from acceptance.house import agent_yaml, until
from acceptance.zag.remote import SECRET, Remote, Site, events_of, played, talk
from fakes import llm

RICH = (
    {"status": "warming up"},
    {"think": "first"},
    {"say": "looking", "drip": 0.001},
    {"think": "second"},
    {"tool": "Bash", "input": {"command": "ls"}},
    {"tool_output": "a.py"},
    {"tool_ok": "a.py"},
    {"garbage": "this is no event"},
    {"tool": "Write", "input": {"file_path": "/x"}},
    {"tool_err": "read-only"},
    {"stderr": "careful"},
    {"usage": {"input": 10, "output": 5, "cost": 0.25}},
    {"say": "done"},
)


def pure(op: Remote, session: str) -> None:
    """Events are the same from wherever they are read, in both schemas."""
    for schema in ("log", "unified"):
        whole = op.events(session, schema=schema)
        assert whole
        for cut in range(whole[-1]["seq"] + 2):
            rest = op.events(session, schema=schema, after_seq=cut)
            assert rest == [one for one in whole if one["seq"] > cut], (schema, cut)
        for count in (1, 3, 10):
            assert op.events(session, schema=schema, last=count) == whole[-count:]


def test_events_are_the_same_from_every_seq(op: Remote) -> None:
    session = op.done(played(*RICH))
    op.post(f"/sessions/{session}/log", {"message": "note"})
    op.post(f"/sessions/{session}/input", {"message": played({"think": "third"}, {"say": "again"})})
    pure(op, session)
    shown = {one["type"] for one in op.events(session)}
    assert {"reasoning", "tool_call", "tool_result", "stderr", "parse_warning", "usage", "user_event"} <= shown
    assert [one["content"] for one in op.events(session, type="reasoning")] == ["first", "second", "third"]
    [warning] = op.events(session, type="parse_warning")
    assert warning["raw"] == "this is no event"
    [usage] = op.events(session, type="usage")
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_cost_usd"]) == (10, 5, 0.25)


@pytest.mark.parametrize(("answer", "granted"), [("approve", True), ("reject", False)])
def test_what_waits_for_a_person(site: Site, op: Remote, answer: str, granted: bool) -> None:
    prompt = played({"ask": "Bash", "input": {"command": "rm x"}, "ok": "gone"}, {"say": "done"})
    session = op.spawn(prompt, auto_approve=False)
    waiting = until(lambda: [one for one in op.events(session, type="provider_status") if "Waiting" in one["message"]])
    assert waiting[0]["data"]["tool_name"] == "Bash"
    status = op.get(f"/sessions/{session}/status")
    assert (status["status"], status["waits"]) == ("idle", 1)
    with op.feed(f"/sessions/{session}/stream?after_seq={waiting[0]['seq']}") as feed:
        wait = waiting[0]["data"]["wait_id"]
        given = {"confirmation": answer, "reason": "because"}
        told = site.yard.ask(site.front, f"/api/waits/{wait}", token=SECRET, method="POST", body=given)
        assert told.status == 200
        permission = feed.until("permission")
        assert (permission["tool_name"], permission["granted"]) == ("Bash", granted)
        assert feed.until("tool_result")["success"] is granted
        feed.rest()
    assert op.ended(session)[0]["success"] is True
    pure(op, session)


def test_a_text_that_is_too_long_for_a_frame_is_cut_in_its_middle(op: Remote) -> None:
    session = op.done(played({"big_line": 3_000_000}))
    [said] = op.events(session, type="assistant_message")
    assert len(json.dumps(said)) < 1_048_576  # what clients take unless they say otherwise
    assert "characters left out" in said["content"]
    heard, code = op.heard(f"/sessions/{session}/stream?filter=assistant_message")
    assert (heard, code) == ([said], 1000)
    assert len(op.heard(f"/sessions/{session}/stream?schema=unified&filter=assistant_message")[0]) == 1
    assert len(op.get(f"/sessions/{session}/output")["result"]) == 3_000_000


def test_many_events_reach_a_reader_that_comes_late_whole_and_in_order(op: Remote) -> None:
    session = op.done(played({"flood": 2_000_000}))
    heard, code = op.heard(f"/sessions/{session}/stream")
    assert code == 1000
    assert heard == op.events(session)
    assert len(heard) > 1900


def test_a_session_that_never_ran_is_unknown(site: Site, op: Remote) -> None:
    made = site.yard.ask(site.front, "/api/sessions", token=SECRET, method="POST", body={"title": "from /api"}).json
    session = made["id"]
    assert op.status(session) == "unknown"
    assert op.events(session) == []
    assert session in {one["session_id"] for one in op.get("/sessions")}
    op.refused("GET", f"/sessions/{session}/output", 404)
    op.refused("POST", f"/sessions/{session}/input", 409, {"message": "x"})
    assert op.good(op.ask("DELETE", f"/sessions/{session}")) == {"deleted": session}


# -- agents of files --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with an agent file, and room for two sessions at a time."""
    with llm.serve() as model, front.opened(tmp_path_factory.mktemp("crew")) as yard:
        agent = yard.folder / "crew.yaml"
        agent.write_text(agent_yaml(model.url, extra="    toolsets: [{type: shell}]\n"))
        flags = ("--host", "127.0.0.1", "--enable-mock", "--token", SECRET, "--agents", str(agent))
        served = yard.serve(*flags, "--max-sessions", "2")
        yield Site(yard, served, Remote.at(yard, served))


def test_an_agent_of_a_file_is_spawned_as_a_cli_is(crew: Site) -> None:
    op = crew.op
    session = op.done('[[tool shell {"cmd": "echo ran"}]] [[say all done]]', provider="crew", name="from a file")
    assert op.get(f"/sessions/{session}/output")["result"] == "all done"
    events = op.events(session)
    kinds = [kind for kind in events_of(events) if kind != "provider_status"]
    assert kinds[:2] == ["session_started", "user_message"]
    assert kinds[-1] == "session_ended"
    assert {"tool_call", "tool_result", "assistant_message", "usage"} <= set(kinds)
    assert {one["provider"] for one in events} == {"crew"}
    [call] = op.events(session, type="tool_call")
    assert (call["tool_name"], call["tool_kind"], call["input"]) == ("shell", "shell", {"cmd": "echo ran"})
    assert "ran" in op.events(session, type="tool_result")[0]["output"]
    entry = op.get(f"/sessions/{session}")
    assert (entry["provider"], entry["name"], entry["status"]) == ("crew", "from a file", "completed")
    output = op.post(f"/sessions/{session}/input", {"message": "[[say once more]]"})
    assert (output["result"], output["is_error"]) == ("once more", False)
    assert op.post("/sessions/summary", {"session_ids": [session]})[0]["tool_calls"] == {"shell": 1}
    pure(op, session)


def test_a_session_of_the_other_api_is_seen_here_too(crew: Site) -> None:
    op = crew.op
    made = crew.yard.ask(crew.front, "/api/sessions", token=SECRET, method="POST", body={"title": "over there"}).json
    session = made["id"]
    with op.feed(f"/sessions/{session}/stream") as feed:
        run = {"messages": [{"role": "user", "content": "[[say hello]]"}]}
        path = f"/api/sessions/{session}/agent/crew"
        assert crew.yard.ask(crew.front, path, token=SECRET, method="POST", body=run).status == 200
        assert feed.until("user_message")["content"] == "[[say hello]]"
        assert feed.until("assistant_message")["content"] == "hello"
        assert (feed.rest()[-1]["type"], feed.code) == ("session_ended", 1000)
    assert op.status(session) == "completed"
    assert op.ended(session)[0]["success"] is True
    pure(op, session)


def test_d32_no_more_sessions_run_than_may(crew: Site) -> None:
    op, hang = crew.op, played(hang=True)
    running = [op.spawn(hang), op.spawn(hang)]
    body = {"provider": "mock", "prompt": talk("x")}
    error = op.refused("POST", "/sessions/spawn", 429, body)
    assert "2" in error
    listed = {one["session_id"] for one in op.get("/sessions")}
    for session in running:
        op.post(f"/sessions/{session}/cancel")
    op.ended(*running)
    assert op.done(talk("x")) not in listed


def test_frames_are_compact_json(op: Remote) -> None:
    session = op.done(talk("x"))
    socket = op.connect(f"/sessions/{session}/stream")
    frame = socket.recv()
    socket.close()
    assert isinstance(frame, str)
    event: Any = json.loads(frame)
    assert frame == json.dumps(event, separators=(",", ":"), ensure_ascii=False)
