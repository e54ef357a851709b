"""Processes, search, cleaning up, reviews, settings, capabilities, skills, tool servers (3.21 to 3.25, 16)."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from acceptance.house import until
from acceptance.zag.remote import Remote, Site, played, talk

NOBODY = "c0ffee00-0000-4000-8000-000000000000"
HANG = played(hang=True)


def process_of(op: Remote, session: str) -> Any:
    """The process of a session, once it has one."""
    return until(lambda: next((one for one in op.get("/processes") if one["session_id"] == session), None))


# -- 3.21 -----------------------------------------------------------------------------------------


def test_a_process_from_its_start_to_its_end(op: Remote) -> None:
    session = op.spawn(HANG, root=None)
    entry = process_of(op, session)
    assert list(entry) == [
        *("id", "pid", "session_id", "provider", "model", "command", "prompt", "started_at", "status"),
        *("exit_code", "exited_at", "root", "parent_process_id", "parent_session_id", "live_status"),
    ]
    assert (entry["command"], entry["prompt"], entry["provider"]) == ("exec", HANG, "mock")
    assert (entry["status"], entry["live_status"], entry["exit_code"], entry["exited_at"]) == (
        *("running", "running"),
        *(None, None),
    )
    assert Path(f"/proc/{entry['pid']}").exists()
    assert op.get(f"/processes/{entry['id']}") == entry
    assert entry in op.get("/processes", running="true", provider="mock")
    assert op.get("/processes", provider="claude") == []
    assert op.post(f"/processes/{entry['id']}/stop") == {"status": "stopped"}
    [end] = op.ended(session)
    assert end["success"] is False
    after = op.get(f"/processes/{entry['id']}")
    assert after["status"] in ("exited", "killed")
    assert after["exited_at"]
    assert entry["id"] not in [one["id"] for one in op.get("/processes", running="true")]
    op.refused("POST", f"/processes/{entry['id']}/stop", 409)
    op.refused("POST", f"/processes/{entry['id']}/kill", 409, {})


def test_d33_processes_are_chosen_before_they_are_counted(op: Remote) -> None:
    busy = op.spawn(HANG)
    process_of(op, busy)
    op.done()
    listed = op.get("/processes")
    assert [one["started_at"] for one in listed] == sorted((one["started_at"] for one in listed), reverse=True)
    assert op.get("/processes", limit=1) == listed[:1]
    assert [one["session_id"] for one in op.get("/processes", running="true", limit=1)] == [busy]
    op.post(f"/sessions/{busy}/cancel")


def test_killing(op: Remote) -> None:
    session = op.spawn(HANG)
    entry = process_of(op, session)
    assert op.good(op.ask("POST", f"/processes/{entry['id']}/kill")) == {"status": "killed"}
    [end] = op.ended(session)
    assert end["success"] is False
    assert op.get(f"/processes/{entry['id']}")["status"] == "killed"
    assert op.status(session) == "failed"


def test_d21_killing_with_a_result(op: Remote) -> None:
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    session = op.spawn(HANG, json_schema=schema)
    entry = process_of(op, session)
    error = op.refused("POST", f"/processes/{entry['id']}/kill", 409, {"result": '{"n": "x"}'})
    assert "n" in error
    assert op.get(f"/processes/{entry['id']}")["live_status"] == "running"
    assert "file" in op.refused("POST", f"/processes/{entry['id']}/kill", 400, {"file": "/etc/passwd"})
    assert op.post(f"/processes/{entry['id']}/kill", {"result": '{"n": 1}'}) == {"status": "killed"}
    [end] = op.ended(session)
    assert end["success"] is True
    assert op.get(f"/sessions/{session}/output")["result"] == '{"n": 1}'
    assert op.events(session, type="session_result")[0]["result"] == '{"n": 1}'
    assert op.status(session) == "completed"


def test_processes_that_are_not_there(op: Remote) -> None:
    for path in ("", "/stop", "/kill"):
        method = "POST" if path else "GET"
        op.refused(method, f"/processes/{NOBODY}{path}", 404, {} if path else None)
        op.refused(method, f"/processes/self{path}", 400, {} if path else None)


# -- 3.22: search ---------------------------------------------------------------------------------


def test_d20_searching(op: Remote) -> None:
    steps = [{"say": "A Needle in it"}, {"tool": "Read", "input": {"file_path": "/needle.py"}}, {"tool_ok": "NEEDLE"}]
    one = op.done(played(*steps), tags=["s22"])
    two = op.done("another needle", tags=["S22"], name="two")
    given = {"query": "needle", "tag": "s22", "provider": None, "global": False, "count": False, "limit": None}
    found = op.post("/search", given)
    assert (found["status"], found["count"], len(found["matches"])) == ("ok", len(found["matches"]), found["count"])
    fields = ["session_id", "provider", "started_at", "ended_at", "workspace_path", "command", "event", "snippet"]
    assert all(list(match) == fields for match in found["matches"])
    assert {match["session_id"] for match in found["matches"]} == {one, two}
    assert all("needle" in match["snippet"].lower() for match in found["matches"])
    assert all(match["event"]["wrapper_session_id"] == match["session_id"] for match in found["matches"])

    def count(**more: Any) -> int:
        answer = op.post("/search", {**given, **more, "count": True})
        assert "matches" not in answer
        return int(answer["count"])

    assert count() == found["count"]
    assert count(query="Needle", case_sensitive=True) < found["count"]
    assert count(query="n[e]+dle", regex=True) == found["count"]
    assert count(session=two[:8], role="user") == 1
    assert count(role="assistant", session=one[:8]) == 1
    assert count(tool="rea") == 2
    for kind in ("file_read", "fileread", "read", "FileRead"):
        assert count(tool_kind=kind) == 2
    assert count(tool_kind="shell") == 0
    assert count(**{"from": "1h"}) == found["count"]
    assert count(to="1h") == 0
    assert count(limit=1) == 1
    assert count(query="no such thing anywhere") == 0
    assert op.good(op.ask("POST", "/search"))["count"] > 0
    for wrong in ({"query": "(", "regex": True}, {"from": "when"}, {"tool_kind": "odd"}, {"role": "odd"}):
        op.refused("POST", "/search", 400, {**given, **wrong})


# -- 3.22: gc -------------------------------------------------------------------------------------


def test_d26_cleaning_up(site: Site, op: Remote) -> None:
    session = op.done()
    dry = op.post("/gc", {"force": False, "older_than": "7d", "keep_logs": False})
    assert list(dry) == [
        *("process_entries_removed", "lifecycle_markers_removed", "spawn_logs_removed"),
        *("session_logs_removed", "dry_run"),
    ]
    assert dry["dry_run"] is True
    assert dry["session_logs_removed"] == 0
    counted = op.post("/gc", {"force": False, "older_than": "0h", "keep_logs": False})
    assert counted["session_logs_removed"] > 0
    assert op.status(session) == "completed"
    for wrong in ("-1d", "5m", "x", "1h30m", "$(id)"):
        op.refused("POST", "/gc", 400, {"force": True, "older_than": wrong})
    busy = op.spawn(HANG)
    process_of(op, busy)
    kept = op.post("/gc", {"force": True, "older_than": "0h", "keep_logs": True})
    assert (kept["session_logs_removed"], kept["dry_run"]) == (0, False)
    assert op.status(session) == "completed"
    assert [one["session_id"] for one in op.get("/processes")] == [busy]
    swept = op.post("/gc", {"force": True, "older_than": "0h", "keep_logs": False})
    assert swept["session_logs_removed"] > 0
    op.refused("GET", f"/sessions/{session}", 404)
    assert op.status(busy) == "running"
    op.post(f"/sessions/{busy}/cancel")


# -- 3.22: review ---------------------------------------------------------------------------------


@pytest.fixture
def repository(site: Site) -> Path:
    """One commit, and a change since."""
    folder = site.folder / "repository"
    if not folder.exists():
        folder.mkdir()
        env = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
        person = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        (folder / "a.txt").write_text("before\n")
        for words in (["init", "-q"], ["add", "."], [*person, "commit", "-qm", "one"]):
            subprocess.run(["git", *words], cwd=folder, env=env, check=True, capture_output=True)
        (folder / "a.txt").write_text("after\n")
        (folder / "new.txt").write_text("brand new\n")
    return folder


def test_d20_d21_reviewing(repository: Path, op: Remote) -> None:
    given = {
        **{"uncommitted": True, "base": None, "commit": None, "title": "My change", "prompt": "Look at names."},
        **{"provider": "mock", "model": None, "root": str(repository), "auto_approve": False, "add_dirs": None},
    }
    answer = op.post("/review", given)
    assert (list(answer), answer["status"]) == (["status", "session_id", "result"], "completed")
    for part in ("-before", "+after", "+brand new", "My change", "Look at names."):
        assert part in answer["result"]
    assert op.get(f"/sessions/{answer['session_id']}")["worktree_path"] == str(repository)
    assert op.events(answer["session_id"])[0]["command"] == "review"
    assert "before" in op.post("/review", {**given, "uncommitted": False, "commit": "HEAD"})["result"]
    for wrong in (
        {"uncommitted": False},
        {"base": "--output=/tmp/x"},
        {"commit": "-x"},
        {"commit": "nowhere"},
        {"provider": "nobody"},
    ):
        op.refused("POST", "/review", 400, {**given, **wrong})


# -- 3.22: config, 16.1 ---------------------------------------------------------------------------


def test_settings_word_by_word(site: Site, op: Remote) -> None:
    def config(*args: str) -> Any:
        return op.post("/config", {"args": list(args), "root": None})

    path = config("path")["path"]
    assert Path(path).is_relative_to(site.yard.home)
    assert list(config()) == ["path", "content"]
    assert config("init") == {"created": True, "path": path}
    assert config("init")["created"] is False
    assert config("provider=mock") == {"key": "provider", "value": "mock"}
    assert config("model.mock", "small") == {"key": "model.mock", "value": "small"}
    assert config("get", "provider") == config("provider") == {"key": "provider", "value": "mock"}
    assert config("auto_approve=yes")["value"] == "true"
    assert "mock" in config()["content"]
    every = config("list")
    assert (every["provider"], every["model.mock"], every["max_turns"]) == ("mock", "small", None)
    session = op.post("/sessions/spawn", {"prompt": "by default"}, 201)["session_id"]
    op.ended(session)
    assert (op.get(f"/sessions/{session}")["provider"], op.get(f"/sessions/{session}")["model"]) == ("mock", "small")
    assert config("unset", "provider") == {"key": "provider", "status": "unset"}
    assert config("get", "provider") == {"key": "provider", "value": None}
    for wrong in (
        ["odd=1"],
        ["get", "odd"],
        ["unset", "odd"],
        ["max_turns=x"],
        ["auto_approve=maybe"],
        ["a", "b", "c"],
    ):
        op.refused("POST", "/config", 400, {"args": wrong})
    op.refused("POST", "/config", 422, {})
    assert config("reset") == {"status": "reset", "path": path}
    assert config("get", "model.mock")["value"] is None


# -- 3.23, 3.25 -----------------------------------------------------------------------------------


def test_capabilities(op: Remote) -> None:
    claude = op.get("/capability")
    assert list(claude) == ["provider", "default_model", "available_models", "size_mappings", "features"]
    assert (claude["provider"], claude["default_model"]) == ("claude", "default")
    assert claude["size_mappings"] == {"small": "haiku", "medium": "sonnet", "large": "default"}
    assert claude["features"]["streaming_input"]["semantics"]
    assert {"supported", "native"} <= set(claude["features"]["resume"])
    assert op.get("/capability", provider="mock", format="json")["provider"] == "mock"
    pretty = op.ask("GET", "/capability?format=json&pretty=true")
    assert pretty.json() == claude
    assert "\n  " in pretty.text
    for kind in ("yaml", "toml"):
        answer = op.ask("GET", f"/capability?format={kind}")
        assert answer.status_code == 200
        assert "application/json" not in answer.headers["content-type"]
        assert "haiku" in answer.text
    op.refused("GET", "/capability?provider=nobody", 400)
    op.refused("GET", "/capability?format=xml", 400)


def test_d21_discovering(op: Remote) -> None:
    assert op.get("/discover", provider="claude", resolve="small") == {
        **{"input": "small", "resolved": "haiku", "is_alias": True, "provider": "claude"}
    }
    assert op.get("/discover", provider="claude", resolve="opus")["is_alias"] is False
    models = op.get("/discover", models="true")
    assert {tuple(one) for one in models} == {("provider", "default_model", "models")}
    assert {"claude", "codex", "gemini", "copilot", "ollama", "mock"} <= {one["provider"] for one in models}
    assert op.get("/discover", provider="mock")["provider"] == "mock"
    assert {one["provider"] for one in op.get("/discover", json="true")} == {one["provider"] for one in models}
    assert "claude" in op.ask("GET", "/discover?format=yaml").text
    op.refused("GET", "/discover?resolve=small", 400)
    op.refused("GET", "/discover?provider=claude&resolve=odd", 400)
    op.refused("GET", "/discover?provider=nobody", 400)


# -- 3.24, 16.3, 16.4 -----------------------------------------------------------------------------


def test_d21_skills(site: Site, op: Remote) -> None:
    def skills(command: str, **fields: Any) -> Any:
        return op.post("/skills", {"command": command, **fields})

    assert skills("list") == []
    added = skills("add", name="tidy", description="Tidies up.")
    assert (added["status"], Path(added["path"]).is_relative_to(site.yard.home)) == ("created", True)
    [item] = skills("list")
    assert list(item) == ["name", "description", "body", "dir"]
    assert skills("show", name="tidy") == item
    for sync in ({"from": None}, {"from": "claude"}, {"provider": "claude"}):
        assert list(skills("sync", **sync)) == ["status", "count"]
    assert skills("import", **{"from": "claude"})["status"] == "imported"
    assert skills("remove", name="tidy") == {"status": "removed"}
    assert skills("list") == []
    op.refused("POST", "/skills", 404, {"command": "show", "name": "tidy"})
    op.refused("POST", "/skills", 400, {"command": "show"})
    op.refused("POST", "/skills", 400, {"command": "odd"})
    op.refused("POST", "/skills", 422, {})


def test_d21_tool_servers(site: Site, op: Remote) -> None:
    def mcp(command: str, **fields: Any) -> Any:
        return op.post("/mcp", {"command": command, "root": None, **fields})

    assert mcp("list") == []
    told = {"transport": "stdio", "args": ["-x"], "url": None, "env": ["A=1"], "description": "d", "global": True}
    added = mcp("add", name="files", server_command="server", **told)
    assert (added["status"], Path(added["path"]).is_relative_to(site.yard.home / "mcp")) == ("added", True)
    mcp("add", name="web", command_str=None, transport="http", url="https://x.example", **{"global": True})
    files, web = mcp("list")
    assert (files["name"], files["command"], files["args"], files["env"]) == ("files", "server", ["-x"], {"A": "1"})
    assert {"description", "transport", "url", "bearer_token_env_var", "headers"} <= set(files)
    assert (web["transport"], web["url"]) == ("http", "https://x.example")
    assert mcp("show", name="files") == files
    assert list(mcp("sync", **{"from": None})) == ["status", "count"]
    assert mcp("import", **{"from": "claude"})["status"] == "imported"
    (root := site.folder / "project").mkdir()
    local = mcp("add", name="local", command_str="here", **{"global": False, "root": str(root)})
    assert local["path"] != added["path"]
    assert "local" not in [one["name"] for one in mcp("list")]
    assert "local" in [one["name"] for one in mcp("list", root=str(root))]
    assert mcp("remove", name="files") == {"status": "removed"}
    op.refused("POST", "/mcp", 404, {"command": "show", "name": "files"})
    op.refused("POST", "/mcp", 400, {"command": "add"})
    op.refused("POST", "/mcp", 400, {"command": "odd"})


def test_what_was_changed_is_json_that_can_be_read_back(op: Remote) -> None:
    """Texts that are not ASCII survive the way through the door and the store."""
    session = op.done(talk("Grüße, 世界 \U0001f600 \u2028"), name="Grüße")
    assert op.get(f"/sessions/{session}/output")["result"] == "Grüße, 世界 \U0001f600 \u2028"
    assert op.get(f"/sessions/{session}")["name"] == "Grüße"
    assert json.dumps(op.events(session))
