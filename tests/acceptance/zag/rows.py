"""What the CLI of zag 0.18.0 sends for each of its commands, key by key, with its explicit nulls."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SID = "SID"  # stands for the session that the row's own spawn has started
REQUIRED = {"session_id", "provider", "worktree_path", "worktree_name", "created_at"}
PROCESS = {"id", "pid", "session_id", "provider", "model", "command", "status", "live_status", "started_at"}
OUTPUT = {"agent", "session_id", "events", "result", "is_error"}


@dataclass(frozen=True)
class Request:
    """One request, and what the answer to it has to be: an object with these fields, or a list of such."""

    method: str
    path: str
    body: Any = None
    answer: set[str] | list[set[str]] | None = None
    status: int = 200


@dataclass(frozen=True)
class Row:
    """A command, and its requests."""

    words: Sequence[str]
    requests: Sequence[Request]

    @property
    def name(self) -> str:
        """The command's own words."""
        return " ".join(word for word in self.words[:2] if word[:1].isalpha() and len(word) < 12)


@dataclass
class Names:
    """Sessions, processes and places that the rows name."""

    done: str = "done"
    other: str = "other"
    deleted: str = "deleted"
    failed: str = "failed"
    busy: tuple[str, str] = ("busy1", "busy2")
    stopped: str = "stopped"
    killed: tuple[str, str] = ("killed1", "killed2")
    live: str = "live"
    root: Path = Path("/root")
    home: Path = Path("/home/zoe")
    tag: str = "tagged"


def row(words: Sequence[str] | str, method: str, path: str, body: Any = None, **how: Any) -> Row:
    """A command of one request."""
    return Row(typed(words) if isinstance(words, str) else words, [Request(method, path, body, **how)])


def typed(words: str) -> list[str]:
    """Words as they are typed."""
    return words.split()


def rows(n: Names) -> list[Row]:
    """All of them, in an order in which they can be asked one after another."""
    return [
        *_sessions(n),
        *_starting(n),
        *_many(n),
        *_processes(n),
        *_shelves(),
        *_looking(n),
        *_ending(n),
        *_accounts(n),
    ]


def _sessions(n: Names) -> list[Row]:
    one = f"/sessions/{n.done}"
    events: list[set[str]] = [{"seq", "ts", "type", "wrapper_session_id"}]
    patch = {"clear_tags": False, "description": None, "name": None, "tags": None}
    note = {"data": None, "level": "info", "message": "note"}
    return [
        row("whoami", "GET", "/health", answer={"status", "version"}),
        row("session list", "GET", "/sessions", answer=[REQUIRED]),
        row(f"session show {n.done}", "GET", one, answer=REQUIRED),
        row(f"session update {n.done}", "PATCH", one, patch, answer=REQUIRED),
        row(
            f"session update {n.done} --name n --description d --tag a --tag b --clear-tags",
            *("PATCH", one, {"clear_tags": True, "description": "d", "name": "n", "tags": ["a", "b"]}),
            answer=REQUIRED,
        ),
        row(f"status {n.done}", "GET", f"{one}/status", answer={"session_id", "status", "provider", "model"}),
        row(f"events {n.done}", "GET", f"{one}/events", answer=events),
        row(
            f"events {n.done} --type user_message --last 2 --after-seq 0 --before-seq 999 --count",
            *("GET", f"{one}/events?type=user_message&last=2&after_seq=0&before_seq=999"),
            answer=events,
        ),
        row(f"output {n.done}", "GET", f"{one}/output", answer={"session_id", "result"}),
        row(f"log note --session {n.done}", "POST", f"{one}/log", note, answer={"status"}),
        row(
            ["log", "note", "--session", n.done, "--level", "warn", "--data", '{"a":1}'],
            *("POST", f"{one}/log", {"data": '{"a":1}', "level": "warn", "message": "note"}),
            answer={"status"},
        ),
        row("env", "GET", "/sessions/latest/env", answer={"ZAG_SESSION_ID", "ZAG_PROVIDER"}),
        row(f"env {n.done} --shell", "GET", f"{one}/env", answer={"ZAG_SESSION_ID", "ZAG_PROVIDER"}),
        row(f"session delete {n.deleted}", "DELETE", f"/sessions/{n.deleted}", answer={"deleted"}),
    ]


def _spawn(**told: Any) -> dict[str, Any]:
    nulls = ("description", "max_turns", "model", "name", "prompt", "provider", "root", "size", "system_prompt", "tags")
    return {"add_dirs": None, "auto_approve": False, **dict.fromkeys(nulls), **told}


def _spawned(**told: Any) -> dict[str, Any]:
    return {**_spawn(), "depends_on": None, "inject_context": False, "interactive": False, "timeout": None, **told}


def _exec(body: dict[str, Any]) -> list[Request]:
    return [
        Request("POST", "/sessions/spawn", body, {"session_id", "pid", "log_path", "interactive"}, 201),
        Request("POST", "/sessions/wait", {"session_ids": [SID]}, [{"session_id", "success", "error"}]),
        Request("GET", f"/sessions/{SID}/output", None, {"session_id", "result"}),
    ]


def _starting(n: Names) -> list[Row]:
    root, folder = str(n.root), str(n.root / "more")
    spawned: dict[str, Any] = {"answer": {"session_id", "pid", "log_path", "interactive"}, "status": 201}
    words = ["-p", "mock", "-m", "small", "-r", root, "-a", "-s", "sys", "--add-dir", folder, "--max-turns", "3"]
    told = {"provider": "mock", "model": "small", "root": root, "auto_approve": True, "system_prompt": "sys"}
    told |= {"add_dirs": [folder], "max_turns": 3}
    return [
        row("spawn hello -p mock", "POST", "/sessions/spawn", _spawned(prompt="hello", provider="mock"), **spawned),
        row(
            [
                *("spawn", "hello", *words),
                *typed("--timeout 5m --name n --description d --tag a --tag b --inject-context --env A=1 --json"),
                *("--depends-on", n.done, "--depends-on", n.other),
            ],
            "POST",
            "/sessions/spawn",
            _spawned(
                **{"prompt": "hello", **told, "timeout": "5m", "name": "n", "description": "d", "tags": ["a", "b"]},
                **{"depends_on": [n.done, n.other], "inject_context": True},
            ),
            **spawned,
        ),
        row("spawn -I -p mock", "POST", "/sessions/spawn", _spawned(provider="mock", interactive=True), **spawned),
        Row(["exec", "hello", "-p", "mock"], _exec(_spawn(prompt="hello", provider="mock"))),
        Row(
            ["exec", "hello", "-o", "json", "--name", "n", "--tag", "a", "--timeout", "5m", "--env", "A=1", *words],
            _exec(_spawn(prompt="hello", **told, name="n", tags=["a"])),
        ),
        row(
            f"input --session {n.live} hello",
            *("POST", f"/sessions/{n.live}/input", {"message": "hello"}),
            answer={"status", "interactive"},
        ),
        row(
            f"input --session {n.other} hello",
            "POST",
            f"/sessions/{n.other}/input",
            {"message": "hello"},
            answer=OUTPUT,
        ),
    ]


def _many(n: Names) -> list[Row]:
    collected = [{"session_id", "provider", "model", "status"}]
    waited = [{"session_id", "success", "error"}]
    piped = {"description": None, "env_vars": None, "files": None, "max_turns": None, "mcp_config": None, "model": None}
    piped |= {"name": None, "root": None, "sandbox": None, "size": None, "system_prompt": None, "tag": None}
    piped |= {"timeout": None, "worktree": None, "add_dirs": None, "auto_approve": False, "context": None}
    full = {"context": n.other, "description": "d", "env_vars": ["A=1", "B=2"], "mcp_config": "{}", "name": "n"}
    full |= {"timeout": "1m", "tag": n.tag}
    ids = [n.done, n.other]
    return [
        row(
            f"collect {n.done} {n.other} --tag {n.tag}",
            "POST",
            "/sessions/collect",
            {"session_ids": ids, "tag": n.tag},
            answer=collected,
        ),
        row(f"collect --tag {n.tag}", "POST", "/sessions/collect", {"session_ids": [], "tag": n.tag}, answer=collected),
        row(
            f"wait {n.done}",
            *("POST", "/sessions/wait", {"any": False, "session_ids": [n.done], "tag": None, "timeout": None}),
            answer=waited,
        ),
        row(
            f"wait {n.done} --tag {n.tag} --timeout 5s --any",
            *("POST", "/sessions/wait", {"any": True, "session_ids": [n.done], "tag": n.tag, "timeout": "5s"}),
            answer=waited,
        ),
        row(
            f"summary {n.done}",
            *("POST", "/sessions/summary", {"session_ids": [n.done], "stats": False, "tag": None}),
            answer=[{"session_id", "status", "turns", "tool_calls", "total_tool_calls", "event_count"}],
        ),
        row(
            f"summary --tag {n.tag} --stats",
            *("POST", "/sessions/summary", {"session_ids": [], "stats": True, "tag": n.tag}),
            answer=[{"session_id", "status"}],
        ),
        row(
            f"retry {n.failed}",
            *("POST", "/sessions/retry", {"failed": False, "model": None, "session_ids": [n.failed], "tag": None}),
            answer=[{"original_session_id", "new_session_id", "retried"}],
        ),
        row(
            f"retry {n.failed} --failed -m small",
            *("POST", "/sessions/retry", {"failed": True, "model": "small", "session_ids": [n.failed], "tag": None}),
            answer=[{"original_session_id", "new_session_id", "retried"}],
        ),
        row(
            ["pipe", n.done, "-p", "mock", "--", "do it"],
            *("POST", "/sessions/pipe", {**piped, "session_ids": [n.done], "prompt": "do it", "provider": "mock"}),
            answer=OUTPUT,
        ),
        row(
            [
                *typed(f"pipe {n.done} --tag {n.tag} --env A=1 --env B=2 --name n --description d --timeout 1m"),
                *("--context", n.other, "--mcp-config", "{}", "-p", "mock", "--", "do it"),
            ],
            *("POST", "/sessions/pipe"),
            {**piped, **full, "session_ids": [n.done], "prompt": "do it", "provider": "mock"},
            answer=OUTPUT,
        ),
        row(
            ["broadcast", "hi", "--tag", n.tag, "--global", "--raw"],
            *("POST", "/sessions/broadcast", {"global": True, "message": "hi", "tag": n.tag}),
            answer=[{"session_id", "status", "output"}],
        ),
        row("session import", "POST", "/sessions/import", {}, answer={"imported"}),
    ]


def _processes(n: Names) -> list[Row]:
    first, second = n.killed
    return [
        row("ps", "GET", "/processes", answer=[PROCESS]),
        row("ps list --running", "GET", "/processes", answer=[PROCESS]),
        row(f"ps show {n.stopped}", "GET", f"/processes/{n.stopped}", answer=PROCESS),
        row(f"ps stop {n.stopped}", "POST", f"/processes/{n.stopped}/stop", {}, answer={"status"}),
        row(
            f"ps kill {first} --file /etc/hostname",
            *("POST", f"/processes/{first}/kill", {"file": "/etc/hostname"}),
            answer={"error"},
            status=400,
        ),
        row(f"ps kill {first}", "POST", f"/processes/{first}/kill", {}, answer={"status"}),
        row(f"ps kill {second} done", "POST", f"/processes/{second}/kill", {"result": "done"}, answer={"status"}),
    ]


def _shelves() -> list[Row]:
    def config(*args: str, answer: set[str]) -> Row:
        return row(["config", *args], "POST", "/config", {"args": list(args), "root": None}, answer=answer)

    def skills(words: str, answer: set[str] | list[set[str]], **body: Any) -> Row:
        return row(f"skills {words}", "POST", "/skills", {"command": words.split()[0], **body}, answer=answer)

    def mcp(words: str, answer: set[str] | list[set[str]], **body: Any) -> Row:
        body = {"command": words.split()[0], "root": None, **body}
        return row(f"mcp {words}", "POST", "/mcp", body, answer=answer)

    shown = {"name", "description", "transport", "command", "args", "url", "env"}
    added = {"transport": "stdio", "url": None, "global": True, "description": "d", "name": "x"}
    web = {"transport": "http", "url": "https://x.example", "global": True, "description": None, "name": "y"}
    return [
        config(answer={"path", "content"}),
        config("max_turns", "5", answer={"key", "value"}),
        config("auto_approve=false", answer={"key", "value"}),
        config("get", "max_turns", answer={"key", "value"}),
        config("unset", "max_turns", answer={"key", "status"}),
        config("list", answer={"provider", "model"}),
        skills("add x --description d", {"status", "path"}, name="x", description="d"),
        skills("list", [{"name", "description", "body", "dir"}]),
        skills("show x", {"name", "description", "body", "dir"}, name="x"),
        skills("sync", {"status", "count"}, **{"from": None}),
        skills("sync -p claude", {"status", "count"}, **{"from": "claude"}),
        skills("import", {"status", "skills"}, **{"from": "claude"}),
        skills("remove x", {"status"}, name="x"),
        mcp(
            "add x --command srv --args a b --env A=1 --description d --global",
            {"status", "path"},
            **{**added, "args": ["a", "b"], "env": ["A=1"], "server_command": "srv"},
        ),
        mcp(
            "add y --transport http --url https://x.example --global",
            {"status", "path"},
            **{**web, "args": [], "env": [], "server_command": None},
        ),
        mcp("list", [shown]),
        mcp("show x", shown, name="x"),
        mcp("sync", {"status", "count"}, **{"from": None}),
        mcp("sync -p claude", {"status", "count"}, **{"from": "claude"}),
        mcp("import", {"status", "servers"}, **{"from": "claude"}),
        mcp("remove x", {"status"}, name="x"),
        mcp("remove y", {"status"}, name="y"),
    ]


def _looking(n: Names) -> list[Row]:
    asked: dict[str, Any] = dict.fromkeys(
        ("from", "limit", "provider", "query", "role", "session", "tag", "to", "tool")
    )
    asked |= {"case_sensitive": False, "count": False, "global": False, "regex": False, "tool_kind": None}
    full = {"case_sensitive": True, "count": True, "from": "1h", "global": True, "limit": 5, "provider": "mock"}
    full |= {"query": "q", "regex": True, "role": "user", "session": n.done, "tag": "t", "to": "2d", "tool": "t"}
    review: dict[str, Any] = dict.fromkeys(
        ("add_dirs", "base", "commit", "model", "prompt", "provider", "root", "title")
    )
    review |= {"auto_approve": False, "uncommitted": True, "provider": "mock", "root": str(n.root)}
    models = {"provider", "default_model", "models"}
    capability = {"provider", "default_model", "available_models", "size_mappings", "features"}
    return [
        row("search", "POST", "/search", asked, answer={"status", "count", "matches"}),
        row(
            f"search q --regex --case-sensitive -p mock --role user --tool t --tool-kind file-read --from 1h --to 2d"
            f" --session {n.done} --tag t --global -c -n 5",
            *("POST", "/search", {**full, "tool_kind": "fileread"}),
            answer={"status", "count"},
        ),
        row(
            f"review --uncommitted -p mock -r {n.root} look",
            *("POST", "/review", {**review, "prompt": "look"}),
            answer={"status", "session_id", "result"},
        ),
        row("capability", "GET", "/capability?format=json", answer=capability),
        row("capability -p mock --pretty -f yaml", "GET", "/capability?provider=mock&format=yaml&pretty=true"),
        row("discover", "GET", "/discover", answer=[capability]),
        row("discover -p mock --json", "GET", "/discover?provider=mock&json=true", answer=capability),
        row("discover --models", "GET", "/discover?models=true", answer=[models]),
        row(
            "discover -p claude --resolve small --json --pretty -f json",
            *("GET", "/discover?provider=claude&resolve=small&json=true&format=json&pretty=true"),
            answer={"input", "resolved", "is_alias", "provider"},
        ),
    ]


def _ending(n: Names) -> list[Row]:
    first, second = n.busy
    dry = {
        "process_entries_removed",
        "lifecycle_markers_removed",
        "spawn_logs_removed",
        "session_logs_removed",
        "dry_run",
    }
    gc = {"force": False, "keep_logs": False, "older_than": "7d"}
    return [
        row(f"cancel {first} --reason why", "POST", f"/sessions/{first}/cancel", {"reason": "why"}, answer={"status"}),
        Row(
            ["cancel", second, n.live],
            [Request("POST", f"/sessions/{one}/cancel", {"reason": None}, {"status"}) for one in (second, n.live)],
        ),
        row("gc", "POST", "/gc", gc, answer=dry),
        row(
            "gc --force --older-than 1h --keep-logs",
            *("POST", "/gc", {"force": True, "keep_logs": True, "older_than": "1h"}),
            answer=dry,
        ),
    ]


def _accounts(n: Names) -> list[Row]:
    added = {"home_dir": str(n.home), "password": "pw", "username": "zoe"}
    return [
        row(
            f"user add -u zoe --home-dir {n.home} --password pw",
            "POST",
            "/users/add",
            added,
            answer={"message"},
            status=201,
        ),
        row("user list", "GET", "/users", answer=[{"username", "home_dir", "enabled", "created_at"}]),
        row(
            "user passwd zoe --password pw2",
            *("POST", "/users/passwd", {"password": "pw2", "username": "zoe"}),
            answer={"message"},
        ),
        row("user remove zoe", "POST", "/users/remove", {"username": "zoe"}, answer={"message"}),
    ]
