"""What the same costs without a server like ours: one Starlette handler, httpx2, and SQLite from the standard library.

It asks the same model, writes each chunk into a table and streams it on.  `/run/answer/ORDER` commits once an
answer (a crash loses it), `/run/chunk/ORDER` after each chunk, before it is sent on, which is what Roost promises.
It has no sessions, no history, no cursors, no cancelling and no recovery.

Run: python -m bench.bare CORE MODEL_PORT FILE   (prints "listening on PORT")
"""

import json
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from bench.cores import pin


class Bare:
    def __init__(self, model: str, path: str) -> None:
        self._url = f"{model}/v1/chat/completions"
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=50)
        self._http = httpx2.AsyncClient(timeout=None, limits=limits, trust_env=False)
        self._db = sqlite3.connect(path)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("CREATE TABLE IF NOT EXISTS chunks (answer INTEGER, seq INTEGER, body TEXT)")
        self._answers = count(1)

    async def run(self, request: Request) -> StreamingResponse:
        each = request.path_params["commit"] == "chunk"
        posted = await request.json()
        body = {"model": request.path_params["order"], "stream": True, "messages": posted["messages"]}
        return StreamingResponse(self._stream(body, each), media_type="text/event-stream")

    async def _stream(self, body: dict[str, Any], each: bool) -> AsyncIterator[str]:
        answer, seq = next(self._answers), 0
        async with self._http.stream("POST", self._url, json=body) as response:
            async for line in response.aiter_lines():
                if not line.startswith("data: ") or line == "data: [DONE]":
                    continue
                choices = json.loads(line[6:])["choices"]
                text = choices[0]["delta"].get("content") if choices else None
                if not text:
                    continue
                seq += 1
                event = json.dumps({"type": "agent_choice", "content": text, "session_id": str(answer)})
                self._db.execute("INSERT INTO chunks VALUES (?, ?, ?)", (answer, seq, event))
                if each:
                    self._db.commit()
                yield f"id: {seq}\ndata: {event}\n\n"
        self._db.commit()
        yield 'data: {"type":"stream_stopped"}\n\n'


def main() -> None:
    core, port, path = sys.argv[1:]
    pin(int(core))
    bare = Bare(f"http://127.0.0.1:{port}", path)
    app = Starlette(routes=[Route("/run/{commit}/{order}", bare.run, methods=["POST"])])
    sock = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(f"listening on {sock.getsockname()[1]}", flush=True)
    config = uvicorn.Config(app, log_level="warning", access_log=False, loop="uvloop", http="httptools")
    uvicorn.Server(config).run(sockets=[sock])


if __name__ == "__main__":
    main()
