"""Two servers on one file."""

import threading
import time

import pytest

from acceptance import stored
from acceptance.house import House, Server
from roost.core import events as e

FILE = """\
providers:
  fake: {{base_url: {url}/v1}}
agents:
  root:
    model: fake/fake-model
    toolsets: [{{type: shell}}]
"""
SOON = 0.25
SLOW = "[[drip 0.05]] [[say " + "and so on " * 30 + "]]"


@pytest.fixture
def pair(house: House) -> tuple[Server, Server]:
    house.agent(text=FILE.format(url=house.model.url))
    one, two = house.start(), house.start()
    return one.until_listening(), two.until_listening()


def test_a_stream_on_one_follows_a_session_of_the_other(pair: tuple[Server, Server]) -> None:
    one, two = pair
    session = one.create(title="t")
    arrived: dict[int, list[float]] = {}

    def watch(server: Server) -> None:
        for frame in server.events(session).until("stream_stopped"):
            if frame.id:
                arrived.setdefault(frame.id, []).append(time.monotonic())

    watchers = [threading.Thread(target=watch, args=(server,)) for server in pair]
    for watcher in watchers:
        watcher.start()
    one.run(session, SLOW)
    for watcher in watchers:
        watcher.join(20)
    assert len(arrived) == one.snapshot(session)["last_event_seq"]
    assert all(len(moments) == 2 for moments in arrived.values())
    late = sorted(max(moments) - min(moments) for moments in arrived.values())
    assert late[int(len(late) * 0.9)] < SOON, late[-5:]
    assert [f.raw for f in one.log(session)] == [f.raw for f in two.log(session)]
    assert two.snapshot(session) == one.snapshot(session)


def test_a_session_that_runs_elsewhere_is_busy(pair: tuple[Server, Server]) -> None:
    one, two = pair
    session = one.create(title="t")
    stream = one.start(session, SLOW)
    stream.until("agent_choice")
    reply = two.post(f"/api/sessions/{session}/agent/my-agent", {"messages": [{"content": "me too"}]})
    assert (reply.status, reply.message) == (409, "session is already processing a request")
    assert list(stream)[-1].event["reason"] == "normal"
    assert two.run(session, "now then")[-1].event["reason"] == "normal"
    assert one.run(session, "and back")[-1].event["reason"] == "normal"


def test_an_answer_given_at_the_wrong_server_arrives(pair: tuple[Server, Server]) -> None:
    one, two = pair
    session = one.create(title="t")
    stream = one.start(session, '[[tool shell {"cmd": "echo there"}]]')
    stream.until("tool_call_confirmation")
    assert two.snapshot(session)["streaming"]
    assert two.resume(session, "approve").status == 200
    frames = list(stream)
    assert frames[-1].event["reason"] == "normal"
    assert any("there" in f.event["response"] for f in frames if f.type == "tool_call_response")


def test_messages_and_cancels_given_at_the_wrong_server_arrive(pair: tuple[Server, Server]) -> None:
    one, two = pair
    session = one.create(title="t")
    stream = one.start(session, "[[drip 0.1]] [[say slowly, slowly, slowly, slowly]]")
    stream.until("agent_choice")
    path = f"/api/sessions/{session}"
    assert two.post(f"{path}/followup", {"messages": [{"content": "Ship it"}]}).json["status"] == "queued_streaming"
    frames = list(stream)
    assert [f.event["message"] for f in frames if f.type == "user_message"] == ["Ship it"]
    stream = one.start(session, SLOW)
    stream.until("agent_choice")
    assert two.post(f"{path}/cancel").status == 200
    assert list(stream)[-1].event["reason"] == "canceled"
    stream = one.start(session, SLOW)
    stream.until("agent_choice")
    assert two.delete(path).status == 200
    assert list(stream)
    assert one.get(path).status == 404


def test_a_second_start_settles_none_of_the_first_s_turns(house: House) -> None:
    house.agent(text=FILE.format(url=house.model.url))
    one = house.serve()
    session = one.create(title="t")
    stream = one.start(session, SLOW)
    stream.until("agent_choice")
    before = stored.epoch(house.db, session)
    house.serve()
    frames = list(stream)
    assert frames[-1].event["reason"] == "normal"
    assert stored.epoch(house.db, session) == before
    kinds = [e.kind(event.fact) for event in stored.facts(house.db, session)]
    assert not {"TurnResumed", "AnswerDropped", "CallLost"} & set(kinds)


def test_a_neighbour_takes_over_when_one_dies(pair: tuple[Server, Server]) -> None:
    one, two = pair
    session = one.create(title="t")
    one.start(session, SLOW, detach=True).until("agent_choice")
    reader = two.follow(session)
    one.kill()
    assert reader.until("stream_stopped", timeout=20).event["reason"] == "normal"
    reader.stop()
    assert two.snapshot(session)["messages"][-1]["message"]["content"] == ("and so on " * 30).strip()


def test_two_servers_start_at_once_on_a_new_file_and_share_the_writing(house: House) -> None:
    house.agent(text=FILE.format(url=house.model.url))
    started = [house.start(db=house.folder / "new.db") for _ in range(2)]
    servers = [server.until_listening() for server in started]
    ids = [server.create(title="t") for _ in range(20) for server in servers]
    for server in servers:
        assert {s["id"] for s in server.get("/api/sessions").json} == set(ids)
