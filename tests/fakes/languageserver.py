"""A language server by a script: `python languageserver.py MODE [FILE]`, where FILE is JSON, answers by method.

Modes: `good` answers; `mute` never does; `flood` writes 8 MiB to stderr first; `dies` ends when it is asked for a
hover; `once` ends right after the start; `garbage` writes what is no message; `unread` never reads after the start.
What it is told stands, a line each, in FILE.log.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any


def read() -> Any:
    length = 0
    while line := sys.stdin.buffer.readline().strip():
        name, _, value = line.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    return json.loads(sys.stdin.buffer.read(length)) if length else None


def write(message: dict[str, Any]) -> None:
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    sys.stdout.buffer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    sys.stdout.buffer.flush()


def main(mode: str, table: str = "") -> None:
    answers = json.loads(Path(table).read_text()) if table else {}
    if mode == "flood":
        sys.stderr.write("oh no! " * 1_200_000)
        sys.stderr.flush()
    if mode == "once":
        sys.exit("can't find my own feet")
    if mode == "garbage":
        sys.stdout.write("Hello\r\n\r\n")
        sys.stdout.flush()
    while (message := read()) is not None:
        if table:
            with Path(table + ".log").open("a") as log:
                log.write(json.dumps(message) + "\n")
        take(mode, answers, message)
        if mode == "unread" and message.get("method") == "initialized":
            time.sleep(3600)


def take(mode: str, answers: dict[str, Any], message: dict[str, Any]) -> None:
    method = message.get("method", "")
    if method == "textDocument/hover" and mode == "dies":
        sys.exit(3)
    if method in ("textDocument/didOpen", "textDocument/didChange") and "diagnostics" in answers:
        document = message["params"]["textDocument"]
        write(
            {"method": "textDocument/publishDiagnostics", "params": {**answers["diagnostics"], "uri": document["uri"]}}
        )
    if "id" not in message or not method or mode == "mute":
        return
    if method in answers.get("refused", {}):
        write({"id": message["id"], "error": {"code": -32603, "message": answers["refused"][method]}})
    elif method == "initialize":
        write({"id": 1000, "method": "workspace/configuration", "params": {"items": [{}, {}]}})
        write({"id": message["id"], "result": {"capabilities": answers.get("capabilities", {"hoverProvider": True})}})
    else:
        write({"id": message["id"], "result": answers.get(method)})


if __name__ == "__main__":
    main(*sys.argv[1:])
