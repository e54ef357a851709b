"""What no client would send: cases made from the server's own description of its API."""

import json
import os
import random
import time
from typing import Any
from urllib.parse import urlencode

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase

from acceptance.house import House, Server

CASES = int(os.environ.get("ROOST_FUZZ", "150"))  # `make fuzz` goes deep
HANG = 15.0
FILE = """\
providers:
  fake: {{base_url: {url}/v1}}
agents:
  root:
    model: fake/fake-model
    description: d
    toolsets: [{{type: think}}]
"""


class Attack:
    """Sends cases, and keeps those whose answers no client should see."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.random = random.Random(3)
        self.sessions = [server.create(title=f"s{n}") for n in range(3)]
        for session in self.sessions[:2]:
            server.run(session, "hi")
        self.sent = 0
        self.slowest = 0.0
        self.faults: list[str] = []

    def real(self, values: dict[str, Any], path: str) -> dict[str, Any]:
        """The path's values; most of them name something that is there."""
        known = {"id": self.sessions if "/sessions/" in path else ["my-agent"], "agent": ["my-agent"]}
        known |= {"agent_name": ["root"], "msg_id": ["3", "0", "99999999999999999999"]}
        return {
            n: self.random.choice(known[n]) if n in known and self.random.random() < 0.8 else v
            for n, v in values.items()
        }

    def send(self, case: Any) -> None:
        case.path_parameters = self.real(dict(case.path_parameters or {}), case.path)
        query = dict(case.query or {})
        for name in ("wait", "timeout"):
            if name in query:
                query[name] = self.random.choice(["10ms", "abc", "-1s", "1", "", "0.01s"])
        case.query = query
        if case.method == "DELETE" and self.random.random() < 0.9:
            case.path_parameters = {**case.path_parameters, "id": "nobody"}
        sent = case.as_transport_kwargs(base_url="http://x")
        path, body = _path(sent), _body(sent)
        headers = {
            k: v
            for k, v in (sent.get("headers") or {}).items()
            if k.lower() in ("content-type", "idempotency-key", "last-event-id")
        }
        headers = {k: v for k, v in headers.items() if _plain(v)}
        began = time.monotonic()
        self.sent += 1
        try:
            stream = self.server.open(case.method, path, body, headers=headers, timeout=HANG)
        except OSError as error:
            self.faults.append(f"{case.method} {path} {body!r:.300}: {error!r}")
            return
        try:
            streams = stream.headers.get("content-type", "").startswith("text/event-stream")
            answer = b"" if streams else stream.read()
        finally:
            stream.close()
        self.slowest = max(self.slowest, time.monotonic() - began)
        self._judge(f"{case.method} {path} {body!r:.300}", stream.status, answer, streams)

    def _judge(self, what: str, status: int, answer: bytes, streams: bool) -> None:
        if status >= 500 and not _documented(status, answer):
            self.faults.append(f"{what}: {status} {answer!r:.300}")
        if status >= 400 and not streams:
            try:
                assert isinstance(json.loads(answer)["message"], str)
            except (ValueError, KeyError, AssertionError, TypeError):
                self.faults.append(f"{what}: {status} has no message: {answer!r:.200}")


def _documented(status: int, answer: bytes) -> bool:
    """The answers above 500 that clients know: a wait that took too long, and a run that could not be set up."""
    message = json.loads(answer).get("message", "") if answer.startswith(b"{") else ""
    return status == 503 or (
        status == 500 and message.startswith("failed to run session: ") and "internal" not in message
    )


def _plain(value: str) -> bool:
    return value.isascii() and value.isprintable()


def _path(sent: dict[str, Any]) -> str:
    path = sent["url"].removeprefix("http://x")
    query = urlencode(sent.get("params") or {}, doseq=True)
    return f"{path}?{query}" if query else path


def _body(sent: dict[str, Any]) -> Any:
    body = sent.get("json", sent.get("data"))
    if body is None or isinstance(body, bytes | str):
        return body
    return json.dumps(body)


@pytest.mark.fuzz
@pytest.mark.timeout(120 + CASES // 10)
def test_no_case_breaks_the_server(house: House) -> None:
    house.agent(text=FILE.format(url=house.model.url))
    server = house.serve("--disconnect-grace", "10ms")
    schema = schemathesis.openapi.from_dict(server.get("/openapi.json").json)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 35
    attack = Attack(server)
    each = max(1, -(-CASES // len(operations)))
    for operation in operations:

        @hypothesis.given(case=operation.as_strategy())
        @hypothesis.settings(
            max_examples=each,
            database=None,
            deadline=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def play(case: Any) -> None:
            attack.send(case)

        play()
    assert not attack.faults, "\n".join(attack.faults[:20])
    assert attack.sent >= min(CASES, each * len(operations)) * 0.5
    assert attack.slowest < HANG
    assert server.alive and server.get("/health").status == 200
    last = server.create(title="t")
    assert server.run(last, "still there?")[-1].event["reason"] == "normal"
    assert "Traceback" not in server.stderr(), server.stderr()[-3000:]
