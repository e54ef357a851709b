"""One session: listed, spawned, shown, changed, asked for, talked to, cancelled, forgotten (3.3 to 3.12, 3.20)."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

from acceptance.house import until
from acceptance.zag.remote import Remote, Site, events_of, played, talk

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?\+00:00")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NOBODY = "c0ffee00-0000-4000-8000-000000000000"
ENVELOPE = ["seq", "ts", "provider", "wrapper_session_id", "provider_session_id", "source_kind", "completeness", "type"]
HANG = played(hang=True)


@pytest.fixture
def hanging(op: Remote) -> Any:
    """A session that does nothing until it is cancelled."""
    session = op.spawn(HANG)
    yield session
    op.ask("POST", f"/sessions/{session}/cancel")
    op.ended(session)


# -- 3.4 ------------------------------------------------------------------------------------------


def test_a_spawn_is_answered_with_all_that_clients_decode(site: Site, op: Remote) -> None:
    answer = op.post("/sessions/spawn", {"prompt": talk("hi"), "provider": "mock"}, 201)
    assert list(answer) == ["session_id", "pid", "log_path", "interactive"]
    session = answer["session_id"]
    assert UUID.fullmatch(session)
    assert isinstance(answer["pid"], int) and answer["pid"] > 0
    assert answer["log_path"].endswith(f"/logs/spawn/{session}.log")
    assert Path(answer["log_path"]).is_relative_to(site.yard.home)
    assert answer["interactive"] is False
    op.ended(session)
    assert "hi" in Path(answer["log_path"]).read_text()
    assert Path(answer["log_path"]).stat().st_mode & 0o077 == 0


def test_d1_d8_the_log_is_there_before_the_answer(op: Remote) -> None:
    session = op.spawn(HANG)
    assert events_of(op.events(session))[:2] == ["session_started", "user_message"]
    op.post(f"/sessions/{session}/cancel")


def test_everything_that_a_spawn_may_say(site: Site, op: Remote) -> None:
    (root := site.folder / "work").mkdir()
    (more := site.folder / "more").mkdir()
    body = {
        "prompt": played({"say": "done"}, {"env": "ZAG_SESSION_NAME"}),
        "provider": "mock",
        "model": "large",
        "root": str(root),
        "auto_approve": True,
        "system_prompt": "Be brief.",
        "add_dirs": [str(more)],
        "size": None,
        "max_turns": 5,
        "timeout": "1m30",
        "name": "full",
        "description": "all of it",
        "tags": ["a", "B", "a"],
        "depends_on": [],
        "inject_context": False,
        "interactive": False,
    }
    session = op.post("/sessions/spawn", body, 201)["session_id"]
    assert op.ended(session) == [{"session_id": session, "success": True, "error": None}]
    shown = op.get(f"/sessions/{session}")
    assert (shown["name"], shown["description"], shown["tags"]) == ("full", "all of it", ["a", "B"])
    assert (shown["provider"], shown["model"], shown["worktree_path"]) == ("mock", "large", str(root))
    started = op.events(session)[0]
    assert (started["command"], started["cwd"], started["resumed"], started["backfilled"]) == (
        "exec",
        str(root),
        False,
        False,
    )
    assert op.get(f"/sessions/{session}/output")["result"] == "full"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": "  "}, "prompt"),
        ({"provider": "nobody"}, "known"),
        ({"provider": "auto"}, "auto"),
        ({"model": "gpt-5"}, "mock-small"),
        ({"timeout": "soon"}, "soon"),
        ({"timeout": "0s"}, "0s"),
        ({"timeout": "5ms"}, "5ms"),
        ({"timeout": "-1s"}, "-1s"),
        ({"root": "/nowhere/at/all"}, "nowhere"),
        ({"add_dirs": ["/nowhere/at/all"]}, "nowhere"),
        ({"depends_on": [NOBODY]}, NOBODY),
        ({"max_turns": -1}, "max_turns"),
        ({"size": "$(id)"}, "size"),
        ({"sandbox": "../x"}, "sandbox"),
        ({"worktree": "../x"}, "worktree"),
        ({"mcp_config": "/etc/mcp.json"}, "mcp_config"),
        ({"name": "x" * 300}, "name"),
    ],
)
def test_a_spawn_that_can_not_be_leaves_nothing(op: Remote, fields: dict[str, Any], says: str) -> None:
    before = {one["session_id"] for one in op.get("/sessions")}
    error = op.refused("POST", "/sessions/spawn", 400, {"provider": "mock", "prompt": "x", **fields})
    assert says in error
    assert {one["session_id"] for one in op.get("/sessions")} == before


def test_a_spawn_of_another_shape_is_422(op: Remote) -> None:
    for fields in ({"tags": "a"}, {"interactive": "yes"}, {"max_turns": "9"}, {"add_dirs": {}}, {"prompt": ["x"]}):
        op.refused("POST", "/sessions/spawn", 422, {"provider": "mock", "prompt": "x", **fields})


def test_d1_a_program_that_is_not_there_is_a_failure_that_can_be_read(op: Remote) -> None:
    session = op.post("/sessions/spawn", {"provider": "ollama", "prompt": "x"}, 201)["session_id"]
    [end] = op.ended(session)
    assert end["success"] is False
    assert "ollama" in end["error"]
    status = op.get(f"/sessions/{session}/status")
    assert (status["status"], status["error"]) == ("failed", end["error"])
    op.refused("GET", f"/sessions/{session}/output", 404)
    assert events_of(op.events(session))[-1] == "session_ended"


def test_d2_a_program_that_crashes_at_once_is_a_failure_with_its_code(op: Remote) -> None:
    session = op.spawn(played({"stderr": "cannot do that"}, exit_code=3, mute=True))
    [end] = op.ended(session)
    assert end["success"] is False
    assert "cannot do that" in end["error"] or "3" in end["error"]


# -- 3.3 ------------------------------------------------------------------------------------------


def test_d5_d24_the_list_is_newest_first_and_has_sessions_of_every_root(site: Site, op: Remote) -> None:
    (site.folder / "elsewhere").mkdir()
    first = op.spawn(tags=["Listed"])
    second = op.spawn(tags=["listed", "x"], root=str(site.folder / "elsewhere"))
    third = op.spawn(tags=["LISTED"])
    op.ended(first, second, third)
    found = [one["session_id"] for one in op.get("/sessions", tag="listed", provider="mock")]
    assert found == [third, second, first]
    assert [one["session_id"] for one in op.get("/sessions", tag="lIsTeD", limit=2)] == [third, second]
    assert op.get("/sessions", tag="listed", limit=0) == []
    assert op.get("/sessions", tag="list") == []
    assert op.get("/sessions", tag="listed", provider="claude") == []
    assert [one["session_id"] for one in op.get("/sessions", **{"global": "true"})][:3] == found
    every = op.get("/sessions")
    assert [one["created_at"] for one in every] == sorted((one["created_at"] for one in every), reverse=True)


# -- 3.5, 9.2 -------------------------------------------------------------------------------------


def test_an_entry_has_all_fields_of_the_store(op: Remote) -> None:
    session = op.done(name="n")
    entry = op.get(f"/sessions/{session}")
    required = {
        "session_id": session,
        "provider": "mock",
        "worktree_name": "",
        "sandbox_name": None,
        "is_worktree": False,
        "discovered": False,
        "discovery_source": None,
        "log_completeness": "full",
        "name": "n",
        "description": None,
        "tags": [],
        "status": "completed",
    }
    assert {key: entry[key] for key in required} == required
    assert isinstance(entry["model"], str)
    assert entry["worktree_path"]
    assert MOMENT.fullmatch(entry["created_at"])
    assert MOMENT.fullmatch(entry["ended_at"])
    assert entry["provider_session_id"]
    assert entry["log_path"].endswith(".log")
    assert not {"dependencies", "retried_from", "interactive"} & set(entry)


def test_a_session_is_known_by_its_clis_id_by_a_beginning_and_as_the_latest(op: Remote) -> None:
    session = op.done()
    own = op.get(f"/sessions/{session}")["provider_session_id"]
    for name in (session, own, session[:12], session[:8], "latest"):
        assert op.get(f"/sessions/{name}")["session_id"] == session
        assert op.get(f"/sessions/{name}/status")["session_id"] == name
        assert op.get(f"/sessions/{name}/output") == {"session_id": name, "result": "hello"}
    op.refused("GET", f"/sessions/{session[:3]}", 404)


def test_d29_sessions_side_by_side_each_know_their_own_conversation(site: Site, op: Remote) -> None:
    barrier = site.barrier("beside")
    first, second = op.spawn(played(barrier.step, {"say": "first"})), op.spawn(talk("second"))
    op.ended(second)
    barrier.lift()
    op.ended(first)
    own = {session: op.get(f"/sessions/{session}")["provider_session_id"] for session in (first, second)}
    assert len(set(own.values())) == 2
    for session, conversation in own.items():
        assert op.get(f"/sessions/{conversation}")["session_id"] == session
        op.post(f"/sessions/{session}/input", {"message": "again"})
        assert op.get(f"/sessions/{session}")["provider_session_id"] == conversation
    told = [one["message"] for one in op.events(first, type="provider_status")]
    assert len([message for message in told if message.startswith("Initialized ")]) == 2


# -- 3.6 ------------------------------------------------------------------------------------------


def test_d24_deleting(op: Remote, hanging: str) -> None:
    op.refused("DELETE", f"/sessions/{hanging}", 409)
    assert op.status(hanging) == "running"
    session = op.done()
    own = op.get(f"/sessions/{session}")["provider_session_id"]
    assert op.good(op.ask("DELETE", f"/sessions/{own}")) == {"deleted": own}
    for path in ("", "/status", "/events", "/output", "/env"):
        op.refused("GET", f"/sessions/{session}{path}", 404)
    op.refused("DELETE", f"/sessions/{session}", 404)
    assert session not in [one["session_id"] for one in op.get("/sessions")]


# -- 3.7 ------------------------------------------------------------------------------------------


def test_updating(op: Remote) -> None:
    session = op.done(name="before", description="old", tags=["a"])

    def patch(**fields: Any) -> Any:
        entry = op.good(op.ask("PATCH", f"/sessions/{session}", fields))
        assert entry == op.get(f"/sessions/{session}")
        return entry["name"], entry["description"], entry["tags"]

    assert patch(name=None, description=None, tags=None, clear_tags=False) == ("before", "old", ["a"])
    assert patch(name="after", tags=["b", "A", "b"]) == ("after", "old", ["a", "b"])
    assert patch(description="new", clear_tags=True, tags=["c"]) == ("after", "new", ["c"])
    assert patch(clear_tags=True) == ("after", "new", [])
    assert patch(depends_on=[NOBODY], dependencies=[NOBODY]) == ("after", "new", [])
    assert "dependencies" not in op.get(f"/sessions/{session}")
    op.refused("PATCH", f"/sessions/{NOBODY}", 404, {})
    op.refused("PATCH", f"/sessions/{session}", 400, {"tags": [" "]})
    op.refused("PATCH", f"/sessions/{session}", 422, {"tags": "a"})


# -- 3.8, 9.5 -------------------------------------------------------------------------------------


def test_status_of_one_that_runs(op: Remote, hanging: str) -> None:
    op.good(op.ask("PATCH", f"/sessions/{hanging}", {"name": "busy"}))
    status = op.get(f"/sessions/{hanging}/status")
    assert (status["session_id"], status["status"], status["provider"]) == (hanging, "running", "mock")
    assert (status["name"], isinstance(status["pid"], int)) == ("busy", True)
    assert MOMENT.fullmatch(status["last_heartbeat_at"])
    assert "error" not in status


def test_status_of_those_that_have_ended(op: Remote) -> None:
    good, bad = op.spawn(), op.spawn(played(fail="no way"))
    op.ended(good, bad)
    assert op.get(f"/sessions/{good}/status")["status"] == "completed"
    status = op.get(f"/sessions/{bad}/status")
    assert (status["status"], status["error"]) == ("failed", "no way")
    assert not {"name", "last_heartbeat_at"} & set(status)
    op.refused("GET", f"/sessions/{NOBODY}/status", 404)


# -- 3.9, 10 --------------------------------------------------------------------------------------


def test_d3_events_hold_all_that_was_said_and_done(op: Remote) -> None:
    session = op.done(
        played(
            {"think": "hm"},
            {"say": "looking"},
            {"tool": "Bash", "input": {"command": "ls"}},
            {"tool_ok": "a.py"},
            {"tool": "Read", "input": {"file_path": "/x"}},
            {"tool_err": "not there"},
            {"stderr": "careful"},
            {"usage": {"input": 10, "output": 5}},
            {"say": "one file"},
        )
    )
    events = op.events(session)
    for event in events:
        assert list(event)[: len(ENVELOPE)] == ENVELOPE
        assert (event["wrapper_session_id"], event["provider"]) == (session, "mock")
        assert MOMENT.fullmatch(event["ts"])
        assert event["source_kind"] in ("wrapper", "stdout", "stderr")
        assert event["completeness"] == "full"
    seqs = [event["seq"] for event in events]
    assert seqs == sorted(set(seqs))
    kinds = events_of(events)
    assert kinds[:2] == ["session_started", "user_message"]
    assert kinds[-1] == "session_ended"
    shown = {kind: [one for one in events if one["type"] == kind] for kind in kinds}
    assert [one["content"] for one in shown["reasoning"]] == ["hm"]
    assert [one["content"] for one in shown["assistant_message"]] == ["looking", "one file"]
    call, other = shown["tool_call"]
    assert (call["tool_name"], call["tool_kind"], call["input"]) == ("Bash", "shell", {"command": "ls"})
    assert other["tool_kind"] == "file_read"
    good, bad = shown["tool_result"]
    assert (good["tool_id"], good["success"], good["output"], good["error"]) == (call["tool_id"], True, "a.py", None)
    assert (bad["success"], bad["output"], bad["error"]) == (False, None, "not there")
    assert [one["message"] for one in shown["stderr"]] == ["careful"]
    assert shown["user_message"][0]["role"] == "user"
    assert (events[-1]["success"], events[-1]["error"]) == (True, None)
    assert events[0]["provider_session_id"] is None
    assert events[-1]["provider_session_id"] == op.get(f"/sessions/{session}")["provider_session_id"]


def test_d33_events_can_be_chosen_and_paged(op: Remote) -> None:
    session = op.done(played(*({"say": f"word {n}"} for n in range(5))))
    every = op.events(session)
    said = [one for one in every if one["type"] == "assistant_message"]
    assert op.events(session, type="assistant_message") == said
    assert op.events(session, type="assistant_message", last=2) == said[-2:]
    assert op.events(session, type="assistant_message", limit=2) == said[:2]
    assert op.events(session, last=0) == []
    assert op.events(session, last=999) == every
    assert op.events(session, type="assistant_message, session_ended")[-1] == every[-1]
    assert op.events(session, type="assistant") == []
    middle = said[2]["seq"]
    assert op.events(session, after_seq=middle) == [one for one in every if one["seq"] > middle]
    assert op.events(session, before_seq=middle) == [one for one in every if one["seq"] < middle]
    assert op.events(session, after_seq=said[0]["seq"], before_seq=said[3]["seq"], last=1) == [
        [one for one in every if one["seq"] < said[3]["seq"]][-1]
    ]
    assert op.events(session, before_seq=0) == op.events(session, after_seq=2**64 - 1) == []
    assert op.events(session, unheard="of") == every
    for query in ("last=x", "after_seq=-1", "before_seq=1.5", "schema=odd"):
        op.refused("GET", f"/sessions/{session}/events?{query}", 400)
    op.refused("GET", f"/sessions/{NOBODY}/events", 404)


def test_events_in_the_unified_schema(op: Remote) -> None:
    session = op.done(
        played(
            {"tool": "Bash", "input": {"command": "ls"}}, {"tool_ok": "a.py"}, {"say": "ok"}, {"usage": {"input": 1}}
        )
    )
    events = op.events(session, schema="unified")
    kinds = events_of(events)
    assert {"user_message", "assistant_message", "tool_execution", "turn_complete", "result"} <= set(kinds)
    assert kinds.index("turn_complete") + 1 == kinds.index("result")
    user = next(one for one in events if one["type"] == "user_message")
    assert user["content"][0]["type"] == "text"
    tool = next(one for one in events if one["type"] == "tool_execution")
    assert (tool["tool_name"], tool["input"], tool["result"]["output"]) == ("Bash", {"command": "ls"}, "a.py")
    said = [one["content"] for one in events if one["type"] == "assistant_message"]
    assert [block["type"] for content in said for block in content] == ["tool_use", "text"]


# -- 3.10 -----------------------------------------------------------------------------------------


def test_output(op: Remote, hanging: str) -> None:
    session = op.done(played({"say": "first"}, {"say": "last"}))
    assert op.get(f"/sessions/{session}/output") == {"session_id": session, "result": "last"}
    for there_is_none in (hanging, op.done(played(fail="no way")), NOBODY):
        op.refused("GET", f"/sessions/{there_is_none}/output", 404)


# -- 3.11 -----------------------------------------------------------------------------------------


def test_d16_input_resumes_a_session_as_it_was_spawned(site: Site, op: Remote) -> None:
    (root := site.folder / "resumed").mkdir()
    session = op.done(talk("first"), root=str(root), name="resumed")
    output = op.post(f"/sessions/{session}/input", {"message": played({"say": "second"}, {"write": {"path": "here"}})})
    assert (output["session_id"], output["is_error"], output["result"]) == (session, False, "wrote here")
    assert (output["agent"], output["log_path"].endswith(f"{session}.log")) == ("mock", True)
    assert "first" not in str(output["events"])
    assert (root / "here").is_file()
    events = op.events(session)
    assert [one["resumed"] for one in events if one["type"] == "session_started"] == [False, True]
    assert [one["type"] for one in events].count("session_ended") == 2
    assert len({one["cwd"] for one in events if one["type"] == "session_started"}) == 1
    assert op.get(f"/sessions/{session}/output")["result"] == "wrote here"


def test_input_while_it_runs_extends_the_run(site: Site, op: Remote) -> None:
    barrier = site.barrier("extended")
    session = op.spawn(played(barrier.step))
    answer = op.post(f"/sessions/{session}/input", {"message": talk("two")})
    assert answer == {"status": "sent", "interactive": False, "queued": True}
    barrier.lift("one")
    assert op.ended(session)[0]["success"] is True
    events = op.events(session)
    assert [one["content"] for one in events if one["type"] == "assistant_message"] == ["one", "two"]
    assert [one["type"] for one in events].count("session_ended") == 1


def test_input_that_can_not_be(op: Remote, hanging: str) -> None:
    op.refused("POST", f"/sessions/{NOBODY}/input", 404, {"message": "x"})
    op.refused("POST", f"/sessions/{hanging}/input", 400, {"message": "  "})
    op.refused("POST", f"/sessions/{hanging}/input", 422, {})
    for _ in range(20):
        op.post(f"/sessions/{hanging}/input", {"message": "more"})
    answer = op.ask("POST", f"/sessions/{hanging}/input", {"message": "too much"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")


# -- 3.12, 9.9 ------------------------------------------------------------------------------------


def test_cancelling(op: Remote) -> None:
    session = op.spawn(HANG)
    assert op.post(f"/sessions/{session}/cancel", {"reason": "superseded"}) == {"status": "cancelled"}
    assert op.ended(session) == [{"session_id": session, "success": False, "error": "cancelled: superseded"}]
    assert op.events(session, type="session_ended")[0]["error"] == "cancelled: superseded"
    assert op.good(op.ask("POST", f"/sessions/{session}/cancel")) == {"status": "cancelled"}  # no body, and again
    assert len(op.events(session, type="session_ended")) == 1
    assert op.get(f"/sessions/{session}/status")["status"] == "failed"
    op.refused("POST", f"/sessions/{NOBODY}/cancel", 404, {})


def test_cancelling_without_a_reason_says_that_a_user_did(op: Remote) -> None:
    session = op.spawn(HANG)
    op.post(f"/sessions/{session}/cancel", {"reason": None})
    assert op.ended(session)[0]["error"] == "cancelled: cancelled by user"


def test_d2_a_cancel_ends_all_that_the_agent_has_started(op: Remote) -> None:
    session = op.spawn(played({"child": 60}, hang=True))
    [said] = op.until(session, "assistant_message")
    child = int(said["content"])
    assert Path(f"/proc/{child}").exists()
    op.post(f"/sessions/{session}/cancel")
    op.ended(session)
    until(lambda: gone(child))


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_d2_a_timeout_ends_the_run_with_its_own_words(op: Remote) -> None:
    session = op.spawn(played({"child": 60}, hang=True), timeout="1s")
    assert op.ended(session)[0]["error"] == "Agent timed out after 1s"
    [process] = [one for one in op.get("/processes") if one["session_id"] == session]
    assert (process["status"], process["live_status"]) == ("killed", "killed")
    until(lambda: gone(int(op.events(session, type="assistant_message")[0]["content"])))


# -- 3.20 -----------------------------------------------------------------------------------------


def test_notes_in_a_log(op: Remote) -> None:
    session = op.done()
    for body in (
        {"message": "plain", "level": None, "data": None},
        {"message": "with data", "level": "warn", "data": '{"a": [1]}'},
        {"message": "as an object", "level": "debug", "data": {"a": [1]}},
    ):
        assert op.post(f"/sessions/{session}/log", body) == {"status": "logged"}
    found = op.events(session, type="user_event")
    assert [(one["level"], one["message"]) for one in found] == [
        ("info", "plain"),
        ("warn", "with data"),
        ("debug", "as an object"),
    ]
    assert "data" not in found[0]
    assert found[1]["data"] == found[2]["data"] == {"a": [1]}
    assert op.status(session) == "completed"
    op.refused("POST", f"/sessions/{session}/log", 400, {"message": "x", "level": "fatal"})
    op.refused("POST", f"/sessions/{session}/log", 400, {"message": "x", "data": "{"})
    op.refused("POST", f"/sessions/{session}/log", 422, {"level": "info"})
    op.refused("POST", f"/sessions/{NOBODY}/log", 404, {"message": "x"})


def test_the_environment_of_a_session(op: Remote) -> None:
    session = op.done(played({"env": "*"}), name="named")
    env = op.get(f"/sessions/{session}/env")
    assert (env["ZAG_SESSION_ID"], env["ZAG_PROVIDER"], env["ZAG_SESSION_NAME"]) == (session, "mock", "named")
    assert {type(value) for value in env.values()} == {str}
    assert env["ZAG_PROCESS_ID"] == next(p["id"] for p in op.get("/processes") if p["session_id"] == session)
    assert set(env) <= set(op.get(f"/sessions/{session}/output")["result"].split()) | {"ZAG_ROOT", "ZAG_MODEL"}
    assert op.get(f"/sessions/{session}/env", shell="true") == env
    assert op.get("/sessions/latest/env") == env
    op.refused("GET", f"/sessions/{NOBODY}/env", 404)


def test_d15_d22_agents_see_nothing_of_the_server(op: Remote) -> None:
    names = op.get(f"/sessions/{op.done(played({'env': '*'}))}/output")["result"].split()
    assert not [name for name in names if name.startswith(("ZAG_SERVE_", "ZAG_CONNECT_", "ROOST_SERVE_"))]
    assert os.environ.get("ZAG_SERVE_TOKEN") is None


def test_d14_a_long_prompt_reaches_the_agent_and_stands_in_no_command_line(site: Site, op: Remote) -> None:
    secret, barrier = "only-the-agent-may-read-this", site.barrier("long")
    prompt = f"{played({'say': 'read it'}, barrier.step)}\n{secret} {'x' * 300_000}"
    session = op.spawn(prompt, system_prompt=f"{secret} {'y' * 200_000}")
    op.until(session, "assistant_message")
    [process] = [one for one in op.get("/processes", running="true") if one["session_id"] == session]
    lines = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in (process["pid"], *children(process["pid"])) if pid]
    barrier.lift()
    assert lines
    assert not any(secret.encode() in line for line in lines)
    assert op.ended(session)[0]["success"] is True
    assert len(op.events(session, type="user_message")[0]["content"]) == len(prompt)


def children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
