"""Messages that wait: steering, follow-ups and their keys (checklist 14, 15)."""

import pytest

from acceptance.house import House, Reply, Server
from acceptance.sse import Stream

SLOW = "[[drip 0.05]] [[say " + "word by word by word " * 40 + "]]"


@pytest.fixture(scope="module")
def served(shared: House) -> Server:
    shared.agent()
    return shared.serve()


def busy(server: Server) -> tuple[str, Stream]:
    session = server.create(title="t")
    stream = server.start(session, SLOW)
    stream.until("agent_choice")
    return session, stream


def queue(server: Server, session: str, kind: str, *texts: str, key: str = "") -> Reply:
    headers = {"Idempotency-Key": key} if key else {}
    return server.post(
        f"/api/sessions/{session}/{kind}", {"messages": [{"content": t} for t in texts]}, headers=headers
    )


@pytest.mark.parametrize(
    ("kind", "room", "full"), [("steer", 5, "steer queue full"), ("followup", 20, "follow-up queue full")]
)
def test_a_queue_has_an_end(served: Server, kind: str, room: int, full: str) -> None:
    session, stream = busy(served)
    for n in range(room):
        assert queue(served, session, kind, f"{n}").status == 202
    reply = queue(served, session, kind, "one too many")
    assert (reply.status, reply.message, reply.headers["retry-after"]) == (429, full, "1")
    depth = served.get(f"/api/sessions/{session}/queue").json
    assert depth[kind] == {"depth": room, "capacity": room}
    assert served.post(f"/api/sessions/{session}/cancel").status == 200
    list(stream)


def test_a_body_of_several_fits_whole_or_not_at_all(served: Server) -> None:
    session, stream = busy(served)
    assert queue(served, session, "steer", *"abc").status == 202
    assert queue(served, session, "steer", *"def").status == 429
    assert served.get(f"/api/sessions/{session}/queue").json["steer"]["depth"] == 3
    served.post(f"/api/sessions/{session}/cancel")
    list(stream)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("steer", "failed to steer session: session not found or not running"),
        ("followup", "failed to enqueue follow-up: session not found or not running"),
    ],
)
def test_a_session_that_never_ran(served: Server, kind: str, text: str) -> None:
    for session in (served.create(title="t"), "nobody"):
        reply = queue(served, session, kind, "x")
        assert (reply.status, reply.message) == (409, text)
    empty = served.post(f"/api/sessions/{served.create()}/{kind}", {"messages": []})
    assert (empty.status, empty.message) == (400, "at least one message is required")


def test_steering_a_turn(served: Server, shared: House) -> None:
    session = served.create(title="t")
    stream = served.start(session, "[[drip 0.1]] [[say slowly, slowly, slowly, slowly]]")
    stream.until("agent_choice")
    assert queue(served, session, "steer", "use staging").json == {"status": "queued"}
    rest = list(stream)
    assert [f.event["message"] for f in rest if f.type == "user_message"] == ["use staging"]
    assert [f.type for f in rest].count("stream_stopped") == 1
    assert "use staging" in str(shared.model.requests[-1]["body"]["messages"])
    bad = served.post(f"/api/sessions/{session}/steer", {"messages": [{"content": "x"}], "framing": "odd"})
    assert (bad.status, bad.message) == (400, 'invalid framing "odd": must be one of plain, instruction, replacement')


def test_a_key_counts_once(served: Server) -> None:
    session, stream = busy(served)
    assert queue(served, session, "followup", "ship it", key="k1").json["status"] == "queued_streaming"
    again = queue(served, session, "followup", "ship it", key="k1")
    assert (again.status, again.json) == (202, {"status": "duplicate", "duplicate": True})
    assert served.get(f"/api/sessions/{session}/queue").json["followup"]["depth"] == 1
    other, beside = busy(served)
    assert queue(served, other, "followup", "ship it", key="k1").json["duplicate"] is False
    for one, run in ((session, stream), (other, beside)):
        served.post(f"/api/sessions/{one}/cancel")
        list(run)


def test_a_refused_key_is_free_again(served: Server) -> None:
    session, stream = busy(served)
    for n in range(20):
        queue(served, session, "followup", str(n))
    assert queue(served, session, "followup", "x", key="k").status == 429
    served.post(f"/api/sessions/{session}/cancel")
    list(stream)
    while served.get(f"/api/sessions/{session}/queue").json["followup"]["depth"]:
        served.run(session, "take them")
    assert queue(served, session, "followup", "x", key="k").json["status"] == "queued_idle"


def test_the_newest_256_keys_are_remembered(served: Server) -> None:
    session = served.create(title="t")
    served.run(session, "hi")
    for first in range(0, 257, 20):
        for n in range(first, min(first + 20, 257)):
            assert queue(served, session, "followup", f"{n}", key=f"k{n}").json["duplicate"] is False
        served.run(session, "take them")
    assert queue(served, session, "followup", "x", key="k1").json["duplicate"] is True
    assert queue(served, session, "followup", "x", key="k256").json["duplicate"] is True
    assert queue(served, session, "followup", "x", key="k0").json["duplicate"] is False
