"""A server of `/api/v1` that answers from a table, and writes down every request to the byte."""

import asyncio
import hashlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme
import uvicorn

from fakes.brisk import Brisk

SID = "5f0c6c1e-8a57-4f0e-9a36-0c7d4f4f9b11"
OTHER = "77aa0b32-1111-4222-8333-944455566677"
PID = "b2e40000-1111-4222-8333-944455566677"
WAIT = "1f3a0000-1111-4222-8333-944455566677"
TOKEN = "3f9a" * 16
P = "/api/v1"


@dataclass(frozen=True)
class Seen:
    """A request, as it came."""

    method: str
    target: str  # path and query, as they stood in the request line
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


def entry(session: str = SID, **more: Any) -> dict[str, Any]:
    """A session of a list."""
    return {
        "session_id": session,
        "provider": "claude",
        "model": "sonnet",
        "worktree_path": "/srv/app",
        "worktree_name": "",
        "created_at": "2026-05-16T09:12:01.118+00:00",
        "provider_session_id": None,
        "sandbox_name": None,
        "is_worktree": False,
        "discovered": False,
        "discovery_source": None,
        "log_path": f"/home/ann/logs/{session}.jsonl",
        "log_completeness": "full",
        "name": "indexer",
        "description": None,
        "tags": ["nightly"],
        "status": "completed",
        **more,
    }


def process(**more: Any) -> dict[str, Any]:
    """A process of a list."""
    return {
        "id": PID,
        "pid": 48213,
        "session_id": SID,
        "provider": "claude",
        "model": "sonnet",
        "command": "exec",
        "prompt": "Rebuild the search index",
        "started_at": "2026-05-16T09:12:01.120+00:00",
        "status": "running",
        "exit_code": None,
        "exited_at": None,
        "root": "/srv/app",
        "parent_process_id": None,
        "parent_session_id": None,
        "live_status": "running",
        **more,
    }


def event(seq: int, type: str, session: str = SID, **more: Any) -> dict[str, Any]:
    """A log event."""
    return {
        "seq": seq,
        "ts": f"2026-05-16T09:12:{seq % 60:02}.402113+00:00",
        "provider": "claude",
        "wrapper_session_id": session,
        "provider_session_id": None,
        "source_kind": "stdout",
        "completeness": "full",
        "type": type,
        **more,
    }


LOG = [
    event(1, "session_started", command="exec", model="sonnet", cwd="/srv/app", resumed=False, backfilled=False),
    event(2, "user_message", role="user", content="Rebuild the search index", message_id=None),
    event(3, "reasoning", content="First look.", message_id=None),
    event(5, "tool_call", tool_name="Bash", tool_kind="shell", tool_id="t1", input={"command": "make index"}),
    event(6, "tool_result", tool_name="Bash", tool_kind="shell", tool_id="t1", success=True, output="412", error=None),
    event(7, "assistant_message", content="Index rebuilt: 412 files.", message_id=None),
    event(8, "usage", input_tokens=5120, output_tokens=644, total_cost_usd=0.031),
    event(9, "session_ended", success=True, error=None),
]

CAPABILITY = {
    "provider": "claude",
    "default_model": "sonnet",
    "available_models": ["sonnet", "opus"],
    "size_mappings": {"small": "haiku", "medium": "sonnet", "large": "opus"},
    "features": {"resume": {"supported": True, "native": True}, "worktree": {"supported": True, "native": False}},
}

SUMMARY = {
    "session_id": SID,
    "name": "indexer",
    "provider": "claude",
    "model": "sonnet",
    "status": "completed",
    "duration_secs": 41.7,
    "turns": 3,
    "tool_calls": {"Bash": 2, "Edit": 1},
    "total_tool_calls": 3,
    "files_modified": ["/srv/app/a.py"],
    "result": "Index rebuilt…",
    "event_count": 17,
    "input_tokens": 5120,
    "output_tokens": 644,
    "total_cost_usd": 0.031,
}

SPAWNED = {"session_id": SID, "pid": 48213, "log_path": f"/home/ann/logs/spawn/{SID}.log", "interactive": False}
ANSWERED = {"agent": "claude", "session_id": SID, "events": [], "result": "Merged.", "is_error": False}
WAITING = {
    "id": WAIT,
    "kind": "approval",
    "session_id": SID,
    "agent_name": "claude",
    "opened_at": "2026-05-16T09:12:01Z",
    "tool_call": {"id": "t1", "type": "function", "function": {"name": "Bash", "arguments": '{"command":"rm x"}'}},
    "message": "",
}

PLACE = "https://build.example:2100"
DEVICE = {
    "id": "7d1b0c44-e5a",
    "label": "Safari on iPhone",
    "user": "",
    "created_at": "2026-05-16T09:12:01Z",
    "last_seen_at": "2026-05-16T09:13:01Z",
    "expires_at": "2026-06-15T09:13:01Z",
    "current": False,
}

Answer = tuple[int, Any]
Frames = Callable[[Mapping[str, str]], Sequence[dict[str, Any] | int]]
"""The frames of a WebSocket for its query; a number is a close code."""


def _answers() -> dict[str, Answer]:
    one = f"{P}/sessions/{SID}"
    return {
        f"GET {P}/health": (200, {"status": "ok", "version": "1.2.3"}),
        f"POST {P}/login": (200, {"token": TOKEN, "username": "ann", "home_dir": "/srv/ann"}),
        f"POST {P}/logout": (200, {"message": "logged out"}),
        f"GET {P}/users": (200, [{"username": "ann", "home_dir": "/srv/ann", "enabled": True, "created_at": "2026"}]),
        f"POST {P}/users/add": (201, {"message": "added"}),
        f"POST {P}/users/remove": (200, {"message": "removed"}),
        f"POST {P}/users/passwd": (200, {"message": "set"}),
        f"GET {P}/sessions": (200, [entry(), entry(OTHER, name=None, status="running", tags=[])]),
        f"GET {one}": (200, entry()),
        f"DELETE {one}": (200, {"deleted": SID}),
        f"PATCH {one}": (200, entry(name="new")),
        f"PATCH /api/sessions/{SID}/budget": (200, None),
        f"POST {P}/sessions/import": (200, {"imported": 3}),
        f"POST {P}/sessions/spawn": (201, SPAWNED),
        f"GET {one}/status": (200, {"session_id": SID, "status": "running", "provider": "claude", "pid": 48213}),
        f"GET {one}/events": (200, LOG),
        f"GET {one}/output": (200, {"session_id": SID, "result": "Index rebuilt: 412 files."}),
        f"POST {one}/input": (200, {"status": "sent", "interactive": True}),
        f"POST {one}/cancel": (200, {"status": "cancelled"}),
        f"POST {P}/sessions/{OTHER}/cancel": (404, {"error": "Session not found"}),
        f"POST {one}/log": (200, {"status": "logged"}),
        f"GET {one}/env": (200, {"ZAG_SESSION_ID": SID, "ZAG_ROOT": "/srv/my app"}),
        f"GET {P}/sessions/latest/env": (200, {"ZAG_SESSION_ID": SID}),
        f"POST {P}/sessions/wait": (200, [{"session_id": SID, "success": True, "error": None}]),
        f"POST {P}/sessions/collect": (
            200,
            [{"session_id": SID, "name": "indexer", "status": "completed", "result_text": "412 files."}],
        ),
        f"POST {P}/sessions/summary": (200, [SUMMARY]),
        f"POST {P}/sessions/retry": (
            200,
            [{"original_session_id": SID, "new_session_id": OTHER, "retried": True}],
        ),
        f"POST {P}/sessions/pipe": (200, ANSWERED),
        f"POST {P}/sessions/broadcast": (200, [{"session_id": SID, "status": "sent", "output": None}]),
        f"GET {P}/processes": (200, [process()]),
        f"GET {P}/processes/{PID}": (200, process()),
        f"POST {P}/processes/{PID}/stop": (200, {"status": "stopped"}),
        f"POST {P}/processes/{PID}/kill": (200, {"status": "killed"}),
        f"POST {P}/search": (
            200,
            {
                "status": "ok",
                "count": 1,
                "matches": [
                    {"session_id": SID, "provider": "claude", "event": {"type": "tool_call"}, "snippet": "make index"}
                ],
            },
        ),
        f"POST {P}/gc": (
            200,
            {
                "process_entries_removed": 4,
                "lifecycle_markers_removed": 3,
                "spawn_logs_removed": 2,
                "session_logs_removed": 1,
                "dry_run": True,
            },
        ),
        f"POST {P}/review": (200, {"status": "completed", "session_id": SID, "result": "Looks fine."}),
        f"POST {P}/config": (200, {"key": "provider", "value": "claude"}),
        f"GET {P}/capability": (200, CAPABILITY),
        f"GET {P}/discover": (200, [CAPABILITY]),
        f"POST {P}/skills": (200, [{"name": "tidy", "description": "Tidies up", "body": "…", "dir": "/x"}]),
        f"POST {P}/mcp": (200, [{"name": "files", "transport": "stdio", "command": "npx", "args": ["-y"]}]),
        "GET /api/waits": (200, [WAITING]),
        "POST /web/codes": (200, {"code": "c0de", "url": f"{PLACE}/#pair=c0de", "expires_at": "2026-05-16T09:22:01Z"}),
        "GET /web/devices": (200, [DEVICE]),
        f"DELETE /web/devices/{DEVICE['id']}": (200, {"message": "the device was sent away"}),
        f"POST /api/waits/{WAIT}": (200, {"message": "answered"}),
    }


@dataclass
class FakeApi:
    """What it answers, and what it was asked."""

    url: str = ""
    token: str = TOKEN
    answers: dict[str, Answer] = field(default_factory=_answers)
    frames: Frames = lambda query: [*LOG, 1000]
    seen: list[Seen] = field(default_factory=list)
    hold: threading.Event | None = None  # an answer comes when this is set
    held: str = ""  # only answers to this path wait for it; "" for all
    fingerprint: str = ""

    def calls(self) -> list[tuple[str, str, Any]]:
        """What was asked, but for how the server is."""
        return [(one.method, one.target, one.json) for one in self.seen if one.target != f"{P}/health"]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await self._socket(scope, receive, send)

    async def _live(self, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        target = scope["raw_path"].decode() + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
        self.seen.append(Seen(scope["method"], target, body, headers))
        while self.hold is not None and self.held in ("", scope["path"]) and not self.hold.is_set():
            await asyncio.sleep(0.01)
        status, answer = self._answer(scope, headers)
        plain = isinstance(answer, str)
        text = answer.encode() if plain else json.dumps(answer).encode()
        kind = b"text/plain" if plain else b"application/json"
        head = [(b"content-type", kind), (b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": text})

    def _answer(self, scope: Any, headers: Mapping[str, str]) -> Answer:
        if (
            scope["path"] not in (f"{P}/health", f"{P}/login")
            and headers.get("authorization") != f"Bearer {self.token}"
        ):
            return 401, "Invalid token"
        return self.answers.get(f"{scope['method']} {scope['path']}", (404, {"error": "Session not found"}))

    async def _socket(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        target = scope["raw_path"].decode() + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
        self.seen.append(Seen("WS", target, b"", headers))
        await receive()
        if headers.get("authorization") != f"Bearer {self.token}" or "nowhere" in target:
            status = 404 if "nowhere" in target else 401
            await send({"type": "websocket.http.response.start", "status": status, "headers": []})
            await send({"type": "websocket.http.response.body", "body": b'{"error": "Session not found"}'})
            return
        await send({"type": "websocket.accept"})
        query = dict(pair.partition("=")[::2] for pair in scope["query_string"].decode().split("&") if pair)
        for frame in self.frames(query):
            if isinstance(frame, dict):
                await send({"type": "websocket.send", "text": json.dumps(frame, separators=(",", ":"))})
            else:
                await send({"type": "websocket.close", "code": frame})
                return
        while (await receive())["type"] != "websocket.disconnect":
            pass


@contextmanager
def serving(fake: FakeApi, *, tls: trustme.CA | None = None, path: Path | None = None) -> Iterator[FakeApi]:
    """The fake on a free port, or on a unix socket."""
    sock = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    sock.bind(str(path) if path else ("127.0.0.1", 0))
    config = uvicorn.Config(fake, log_level="critical", ws="websockets-sansio", timeout_graceful_shutdown=1)
    config.load()
    if tls:
        config.ssl = _context(tls, fake)
    server = Brisk(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    where = f"unix://{path}" if path else f"{'https' if tls else 'http'}://127.0.0.1:{sock.getsockname()[1]}"
    fake.url = where
    try:
        yield fake
    finally:
        server.should_exit = True
        thread.join(10)
        sock.close()


def _context(authority: trustme.CA, fake: FakeApi) -> Any:
    made = authority.issue_cert("127.0.0.1")
    fake.fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(made.cert_chain_pems[0].bytes().decode())).hexdigest()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.configure_cert(context)
    return context
