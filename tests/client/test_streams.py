"""Streams that are cut go on where they were: nothing is lost, and nothing comes twice."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from client.faces import Face, Make
from fakes.api import LOG, OTHER, SID, TOKEN, FakeApi, P, entry, event, serving
from fakes.line import line
from roost.client import requests, sockets
from roost.client.errors import Garbled, Refused, Unreachable
from roost.client.server import Server
from roost.client.streams import Again


def beat(seq: int) -> dict[str, Any]:
    return event(seq, "heartbeat", interval_secs=10)


def past(query: Mapping[str, str]) -> list[dict[str, Any]]:
    """The log behind a cursor, as the server sends it."""
    return [one for one in LOG if one["seq"] > int(query.get("after_seq", 0))]


def targets(api: FakeApi) -> list[str]:
    return [one.target.removeprefix(P) for one in api.seen if one.method == "WS"]


def test_a_session_is_read_to_its_end(api: FakeApi, client: Face) -> None:
    found = list(client.stream(SID))
    assert [one.seq for one in found] == [1, 2, 3, 5, 6, 7, 8, 9]
    assert found[3].input == {"command": "make index"}
    assert api.seen[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert "sec-websocket-extensions" not in api.seen[0].headers


@pytest.mark.parametrize("at", range(9))
@pytest.mark.parametrize("code", [1001, 1012])
def test_wherever_it_is_cut_each_event_comes_once(api: FakeApi, client: Face, at: int, code: int) -> None:
    lines: list[int] = []

    def frames(query: Mapping[str, str]) -> Sequence[dict[str, Any] | int]:
        lines.append(1)
        return [*past(query)[:at], code] if len(lines) == 1 else [*past(query), 1000]

    api.frames = frames
    assert list(client.stream(SID)) == list(client.stream(SID))
    assert len(lines) == 3
    after = [0, *(one["seq"] for one in LOG)][at]
    assert targets(api)[1] == f"/sessions/{SID}/stream" + (f"?after_seq={after}" if after else "")


def test_a_server_that_knows_no_cursor_sends_all_again_and_nothing_comes_twice(api: FakeApi, client: Face) -> None:
    first = iter([True, False])
    api.frames = lambda _: [*LOG[:4], beat(5), 1012] if next(first) else [*LOG, 1000]
    assert [one.seq for one in client.stream(SID) if one.type != "heartbeat"] == [1, 2, 3, 5, 6, 7, 8, 9]


def test_signs_of_life_are_no_events_and_move_no_cursor(api: FakeApi, client: Face) -> None:
    first = iter([True, False])
    api.frames = lambda query: [*LOG[:2], beat(99), 1012] if next(first) else [*past(query), 1000]
    seqs = [one.seq for one in client.stream(SID)]
    assert seqs == [1, 2, 99, 3, 5, 6, 7, 8, 9]
    assert targets(api)[1].endswith("?after_seq=2")


def test_events_without_numbers_are_counted(api: FakeApi, client: Face) -> None:
    unified = [{"type": "init", "model": "sonnet"}, {"type": "result", "success": True}, {"type": "result", "n": 2}]
    first = iter([True, False])
    api.frames = lambda _: [*unified[:2], 1012] if next(first) else [*unified, 1000]
    assert [one.type for one in client.stream(SID, schema="unified")] == ["init", "result", "result"]
    assert targets(api) == [f"/sessions/{SID}/stream?schema=unified"] * 2


def test_a_line_that_dies_in_mid_stream(api: FakeApi, face: Make) -> None:
    first = iter([True, False])
    api.frames = lambda query: past(query)[:3] if next(first) else [*past(query), 1000]
    with line(api.url) as wire:
        client = face(Server(f"http://127.0.0.1:{wire.port}", token=TOKEN))
        seqs = []
        for one in client.stream(SID):
            seqs.append(one.seq)
            if len(seqs) == 3:
                api.frames = lambda query: [*past(query), 1000]
                wire.cut()
        assert seqs == [1, 2, 3, 5, 6, 7, 8, 9]
        assert wire.opened == 2


def test_a_server_that_stays_away_is_given_up(api: FakeApi, face: Make) -> None:
    api.frames = lambda query: past(query)[:3]
    with line(api.url) as wire:
        client, told = face(Server(f"http://127.0.0.1:{wire.port}", token=TOKEN)), list[str]()
        reading = client.stream(SID, told=told.append, patience=0.3)
        assert [next(reading).seq for _ in range(3)] == [1, 2, 3]
        wire.refuse()
        wire.cut()
        with pytest.raises(Unreachable):
            next(reading)
        assert all(one.endswith("; trying again") for one in told)
        assert len(told) == len(set(told)) > 1  # each trouble once


def test_patience_begins_anew_with_each_sign_of_life() -> None:
    now = [0.0]
    again = Again(10, clock=lambda: now[0])
    delays = []
    while (delay := again.delay()) is not None:
        delays.append(delay)
        now[0] += delay
    assert delays[:4] == [0.05, 0.1, 0.2, 0.4]
    assert 10 <= sum(delays) < 15
    again.alive()
    assert again.delay() == 0.05


def test_a_session_that_is_not_there_is_refused_and_not_tried_again(api: FakeApi, client: Face) -> None:
    with pytest.raises(Refused, match="Session not found") as error:
        list(client.stream("nowhere"))
    assert error.value.status == 404
    assert len(api.seen) == 1


def test_the_originals_way_of_refusing(api: FakeApi, client: Face) -> None:
    api.frames = lambda _: [1008]
    with pytest.raises(Refused):
        list(client.stream(SID))


def test_a_wrong_token_is_refused(api: FakeApi, face: Make) -> None:
    with pytest.raises(Refused) as error:
        list(face(Server(api.url, token="x")).stream(SID))
    assert error.value.status == 401


def test_what_is_no_event_is_skipped(api: FakeApi, client: Face) -> None:
    api.frames = lambda _: [{"no": "type"}, *LOG[:1], 1000]
    assert [one.seq for one in client.stream(SID)] == [1]


def test_what_opens_no_websocket_is_no_server_of_ours() -> None:
    welcome = InvalidStatus(Response(200, "OK", Headers(), b"Welcome"))
    error = sockets.unopened(welcome, Server("http://h"), requests.stream(SID))
    assert isinstance(error, Garbled)
    assert "it answered 200" in str(error)


# -- all sessions -------------------------------------------------------------------------------


def test_all_sessions_after_a_cut_what_was_missed_comes_first(api: FakeApi, client: Face) -> None:
    old = "00000000-1111-4222-8333-944455566677"
    first = iter([True, False])

    def later(seq: int, kind: str, session: str) -> dict[str, Any]:
        return {**event(seq, kind, session), "ts": f"2999-01-01T00:00:{seq:02}+00:00"}

    def frames(_: Mapping[str, str]) -> Sequence[dict[str, Any] | int]:
        if next(first):
            return [event(3, "reasoning"), event(5, "tool_call"), 1012]
        return [event(6, "tool_result"), event(7, "assistant_message"), later(3, "session_ended", OTHER), 1000]

    api.frames = frames
    api.answers[f"GET {P}/sessions"] = (200, [entry(), entry(OTHER), entry(old)])
    api.answers[f"GET {P}/sessions/{SID}/events"] = (200, [event(6, "tool_result")])
    born = [later(1, "session_started", OTHER), later(2, "user_message", OTHER)]
    api.answers[f"GET {P}/sessions/{OTHER}/events"] = (200, born)
    api.answers[f"GET {P}/sessions/{old}/events"] = (200, [event(1, "session_started", old)])
    found = [(one.session, one.seq) for one in client.subscribe()]
    assert found == [(SID, 3), (SID, 5), (SID, 6), (OTHER, 1), (OTHER, 2), (SID, 7), (OTHER, 3)]
    asked = [one.target for one in api.seen if one.method == "GET"]
    assert f"{P}/sessions/{SID}/events?after_seq=5" in asked


def test_what_was_missed_is_chosen_like_the_rest(api: FakeApi, client: Face) -> None:
    first = iter([True, False])
    api.frames = lambda _: [event(1, "tool_call"), 1012] if next(first) else [event(6, "tool_call"), 1000]
    api.answers[f"GET {P}/sessions/{SID}/events"] = (200, [event(2, "tool_result"), event(3, "tool_call")])
    api.answers[f"GET {P}/sessions"] = (200, [entry()])
    found = list(client.subscribe(tag="nightly", types=["tool_call"]))
    assert [one.seq for one in found] == [1, 3, 6]
    assert targets(api) == ["/subscribe?tag=nightly&type=tool_call"] * 2
    assert f"{P}/sessions?tag=nightly&global=true" in [one.target for one in api.seen]


def test_a_session_that_is_deleted_while_the_missed_is_read_stops_nothing(api: FakeApi, client: Face) -> None:
    first = iter([True, False])
    api.frames = lambda _: [event(1, "tool_call"), 1012] if next(first) else [event(6, "tool_call"), 1000]
    api.answers[f"GET {P}/sessions/{SID}/events"] = (200, [event(3, "tool_call")])
    api.answers[f"GET {P}/sessions/{OTHER}/events"] = (404, {"error": "Session not found"})
    api.answers[f"GET {P}/sessions"] = (200, [entry(OTHER), entry()])
    assert [one.seq for one in client.subscribe()] == [1, 3, 6]


class Starting(FakeApi):
    """Can't list its sessions yet, the first time it is asked."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.once = [status]

    def _answer(self, scope: Any, headers: Mapping[str, str]) -> Any:
        if scope["path"] == f"{P}/sessions" and self.once:
            return self.once.pop(), {"error": "the server is starting"}
        return super()._answer(scope, headers)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_server_that_is_still_starting_when_the_missed_is_read_is_waited_for(face: Make, status: int) -> None:
    lines = iter([[event(1, "tool_call"), 1012], [1000], [event(6, "tool_call"), 1000]])
    with serving(Starting(status)) as api:
        api.frames = lambda _: next(lines)
        api.answers[f"GET {P}/sessions"] = (200, [entry()])
        api.answers[f"GET {P}/sessions/{SID}/events"] = (200, [event(3, "tool_call")])
        assert [one.seq for one in face(Server(api.url, token=TOKEN)).subscribe()] == [1, 3, 6]


def test_a_reader_that_leaves_closes_its_line(api: FakeApi, face: Make) -> None:
    api.frames = lambda _: LOG[:2]
    with line(api.url) as wire:
        client = face(Server(f"http://127.0.0.1:{wire.port}", token=TOKEN))
        reading = client.stream(SID)
        next(reading)
        assert not wire.left.acquire(blocking=False)
        reading.close()
        assert wire.left.acquire(timeout=15)


def test_the_largest_frame_is_beyond_what_servers_send() -> None:
    assert sockets.LARGEST >= 16 * 1024 * 1024
