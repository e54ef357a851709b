"""The event stream of a session (checklist 17 to 21)."""

import re
import socket
import threading
import time
from pathlib import Path

import pytest

from acceptance import purity
from acceptance.house import House, Server, until
from acceptance.sse import Frame
from roost.doors.app import make_app


@pytest.fixture(scope="module")
def served(shared: House) -> Server:
    shared.agent()
    return shared.serve()


def test_snapshot_then_tail_loses_and_doubles_nothing(served: Server) -> None:
    session = served.create(title="t")
    stream = served.start(session, "[[drip 0.01]] [[say " + "many little words " * 30 + "]]")
    stream.until("agent_choice")
    tails: list[list[Frame]] = []

    def tail() -> None:
        since = served.snapshot(session)["last_event_seq"]
        reader = served.events(session, since)
        seen = reader.until("stream_stopped")
        reader.close()
        assert [f.id for f in seen if not f.ping] == list(range(since + 1, since + 1 + len(seen)))
        tails.append(seen)

    threads = []
    for _ in range(5):
        threads.append(threading.Thread(target=tail))
        threads[-1].start()
        time.sleep(0.02)  # at another place of the answer
    run = list(stream)
    for thread in threads:
        thread.join(20)
    assert len(tails) == 5
    whole = served.log(session)
    for seen in tails:
        assert [f.raw for f in seen] == [f.raw for f in whole if f.id and f.id >= (seen[0].id or 0)]
    shown = {f.raw for f in whole if f.data}
    assert all(f.raw in shown for f in run)


def test_a_cursor_of_any_age_is_served(served: Server) -> None:
    """The original keeps 1024 events; here the log is the buffer."""
    session = served.create(title="t")
    served.run(session, "[[say " + "x" * 12 * 1100 + "]]")
    last = served.snapshot(session)["last_event_seq"]
    assert last > 1100
    stream = served.events(session, 1)
    frames = stream.until(lambda f: f.id == last)
    stream.close()
    assert [f.id for f in frames] == list(range(2, last + 1))
    text = "".join(f.event["content"] for f in frames if f.type == "agent_choice")
    assert text == "x" * 12 * 1100


def test_since_beats_last_event_id(served: Server) -> None:
    session = served.create(title="t")
    served.run(session, "hi")
    for since, header, first in ((3, "7", 4), (None, "7", 8), (None, "odd", 1), (None, None, 1)):
        headers = {"Last-Event-ID": header} if header else {}
        stream = served.events(session, since, **headers)
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert next(iter(stream)).id == first, (since, header)
        stream.close()


def test_a_cursor_beyond_the_end_is_a_gap(served: Server) -> None:
    session = served.create(title="t")
    served.run(session, "hi")
    last = served.snapshot(session)["last_event_seq"]
    stream = served.events(session, last + 100)
    frames = stream.until(lambda f: f.id == last)
    stream.close()
    assert (frames[0].raw, frames[0].id) == (b'data: {"type":"gap"}', None)
    assert [f.id for f in frames[1:]] == list(range(1, last + 1))


def test_silence_is_broken_by_a_heartbeat(house: House) -> None:
    house.agent(extra="    toolsets: [{type: shell}]\n")
    server = house.serve(program=("-m", "acceptance.seams"), env={"ROOST_TEST_QUIET": "1"})
    session = server.create(title="t")
    server.run(session, "hi")
    reader = server.events(session, server.snapshot(session)["last_event_seq"])
    other = server.create(title="t")
    run = server.start(other, '[[tool shell {"cmd": "echo"}]]')
    run.until("tool_call_confirmation")
    for stream in (reader, run):
        stream.patience(18)
        assert next(iter(stream)).raw == b": ping"
    assert (make_app.__kwdefaults__ or {})["quiet"] == 15  # otherwise


def test_deleting_ends_the_stream(served: Server) -> None:
    session = served.create(title="t")
    run = served.start(session, "[[drip 0.05]] [[say " + "and so on " * 100 + "]]")
    reader = served.events(session)
    reader.until("agent_choice")
    assert served.delete(f"/api/sessions/{session}").json == {"message": "session deleted"}
    frames = list(reader)
    assert frames[-1].event == {"type": "session_exited", "reason": "session ended"} | frames[-1].event
    assert frames[-1].id is not None
    ids = [f.id for f in frames]
    assert ids == list(range(ids[0] or 0, (ids[0] or 0) + len(ids)))
    list(run)
    gone = served.get(f"/api/sessions/{session}/events")
    assert (gone.status, gone.message) == (404, "session not found")
    snapshot = served.get(f"/api/sessions/{session}/snapshot")
    assert (snapshot.status, snapshot.json["code"]) == (404, "unknown_session")
    assert served.delete(f"/api/sessions/{session}").status == 404
    assert session not in [s["id"] for s in served.get("/api/sessions").json]


def test_deleting_may_wait_for_the_turn(served: Server) -> None:
    session = served.create(title="t")
    run = served.start(session, "[[drip 0.05]] [[say " + "and so on " * 100 + "]]")
    run.until("agent_choice")
    assert served.delete(f"/api/sessions/{session}?wait=true&timeout=abc").status == 400
    assert served.delete(f"/api/sessions/{session}?wait=true&timeout=5s").status == 200
    list(run)


def test_a_slow_reader_holds_nobody_up(served: Server) -> None:
    session = served.create(title="t")
    slow = served.events(session)  # reads nothing
    text = "[[say " + "y" * 100_000 + "]]"
    began = time.monotonic()
    assert served.run(session, text)[-1].type == "stream_stopped"
    assert time.monotonic() - began < 15
    last = served.snapshot(session)["last_event_seq"]
    frames = slow.until(lambda f: f.id == last)  # and loses nothing
    assert [f.id for f in frames] == list(range(1, last + 1))
    slow.close()


def test_a_reader_that_is_stuck_is_cut_and_comes_back(house: House) -> None:
    house.agent()
    server = house.serve(program=("-m", "acceptance.seams"), env={"ROOST_TEST_STUCK": "0.5"})
    session = server.create(title="t")
    stuck = socket.socket()
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    host, _, port = server.address.rpartition(":")
    stuck.connect((host, int(port)))
    stuck.sendall(f"GET /api/sessions/{session}/events HTTP/1.1\r\nHost: {server.address}\r\n\r\n".encode())
    other = server.follow(session)
    for _ in range(9):
        server.run(session, "y" * 900_000)  # more than the buffers between the two can hold
    last = server.snapshot(session)["last_event_seq"]
    other.until_seq(last)
    other.stop()
    assert [f.id for f in other.frames] == list(range(1, last + 1))
    until(lambda: cut(stuck, int(port)), timeout=10)
    got = b""
    stuck.settimeout(10)
    try:
        while chunk := stuck.recv(1 << 20):
            got += chunk
    except ConnectionResetError:
        pass
    stuck.close()
    assert b"session_exited" not in got
    whole = re.findall(rb"id: (\d+)\n(?:data: [^\n]*\n)?\n", got)
    seen = max(map(int, whole), default=0)
    assert seen < last
    again = server.follow(session, since=seen)
    again.until_seq(last)
    again.stop()
    assert [f.id for f in again.frames] == list(range(seen + 1, last + 1))


def cut(sock: socket.socket, port: int) -> bool:
    """Whether the server at `port` has given up the connection of `sock`."""
    mine = f":{sock.getsockname()[1]:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    states = [
        state for _, local, remote, state, *_ in lines if local.endswith(f":{port:04X}") and remote.endswith(mine)
    ]
    return "01" not in states  # ESTABLISHED


def test_frames_are_a_function_of_the_log(served: Server, shared: House) -> None:
    session = served.create()
    reader = served.follow(session)
    served.run(session, "[[think hm, well]] [[say some words, and some more of them]]")
    until(lambda: served.snapshot(session)["title"])
    served.patch(f"/api/sessions/{session}/title", {"title": "another"})
    served.run(session, '[[tool nothing {"a": "' + "long " * 900 + '"}]]')
    neighbour = shared.serve()
    whole = purity.check(shared, session, served, neighbour, every=True)
    reader.until_seq(len(whole))
    reader.stop()
    assert [f.raw for f in reader.frames] == [f.raw for f in whole]
