"""A tool server over stdin and stdout that misbehaves in all the ways it is told to: `toolserver.py [WAY] [FILE]`."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

WAY = sys.argv[1] if len(sys.argv) > 1 else ""
NOTE = Path(sys.argv[2]) if len(sys.argv) > 2 else None

CALLS: dict[Any, threading.Event] = {}
ANSWERS: dict[Any, dict[str, Any]] = {}
CAME = threading.Condition()
CANCELLED: list[Any] = []
EXTRA: list[str] = []
WRITING = threading.Lock()


def send(message: dict[str, Any]) -> None:
    write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")


def write(data: bytes) -> None:
    with WRITING:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def note(text: str) -> None:
    if NOTE is not None:
        with NOTE.open("a") as file:
            file.write(text + "\n")


def request(method: str, params: dict[str, Any]) -> dict[str, Any]:
    number = f"own-{len(ANSWERS)}-{time.monotonic_ns()}"
    send({"id": number, "method": method, "params": params})
    with CAME:
        CAME.wait_for(lambda: number in ANSWERS)
    return ANSWERS[number]


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": words}], **more}


TOOLS = {
    "echo": {"readOnlyHint": True, "title": "Echo"},
    "arguments": {"idempotentHint": True},
    "environment": {},
    "huge": {},
    "broken": {},
    "bytes": {},
    "surrogate": {},
    "die": {},
    "hang": {},
    "cancelled": {},
    "change": {},
    "form": {},
    "page": {},
    "page-first": {},
    "structured": {},
    "parts": {},
    "folder": {},
    "child": {},
    "sample": {},
    "progress": {},
}


def call(number: Any, name: str, given: dict[str, Any]) -> dict[str, Any] | None:
    match name:
        case "echo":
            return text(given.get("text", ""))
        case "arguments":
            return text(json.dumps(given))
        case "environment":
            return text(json.dumps(dict(os.environ)))
        case "folder":
            return text(str(Path.cwd()))
        case "huge":
            write(
                b'{"jsonrpc": "2.0", "id": '
                + str(number).encode()
                + b', "result": {"content": [{"type": "text", "text": "'
            )
            for _ in range(100):
                write(b"x" * (1024 * 1024))
            write(b'"}]}}\n')
            return None
        case "broken":
            write(b'{"result": {"content": [{"type": "text", "text": }, "jsonrpc": "2.0", "id": %d}\n' % number)
            return None
        case "bytes":
            write(b'{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"text","text":"a\xff\xfeb"}]}}\n' % number)
            return None
        case "surrogate":
            write(b'{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"text","text":"\\ud800"}]}}\n' % number)
            return None
        case "die":
            print("the disk is on fire", file=sys.stderr, flush=True)
            os._exit(7)
        case "hang":
            note("hangs")
            CALLS[number] = threading.Event()
            CALLS[number].wait()
            return None
        case "cancelled":
            return text(json.dumps(len(CANCELLED)))
        case "change":
            EXTRA.append(given["name"])
            send({"method": "notifications/tools/list_changed"})
            return text("changed")
        case "form":
            answer = request(
                "elicitation/create",
                {
                    "message": "How many?",
                    "requestedSchema": {
                        "type": "object",
                        "properties": {"n": {"type": "integer"}},
                        "required": ["n"],
                    },
                    "_meta": {"source": "crm"},
                },
            )
            return text(json.dumps(answer))
        case "page":
            wanted = {"mode": "url", "message": "Open it", "url": "http://127.0.0.1/x", "elicitationId": "e1"}
            answer = request("elicitation/create", wanted)
            send({"method": "notifications/elicitation/complete", "params": {"elicitationId": "e1"}})
            time.sleep(0.1)
            return text(json.dumps(answer))
        case "page-first":
            if (NOTE or Path()).with_suffix(".opened").exists():
                return text("opened")
            (NOTE or Path()).with_suffix(".opened").touch()
            wanted = {"mode": "url", "message": "First this", "url": "http://127.0.0.1/y", "elicitationId": "e2"}
            error = {"code": -32042, "message": "open it first", "data": {"elicitations": [wanted]}}
            send({"id": number, "error": error})
            return None
        case "structured":
            return {"content": [], "structuredContent": {"n": 1}}
        case "parts":
            return {"content": given["content"], "isError": given.get("error", False)}
        case "child":
            child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
            return text(str(child.pid))
        case "sample":
            wanted = {"messages": [{"role": "user", "content": {"type": "text", "text": "Say hi"}}], "maxTokens": 50}
            return text(json.dumps(request("sampling/createMessage", wanted)))
        case "progress":
            for step in range(given["steps"]):
                time.sleep(given["pause"])
                token = given["token"]
                send({"method": "notifications/progress", "params": {"progressToken": token, "progress": step}})
            return text("done")
    return text(f"{name} was called")


def tools() -> list[dict[str, Any]]:
    listed = [
        {"name": name, "description": f"It does {name}", "inputSchema": {"type": "object"}, "annotations": hints}
        for name, hints in TOOLS.items()
    ]
    return listed + [{"name": name, "inputSchema": {"type": "object"}} for name in EXTRA]


def answer(message: dict[str, Any]) -> None:
    number, params = message["id"], message.get("params") or {}
    match message["method"]:
        case "initialize":
            capabilities = {"tools": {"listChanged": True}, "prompts": {}}
            told = {"protocolVersion": "2025-11-25", "capabilities": capabilities}
            send(
                {"id": number, "result": {**told, "serverInfo": {"name": "t", "version": "1"}, "instructions": "Mind."}}
            )
        case "tools/list":
            listed = tools()
            if WAY == "pages" and not params.get("cursor"):
                send({"id": number, "result": {"tools": listed[:2], "nextCursor": "more"}})
            else:
                send({"id": number, "result": {"tools": listed[2:] if WAY == "pages" else listed}})
        case "tools/call":
            given = dict(params.get("arguments") or {})
            given.setdefault("token", (params.get("_meta") or {}).get("progressToken")) if params[
                "name"
            ] == "progress" else None
            result = call(number, params["name"], given)
            if result is not None:
                send({"id": number, "result": result})
        case "prompts/list":
            send(
                {
                    "id": number,
                    "result": {
                        "prompts": [
                            {
                                "name": "greet",
                                "description": "Say hello",
                                "arguments": [{"name": "who", "required": True}],
                            }
                        ]
                    },
                }
            )
        case "prompts/get":
            words = [{"role": "user", "content": {"type": "text", "text": f"Greet {params['arguments']['who']}"}}] * 2
            send({"id": number, "result": {"messages": words}})
        case _:
            send({"id": number, "error": {"code": -32601, "message": "Method not found"}})


def main() -> None:
    note("started")
    if WAY == "dies":
        print("a key is missing", file=sys.stderr, flush=True)
        sys.exit(3)
    if WAY == "hangs":
        time.sleep(1000)
    if WAY == "floods":
        threading.Thread(target=flood, daemon=True).start()
    if WAY == "chatters":
        write(b"Welcome to this server!\n\n")
    for line in sys.stdin:
        message = json.loads(line)
        if message.get("method") == "notifications/cancelled":
            CANCELLED.append(message["params"]["requestId"])
            note("cancelled")
        elif "method" in message and "id" in message:
            threading.Thread(target=answer, args=(message,), daemon=True).start()
        elif "id" in message:
            with CAME:
                ANSWERS[message["id"]] = message.get("result") or message.get("error")
                CAME.notify_all()
    if WAY == "lingers":
        time.sleep(1000)


def flood() -> None:
    line = "e" * 4095 + "\n"
    while True:
        sys.stderr.write(line)


main()
