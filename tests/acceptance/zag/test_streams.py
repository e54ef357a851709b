"""WebSockets over real TLS, point by point (section 4), and what lives long: interactive sessions, usage limits."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from acceptance import front
from acceptance.front import Yard
from acceptance.house import free_port, until
from acceptance.zag.remote import SECRET, Remote, Site, events_of, played, talk

NOBODY = "c0ffee00-0000-4000-8000-000000000000"
HANG = played(hang=True)


# -- 4.1 ------------------------------------------------------------------------------------------


def test_a_stream_is_text_frames_and_a_close_frame(op: Remote) -> None:
    session = op.spawn(played({"say": "one"}, {"say": "two"}))
    heard, code = op.heard(f"/sessions/{session}/stream")
    assert code == 1000
    assert heard == op.events(session)
    assert events_of(heard)[0] == "session_started"
    assert events_of(heard)[-1] == "session_ended"


def test_there_is_no_subprotocol_and_no_compression(op: Remote) -> None:
    offering = op.connect("/subscribe", subprotocols=["events"], compression="deflate")
    assert offering.connection.subprotocol is None
    assert offering.connection.protocol.extensions == []
    offering.close()


def test_what_a_client_sends_is_read_and_left_alone(op: Remote) -> None:
    session = op.spawn(HANG)
    with op.feed(f"/sessions/{session}/stream") as feed:
        feed.until("user_message")
        for said in ("hello", b"\0\1", '{"type": "user_message", "content": "x"}', "x" * 100_000):
            feed.socket.send(said)
        feed.socket.pinged()
        op.post(f"/sessions/{session}/cancel")
        feed.rest()
        assert feed.code == 1000
    assert len(op.events(session, type="user_message")) == 1


def test_a_client_that_closes_is_answered_with_a_close_frame(op: Remote) -> None:
    session = op.spawn(HANG)
    with op.feed(f"/sessions/{session}/stream") as feed:
        feed.until("user_message")
        feed.socket.close()
        assert feed.socket.connection.protocol.close_rcvd is not None
    op.post(f"/sessions/{session}/cancel")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/sessions/{NOBODY}/stream", 404),
        ("/sessions/..%2F..%2Fetc/stream", 400),
        ("/sessions/latest/stream?after_seq=x", 400),
        ("/sessions/latest/stream?schema=odd", 400),
        ("/subscribe?schema=odd", 400),
        ("/nowhere", 404),
    ],
)
def test_what_can_not_be_followed_is_refused_before_the_upgrade(op: Remote, path: str, status: int) -> None:
    op.done()
    assert op.turned_away(path)[0] == status


def test_paths_of_websockets_by_other_means(op: Remote) -> None:
    assert "WebSocket" in op.refused("GET", "/subscribe", 400)
    op.refused("POST", "/subscribe", 405, {})
    op.refused("GET", "/subscribe", 400, headers={"connection": "Upgrade", "upgrade": "websocket"})


# -- 4.2 ------------------------------------------------------------------------------------------


def test_filters(op: Remote) -> None:
    session = op.done(played({"say": "one"}, {"tool": "Bash"}, {"tool_ok": "x"}, {"say": "two"}))
    path = f"/sessions/{session}/stream"
    assert events_of(op.heard(f"{path}?filter=assistant_message,%20tool_call%20")[0]) == [
        *("assistant_message", "tool_call", "assistant_message")
    ]
    assert events_of(op.heard(f"{path}?type=session_ended")[0]) == ["session_ended"]
    assert op.heard(f"{path}?filter=odd,assistant") == ([], 1000)
    assert op.heard(f"{path}?filter=user_message") == (op.events(session, type="user_message"), 1000)
    running = op.spawn(HANG)
    with op.feed(f"/sessions/{running}/stream?filter=tool_call") as feed:
        op.post(f"/sessions/{running}/cancel")
        assert (feed.rest(), feed.code) == ([], 1000)  # it ends, though its end is filtered out


def test_a_stream_that_goes_on_after_a_seq(op: Remote) -> None:
    session = op.done(played({"say": "one"}, {"say": "two"}))
    every = op.events(session)
    for event in every:
        heard, code = op.heard(f"/sessions/{session}/stream?after_seq={event['seq']}")
        assert (heard, code) == ([one for one in every if one["seq"] > event["seq"]], 1000)
    assert op.heard(f"/sessions/{session}/stream?after_seq=999999") == ([], 1000)


def test_d8_a_stream_that_is_opened_with_the_answer_of_the_spawn(op: Remote) -> None:
    for prompt in (talk("x"), played(exit_code=0, steps=[]), played(fail="no"), "echo"):
        with op.feed(f"/sessions/{op.spawn(prompt)}/stream") as feed:
            kinds = events_of(feed.rest())
            assert (kinds[:2], kinds[-1], feed.code) == (["session_started", "user_message"], "session_ended", 1000)


def test_two_listeners_hear_the_same_also_when_one_comes_late(site: Site, op: Remote) -> None:
    barrier = site.barrier("listeners")
    session = op.spawn(played({"say": "one"}, barrier.step, {"say": "three"}))
    with op.feed(f"/sessions/{session}/stream") as first:
        first.until("assistant_message")
        with op.feed(f"/sessions/{session}/stream") as late:
            late.until("assistant_message")
            barrier.lift("two")
            first.rest()
            late.rest()
    assert first.seen == late.seen == op.events(session)
    assert first.code == late.code == 1000


def test_d7_a_client_that_vanishes_holds_nobody_up(site: Site, op: Remote) -> None:
    barrier = site.barrier("vanished")
    session = op.spawn(played(barrier.step, *({"say": f"word {n}"} for n in range(20))))
    with op.feed(f"/sessions/{session}/stream") as stays:
        vanishing = op.connect(f"/sessions/{session}/stream")
        vanishing.recv()
        vanishing.vanish()
        barrier.lift("go")
        assert events_of(stays.rest())[-1] == "session_ended"
        assert stays.code == 1000
    assert op.status(session) == "completed"


def test_an_ended_session_is_replayed_and_closed(op: Remote) -> None:
    session = op.done(talk("x"))
    op.post(f"/sessions/{session}/log", {"message": "after the end"})
    heard, code = op.heard(f"/sessions/{session}/stream")
    assert (heard, code) == (op.events(session), 1000)
    assert events_of(heard)[-2:] == ["session_ended", "user_event"]


def test_a_resumed_session_ends_at_its_last_end(site: Site, op: Remote) -> None:
    session, barrier = op.done(talk("x")), site.barrier("resumed-stream")
    answers: list[Any] = []
    own = op.as_(op.token)
    message = {"message": played(barrier.step)}
    resuming = Thread(target=lambda: answers.append(own.post(f"/sessions/{session}/input", message)))
    resuming.start()
    op.until(session, "session_started", 2)
    with op.feed(f"/sessions/{session}/stream") as feed:
        feed.until("session_ended")
        feed.until("session_started", lambda event: event["resumed"] is True)
        barrier.lift("again")
        feed.until("session_ended")
        assert (feed.rest(), feed.code) == ([], 1000)
    resuming.join(30)
    assert answers[0]["result"] == "again"
    assert op.heard(f"/sessions/{session}/stream") == (op.events(session), 1000)


def test_a_session_that_has_never_run_is_waited_for(op: Remote, site: Site) -> None:
    api = site.yard.ask(site.front, "/api/sessions", token=SECRET, method="POST", body={})
    session = api.json["id"]
    with op.feed(f"/sessions/{session}/stream") as feed:
        assert op.events(session) == []
        op.post(f"/sessions/{session}/log", {"message": "still there"})
        assert feed.next()["message"] == "still there"
        op.good(op.ask("DELETE", f"/sessions/{session}"))
        feed.rest()
        assert feed.code == 1000


def test_d7_a_process_that_dies_without_a_word_ends_its_stream(op: Remote) -> None:
    session = op.spawn(HANG)
    with op.feed(f"/sessions/{session}/stream") as feed:
        feed.until("user_message")
        process = until(lambda: next((p for p in op.get("/processes") if p["session_id"] == session), None))
        op.post(f"/processes/{process['id']}/kill", {})
        assert feed.until("session_ended")["success"] is False
        assert (feed.rest(), feed.code) == ([], 1000)


def test_unified_events_on_a_stream(op: Remote) -> None:
    session = op.done(talk("x"))
    heard, code = op.heard(f"/sessions/{session}/stream?schema=unified")
    assert (heard, code) == (op.events(session, schema="unified"), 1000)
    assert events_of(op.heard(f"/sessions/{session}/stream?schema=unified&filter=assistant_message")[0]) == [
        "assistant_message"
    ]


def test_heartbeats_carry_the_newest_seq_and_are_no_facts(op: Remote) -> None:
    session = op.spawn(HANG)
    socket = op.connect(f"/sessions/{session}/stream")
    found = [json.loads(socket.recv())]
    while found[-1]["type"] != "heartbeat":
        found.append(json.loads(socket.recv()))
    beat = found.pop()
    socket.close()
    assert beat["interval_secs"] == 10
    assert beat["seq"] >= found[-1]["seq"]
    assert beat["provider_session_id"] == found[-1]["provider_session_id"]
    assert list(beat)[:8] == list(found[-1])[:8]
    assert op.events(session, type="heartbeat") == []
    assert op.get(f"/sessions/{session}/status")["last_heartbeat_at"]
    op.post(f"/sessions/{session}/cancel")


# -- 4.3 ------------------------------------------------------------------------------------------


def test_d18_subscribing_hears_of_sessions_that_are_born_later(op: Remote) -> None:
    before = op.done(talk("before"))
    with op.feed("/subscribe") as feed:
        session = op.done(played({"think": "hm"}, {"say": "after"}), tags=["later"])
        heard = []
        while not heard or (heard[-1]["type"], heard[-1]["wrapper_session_id"]) != ("session_ended", session):
            heard.append(feed.next())
        assert [one for one in heard if one["wrapper_session_id"] == session] == op.events(session)
        assert before not in {one["wrapper_session_id"] for one in heard}
        op.post(f"/sessions/{before}/log", {"message": "of an old one"})
        assert feed.until("user_event")["wrapper_session_id"] == before


def test_d18_subscribing_by_tag_and_type(op: Remote) -> None:
    with ExitStack() as stack:
        tagged = stack.enter_context(op.feed("/subscribe?tag=SUB43&global=true"))
        typed = stack.enter_context(op.feed("/subscribe?type=reasoning,session_ended"))
        unified = stack.enter_context(op.feed("/subscribe?schema=unified&tag=sub43&type=assistant_message"))
        other = op.done(played({"think": "not this"}))
        session = op.done(played({"think": "this"}, {"say": "x"}), tags=["sub43"])
        heard = [tagged.until("session_started"), *iter_until(tagged, "session_ended")]
        assert heard == op.events(session)
        while ("session_ended", session) not in [(one["type"], one["wrapper_session_id"]) for one in typed.seen]:
            typed.next()
        own = [one for one in typed.seen if one["wrapper_session_id"] in (session, other)]  # others may end just now
        assert [one["type"] for one in own] == ["reasoning", "session_ended"] * 2
        assert {one["type"] for one in typed.seen} == {"reasoning", "session_ended"}
        assert {one["wrapper_session_id"] for one in own} == {session, other}
        assert unified.next()["content"] == [{"type": "text", "text": "x"}]


def iter_until(feed: Any, kind: str) -> Iterator[Any]:
    while (event := feed.next()) is not None:
        yield event
        if event["type"] == kind:
            return


def test_d11_an_account_hears_of_its_own_alone(tmp_path: Path) -> None:
    with front.opened(tmp_path) as yard:
        served = yard.serve("--host", "127.0.0.1", "--enable-mock", "--token", SECRET)
        site = Site(yard, served, Remote.at(yard, served))
        ann, bob = site.account("ann"), site.account("bob")
        with ann.feed("/subscribe") as hers, site.op.feed("/subscribe") as all_:
            his = bob.done(talk("his"))
            own = ann.done(talk("hers"))
            assert list(iter_until(hers, "session_ended")) == ann.events(own)
            heard = [*iter_until(all_, "session_ended"), *iter_until(all_, "session_ended")]
            assert {one["wrapper_session_id"] for one in heard} == {his, own}


# -- 9.7: interactive -----------------------------------------------------------------------------


def test_an_interactive_session_with_three_inputs(op: Remote) -> None:
    answer = op.post("/sessions/spawn", {"provider": "mock", "interactive": True, "prompt": talk("zero")}, 201)
    session = answer["session_id"]
    assert answer["interactive"] is True
    assert op.get(f"/sessions/{session}")["interactive"] is True
    with op.feed(f"/sessions/{session}/stream") as feed:
        assert feed.until("assistant_message")["content"] == "zero"
        for text in ("one", "two", "three"):
            sent = op.post(f"/sessions/{session}/input", {"message": talk(text)})
            assert sent == {"status": "sent", "interactive": True}
        assert [feed.until("assistant_message")["content"] for _ in range(3)] == ["one", "two", "three"]
        assert op.status(session) == "running"
        op.post(f"/sessions/{session}/cancel", {"reason": None})
        ended = feed.until("session_ended")
        assert (ended["success"], ended["error"]) == (False, "cancelled: cancelled by user")
        assert (feed.rest(), feed.code) == ([], 1000)
    events = op.events(session)
    assert events == feed.seen
    assert [one["content"] for one in events if one["type"] == "user_message"] == [
        talk(text) for text in ("zero", "one", "two", "three")
    ]
    assert events[0]["command"] == "interactive"
    assert len([one for one in op.get("/processes") if one["session_id"] == session]) == 1


def test_d7_the_pipe_of_an_interactive_session(site: Site, op: Remote) -> None:
    session = op.spawn("", interactive=True)
    pipe: Path = until(lambda: next(iter(site.yard.home.glob(f"**/fifos/{session}")), None))
    assert pipe.stat().st_mode & 0o777 == 0o600
    with pipe.open("w") as writer:
        writer.write(json.dumps({"type": "user_message", "content": "by pipe"}) + "\n\nplain text\n")
    assert [one["content"] for one in op.until(session, "assistant_message", 2)] == ["by pipe", "plain text"]
    op.post(f"/sessions/{session}/cancel")
    op.ended(session)
    until(lambda: not pipe.exists())


# -- 12: usage limits, and the end of the server ----------------------------------------------------


@pytest.fixture
def port() -> str:
    return str(free_port())


def serve(yard: Yard, port: str, *flags: str) -> Remote:
    flags = ("--host", "127.0.0.1", "--port", port, "--enable-mock", "--token", SECRET, *flags)
    return Remote.at(yard, yard.serve(*flags))


def test_d4_d34_a_usage_limit_is_slept_through_across_a_kill(tmp_path: Path, port: str) -> None:
    with front.opened(tmp_path) as yard:
        yard.home.mkdir(mode=0o700)
        (yard.home / "agents.toml").write_text("[usage_limits]\njitter_secs = 0\nresume_message = 'Go on'\n")
        op = serve(yard, port)
        reset = int(time.time()) + 6
        session = op.spawn(played(limit=f"Claude AI usage limit reached|{reset}"))
        [hit] = op.until(session, "usage_limit_hit")
        assert (hit["scope"], hit["fallback_used"]) == ("session", False)
        assert hit["scheduled_resume_at"]
        assert json.dumps(hit).count('"provider"') == 1
        assert op.status(session) == "idle"
        yard.fronts[-1].kill()
        op = serve(yard, port)
        [resumed] = op.until(session, "usage_limit_resumed")
        assert time.time() >= reset
        assert (resumed["incident_id"], resumed["resume_message"], resumed["attempt"]) == (
            *(hit["incident_id"], "Go on"),
            1,
        )
        assert op.ended(session) == [{"session_id": session, "success": True, "error": None}]
        assert op.get(f"/sessions/{session}/output")["result"] == "Go on"


def test_d34_sessions_are_adopted_after_a_kill_and_miss_nothing(tmp_path: Path, port: str) -> None:
    with front.opened(tmp_path) as yard:
        op = serve(yard, port)
        barrier = Site(yard, yard.fronts[-1], op).barrier("killed")
        session = op.spawn(played({"say": "before"}, barrier.step, {"say": "after"}))
        live = op.spawn("", interactive=True)
        op.until(session, "assistant_message")
        yard.fronts[-1].kill()
        barrier.lift("meanwhile")
        op = serve(yard, port)
        assert op.ended(session)[0]["success"] is True
        said = [one["content"] for one in op.events(session, type="assistant_message")]
        assert said == ["before", "meanwhile", "after"]
        op.post(f"/sessions/{live}/input", {"message": talk("still here")})
        assert op.until(live, "assistant_message")[0]["content"] == "still here"
        op.post(f"/sessions/{live}/cancel")
        op.ended(live)


def test_when_the_server_stops_sockets_are_told_1001_and_requests_503(tmp_path: Path, port: str) -> None:
    with front.opened(tmp_path) as yard:
        op = serve(yard, port)
        session = op.spawn(HANG)
        with op.feed(f"/sessions/{session}/stream") as feed, op.feed("/subscribe") as all_:
            feed.until("user_message")
            assert yard.fronts[-1].term() == 0
            feed.rest()
            all_.rest()
            assert (feed.code, all_.code) == (1001, 1001)
        assert "session_ended" not in events_of(feed.seen)
        op = serve(yard, port)
        op.post(f"/sessions/{session}/cancel")
        assert op.ended(session)[0]["success"] is False
