"""The tool server `roost`: a CLI starts it, and with its tools the CLI starts agents of its own.

It speaks the Model Context Protocol on stdin and stdout, and passes each call on to the server's private
socket; what to say there stands in `roost-tools.json` beside it.  It is copied into the run's folder and
started with `python -I -S`: the standard library alone, and as little of that as it needs.  When the
server is restarted in the middle of a call, the call waits for it.
"""

import contextlib
import json
import os
import socket
import sys
import threading
import time
from typing import Any

ORDERS = "roost-tools.json"
VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
ABSENT = 60.0  # seconds that the server may be away
RETRY = 0.25
TICK = 10.0  # seconds between two notes of progress
PATIENCE = 45.0  # seconds that a call waits for agents unless it says otherwise: many CLIs give up after 60
CHUNK = 1 << 16
SPAWN, WAIT, COLLECT, ASK, STATUS = "spawn", "wait", "collect", "ask", "status"

ABOUT = (
    "With these tools you start other agents, which work beside you in sessions of their own, and hear what they "
    "come to. `spawn` starts one and returns at once; `wait` returns when some have ended; `ask` does both."
)

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_IDS = {**_TEXTS, "description": "Sessions that you have started; leave it out for all of them."}
_SECONDS = {
    "type": "number",
    "description": f"Seconds to wait at most ({PATIENCE:.0f} unless said otherwise). "
    "What has not ended by then is listed as `running`: call again.",
}
_WHO = {
    "name": {**_TEXT, "description": "A short name for the new session."},
    "model": {**_TEXT, "description": "A model that the provider knows; leave it out for its default."},
}


def _tool(name: str, about: str, required: tuple[str, ...] = (), /, **fields: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": fields, "required": list(required), "additionalProperties": False}
    hints = {"readOnlyHint": name in (WAIT, COLLECT, STATUS)}
    return {"name": name, "description": about, "inputSchema": schema, "annotations": hints}


TOOLS = [
    _tool(
        SPAWN,
        "Start another agent with a task of its own. Returns its session id at once, while it works.",
        ("prompt",),
        prompt={**_TEXT, "description": "The whole task: the agent knows nothing of your conversation."},
        provider={**_TEXT, "description": "An agent CLI (claude, codex, gemini ...) or the id of an agent file."},
        **_WHO,
        description={**_TEXT, "description": "What it is for, for people."},
        tags={**_TEXTS, "description": "Words to find it by."},
        root={**_TEXT, "description": "The folder it works in: yours, or one below it."},
        system_prompt={**_TEXT, "description": "Added to its own instructions."},
        depends_on={**_TEXTS, "description": "Sessions of yours that have to end well first."},
        max_turns={"type": "integer", "minimum": 0},
        timeout={**_TEXT, "description": "How long it may take, like 30s, 10m or 1h."},
    ),
    _tool(
        WAIT,
        "Wait until agents that you started have ended, and read their results.",
        ids=_IDS,
        timeout=_SECONDS,
        any={"type": "boolean", "description": "Return when the first of them has ended."},
    ),
    _tool(COLLECT, "Read what agents that you started have come to so far.", ids=_IDS),
    _tool(
        ASK,
        "Ask an agent something and wait for its answer.",
        ("agent", "prompt"),
        agent={
            **_TEXT,
            "description": "An agent CLI or the id of an agent file, which starts a new session; "
            "or the id of a session that you started, which goes on.",
        },
        prompt=_TEXT,
        **_WHO,
        timeout=_SECONDS,
    ),
    _tool(STATUS, "Look how the agents that you started are doing.", ids=_IDS),
]
WAITING = (WAIT, ASK)


class Away(Exception):
    """The server can't be reached; worded for people."""


class Call:
    """One tool call on its way: it can be given up."""

    def __init__(self, method: str, params: dict[str, Any]) -> None:
        self.method, self.params = method, params
        self.key = os.urandom(16).hex()
        self.gone = False
        self.line: socket.socket | None = None

    def drop(self) -> None:
        """Nobody wants the answer any more."""
        self.gone = True
        if self.line is not None:
            with contextlib.suppress(OSError):
                self.line.shutdown(socket.SHUT_RDWR)  # wakes whoever reads


class Program:
    """Reads requests from stdin; each call has a thread of its own."""

    def __init__(self, orders: dict[str, str]) -> None:
        self.orders = orders
        self.pen = threading.Lock()
        self.calls: dict[Any, Call] = {}

    def run(self) -> None:
        """Serve until the input ends."""
        for line in sys.stdin.buffer:
            try:
                given = json.loads(line)
            except ValueError:
                self.fail(None, -32700, "not JSON")
                continue
            for message in given if isinstance(given, list) else [given]:
                self.take(message)
        os._exit(0)  # whatever is under way, nobody hears of it

    def write(self, body: dict[str, Any]) -> None:
        """One message."""
        with self.pen:
            sys.stdout.write(json.dumps({"jsonrpc": "2.0", **body}) + "\n")
            sys.stdout.flush()

    def fail(self, id: Any, code: int, message: str) -> None:
        """An error of the protocol."""
        self.write({"id": id, "error": {"code": code, "message": message}})

    def take(self, message: Any) -> None:
        """A request or a notification."""
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            if not isinstance(message, dict) or "id" not in message:
                self.fail(None, -32600, "neither a request nor a notification")
            return
        method, params = message["method"], message.get("params")
        params = params if isinstance(params, dict) else {}
        if "id" not in message:
            if method == "notifications/cancelled" and (call := self.calls.get(params.get("requestId"))):
                call.drop()
            return
        self.answer(message["id"], method, params)

    def answer(self, id: Any, method: str, params: dict[str, Any]) -> None:
        """What is asked, at once or by a thread."""
        if method == "initialize":
            wanted = params.get("protocolVersion")
            chosen = wanted if wanted in VERSIONS else VERSIONS[0]
            about = {"name": "roost", "title": "Roost", "version": "1"}
            result: dict[str, Any] = {"protocolVersion": chosen, "capabilities": {"tools": {}}, "serverInfo": about}
            self.write({"id": id, "result": {**result, "instructions": ABOUT}})
        elif method == "ping":
            self.write({"id": id, "result": {}})
        elif method == "tools/list":
            self.write({"id": id, "result": {"tools": TOOLS}})
        elif method == "tools/call":
            self.begin(id, params)
        else:
            self.fail(id, -32601, f"unknown method {method[:80]}")

    # -- calls ------------------------------------------------------------------------------

    def begin(self, id: Any, params: dict[str, Any]) -> None:
        """A call, in a thread."""
        name, given = params.get("name"), params.get("arguments")
        if name not in [tool["name"] for tool in TOOLS]:
            self.fail(id, -32602, f"unknown tool {str(name)[:80]}")
            return
        call = Call(str(name), given if isinstance(given, dict) else {})
        meta = params.get("_meta")
        token = meta.get("progressToken") if isinstance(meta, dict) else None
        if isinstance(id, str | int):
            self.calls[id] = call
        threading.Thread(target=self.play, args=(id, call, token), daemon=True).start()

    def play(self, id: Any, call: Call, token: Any) -> None:
        """See a call to its end."""
        try:
            reply = self.ask(call, token)
        except Away as away:
            reply = {"error": str(away)}
        self.calls.pop(id, None)
        if call.gone:
            return
        failed = "error" in reply
        text = reply["error"] if failed else json.dumps(reply.get("result"), ensure_ascii=False, indent=1)
        self.write({"id": id, "result": {"content": [{"type": "text", "text": text}], "isError": failed}})

    def ask(self, call: Call, token: Any) -> dict[str, Any]:
        """What the server says, however often it is restarted meanwhile."""
        began = away = time.monotonic()
        patience = call.params.get("timeout", PATIENCE) if call.method in WAITING else None
        sent = False
        while not call.gone:
            body = {**call.params}
            if sent and isinstance(patience, int | float):
                body["timeout"] = max(0.0, patience - (time.monotonic() - began))
            request = {"token": self.orders["token"], "method": call.method, "params": body}
            try:
                call.line = connected(self.orders["socket"])
                away = time.monotonic()
                call.line.sendall(json.dumps({**request, "key": call.key, "again": sent}).encode() + b"\n")
                sent = True
                if (reply := self.hear(call.line, token, began)) is not None:
                    return reply
            except OSError as error:
                if time.monotonic() - away > ABSENT:
                    raise Away(f"Roost can't be reached: {error}") from None
            finally:
                if call.line is not None:
                    call.line.close()
            time.sleep(RETRY)
        return {}

    def hear(self, line: socket.socket, token: Any, began: float) -> dict[str, Any] | None:
        """The answer, with notes of progress meanwhile; None where the line goes dead."""
        heard = b""
        line.settimeout(TICK)
        while not heard.endswith(b"\n"):
            try:
                chunk = line.recv(CHUNK)
            except TimeoutError:
                if token is not None:
                    note = {"progressToken": token, "progress": round(time.monotonic() - began, 1)}
                    self.write({"method": "notifications/progress", "params": note})
                continue
            if not chunk:
                return None
            heard += chunk
        answer = json.loads(heard)
        return answer if isinstance(answer, dict) else None


def connected(path: str) -> socket.socket:
    """A connection to a Unix socket, however long its path is."""
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if len(os.fsencode(path)) < 100:
            line.connect(path)
            return line
        folder, name = os.path.split(path)
        there = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        try:
            line.connect(f"/proc/self/fd/{there}/{name}")
        finally:
            os.close(there)
    except BaseException:
        line.close()
        raise
    return line


def main() -> None:
    """Read the orders beside this file, and serve."""
    with open(os.path.join(os.path.dirname(__file__), ORDERS)) as file:  # noqa: PTH118, PTH120, PTH123  # a quick start
        orders = json.load(file)
    threading.stack_size(256 * 1024)
    Program(orders).run()


if __name__ == "__main__":
    main()
