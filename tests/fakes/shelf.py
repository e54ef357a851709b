"""A small tool server whose tools say what they were given: a program (`shelf.py TOOL…`), or pages of a site."""

import json
import queue
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the program does without
    from fakes.site import Asked, Site

JSON = {"content-type": "application/json"}


def reply(message: dict[str, Any], tools: Sequence[str]) -> dict[str, Any] | None:
    """The answer to a message; notifications have none."""
    if "id" not in message:
        return None
    params = message.get("params") or {}
    match message["method"]:
        case "initialize":
            version = params.get("protocolVersion", "2025-06-18")
            info = {"name": "shelf", "version": "1"}
            result = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
        case "tools/list":
            shape = {"type": "object"}
            result = {"tools": [{"name": name, "description": f"Does {name}", "inputSchema": shape} for name in tools]}
        case "tools/call":
            said = json.dumps({"tool": params["name"], "given": params.get("arguments") or {}})
            result = {"content": [{"type": "text", "text": said}]}
        case "ping":
            result = {}
        case method:
            return {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": f"no {method}"}}
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


def streamable(site: "Site", path: str, *tools: str) -> str:
    """Put one that speaks Streamable HTTP on the site; its address."""

    def answer(asked: "Asked", handler: Any) -> Any:
        if asked.method != "POST":
            return 405, {}, b""
        replied = reply(json.loads(asked.body), tools)
        return (202, {}, b"") if replied is None else (200, JSON, json.dumps(replied).encode())

    site.pages[path] = answer
    return site.url + path


def sse(site: "Site", path: str, *tools: str) -> str:
    """Put one that speaks the older transport on the site; its address."""
    lines: list[queue.Queue[dict[str, Any]]] = []

    def stream(asked: "Asked", handler: Any) -> Any:
        if asked.method != "GET":
            return 405, {}, b""
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.end_headers()
        mine: queue.Queue[dict[str, Any]] = queue.Queue()
        lines.append(mine)
        handler.wfile.write(f"event: endpoint\ndata: {path}/{len(lines) - 1}\n\n".encode())
        site.pages[f"{path}/{len(lines) - 1}"] = lambda asked, _: post(asked, mine)
        while not site.closing.is_set():
            try:
                said = mine.get(timeout=0.05)
            except queue.Empty:
                continue
            handler.wfile.write(f"event: message\ndata: {json.dumps(said)}\n\n".encode())
            handler.wfile.flush()
        return None

    def post(asked: "Asked", mine: "queue.Queue[dict[str, Any]]") -> Any:
        replied = reply(json.loads(asked.body), tools)
        if replied is not None:
            mine.put(replied)
        return 202, {}, b""

    site.pages[path] = stream
    return site.url + path


if __name__ == "__main__":
    for line in sys.stdin:
        replied = reply(json.loads(line), sys.argv[1:])
        if replied is not None:
            print(json.dumps(replied), flush=True)
