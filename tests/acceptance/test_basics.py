"""Small promises of the API: ping, agents, creation, tokens, limits, waits (checklist 1 to 4, 24 to 26, 28, 29)."""

import http.client
import time
from pathlib import Path

import pytest

from acceptance.house import Client, House, Server


@pytest.fixture(scope="module")
def served(shared: House) -> Server:
    shared.agent("my-assistant")
    shared.agent("my-agent")
    return shared.serve()


@pytest.fixture(scope="module")
def guarded(shared: House) -> Server:
    shared.agent("my-agent")
    return shared.serve("--auth-token", "s3cret", db=shared.folder / "guarded.db")


def test_ping(served: Server) -> None:
    reply = served.get("/api/ping")
    assert (reply.status, reply.body) == (200, b'{"status":"ok"}\n')


def test_a_file_s_name_is_its_agent_s_id(served: Server) -> None:
    agents = served.get("/api/agents").json
    assert [a["name"] for a in agents] == ["my-agent", "my-assistant"]
    assert served.get("/api/agents/my-assistant").json["agents"][0]["Name"] == "root"
    missing = served.get("/api/agents/nobody")
    assert missing.status == 404 and missing.message


def test_both_spellings_of_an_id(served: Server) -> None:
    assert served.get("/api/agents/my-assistant.yaml").status == 200


@pytest.mark.parametrize("body", [{}, None, {"agent": "root"}])
def test_creation(served: Server, body: object) -> None:
    reply = served.post("/api/sessions", body)
    assert reply.status == 200
    session = reply.json
    assert session["title"] == "" and session["messages"] is None and session["SendUserMessage"] is True
    assert session["tools_approved"] is False
    keys = list(session)
    assert keys.index("id") < keys.index("title") < keys.index("messages") < keys.index("created_at")
    for key in ("hide_tool_results", "max_iterations", "starred", "input_tokens", "output_tokens", "cost"):
        assert not session[key]


def test_titles_are_trimmed(served: Server) -> None:
    assert served.post("/api/sessions", {"title": " x "}).json["title"] == "x"


@pytest.mark.parametrize("folder", ["{}/missing", "{}/../x", "{}/file"])
def test_creation_in_a_directory_that_cannot_be(served: Server, tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").write_text("")
    reply = served.post("/api/sessions", {"working_dir": folder.format(tmp_path)})
    assert reply.status == 400
    assert reply.message.startswith("invalid working directory: ")


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({}, "missing Authorization header"),
        ({"Authorization": "s3cret"}, "invalid Authorization header format"),
        ({"Authorization": "bearer s3cret"}, "invalid Authorization header format"),
        ({"Authorization": "Bearer wrong"}, "invalid token"),
    ],
)
def test_refusals_without_the_token(guarded: Server, sent: dict[str, str], message: str) -> None:
    for path in ("/api/ping", "/api/sessions", "/api/ready"):
        reply = guarded.get(path, headers=sent)
        assert (reply.status, reply.message) == (401, message)


def test_what_is_open_without_a_token(guarded: Server) -> None:
    assert guarded.get("/health").status == 200
    assert guarded.get("/ready").status == 200
    assert guarded.get("/api/ping", headers={"Authorization": "Bearer s3cret"}).status == 200


def test_a_body_too_large(served: Server) -> None:
    session = served.create(title="t")
    path = f"/api/sessions/{session}/followup"
    filler = "x" * (1_048_576 + 1 - len('{"messages":[{"content":""}]}'))
    whole = f'{{"messages":[{{"content":"{filler}"}}]}}'
    assert len(whole) == 1_048_576 + 1
    reply = served.post(path, whole)
    assert (reply.status, reply.message) == (413, "Request Entity Too Large")
    assert served.post(path, whole.replace("x", "", 1)).status == 409  # it is read, and the session never ran


def test_a_chunked_body_too_large(served: Server) -> None:
    session = served.create(title="t")
    host, _, port = served.address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    try:
        pieces = (b"x" * 65536 for _ in range(17))
        headers = {"Content-Type": "application/json"}
        connection.request("POST", f"/api/sessions/{session}/agent/my-agent", pieces, headers, encode_chunked=True)
        assert connection.getresponse().status == 413
    except (BrokenPipeError, ConnectionResetError):
        pass  # refused before all of it was sent
    finally:
        connection.close()
    assert served.snapshot(session)["messages"] is None


def test_waiting_for_a_session_that_does_not_run(served: Server) -> None:
    session = served.create(title="t")
    began = time.monotonic()
    reply = served.get(f"/api/sessions/{session}/status?wait=1s")
    assert (reply.status, reply.message) == (503, "session not ready within timeout")
    assert 0.9 < time.monotonic() - began < 5
    for bad in ("abc", "10", "-1s", "0s"):
        refused = served.get(f"/api/sessions/{session}/status?wait={bad}")
        assert refused.status == 400 and refused.message.startswith("invalid wait: "), bad
    gone = served.get(f"/api/sessions/{session}/status")
    assert (gone.status, gone.message) == (404, f"session not found: session {session} not found")


def test_login_answers_that_nobody_waits_for(served: Server) -> None:
    path = "/api/mcp-oauth/callback"
    missing = served.post(f"{path}?code=c")
    assert (missing.status, missing.message) == (400, "missing state query parameter")
    empty = served.post(f"{path}?state=s")
    assert (empty.status, empty.message) == (400, "missing both code and error query parameters")
    unknown = served.post(f"{path}?state=s&code=c")
    assert (unknown.status, unknown.message) == (404, "no pending OAuth flow for the given state")


def test_batches(served: Server) -> None:
    one, two = served.create(title="one"), served.create(title="two")
    exported = served.post("/api/sessions/batch/export", {"session_ids": [one, "nobody", two], "format": "json"})
    assert exported.status == 200
    assert exported.json["session_count"] == 2 and exported.json["export_format"] == "json"
    assert [s["id"] for s in exported.json["sessions"]] == [one, two]
    assert list(exported.json["sessions"][0]) == sorted(exported.json["sessions"][0])
    deleted = served.post("/api/sessions/batch/delete", {"session_ids": [one, "nobody"]}).json
    assert deleted == {"deleted_count": 1, "failed_count": 1, "failed_ids": ["nobody"]}
    assert served.get(f"/api/sessions/{one}").status == 404
    for path in ("export", "delete"):
        empty = served.post(f"/api/sessions/batch/{path}", {"session_ids": []})
        assert (empty.status, empty.message) == (400, "session_ids cannot be empty")


def test_paths_that_never_existed(served: Server) -> None:
    session = served.create(title="t")
    for path in ("tools", "skills", "compact", "pause", "snapshots", "undo", "reset", "mcp/prompts", "toolsets"):
        for method in ("GET", "POST"):
            assert served.ask(method, f"/api/sessions/{session}/{path}").status == 404, path
    for path in ("/api/models", "/api/desktop/token", "/api/sessions/", "/nothing"):
        reply = served.get(path)
        assert (reply.status, reply.json["message"]) == (404, "Not Found"), path
    for method in ("POST", "DELETE"):
        refused = served.ask(method, "/api/agents")
        assert refused.status == 405 and "GET" in refused.headers["allow"]


def test_one_connection_serves_many_requests(served: Server) -> None:
    host, _, port = served.address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    try:
        for _ in range(3):
            connection.request("GET", "/api/ping")
            assert connection.getresponse().read() == b'{"status":"ok"}\n'
    finally:
        connection.close()
    assert isinstance(served, Client)
