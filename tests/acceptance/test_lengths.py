"""Conversations that are longer than the model's window, over a real server."""

from typing import Any

import pytest

from acceptance.house import House, Server
from acceptance.sse import Frame

WINDOW = 4000
FILE = """\
providers:
  fake: {{base_url: {url}/v1}}
models:
  narrow:
    provider: fake
    model: fake-window-4000
    provider_opts: {{{options}}}
agents:
  root:
    model: narrow
    instruction: Help.
    toolsets: [{{type: think}}]
"""
TURNS = 80
WORDS = "and so it goes on " * 60  # about 270 tokens


def serving(house: House, options: str = "") -> Server:
    house.agent(text=FILE.format(url=house.model.url, options=options))
    return house.serve()


def compactions(frames: list[Frame]) -> list[str]:
    """How each one ended."""
    return [f.event["outcome"] for f in frames if f.type == "session_compaction" and f.event["status"] == "completed"]


def sent(house: House) -> list[dict[str, Any]]:
    """What the model was sent, summaries left out."""
    bodies = [request["body"] for request in house.model.requests]
    return [body for body in bodies if not body["messages"][0]["content"].startswith("You keep the memory of")]


@pytest.mark.timeout(180)
def test_many_long_turns_never_overflow(house: House) -> None:
    server = serving(house, f"context_size: {WINDOW}")
    session = server.create(title="t")
    ends: list[str] = []
    for turn in range(TURNS):
        frames = server.run(session, f"<{turn}> {WORDS}")
        assert [f.event for f in frames if f.type in ("error", "warning")] == []
        assert frames[-1].event["reason"] == "normal"
        ends += compactions(frames)
        newest = sent(house)[-1]["messages"]
        assert newest[-1]["content"].startswith(f"<{turn}> ")  # the model always sees what it was asked
        assert len([m for m in newest if m["role"] != "system"]) >= 1 + (turn > 0)
    assert set(ends) == {"applied"}
    assert TURNS / 20 <= len(ends) <= TURNS / 5  # once for many turns, not for each one
    used = [f.event["usage"] for f in server.log(session) if f.type == "token_usage"]
    assert max(usage["context_length"] for usage in used) <= WINDOW
    assert {usage["compaction_threshold"] for usage in used} == {0.9}
    flat = [m["message"]["content"] for m in server.snapshot(session)["messages"] if m["message"]["role"] == "user"]
    assert [text.split(" ")[0] for text in flat] == [f"<{turn}>" for turn in range(TURNS)]  # nothing is lost to people


def test_the_events_of_one_come_in_order(house: House) -> None:
    server = serving(house, f"context_size: {WINDOW}")
    session = server.create(title="t")
    frames: list[Frame] = []
    while "session_compaction" not in [f.type for f in frames]:
        frames = server.run(session, WORDS)
    types = [f.type for f in frames]
    at = types.index("session_compaction")
    assert types[at : at + 4] == ["session_compaction", "session_summary", "session_compaction", "token_usage"]
    started, summary, ended, usage = (f.event for f in frames[at : at + 4])
    assert (started["status"], ended["status"], ended["outcome"]) == ("started", "completed", "applied")
    assert summary["summary"] == "A fake summary."
    assert summary["first_kept_entry"] > 0
    assert usage["usage"]["output_tokens"] == 0
    assert usage["usage"]["input_tokens"] < WINDOW * 0.4
    assert "last_message" not in usage["usage"]
    texts = [m["content"] for m in sent(house)[-1]["messages"]]
    assert texts[1] == "Session Summary: A fake summary."


@pytest.mark.timeout(120)
def test_a_window_of_which_nobody_told_is_found_out(house: House) -> None:
    server = serving(house)
    session = server.create(title="t")
    ends: list[str] = []
    for turn in range(40):
        frames = server.run(session, f"<{turn}> {WORDS}")
        assert frames[-1].event["reason"] == "normal"
        ends += compactions(frames)
    assert len(ends) >= 2
    assert set(ends) == {"applied"}


def test_a_message_that_is_too_long_by_itself_is_an_error_with_a_code(house: House) -> None:
    server = serving(house, f"context_size: {WINDOW}")
    session = server.create(title="t")
    frames = server.run(session, "long " * 8000)
    assert [f.event["code"] for f in frames if f.type == "error"] == ["context_exceeded"]
    assert frames[-1].event["reason"] == "error"
    frames = server.run(session, "hi")  # from now on it is older than the newest message, and is summed up in pieces
    assert compactions(frames) == ["applied"]
    assert frames[-1].event["reason"] == "normal"


def test_somebody_may_ask_for_a_summary(house: House) -> None:
    server = serving(house)
    session = server.create(title="t")
    for text in ("one", "two", "three"):
        server.run(session, text)
    asked = server.post(f"/api/sessions/{session}/compaction", {"instruction": "Keep the numbers."})
    assert (asked.status, asked.json) == (202, {"status": "queued"})
    frames = server.run(session, "four")
    assert compactions(frames) == ["applied"]
    (request,) = [r["body"]["messages"] for r in house.model.requests if "Keep the numbers." in str(r["body"])]
    assert "[user]\none" in request[1]["content"]
    assert server.post(f"/api/sessions/{session}/compaction").status == 202  # a body is not needed
    assert server.post("/api/sessions/none/compaction").status == 404
    assert server.post(f"/api/sessions/{session}/compact").status == 404  # some clients look for that one
