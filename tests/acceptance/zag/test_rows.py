"""The requests of the CLI of zag 0.18.0, byte for byte, replayed; and the worked transcript of its `exec` (20)."""

import json
from typing import Any

import httpx2
import pytest

from acceptance.zag.cast import cast
from acceptance.zag.remote import Remote, Site, events_of, played, talk
from acceptance.zag.rows import SID, Names, Request, Row, rows


@pytest.fixture(scope="module")
def names(site: Site) -> Names:
    return cast(site)


def sent(op: Remote, request: Request, session: str) -> httpx2.Response:
    """As the CLI writes it: keys in order, nulls and all."""
    path = request.path.replace(SID, session)
    if request.body is None:
        return op.ask(request.method, path)
    body = json.dumps(request.body, sort_keys=True, separators=(",", ":")).replace(SID, session)
    return op.ask(request.method, path, body.encode(), headers={"content-type": "application/json"})


def fits(value: Any, answer: set[str] | list[set[str]] | None) -> bool:
    match answer:
        case None:
            return True
        case [fields]:
            return isinstance(value, list) and bool(value) and all(fits(one, fields) for one in value)
        case _:
            return isinstance(value, dict) and set(answer) <= set(value)


def replay(op: Remote, row: Row) -> None:
    session = ""
    for request in row.requests:
        answer = sent(op, request, session)
        assert answer.status_code == request.status, (row.words, answer.text)
        if request.answer is not None:
            assert answer.headers["content-type"] == "application/json"
            assert fits(answer.json(), request.answer), (row.words, answer.text)
        if request.path == "/sessions/spawn":
            session = answer.json()["session_id"]


def test_every_row_is_answered_as_the_cli_wants_it(names: Names, op: Remote) -> None:
    for row in rows(names):
        replay(op, row)


def test_a_remote_exec_word_for_word(op: Remote) -> None:
    health = op.as_("").ask("GET", "/health")
    assert health.headers["access-control-allow-origin"] == "*"
    assert list(health.json()) == ["status", "version"]
    body = {
        "add_dirs": None,
        "auto_approve": False,
        "description": None,
        "max_turns": None,
        "model": None,
        "name": None,
    }
    body |= {"prompt": played({"think": "hm"}, {"tool": "Bash"}, {"tool_ok": "128"}, {"say": "There are 128 tests."})}
    body |= {"provider": "mock", "root": None, "size": None, "system_prompt": None, "tags": None, "auto_approve": True}
    spawned = op.post("/sessions/spawn", body, 201)
    session = spawned["session_id"]
    with op.feed(f"/sessions/{session}/stream") as feed:
        waited = op.ask("POST", "/sessions/wait", {"session_ids": [session]})
        assert waited.text == f'[{{"session_id":"{session}","success":true,"error":null}}]'
        output = op.ask("GET", f"/sessions/{session}/output")
        assert output.text == f'{{"session_id":"{session}","result":"There are 128 tests."}}'
        kinds = [kind for kind in events_of(feed.rest()) if kind not in ("provider_status", "usage")]
        assert kinds == [
            *("session_started", "user_message", "reasoning", "tool_call", "tool_result"),
            *("assistant_message", "session_ended"),
        ]
        assert feed.code == 1000


def test_failures_that_a_client_may_meet(op: Remote) -> None:
    assert op.refused("GET", "/sessions/0b7e/status", 404) == "Session not found: 0b7e"
    failed = op.done(played(fail="no way"))
    assert "no way" in op.refused("GET", f"/sessions/{failed}/output", 404)
    assert op.refused("POST", "/sessions/spawn", 400, {"prompt": None})
    assert op.done(talk("still fine"))
