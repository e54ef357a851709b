"""An agent elsewhere, over the Agent2Agent protocol: what it does with a message is what the message says."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio

from fakes.site import Asked, Site, open_site


@dataclass
class Agent:
    """Says and does what its messages say: `plain`, `work`, `ask`, `fail`, `hang`, `error`, `junk`, `flood`, `cut` …"""

    site: Site
    calls: list[dict[str, Any]] = field(default_factory=list)
    looks: int = 0  # at a task, until it is done
    state: str = "working"

    @property
    def url(self) -> str:
        return self.site.url

    def card(self, *, streaming: bool, path: str = "/.well-known/agent-card.json", **more: Any) -> None:
        skills = [
            {"id": "look up!", "name": "Look up", "description": "Looks it up", "examples": ["What is a roost?"]},
            {"id": "write", "name": "Write"},
        ]
        card = {
            "name": "Far Agent", "description": "Far away", "url": f"{self.url}/rpc", "version": "1",
            "capabilities": {"streaming": streaming}, "skills": skills, **more,
        }  # fmt: skip
        self.site.page(path, json.dumps(card), "application/json")

    def methods(self) -> list[str]:
        return [call["method"] for call in self.calls]

    def answer(self, asked: Asked, handler: Any) -> Any:
        call = json.loads(asked.body)
        self.calls.append(call)
        method, params = call["method"], call["params"]
        if method in ("message/send", "message/stream"):
            message = params["message"]
            word = message["parts"][0]["text"].split()[0]
            if word == "junk":
                return 200, {"content-type": "application/json"}, b"<html>"
            if word == "down":
                return 503, {}, json.dumps({"error": {"message": "closed for lunch"}}).encode()
            results = list(self._results(word, message))
            if method == "message/stream" and word != "error":
                return self._stream(call["id"], word, results, handler)
            return self._reply(call["id"], results[-1])
        if method == "tasks/get":
            self.looks -= 1
            return self._reply(call["id"], self._task("completed" if self.looks <= 0 else "working"))
        self.state = "canceled"
        return self._reply(call["id"], self._task("canceled"))

    def _task(self, state: str, words: str = "", **more: Any) -> dict[str, Any]:
        status: dict[str, Any] = {"state": state}
        if words:
            status["message"] = {"role": "agent", "parts": [{"kind": "text", "text": words}], "messageId": "m"}
        made = [
            {"kind": "text", "text": "It is "},
            {"kind": "text", "text": "done."},
            {"kind": "data", "data": {"n": 1}},
        ]
        if state == "completed":
            more["artifacts"] = [{"artifactId": "a", "parts": made}]
        return {"kind": "task", "id": "t1", "contextId": "c1", "status": status, **more}

    def _results(self, word: str, message: dict[str, Any]) -> Iterator[dict[str, Any]]:
        update = {"kind": "status-update", "taskId": "t1", "contextId": "c1", "final": False}
        piece = {"kind": "artifact-update", "taskId": "t1", "contextId": "c1"}
        if word == "plain":
            file = {"kind": "file", "file": {"name": "a.pdf", "mimeType": "application/pdf"}}
            parts = [{"kind": "text", "text": "Hello, "}, {"kind": "text", "text": "you."}, file]
            yield {"kind": "message", "role": "agent", "messageId": "1", "contextId": "c1", "parts": parts}
        elif word == "ask":
            yield self._task("input-required", "Which one?")
        elif word == "both":
            assert message["taskId"] == "t1" and message["contextId"] == "c1"
            yield self._task("completed")
        elif word == "fail":
            yield self._task("failed", "I fell over")
        elif word == "login":
            yield self._task("auth-required", "Who are you?")
        elif word in ("work", "cut", "hang"):
            self.looks = 1_000_000 if word == "hang" else 3
            yield self._task("submitted")
            yield {**update, "status": {"state": "working", "message": {"parts": [{"text": "thinking"}]}}}
        elif word == "pieces":
            yield self._task("working")
            yield {**piece, "artifact": {"artifactId": "a", "parts": [{"kind": "text", "text": "one "}]}}
            yield {**piece, "append": True, "artifact": {"artifactId": "a", "parts": [{"kind": "text", "text": "two"}]}}
            yield {**piece, "artifact": {"artifactId": "b", "parts": [{"kind": "text", "text": "three"}]}}
            yield {**update, "status": {"state": "completed"}, "final": True}
        elif word == "flood":
            yield {"kind": "message", "parts": [{"kind": "text", "text": "x" * 100_000}]}
        else:
            yield {}

    def _reply(self, id: Any, result: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": id, "result": result}
        if not result:
            body = {"jsonrpc": "2.0", "id": id, "error": {"code": -32004, "message": "I won't"}}
        return 200, {"content-type": "application/json"}, json.dumps(body).encode()

    def _stream(self, id: Any, word: str, results: list[Any], handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.end_headers()
        for result in results:
            line = json.dumps({"jsonrpc": "2.0", "id": id, "result": result})
            handler.wfile.write(f": ping\n\ndata: {line}\n\n".encode())
            handler.wfile.flush()
        if word == "hang":
            self.site.closing.wait(60)


@contextmanager
def open_agent() -> Iterator[Agent]:
    """The agent, for as long as the block is open.  It has no card yet."""
    with open_site() as site:
        agent = Agent(site)
        site.pages["/rpc"] = agent.answer
        yield agent


async def until(agent: Agent, method: str) -> None:
    """Wait until it was asked for something."""
    with anyio.fail_after(30):
        while method not in agent.methods():
            await anyio.sleep(0.01)
