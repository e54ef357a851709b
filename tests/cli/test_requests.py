"""What each command sends, to the byte: section 8.3 of the API's specification, in our own words."""

from typing import Any

import pytest

from cli.there import There
from fakes.api import LOG, OTHER, PID, SID, WAIT, P, entry

Call = tuple[str, str, Any]

ONE = f"{P}/sessions/{SID}"

ROWS: list[tuple[str, list[Call]]] = [
    (
        "user add -u ann --home-dir /srv/ann --password pw",
        [("POST", f"{P}/users/add", {"username": "ann", "password": "pw", "home_dir": "/srv/ann"})],
    ),
    (
        "user add bob --home-dir /srv/bob --password pw --force-sandbox",
        [
            (
                "POST",
                f"{P}/users/add",
                {"username": "bob", "password": "pw", "home_dir": "/srv/bob", "force_sandbox": True},
            )
        ],
    ),
    ("user remove ann", [("POST", f"{P}/users/remove", {"username": "ann"})]),
    ("user passwd ann --password new", [("POST", f"{P}/users/passwd", {"username": "ann", "password": "new"})]),
    ("user list", [("GET", f"{P}/users", None)]),
    # a server of another make has no list for screens
    ("session list", [("GET", "/api/sessions?detail=full", None), ("GET", f"{P}/sessions", None)]),
    ("session list -n 5", [("GET", "/api/sessions?detail=full&limit=5", None), ("GET", f"{P}/sessions?limit=5", None)]),
    (
        "session list --tag nightly -p claude -n 5 --global --json",
        [("GET", f"{P}/sessions?tag=nightly&provider=claude&limit=5&global=true", None)],
    ),
    (f"session show {SID}", [("GET", ONE, None)]),
    (f"session delete {SID}", [("DELETE", ONE, None)]),
    (
        f"session update {SID} --name new --tag a --tag b --clear-tags",
        [("PATCH", ONE, {"name": "new", "tags": ["a", "b"], "clear_tags": True})],
    ),
    (
        f"session budget {SID} --max-cost 1.5 --max-tokens 1000 --max-time 2h",
        [
            ("GET", ONE, None),
            (
                "PATCH",
                f"/api/sessions/{SID}/budget",
                {"budget": {"max_cost": 1.5, "max_tokens": 1000, "max_time": "2h"}},
            ),
        ],
    ),
    (
        f"session budget {SID} --tree --none",
        [("GET", ONE, None), ("PATCH", f"/api/sessions/{SID}/budget", {"tree_budget": None})],
    ),
    ("session import", [("POST", f"{P}/sessions/import", {})]),
    ("ps", [("GET", f"{P}/processes", None)]),
    ("ps list --running -n 3 -p claude", [("GET", f"{P}/processes?running=true&limit=3&provider=claude", None)]),
    (f"ps show {PID}", [("GET", f"{P}/processes/{PID}", None)]),
    (f"ps stop {PID}", [("POST", f"{P}/processes/{PID}/stop", {})]),
    (f"ps kill {PID}", [("POST", f"{P}/processes/{PID}/kill", {})]),
    (f"ps kill {PID} done", [("POST", f"{P}/processes/{PID}/kill", {"result": "done"})]),
    (f"status {SID}", [("GET", f"{ONE}/status", None)]),
    (f"events {SID}", [("GET", f"{ONE}/events", None)]),
    (
        f"events {SID} --type usage --last 5 --after-seq 2 --before-seq 9",
        [("GET", f"{ONE}/events?type=usage&last=5&after_seq=2&before_seq=9", None)],
    ),
    ("spawn hello", [("POST", f"{P}/sessions/spawn", {"prompt": "hello"})]),
    (
        "spawn hello -p claude -m small -r /srv -a -s short --add-dir /a --add-dir /b --size 9b --max-turns 3"
        " --timeout 5m --name n --description d --tag x --tag y --depends-on A --depends-on B --inject-context -I",
        [
            (
                "POST",
                f"{P}/sessions/spawn",
                {
                    "prompt": "hello",
                    "provider": "claude",
                    "model": "small",
                    "root": "/srv",
                    "auto_approve": True,
                    "system_prompt": "short",
                    "add_dirs": ["/a", "/b"],
                    "size": "9b",
                    "max_turns": 3,
                    "timeout": "5m",
                    "name": "n",
                    "description": "d",
                    "tags": ["x", "y"],
                    "depends_on": ["A", "B"],
                    "inject_context": True,
                    "interactive": True,
                },
            )
        ],
    ),
    (
        "spawn hello --env A=1 -w --sandbox box --mcp-config {}",
        [
            (
                "POST",
                f"{P}/sessions/spawn",
                {"prompt": "hello", "env_vars": ["A=1"], "worktree": True, "sandbox": "box"},
            )
        ],
    ),
    ("spawn hello -w tree", [("POST", f"{P}/sessions/spawn", {"prompt": "hello", "worktree": "tree"})]),
    (
        "exec --prompt hello -p claude",
        [
            ("POST", f"{P}/sessions/spawn", {"prompt": "hello", "provider": "claude"}),
            ("POST", f"{P}/sessions/wait", {"session_ids": [SID]}),
            ("GET", f"{ONE}/output", None),
        ],
    ),
    (f"cancel {SID}", [("POST", f"{ONE}/cancel", {})]),
    (f"cancel {SID} --reason enough", [("POST", f"{ONE}/cancel", {"reason": "enough"})]),
    (f"collect {SID}", [("POST", f"{P}/sessions/collect", {"session_ids": [SID]})]),
    ("collect --tag t", [("POST", f"{P}/sessions/collect", {"session_ids": [], "tag": "t"})]),
    (f"wait {SID}", [("POST", f"{P}/sessions/wait", {"session_ids": [SID]})]),
    (
        "wait --tag t --timeout 1h30m --any",
        [("POST", f"{P}/sessions/wait", {"session_ids": [], "tag": "t", "timeout": "1h30m", "any": True})],
    ),
    ("wait --latest", [("GET", f"{P}/sessions", None), ("POST", f"{P}/sessions/wait", {"session_ids": [SID]})]),
    (f"output {SID}", [("GET", f"{ONE}/output", None)]),
    ("output --latest", [("GET", f"{P}/sessions", None), ("GET", f"{ONE}/output", None)]),
    ("output --name indexer", [("GET", f"{P}/sessions", None), ("GET", f"{ONE}/output", None)]),
    ("output --tag nightly", [("GET", f"{P}/sessions?tag=nightly", None), ("GET", f"{ONE}/output", None)]),
    (f"listen {SID}", [("WS", f"{ONE}/stream", None)]),
    (f"listen {SID} --filter usage,reasoning", [("WS", f"{ONE}/stream?filter=usage%2Creasoning", None)]),
    (f"listen {SID} --after-seq 5", [("WS", f"{ONE}/stream?after_seq=5", None)]),
    ("subscribe", [("WS", f"{P}/subscribe", None)]),
    ("subscribe --tag t --type usage", [("WS", f"{P}/subscribe?tag=t&type=usage", None)]),
    (f"watch {SID} --on usage", [("WS", f"{ONE}/stream?filter=usage", None)]),
    ("watch --on usage --tag t", [("WS", f"{P}/subscribe?tag=t&type=usage", None)]),
    (f"input --session {SID} hello", [("POST", f"{ONE}/input", {"message": "hello"})]),
    (
        "input --ps 48213 hello",
        [("GET", f"{P}/processes", None), ("POST", f"{ONE}/input", {"message": "hello"})],
    ),
    (f"summary {SID} --stats", [("POST", f"{P}/sessions/summary", {"session_ids": [SID], "stats": True})]),
    (
        f"retry {SID} --failed -m opus",
        [("POST", f"{P}/sessions/retry", {"session_ids": [SID], "failed": True, "model": "opus"})],
    ),
    ("gc", [("POST", f"{P}/gc", {"force": False, "older_than": "7d", "keep_logs": False})]),
    (
        "gc --force --older-than 12h --keep-logs",
        [("POST", f"{P}/gc", {"force": True, "older_than": "12h", "keep_logs": True})],
    ),
    (
        f'log hello --session {SID} --level warn --data {{"a":1}}',
        [("POST", f"{ONE}/log", {"message": "hello", "level": "warn", "data": '{"a":1}'})],
    ),
    ("env", [("GET", f"{P}/sessions/latest/env", None)]),
    (f"env {SID} --shell", [("GET", f"{ONE}/env", None)]),
    (
        "search index -e -c -p claude --role user --tool Bash --tool-kind shell --from 3d --to 1d --session S"
        " --tag t --global --count -n 5",
        [
            (
                "POST",
                f"{P}/search",
                {
                    "query": "index",
                    "regex": True,
                    "case_sensitive": True,
                    "provider": "claude",
                    "role": "user",
                    "tool": "Bash",
                    "tool_kind": "shell",
                    "from": "3d",
                    "to": "1d",
                    "session": "S",
                    "tag": "t",
                    "global": True,
                    "count": True,
                    "limit": 5,
                },
            )
        ],
    ),
    (
        f"pipe {SID} {OTHER} -p codex --context C --env A=1 --name n -- merge them",
        [
            (
                "POST",
                f"{P}/sessions/pipe",
                {
                    "session_ids": [SID, OTHER],
                    "prompt": "merge them",
                    "provider": "codex",
                    "name": "n",
                    "env_vars": ["A=1"],
                    "context": "C",
                },
            )
        ],
    ),
    (
        "pipe --tag nightly -- merge",
        [("POST", f"{P}/sessions/pipe", {"session_ids": [], "tag": "nightly", "prompt": "merge"})],
    ),
    ("config provider claude", [("POST", f"{P}/config", {"args": ["provider", "claude"]})]),
    ("config -r /srv", [("POST", f"{P}/config", {"args": [], "root": "/srv"})]),
    ("capability", [("GET", f"{P}/capability?format=json", None)]),
    ("capability -p codex", [("GET", f"{P}/capability?provider=codex&format=json", None)]),
    ("capability codex --format yaml", [("GET", f"{P}/capability?provider=codex&format=yaml", None)]),
    ("discover", [("GET", f"{P}/discover?json=true", None)]),
    (
        "discover -p claude --models --resolve small",
        [("GET", f"{P}/discover?provider=claude&models=true&resolve=small&json=true", None)],
    ),
    ("skills list", [("POST", f"{P}/skills", {"command": "list"})]),
    ("mcp list", [("POST", f"{P}/mcp", {"command": "list"})]),
    (
        "broadcast hello --tag t --global",
        [("POST", f"{P}/sessions/broadcast", {"message": "hello", "tag": "t", "global": True})],
    ),
    (
        "review --base main --title T -p codex -a careful",
        [
            (
                "POST",
                f"{P}/review",
                {"base": "main", "title": "T", "provider": "codex", "auto_approve": True, "prompt": "careful"},
            )
        ],
    ),
    ("pair", [("POST", "/web/codes", None)]),
    ("pair --list", [("GET", "/web/devices", None)]),
    ("pair --revoke 7d1b", [("GET", "/web/devices", None), ("DELETE", "/web/devices/7d1b0c44-e5a", None)]),
    ("approvals", [("GET", "/api/waits?detail=full", None)]),
    (
        f"approve {WAIT[:4]}",
        [("GET", "/api/waits?detail=full", None), ("POST", f"/api/waits/{WAIT}", {"confirmation": "approve"})],
    ),
    (
        "approve --always",
        [("GET", "/api/waits?detail=full", None), ("POST", f"/api/waits/{WAIT}", {"confirmation": "approve-session"})],
    ),
    (
        "approve --tool",
        [("GET", "/api/waits?detail=full", None), ("POST", f"/api/waits/{WAIT}", {"confirmation": "approve-tool"})],
    ),
    (
        "reject --reason no",
        [
            ("GET", "/api/waits?detail=full", None),
            ("POST", f"/api/waits/{WAIT}", {"confirmation": "reject", "reason": "no"}),
        ],
    ),
]


@pytest.mark.parametrize(("typed", "calls"), ROWS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_command_sends_exactly_this(there: There, typed: str, calls: list[Call]) -> None:
    there.api.frames = lambda _: [LOG[6], 1000]
    assert there.asked(*words(typed)) == calls


def words(typed: str) -> list[str]:
    """The words as they stand: none of them holds a blank."""
    return typed.split(" ")


def test_whoami_asks_how_the_server_is_with_the_token(there: There) -> None:
    there.run("whoami")
    assert [(one.method, one.target) for one in there.api.seen] == [("GET", f"{P}/health")] * 2
    assert [bool(one.headers.get("authorization")) for one in there.api.seen] == [False, True]


def test_the_original_reads_what_we_send_for_a_tool_server(there: There) -> None:
    there.api.answers[f"POST {P}/mcp"] = (200, {"status": "added", "path": "/x.toml"})
    [(_, _, body)] = there.asked("mcp", "add", "files", "--env", "A=1", "--global", "--", "npx", "-y", "server")
    assert body == {
        "command": "add",
        "name": "files",
        "transport": "stdio",
        "server_command": "npx",
        "args": ["-y", "server"],
        "env": ["A=1"],
        "global": True,
    }


@pytest.mark.parametrize(
    ("typed", "body"),
    [
        ("skills add tidy --description d", {"command": "add", "name": "tidy", "description": "d"}),
        ("skills remove tidy", {"command": "remove", "name": "tidy"}),
        ("skills sync -p claude", {"command": "sync", "provider": "claude"}),
        ("skills import --from gemini", {"command": "import", "from": "gemini"}),
        ("mcp show files -r /srv", {"command": "show", "name": "files", "root": "/srv"}),
        ("mcp add web --url https://x", {"command": "add", "name": "web", "transport": "http", "url": "https://x"}),
        ("mcp remove files", {"command": "remove", "name": "files"}),
        ("mcp sync", {"command": "sync"}),
    ],
)
def test_skills_and_tool_servers(there: There, typed: str, body: dict[str, Any]) -> None:
    path = f"{P}/{typed.split()[0]}"
    there.api.answers[f"POST {path}"] = (200, {"status": "done", "name": "x", "body": "b", "count": 2, "path": "/x"})
    assert there.asked(*words(typed)) == [("POST", path, body)]


def test_cancelling_by_tag_cancels_what_runs(there: There) -> None:
    there.api.answers[f"GET {P}/sessions"] = (200, [entry(status="running"), entry(OTHER, status="failed")])
    assert there.asked("cancel", "--tag", "nightly") == [
        ("GET", f"{P}/sessions?tag=nightly", None),
        ("POST", f"{ONE}/cancel", {}),
    ]


def test_the_newest_session_that_runs(there: There) -> None:
    there.api.answers[f"GET {P}/sessions/{OTHER}/status"] = (200, {"session_id": OTHER, "status": "running"})
    assert there.asked("status", "--active")[-1] == ("GET", f"{P}/sessions/{OTHER}/status", None)


def test_a_question_is_answered_with_its_fields(there: There) -> None:
    waiting = {
        "id": WAIT,
        "kind": "question",
        "session_id": SID,
        "message": "Which?",
        "schema": {"properties": {"a": {}}},
    }
    there.api.answers["GET /api/waits"] = (200, [waiting])
    assert there.asked("answer", WAIT, '{"a": 1}')[1][2] == {"action": "accept", "content": {"a": 1}}
    assert there.asked("reject", WAIT)[1][2] == {"action": "decline"}
    assert "is a question with fields" in there.run("approve", WAIT, code=1).stderr
    there.api.answers["GET /api/waits"] = (200, [{**waiting, "schema": None}])
    assert there.asked("approve", WAIT)[1][2] == {"action": "accept", "content": {}}


def test_inside_a_session_it_is_named(there: There, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOST_SESSION_ID", OTHER)
    monkeypatch.setenv("ROOST_SESSION_NAME", 'a "b"')
    monkeypatch.setenv("ROOST_URL", there.api.url)
    monkeypatch.setenv("ROOST_TOKEN", there.api.token)
    monkeypatch.chdir(there.home)
    [(_, _, body)] = there.asked("input", "--session", SID, "hello")
    assert body == {"message": f'<agent-message from="{OTHER}" name=\'a "b"\'>\nhello\n</agent-message>'}
    [(_, _, body)] = there.asked("input", "--session", SID, "--raw", "hello")
    assert body == {"message": "hello"}
    [(_, _, body)] = there.asked("spawn", "hello")
    assert body == {"prompt": "hello", "parent_session_id": OTHER, "root": str(there.home)}
    assert there.asked("log", "here", code=1)[0][1] == f"{P}/sessions/{OTHER}/log"
